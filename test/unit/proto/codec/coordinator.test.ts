import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ownerMessageCodec, workerMessageCodec } from '../../../../proto/codec/coordinator.js'
import type { OwnerMessage, WorkerMessage } from '../../../../proto/work-messages.js'
import { cpuMs } from '../../../support/cpu-time.js'
import { fact, jobId, signed } from '../../job/samples.js'
import { coordinatorCases } from './cases/coordinator.js'
import { refused, refusedBytes } from './refused.js'

const test = suite('codec of Coordinator')

for (const { name, codec, values } of coordinatorCases) {
  values.forEach((value, i) => {
    test(`${name} ${i} comes back as it was`, () => {
      assert.equal(codec.decode(codec.encode(value)), value)
    })
  })
}

test('a message without a body is refused', () => {
  refused('WorkerMessage', workerMessageCodec, {}, /body must be one of hello/)
  refused('OwnerMessage', ownerMessageCodec, {}, /body must be one of welcome/)
})

test('a hello needs a thread, and a donor needs a signature', () => {
  const hello = { bootId: new Uint8Array(8), slots: 1 }
  refused('WorkerMessage', workerMessageCodec, { hello: { ...hello, slots: 0 } }, /slots/)
  refused('WorkerMessage', workerMessageCodec, { hello: { ...hello, bootId: new Uint8Array(7) } }, /bootId/)
  refused('WorkerMessage', workerMessageCodec, { hello: { ...hello, donor: new Uint8Array(32) } }, /donorSignature/)
  const tickets = Array.from({ length: 257 }, () => ({ bytes: new Uint8Array(1), signature: new Uint8Array(64) }))
  refused('WorkerMessage', workerMessageCodec, { hello: { ...hello, tickets } }, /tickets/)
})

test('an output beside a report has at most 4 KiB', () => {
  const message: WorkerMessage = {
    type: 'report',
    fact,
    outputs: [{ unit: 0, bytes: new Uint8Array(4_097) }],
    wallMs: 0,
  }
  refusedBytes(workerMessageCodec, workerMessageCodec.encode(message), /at most 4096/)
})

test('a message of a worker over 128 KiB is refused before it is read', () => {
  refusedBytes(workerMessageCodec, new Uint8Array(128 * 1024 + 1), /at most 131072/)
})

test('a submission of 64 units and its answers are encoded and decoded within a millisecond', () => {
  const submission: WorkerMessage = {
    type: 'report',
    fact: { ...fact, report: signed(3_000) },
    outputs: Array.from({ length: 64 }, (_, unit) => ({ unit, bytes: new Uint8Array(50) })),
    wallMs: 3,
  }
  const settled: OwnerMessage = {
    type: 'settled',
    jobId,
    shard: 0,
    agreed: Array.from({ length: 64 }, (_, unit) => unit),
    disagreed: [],
  }
  const rounds = 500
  const once = () => {
    const before = cpuMs()
    for (let i = 0; i < rounds; i++) {
      workerMessageCodec.decode(workerMessageCodec.encode(submission))
      ownerMessageCodec.decode(ownerMessageCodec.encode(settled))
    }
    return (cpuMs() - before) / rounds
  }
  // The first time the code is still cold.
  const ms = Math.min(once(), once())
  assert.ok(ms < 1, `${ms} ms`)
})

test.run()
