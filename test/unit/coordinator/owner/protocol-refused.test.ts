import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OwnerEvent } from '../../../../coordinator/owner/core/messages.js'
import type { OwnerDriverContext } from '../../../../coordinator/owner/owner-context.js'
import { WorkSessions, type WorkStream } from '../../../../coordinator/owner/work-sessions.js'
import type { BootId, NodeId, PublicKey } from '../../../../proto/model.js'
import { protocolGap } from '../../../../proto/protocol-range.js'
import type { Hello, WorkerMessage } from '../../../../proto/work-messages.js'
import type { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { OwnerGrid } from '../../../support/cores/owner-grid.js'

const NODE = 'ab'.repeat(20) as NodeId

/** What becomes of a stream on which a worker says hello, and what the core hears. */
function greet(protocol: Hello['protocol']): { ended: GridError | undefined; events: OwnerEvent[] } {
  const events: OwnerEvent[] = []
  const clock = { now: () => 0, wallMs: () => 0, setTimer: () => ({ cancel() {} }) }
  const sessions = new WorkSessions({
    clock,
    logger: silentLogger,
    options: { sessionsMax: 8 },
    commits: { commit: async () => {} },
    handle: (event: OwnerEvent) => void events.push(event),
  } as unknown as OwnerDriverContext & ConstructorParameters<typeof WorkSessions>[0])
  let ended: GridError | undefined
  let say: (message: WorkerMessage) => void = () => {}
  sessions.onWork({
    caller: { nodeId: NODE, publicKey: 'cd'.repeat(32) as PublicKey, host: '127.0.0.1' },
    onMessage: (listener: (message: WorkerMessage) => void) => {
      say = listener
    },
    onEnd() {},
    onClose() {},
    send: () => true,
    cancel: (reason: GridError) => {
      ended = reason
    },
  } as unknown as WorkStream)
  say({
    type: 'hello',
    bootId: '0123456789abcdef' as BootId,
    slots: 1,
    tasks: [],
    memoryBytes: 1,
    jobId: undefined,
    donor: undefined,
    donorSignature: new Uint8Array(0),
    tickets: [],
    profile: 0,
    ...(protocol && { protocol }),
  })
  return { ended, events }
}

const protocols = suite('The version of the protocol')

protocols('of a worker that shares none with the owner gets it refused, and the core is told', () => {
  const { ended, events } = greet({ protocolMin: 7, protocolMax: 9 })
  assert.is(ended?.code, 'unsupported')
  assert.match(ended?.message ?? '', /^the worker speaks version 7 to 9 of the protocol, and this peer 1: it is newer$/)
  assert.equal(events, [{ type: 'workerRefused', nodeId: NODE, reason: ended!.message, code: 'unsupported' }])
})

protocols('of a worker that shares one, or was made before it was said, lets it in', () => {
  for (const protocol of [undefined, { protocolMin: 1, protocolMax: 9 }]) {
    const { ended, events } = greet(protocol)
    assert.is(ended, undefined)
    assert.equal(
      events.map(({ type }) => type),
      ['sessionOpened'],
    )
  }
})

protocols('that was refused is explained for half a minute', () => {
  const grid = new OwnerGrid()
  grid.handle(grid.owner, { type: 'workerRefused', nodeId: NODE, reason: 'too old', code: 'unsupported' })
  grid.advance(1_000)
  const told = () => grid.owner.core.explain(grid.jobId, undefined, grid.now)!.refusedKeys
  assert.equal(told(), [{ nodeId: NODE, reason: 'too old', code: 'unsupported', agoMs: 1_000 }])
  grid.advance(30_000)
  assert.equal(told(), [])
})

protocols('is named with what this program speaks', () => {
  assert.is(protocolGap({ protocolMin: 1, protocolMax: 1 }), undefined)
  assert.match(
    protocolGap({ protocolMin: 2, protocolMax: 2 }) ?? '',
    /version 2 of the protocol, and this peer 1: it is newer/,
  )
})

protocols.run()
