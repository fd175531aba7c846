import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BookedJob } from '../../../coordinator/job-book.js'
import { orderCodec } from '../../../proto/codec/facts.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import { EXTENDED_LIFE_MS_MAX, ORDERS_MAX } from '../../../proto/limits.js'
import type { JobId, NodeId, OrderBody, PublicKey, Signed } from '../../../proto/model.js'
import { GridError, toGridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { specWith } from '../job/fixture.js'

const HOUR_MS = 3_600_000
const JUDGE = '7a'.repeat(32) as PublicKey
const spec = specWith({ judges: [JUDGE] })
const specBytes = jobSpecCodec.encode(spec)
const jobId = sha256(specBytes) as string as JobId
const nowMs = spec.createdAtMs
const verifier = { verify: () => true, nodeIdOf: () => '00'.repeat(20) as NodeId }
const signed = (bytes: Uint8Array): Signed => ({ bytes, signature: new Uint8Array(64) })

const newJob = () => new BookedJob(jobId, signed(specBytes), spec, sha256, verifier)
const order = (seq: number, body: OrderBody, createdAtMs = nowMs) =>
  signed(orderCodec.encode({ jobId, seq, createdAtMs, body }))
const ruling = (seq: number) => {
  const rulings = [{ unit: 0, outcome: 'done', digest: sha256(specBytes), convicted: [] } as const].map((one) => ({
    ...one,
    rightGrantors: [],
    wrongGrantors: [],
  }))
  return order(seq, { type: 'rulings', judge: JUDGE, profile: spec.profile, rulings })
}
const codeOf = (action: () => void) => {
  try {
    action()
  } catch (error) {
    return toGridError(error).code
  }
  return undefined
}

const book = suite('orders of a booked job')

book('that have no room do not keep a cancellation that comes with them from being taken', () => {
  const job = newJob()
  const orders = [...Array.from({ length: 30 }, (_, seq) => ruling(seq)), order(1, { type: 'cancel' })]
  const fresh = job.newOrders(orders, nowMs)
  assert.is(fresh.length, 21)
  assert.is(fresh.at(-1)?.known.order.body.type, 'cancel')
  for (const one of fresh) assert.ok(job.addOrder(one.signed))
  assert.equal(job.newOrders(orders, nowMs), [])
  assert.is(
    codeOf(() => job.checkOrder(ruling(31), nowMs)),
    'quota',
  )
})

book('are all read back from a disk that has more of them than there is room for', () => {
  const job = newJob()
  const orders = Array.from({ length: ORDERS_MAX + 9 }, (_, seq) => order(seq, { type: 'seal' }))
  for (const one of orders) job.addOrder(one)
  assert.is(job.orders.length, ORDERS_MAX)
})

book('from the future are refused, and left out where peers pass them on: a job would live for ever', () => {
  const job = newJob()
  const expiresAtMs = nowMs + 2 * EXTENDED_LIFE_MS_MAX
  const nothing = { priority: undefined, maxInstances: undefined, ownerRadius: undefined }
  const extended = { type: 'amend', expiresAtMs, ...nothing } as const
  const late = order(1, extended, nowMs + 2 * HOUR_MS)
  assert.is(
    codeOf(() => job.checkOrder(late, nowMs)),
    'invalid',
  )
  assert.equal(job.newOrders([late], nowMs), [])
  assert.is(job.newOrders([late], nowMs + HOUR_MS).length, 1)
  const now = order(1, extended)
  assert.ok(job.addOrder(now))
  assert.is(job.expiresAtMs, nowMs + EXTENDED_LIFE_MS_MAX)
})

book('that nobody entitled signed are refused with everything beside them', () => {
  const job = new BookedJob(jobId, signed(specBytes), spec, sha256, { ...verifier, verify: () => false })
  assert.throws(
    () => job.newOrders([order(1, { type: 'cancel' })], nowMs),
    (error: unknown) => error instanceof GridError && error.code === 'forbidden',
  )
  assert.is(job.removed, false)
})

book.run()
