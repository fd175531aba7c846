import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ErrorCode, GridError } from '../../runtime/errors.js'
import { toHex, utf8 } from '../../runtime/hex.js'
import {
  type Caller,
  type Codec,
  type Endpoint,
  MESSAGE_BYTES_MAX,
  type MessageStream,
  STREAM_BUFFER_BYTES_MAX,
  type StreamHandler,
  type StreamMethod,
  type Transport,
  type UnaryHandler,
  type UnaryMethod,
} from '../../runtime/transport.js'
import { deadline } from './deadline.js'
import { rejects } from './rejects.js'

/** Two nodes that can reach each other, as the suite wants them. */
export interface TransportPair {
  /** Dials. */
  readonly dialler: Transport
  readonly diallerId: string
  /** Accepts; its handlers were set by the `setUp` given to the factory. */
  readonly acceptor: Transport
  /** Where the acceptor is, as the dialler sees it. */
  readonly endpoint: Endpoint
  /** A place where nobody answers. */
  readonly nowhere: Endpoint
  /** The acceptor's address with the id of another node. */
  readonly impostor: Endpoint
  /** Waits for `promise`; a simulated pair lets virtual time pass meanwhile. Default: {@link deadline} of 10 s. */
  readonly wait?: <T>(promise: Promise<T>, what: string) => Promise<T>
  /** Resolves once no bytes move any more. Default: polls until `progress` has stood still for 250 ms. */
  readonly quiet?: (progress: () => number) => Promise<void>
  close(): Promise<void>
}

/** Makes a pair; `setUp` offers methods on the acceptor before its first connection. */
export type PairFactory = (setUp: (acceptor: Transport) => void) => Promise<TransportPair>

/** Text without the letter that stands for hostile bytes here. */
const text: Codec<string> = {
  encode: utf8,
  decode(bytes) {
    const read = new TextDecoder().decode(bytes)
    if (read.startsWith('!')) throw new GridError('invalid', 'a message may not begin with !')
    return read
  },
}
const rude: Codec<string> = { encode: utf8, decode: (bytes) => new TextDecoder().decode(bytes) }
const blob: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes }

const ask: UnaryMethod<string, string> = { path: '/test.Conformance/Ask', request: text, response: text }
const talk: StreamMethod<string, string> = { path: '/test.Conformance/Talk', up: text, down: text }
const pour: StreamMethod<Uint8Array, Uint8Array> = { path: '/test.Conformance/Pour', up: blob, down: blob }
const SOON = { deadlineMs: 5_000 }

const CODES: readonly ErrorCode[] = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'notFound',
  'expired',
  'exists',
  'quota',
  'unsupported',
  'unreachable',
  'timeout',
  'closed',
  'unavailable',
  'corrupt',
  'internal',
]

interface Running extends TransportPair {
  wait<T>(promise: Promise<T>, what: string): Promise<T>
}

/**
 * Registers and runs the suite `name` of what every {@link Transport} promises. Both versions pass it: what runs in the
 * simulator then holds for real processes.
 */
export function transportConformance(name: string, makePair: PairFactory): void {
  const test = suite(name)

  const withPair = async (setUp: (acceptor: Transport) => void, body: (pair: Running) => Promise<void>) => {
    const pair = await makePair(setUp)
    const wait = pair.wait ?? ((promise, what) => deadline(promise, 10_000, what))
    try {
      await body({ ...pair, wait })
    } finally {
      await pair.close()
    }
  }
  const withAsk = (handler: UnaryHandler<string, string>, body: (pair: Running) => Promise<void>) =>
    withPair((acceptor) => acceptor.handleUnary(ask, handler), body)
  const withTalk = (handler: StreamHandler<string, string>, body: (pair: Running) => Promise<void>) =>
    withPair((acceptor) => acceptor.handleStream(talk, handler), body)

  test('a call gets its answer, and the handler knows who asks', () => {
    let caller: Caller | undefined
    return withAsk(
      (question, from) => {
        caller = from
        return `${question}!`
      },
      async ({ dialler, diallerId, endpoint, wait }) => {
        assert.is(await wait(dialler.call(endpoint, ask, 'hello', SOON), 'answer'), 'hello!')
        assert.is(caller?.nodeId, diallerId)
        assert.match(caller?.publicKey ?? '', /^[0-9a-f]{64}$/)
        assert.is(caller?.idNonce.length, 8)
      },
    )
  })

  test('every error code reaches the caller with its message, but a fault of the node does not tell its inside', () =>
    withAsk(
      (code) => {
        throw new GridError(code as ErrorCode, `about ${code}`, { hint: 'not sent', fields: { secret: 1 } })
      },
      async ({ dialler, endpoint, wait }) => {
        for (const code of CODES) {
          const error = (await wait(rejects(dialler.call(endpoint, ask, code, SOON), code), code)) as GridError
          assert.is(error.message, code === 'internal' ? 'internal error' : `about ${code}`)
          assert.equal(error.fields, {})
        }
      },
    ))

  test('what a handler throws or rejects with costs the call, never the node', () =>
    withAsk(
      (how) => {
        if (how === 'throw') throw new Error('secret path /home')
        if (how === 'reject') return Promise.reject(new TypeError('secret'))
        if (how === 'nonsense') return Symbol('nonsense') as unknown as string
        return 'alive'
      },
      async ({ dialler, endpoint, wait }) => {
        for (const how of ['throw', 'reject', 'nonsense']) {
          const error = (await wait(rejects(dialler.call(endpoint, ask, how, SOON), 'internal'), how)) as GridError
          assert.not.match(error.message, /secret/)
        }
        assert.is(await wait(dialler.call(endpoint, ask, 'still', SOON), 'answer'), 'alive')
      },
    ))

  test('a call past its deadline fails with timeout, and its handler is told', () => {
    let told: (() => void) | undefined
    const aborted = new Promise<void>((resolve) => {
      told = resolve
    })
    return withAsk(
      (_question, _caller, signal) => {
        signal.addEventListener('abort', () => told?.())
        return new Promise<string>(() => {})
      },
      async ({ dialler, endpoint, wait }) => {
        await wait(rejects(dialler.call(endpoint, ask, 'never', { deadlineMs: 200 }), 'timeout'), 'timeout')
        await wait(aborted, 'abort of the handler')
      },
    )
  })

  test('a call can be aborted, before and during', () => {
    const abort = new AbortController()
    return withAsk(
      () => {
        abort.abort()
        return new Promise<string>(() => {})
      },
      async ({ dialler, endpoint, wait }) => {
        await wait(
          rejects(dialler.call(endpoint, ask, 'x', { ...SOON, signal: abort.signal }), 'closed'),
          'abort during',
        )
        await wait(
          rejects(dialler.call(endpoint, ask, 'x', { ...SOON, signal: abort.signal }), 'closed'),
          'abort before',
        )
      },
    )
  })

  test('a place where nobody answers is unreachable, for calls, streams and probes', () =>
    withPair(
      () => {},
      async ({ dialler, nowhere, wait }) => {
        await wait(rejects(dialler.call(nowhere, ask, 'x', SOON), 'unreachable'), 'call')
        const stream = watch(dialler.open(nowhere, talk))
        stream.send('into the void')
        assert.is(codeOf(await wait(stream.closed, 'close')), 'unreachable')
        await wait(rejects(dialler.probe(nowhere.address, SOON), 'unreachable'), 'probe')
      },
    ))

  test('another node than the dialled one is unreachable', () =>
    withAsk(
      () => 'impostor',
      async ({ dialler, impostor, wait }) => {
        await wait(rejects(dialler.call(impostor, ask, 'x', SOON), 'unreachable'), 'call')
        assert.is(codeOf(await wait(watch(dialler.open(impostor, talk)).closed, 'close')), 'unreachable')
      },
    ))

  test('a probe tells which node answers', () =>
    withPair(
      () => {},
      async ({ dialler, endpoint, wait }) => {
        assert.equal(await wait(dialler.probe(endpoint.address, SOON), 'probe'), endpoint)
      },
    ))

  test('a method that nobody offers is unsupported', () =>
    withPair(
      () => {},
      async ({ dialler, endpoint, wait }) => {
        await wait(rejects(dialler.call(endpoint, ask, 'x', SOON), 'unsupported'), 'call')
        assert.is(codeOf(await wait(watch(dialler.open(endpoint, talk)).closed, 'close')), 'unsupported')
      },
    ))

  test('messages arrive both ways, all and in order', () =>
    withTalk(
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
    return withTalk(
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
    return withTalk(
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
    return withTalk(
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
    return withTalk(
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
    return withTalk(
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
    return withTalk(
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
    withTalk(
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
    withPair(
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
    withPair(
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

  test('a paused reader holds the sender back, and loses nothing', () => {
    const PIECE = new Uint8Array(128 * 1024)
    const PIECES = 512
    let accepted: MessageStream<Uint8Array, Uint8Array> | undefined
    let received = 0
    return withPair(
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
    withPair(
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
    withPair(
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
    withPair(
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

  test('an opened stream names the peer it was opened to', () =>
    withTalk(
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

  test.run()
}

/** A stream whose messages and close are recorded. */
interface Watched extends MessageStream<string, string> {
  readonly messages: readonly string[]
  readonly closed: Promise<Error | undefined>
  ended(): boolean
}

function watch(stream: MessageStream<string, string>): Watched {
  const messages: string[] = []
  let ended = false
  let isClosed = false
  stream.onMessage((message) => {
    if (isClosed) throw new Error('a message after the close')
    messages.push(message)
  })
  stream.onEnd(() => {
    ended = true
  })
  const closed = new Promise<Error | undefined>((resolve) => {
    stream.onClose((reason) => {
      isClosed = true
      resolve(reason)
    })
  })
  return {
    messages,
    closed,
    ended: () => ended,
    caller: stream.caller,
    send: (message) => stream.send(message),
    drained: () => stream.drained(),
    pause: (paused) => stream.pause(paused),
    onMessage: (handler) => stream.onMessage(handler),
    onClose: (handler) => stream.onClose(handler),
    onEnd: (handler) => stream.onEnd(handler),
    end: () => stream.end(),
    cancel: (reason) => stream.cancel(reason),
  }
}

function codeOf(error: Error | undefined): ErrorCode | undefined {
  return error instanceof GridError ? error.code : undefined
}

async function standsStill(progress: () => number): Promise<void> {
  for (let last = -1, still = 0; still < 10; still = progress() === last ? still + 1 : 0) {
    last = progress()
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
