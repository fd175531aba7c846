import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { toHex } from '../../../runtime/hex.js'
import { MESSAGE_BYTES_MAX, type MessageStream, STREAM_BUFFER_BYTES_MAX } from '../../../runtime/transport.js'
import { ask, codeOf, type Pairs, pour, SOON, talk } from './pair.js'
import { standsStill } from './watched-stream.js'

/** What a transport promises of readers that are slow and senders that do not wait. */
export function flowPromises(test: Test, pairs: Pairs): void {
  test('a paused reader holds the sender back, and loses nothing', () => {
    const PIECE = new Uint8Array(128 * 1024)
    const PIECES = 512
    let accepted: MessageStream<Uint8Array, Uint8Array> | undefined
    let received = 0
    return pairs.with(
      (acceptor) => {
        acceptor.handleStream(pour, (stream) => {
          accepted = stream
          stream.onMessage(() => {
            received++
            if (received === 1) stream.pause(true)
          })
          stream.onEnd(() => stream.end())
          stream.onClose(() => {})
        })
      },
      async ({ dialler, endpoint, wait, quiet = standsStill }) => {
        const stream = dialler.open(endpoint, pour)
        stream.onMessage(() => {})
        const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve))
        let sent = 0
        const sending = (async () => {
          for (; sent < PIECES; sent++) if (!stream.send(PIECE)) await stream.drained()
          stream.end()
        })()
        await wait(
          quiet(() => sent),
          'standstill',
        )
        assert.is(received, 1)
        assert.ok(sent < PIECES / 2, `${sent} of ${PIECES} pieces went out to a reader that took one`)
        accepted!.pause(false)
        await wait(sending, 'the rest')
        assert.is(await wait(closed, 'close'), undefined)
        assert.is(received, PIECES)
      },
    )
  })

  test('a paused stream does not hold back other streams and calls between the same nodes', () =>
    pairs.with(
      (acceptor) => {
        acceptor.handleUnary(ask, () => 'pong')
        acceptor.handleStream(talk, (stream) => stream.onMessage((message) => stream.send(message)))
        acceptor.handleStream(pour, (stream) => {
          stream.onMessage(() => stream.pause(true))
          stream.onClose(() => {})
        })
      },
      async ({ dialler, endpoint, wait, quiet = standsStill }) => {
        const stuck = dialler.open(endpoint, pour)
        stuck.onMessage(() => {})
        let isOpen = true
        stuck.onClose(() => {
          isOpen = false
        })
        let sent = 0
        void (async () => {
          for (; sent < 1024 && isOpen; sent++) if (!stuck.send(new Uint8Array(128 * 1024))) await stuck.drained()
        })()
        await wait(
          quiet(() => sent),
          'standstill',
        )
        assert.is(await wait(dialler.call(endpoint, ask, 'ping', SOON), 'answer'), 'pong')
        const other = dialler.open(endpoint, talk)
        const answered = new Promise<string>((resolve) => other.onMessage(resolve))
        other.send('over here')
        assert.is(await wait(answered, 'message'), 'over here')
        other.cancel()
        stuck.cancel()
      },
    ))

  test('a sender that never waits gets its stream cancelled, and its memory back', () =>
    pairs.with(
      (acceptor) => {
        acceptor.handleStream(pour, (stream) => {
          stream.onMessage(() => stream.pause(true))
          stream.onClose(() => {})
        })
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = dialler.open(endpoint, pour)
        stream.onMessage(() => {})
        const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve))
        const piece = new Uint8Array(512 * 1024)
        let refused = 0
        for (let bytes = 0; bytes <= 2 * STREAM_BUFFER_BYTES_MAX; bytes += piece.length)
          if (!stream.send(piece)) refused++
        assert.ok(refused > 0, 'send says when to wait')
        assert.is(codeOf(await wait(closed, 'close')), 'quota')
        await wait(stream.drained(), 'drained after the close')
      },
    ))

  test('a message over the limit is refused by send, and the stream lives', () =>
    pairs.with(
      (acceptor) => {
        acceptor.handleStream(pour, (stream) => {
          stream.onMessage((bytes) => stream.send(bytes.slice(0, 4)))
          stream.onEnd(() => stream.end())
        })
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = dialler.open(endpoint, pour)
        const answers: string[] = []
        stream.onMessage((bytes) => answers.push(toHex(bytes)))
        const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve))
        assert.throws(() => stream.send(new Uint8Array(MESSAGE_BYTES_MAX + 1)), /limit/)
        stream.send(new Uint8Array(MESSAGE_BYTES_MAX).fill(7))
        stream.end()
        assert.is(await wait(closed, 'close'), undefined)
        assert.equal(answers, ['07070707'])
      },
    ))
}
