import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BookedJob, GRANTS_REMEMBERED_MAX, RememberedGrants } from '../../../../coordinator/jobs/booked-job.js'
import { orderCodec } from '../../../../proto/codec/facts.js'
import { jobSpecCodec } from '../../../../proto/codec/spec.js'
import { EXTENDED_LIFE_MS_MAX, ORDERS_MAX } from '../../../../proto/limits.js'
import type { JobId, NodeId, OrderBody, PublicKey, Signed } from '../../../../proto/model.js'
import { GridError, toGridError } from '../../../../runtime/errors.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import { grantWith, specWith } from '../../job/fixture.js'

const HOUR_MS = 3_600_000
const JUDGE = '7a'.repeat(32) as PublicKey
const spec = specWith({ judges: [JUDGE] })
const specBytes = jobSpecCodec.encode(spec)
const jobId = sha256(specBytes) as string as JobId
const nowMs = spec.createdAtMs
const verifier = { verify: () => true, nodeIdOf: () => '00'.repeat(20) as NodeId }
const signed = (bytes: Uint8Array): Signed => ({ bytes, signature: new Uint8Array(64) })

const newJob = (remembered = new RememberedGrants()) =>
  new BookedJob(jobId, signed(specBytes), spec, sha256, verifier, remembered)
const order = (seq: number, body: OrderBody, createdAtMs = nowMs) =>
  signed(orderCodec.encode({ jobId, seq, createdAtMs, body }))
const ruling = (seq: number, judge = JUDGE, salt = 0) => {
  const rulings = [{ unit: 0, outcome: 'done', digest: sha256(specBytes), convicted: [] } as const].map((one) => ({
    ...one,
    rightGrantors: [],
    wrongGrantors: [],
  }))
  return order(seq, { type: 'rulings', judge, profile: spec.profile, rulings }, nowMs + salt)
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
  assert.is(job.orders.length, ORDERS_MAX - 40, 'room for rulings stays')
  const cancel = order(9_999, { type: 'cancel' })
  job.checkOrder(cancel, nowMs)
  assert.ok(job.addOrder(cancel), 'what ends the job has room always')
})

book('are the same at all peers that heard of them, whatever came first, and how often', () => {
  const kinds: readonly ((seq: number, salt: number) => Signed)[] = [
    (seq, salt) => ruling(seq, JUDGE, salt),
    (seq, salt) => ruling(seq, spec.submitter, salt),
    (seq, salt) => order(seq, { type: 'seal' }, nowMs + salt),
    (seq, salt) => order(seq, { type: 'cancel' }, nowMs + salt),
  ]
  const one = fc.record({
    kind: fc.constantFrom(0, 0, 0, 1, 2, 3),
    seq: fc.integer({ min: 1, max: 40 }),
    salt: fc.integer({ min: 0, max: 3 }),
  })
  const orders = fc
    .array(one, { minLength: 50, maxLength: 80 })
    .map((list) => list.map(({ kind, seq, salt }) => kinds[kind]!(seq, salt)))
  const shared = orders.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all), fc.shuffledSubarray(all)))
  let crowded = 0
  fc.assert(
    fc.property(shared, ([all, here, there]) => {
      const [a, b] = [newJob(), newJob()]
      const take = (job: BookedJob, given: readonly Signed[]) => {
        const disk = new Map(job.signedOrders.map((held) => [sha256(held.bytes), held]))
        const fresh = job.newOrders(given, nowMs)
        for (const write of job.orderWrites(fresh)) {
          if (write.type === 'order') disk.set(sha256(write.order.bytes), write.order)
          else if (write.type === 'dropOrder') disk.delete(sha256(write.order.bytes))
        }
        for (const { signed } of fresh) job.addOrder(signed)
        assert.equal([...disk.keys()].sort(), job.orders.map(({ id }) => id).sort(), 'the disk has what memory has')
      }
      take(a, here)
      take(b, there)
      for (const given of all) take(a, [given])
      take(b, all)
      assert.is(a.ordersDigest, b.ordersDigest)
      // What each tells the other afterwards changes nothing.
      take(a, b.signedOrders)
      assert.is(a.ordersDigest, b.ordersDigest)
      if (new Set(all.map(({ bytes }) => sha256(bytes))).size > a.orders.length) crowded++
    }),
    { numRuns: 15 },
  )
  assert.ok(crowded > 5, 'there were more orders than room')
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
  const nobody = { ...verifier, verify: () => false }
  const job = new BookedJob(jobId, signed(specBytes), spec, sha256, nobody, new RememberedGrants())
  assert.throws(
    () => job.newOrders([order(1, { type: 'cancel' })], nowMs),
    (error: unknown) => error instanceof GridError && error.code === 'forbidden',
  )
  assert.is(job.removed, false)
})

const grants = suite('RememberedGrants')

grants('are those of all jobs together: strangers sign facts of as many jobs as they like', () => {
  const remembered = new RememberedGrants()
  const one = newJob(remembered)
  const other = newJob(remembered)
  const id = (index: number) => sha256(utf8(`grant ${index}`))
  for (let i = 0; i < GRANTS_REMEMBERED_MAX; i++) (i % 2 === 0 ? one : other).rememberGrant(id(i), grantWith())
  assert.ok(one.factContext.knownGrants?.(id(0)))
  other.rememberGrant(id(GRANTS_REMEMBERED_MAX), grantWith())
  assert.is(one.factContext.knownGrants?.(id(0)), undefined)
  assert.ok(one.factContext.knownGrants?.(id(GRANTS_REMEMBERED_MAX)))
  assert.is(one.factContext.checked, other.factContext.checked)
})

book.run()
grants.run()
