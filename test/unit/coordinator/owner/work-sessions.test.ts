import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OwnerDriverContext } from '../../../../coordinator/owner/owner-context.js'
import { STREAMS_PER_WORKER_MAX, WorkSessions, type WorkStream } from '../../../../coordinator/owner/work-sessions.js'
import type { NodeId, PublicKey } from '../../../../proto/model.js'
import type { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'

/** Opens streams at an owner with room for twelve, and closes them. */
class Bench {
  readonly #sessions = new WorkSessions({
    clock: { now: () => 0, wallMs: () => 0, setTimer: () => ({ cancel() {} }) },
    logger: silentLogger,
    options: { sessionsMax: 12 },
    handle: () => {},
  } as unknown as OwnerDriverContext & ConstructorParameters<typeof WorkSessions>[0])

  open(key: string) {
    const stream = { refused: undefined as GridError | undefined, close: () => {} }
    this.#sessions.onWork({
      caller: { nodeId: 'ab'.repeat(20) as NodeId, publicKey: key as PublicKey, host: '127.0.0.1' },
      onMessage() {},
      onEnd() {},
      onClose: (listener: () => void) => {
        stream.close = listener
      },
      send: () => true,
      cancel: (reason: GridError) => {
        stream.refused = reason
      },
    } as unknown as WorkStream)
    return stream
  }
}

const test = suite('Streams of workers')

test('of one key are few, so that it does not take the places of others', () => {
  const bench = new Bench()
  const streams = Array.from({ length: STREAMS_PER_WORKER_MAX }, () => bench.open('greedy'))
  assert.ok(streams.every(({ refused }) => refused === undefined))
  assert.is(bench.open('greedy').refused?.code, 'quota')
  assert.is(bench.open('other').refused, undefined)
  streams[0]!.close()
  assert.is(bench.open('greedy').refused, undefined, 'a place that was left')
})

test('are as many in all as an owner serves', () => {
  const bench = new Bench()
  for (let i = 0; i < 12; i++) assert.is(bench.open(`key ${i}`).refused, undefined)
  assert.match(bench.open('one more').refused?.message ?? '', /serves at most 12/)
})

test.run()
