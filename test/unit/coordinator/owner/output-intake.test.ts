import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OwnerEvent } from '../../../../coordinator/owner/core/messages.js'
import { OutputIntake } from '../../../../coordinator/owner/output-intake.js'
import type { Digest, JobId } from '../../../../proto/model.js'
import type { OutputChunk, PutOutputReply } from '../../../../proto/work-messages.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'

const DIGEST = sha256(utf8('an output')) as Digest
const START = { jobId: 'a'.repeat(64) as JobId, shard: 0, unit: 7, digest: DIGEST }

const intake = suite('OutputIntake')

intake('an upload of what another has brought meanwhile is answered once, and blamed on nobody', async () => {
  const kept: Digest[] = []
  const events: OwnerEvent[] = []
  const replies: PutOutputReply[] = []
  const timers = new Set<object>()
  const setTimer = () => {
    const timer = { cancel: () => timers.delete(timer) }
    timers.add(timer)
    return timer
  }
  const record = { judgement: { digest: DIGEST, outputBytes: 100 }, kept }
  const outputs = new OutputIntake({
    clock: { setTimer },
    sha256,
    core: { shard: () => ({ record: () => record }) },
    handle: (event: OwnerEvent) => events.push(event),
    options: { receivingBytesMax: 1_000 },
  } as never)
  let onMessage = (_: OutputChunk) => {}
  let onEnd = () => {}
  let onClose = () => {}
  outputs.onPutOutput({
    caller: { nodeId: 'b'.repeat(40) },
    send: (reply: PutOutputReply) => replies.push(reply),
    end: () => {},
    cancel: () => assert.unreachable('it is not cut off'),
    onMessage: (handler: typeof onMessage) => {
      onMessage = handler
    },
    onEnd: (handler: typeof onEnd) => {
      onEnd = handler
    },
    onClose: (handler: typeof onClose) => {
      onClose = handler
    },
  } as never)
  onMessage({ start: START, bytes: new Uint8Array(40) })
  kept.push(DIGEST)
  onMessage({ start: undefined, bytes: new Uint8Array(40) })
  onMessage({ start: undefined, bytes: new Uint8Array(20) })
  onEnd()
  onClose()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(replies, [{ stored: true }])
  assert.equal(events, [])
  assert.is(timers.size, 0)
})

intake.run()
