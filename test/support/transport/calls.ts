import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODES, type ErrorCode, GridError } from '../../../runtime/errors.js'
import type { Caller } from '../../../runtime/transport.js'
import { rejects } from '../rejects.js'
import { ask, codeOf, type Pairs, SOON, talk } from './pair.js'
import { watch } from './watched-stream.js'

/** What a transport promises of calls and probes. */
export function callPromises(test: Test, pairs: Pairs): void {
  test('a call gets its answer, and the handler knows who asks', () => {
    let caller: Caller | undefined
    return pairs.withAsk(
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
    pairs.withAsk(
      (code) => {
        throw new GridError(code as ErrorCode, `about ${code}`, { hint: 'not sent', fields: { secret: 1 } })
      },
      async ({ dialler, endpoint, wait }) => {
        for (const code of ERROR_CODES) {
          const error = (await wait(rejects(dialler.call(endpoint, ask, code, SOON), code), code)) as GridError
          assert.is(error.message, code === 'internal' ? 'internal error' : `about ${code}`)
          assert.equal(error.fields, {})
        }
      },
    ))

  test('what a handler throws or rejects with costs the call, never the node', () =>
    pairs.withAsk(
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
    return pairs.withAsk(
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
    return pairs.withAsk(
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
    pairs.with(
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
    pairs.withAsk(
      () => 'impostor',
      async ({ dialler, impostor, wait }) => {
        await wait(rejects(dialler.call(impostor, ask, 'x', SOON), 'unreachable'), 'call')
        assert.is(codeOf(await wait(watch(dialler.open(impostor, talk)).closed, 'close')), 'unreachable')
      },
    ))

  test('a probe tells which node answers', () =>
    pairs.with(
      () => {},
      async ({ dialler, endpoint, wait }) => {
        assert.equal(await wait(dialler.probe(endpoint.address, SOON), 'probe'), endpoint)
      },
    ))

  test('a method that nobody offers is unsupported', () =>
    pairs.with(
      () => {},
      async ({ dialler, endpoint, wait }) => {
        await wait(rejects(dialler.call(endpoint, ask, 'x', SOON), 'unsupported'), 'call')
        assert.is(codeOf(await wait(watch(dialler.open(endpoint, talk)).closed, 'close')), 'unsupported')
      },
    ))
}
