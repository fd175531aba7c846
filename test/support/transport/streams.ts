import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { GridError } from '../../../runtime/errors.js'
import { rejects } from '../rejects.js'
import { ask, codeOf, type Pairs, rude, SOON, talk } from './pair.js'
import { type Watched, watch } from './watched-stream.js'

/** What a transport promises of streams: order, end, cancel, errors. */
export function streamPromises(test: Test, pairs: Pairs): void {
  test('messages arrive both ways, all and in order', () =>
    pairs.withTalk(
      (stream) => {
        stream.onMessage((message) => stream.send(`re ${message}`))
        stream.onEnd(() => stream.end())
        stream.onClose(() => {})
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk))
        const sent = Array.from({ length: 500 }, (_, i) => `message ${i}`)
        for (const message of sent) if (!stream.send(message)) await stream.drained()
        stream.end()
        assert.is(await wait(stream.closed, 'close'), undefined)
        assert.equal(
          stream.messages,
          sent.map((message) => `re ${message}`),
        )
        assert.ok(stream.ended())
      },
    ))

  test('messages that take their reader long arrive all and in order, and the end after them', () => {
    const told: string[] = []
    let steps = 0
    return pairs.withTalk(
      (stream) => {
        stream.onMessage((message) => {
          // Some milliseconds of work: a simulated node may not ask a real clock.
          for (let i = 0; i < 5_000_000; i++) steps += i
          told.push(message)
        })
        stream.onEnd(() => {
          told.push('end')
          stream.end()
        })
        stream.onClose(() => {})
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk))
        const names = Array.from({ length: 30 }, (_, i) => `${i}`)
        for (const name of names) stream.send(name)
        stream.end()
        assert.is(await wait(stream.closed, 'close'), undefined)
        assert.equal(told, [...names, 'end'])
        assert.ok(steps > 0)
      },
    )
  })

  test('after its end the opening side still receives, and both sides close without a reason', () => {
    let accepted: Watched | undefined
    return pairs.withTalk(
      (stream) => {
        const watched = watch(stream)
        accepted = watched
        stream.onEnd(() => {
          stream.send(`${watched.messages.length} messages, then the end`)
          stream.end()
          stream.end()
        })
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk))
        stream.send('one')
        stream.send('two')
        stream.end()
        stream.end()
        stream.send('ignored')
        assert.is(await wait(stream.closed, 'close here'), undefined)
        assert.equal(stream.messages, ['2 messages, then the end'])
        assert.is(await wait(accepted!.closed, 'close there'), undefined)
      },
    )
  })

  test('the end of the accepting side ends the stream for both', () => {
    let accepted: Watched | undefined
    return pairs.withTalk(
      (stream) => {
        accepted = watch(stream)
        stream.send('that was it')
        stream.end()
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk))
        assert.is(await wait(stream.closed, 'close here'), undefined)
        assert.equal(stream.messages, ['that was it'])
        assert.is(await wait(accepted!.closed, 'close there'), undefined)
      },
    )
  })

  test('a cancel of the accepting side reaches the other with its reason', () => {
    let accepted: Watched | undefined
    return pairs.withTalk(
      (stream) => {
        accepted = watch(stream)
        stream.onMessage(() => {
          stream.cancel(new GridError('quota', 'too many workers'))
          stream.cancel(new GridError('internal', 'second cancel'))
          stream.send('ignored')
        })
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk))
        stream.send('hello')
        const reason = await wait(stream.closed, 'close here')
        assert.is(codeOf(reason), 'quota')
        assert.is(reason?.message, 'too many workers')
        assert.is(codeOf(await wait(accepted!.closed, 'close there')), 'quota')
        assert.equal(stream.messages, [])
      },
    )
  })

  test('a cancel of the opening side closes the other, and is told at home, too', () => {
    let accepted: Watched | undefined
    return pairs.withTalk(
      (stream) => {
        accepted = watch(stream)
        stream.send('ready')
      },
      async ({ dialler, endpoint, wait }) => {
        const opened = dialler.open(endpoint, talk)
        let order = ''
        const closed = new Promise<Error | undefined>((resolve) => {
          opened.onClose((reason) => {
            order += 'told '
            resolve(reason)
          })
          opened.onMessage(() => {
            opened.cancel(new GridError('expired', 'no more need'))
            order += 'returned '
          })
        })
        assert.is(codeOf(await wait(closed, 'close here')), 'expired')
        assert.is(order, 'returned told ')
        assert.is(codeOf(await wait(accepted!.closed, 'close there')), 'closed')
      },
    )
  })

  test('a stream opened with a signal is cancelled by it', () => {
    const abort = new AbortController()
    return pairs.withTalk(
      (stream) => {
        watch(stream)
        stream.send('ready')
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk, abort.signal))
        stream.onMessage(() => abort.abort())
        assert.is(codeOf(await wait(stream.closed, 'close')), 'closed')
        assert.is(codeOf(await wait(watch(dialler.open(endpoint, talk, abort.signal)).closed, 'close')), 'closed')
      },
    )
  })

  test('a handler that throws costs its stream, never the node', () =>
    pairs.withTalk(
      (stream) => {
        stream.onMessage((message) => {
          if (message === 'bad') throw new Error('secret')
          stream.send('alive')
        })
        stream.onClose(() => {
          throw new Error('thrown while closing')
        })
      },
      async ({ dialler, endpoint, wait }) => {
        const stream = watch(dialler.open(endpoint, talk))
        stream.send('bad')
        const reason = await wait(stream.closed, 'close')
        assert.is(codeOf(reason), 'internal')
        assert.not.match(reason?.message ?? '', /secret/)
        const next = dialler.open(endpoint, talk)
        const answered = new Promise<string>((resolve) => next.onMessage(resolve))
        next.send('good')
        assert.is(await wait(answered, 'answer'), 'alive')
        next.cancel()
      },
    ))

  test('messages that come before a handler is set are kept, and so is the close', () =>
    pairs.with(
      (acceptor) => {
        acceptor.handleStream(talk, (stream) => {
          for (const message of ['a', 'b', 'c']) stream.send(message)
          stream.end()
        })
        acceptor.handleUnary(ask, () => 'pong')
      },
      async ({ dialler, endpoint, wait }) => {
        const opened = dialler.open(endpoint, talk)
        await wait(dialler.call(endpoint, ask, 'ping', SOON), 'a round trip')
        await wait(dialler.call(endpoint, ask, 'ping', SOON), 'another')
        const messages: string[] = []
        opened.onMessage((message) => messages.push(message))
        const reason = await wait(new Promise<Error | undefined>((resolve) => opened.onClose(resolve)), 'close')
        assert.is(reason, undefined)
        assert.equal(messages, ['a', 'b', 'c'])
      },
    ))

  test('bytes that cannot be read are refused as invalid on every way in', () =>
    pairs.with(
      (acceptor) => {
        acceptor.handleUnary(ask, (question) => (question === 'be rude' ? '!rude' : 'polite'))
        acceptor.handleStream(talk, (stream) => {
          stream.onMessage((message) => stream.send(message === 'be rude' ? '!rude' : message))
          stream.onClose(() => {})
        })
      },
      async ({ dialler, endpoint, wait }) => {
        await wait(rejects(dialler.call(endpoint, { ...ask, request: rude }, '!', SOON), 'invalid'), 'request')
        await wait(rejects(dialler.call(endpoint, ask, 'be rude', SOON), 'invalid'), 'response')
        const up = watch(dialler.open(endpoint, { ...talk, up: rude }))
        up.send('!')
        assert.is(codeOf(await wait(up.closed, 'close by the acceptor')), 'invalid')
        const down = watch(dialler.open(endpoint, talk))
        down.send('be rude')
        assert.is(codeOf(await wait(down.closed, 'close by the opener')), 'invalid')
        assert.is(await wait(dialler.call(endpoint, ask, 'x', SOON), 'answer'), 'polite')
      },
    ))

  test('an opened stream names the peer it was opened to', () =>
    pairs.withTalk(
      (stream) => {
        stream.onMessage(() => {})
        stream.send(stream.caller.nodeId)
      },
      async ({ dialler, diallerId, endpoint, wait }) => {
        const stream = dialler.open(endpoint, talk)
        const first = await wait(new Promise<string>((resolve) => stream.onMessage(resolve)), 'message')
        assert.is(first, diallerId)
        assert.is(stream.caller.nodeId, endpoint.nodeId)
        assert.match(stream.caller.publicKey, /^[0-9a-f]{64}$/)
        assert.is(stream.caller.idNonce.length, 8)
        stream.cancel()
      },
    ))
}
