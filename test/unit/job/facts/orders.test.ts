import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyOrders, checkOrder, errorsAllowed, type KnownOrder } from '../../../../job/facts/orders.js'
import { verdictRules } from '../../../../job/verdict/rules.js'
import { EXTENDED_LIFE_MS_MAX } from '../../../../proto/limits.js'
import type { JobId, Key, Order, OrderBody } from '../../../../proto/model.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import { countingVerifier, digestOf, jobId, keyOf, signAs, specWith } from '../fixture.js'

type Amend = Extract<OrderBody, { type: 'amend' }>

const order = (seq: number, body: OrderBody, name = ''): KnownOrder => ({
  id: digestOf(`${seq} ${JSON.stringify(body)} ${name}`),
  order: { jobId, seq, createdAtMs: 1_500, body },
})
const amend = (seq: number, changes: Partial<Amend>, name?: string): KnownOrder =>
  order(
    seq,
    {
      type: 'amend',
      expiresAtMs: undefined,
      priority: undefined,
      maxInstances: undefined,
      ownerRadius: undefined,
      ...changes,
    },
    name,
  )

const spec = specWith({ expiresAtMs: 2_000, maxInstances: 10, ownerRadius: '0f'.repeat(20) as Key })
const orders = suite('applyOrders')

orders('a job without orders is as its spec says', () => {
  assert.equal(applyOrders(spec, []), {
    cancelled: false,
    removed: false,
    sealed: false,
    expiresAtMs: 2_000,
    priority: 0,
    maxInstances: 10,
    ownerRadius: spec.ownerRadius,
    releases: [],
  })
})

orders('cancel beats every later order', () => {
  const view = applyOrders(spec, [order(1, { type: 'cancel' }), amend(9, { expiresAtMs: 9_000 })])
  assert.ok(view.cancelled)
})

orders('amendments only ever widen, whatever their seq', () => {
  const view = applyOrders(spec, [
    amend(1, { expiresAtMs: 5_000, maxInstances: 20, ownerRadius: 'f0'.repeat(20) as Key }),
    amend(2, { expiresAtMs: 3_000, maxInstances: 5, ownerRadius: '00'.repeat(20) as Key }),
  ])
  assert.equal([view.expiresAtMs, view.maxInstances, view.ownerRadius], [5_000, 20, 'f0'.repeat(20)])
  assert.is(verdictRules(spec, view).maxInstances, 20)
})

orders('of priorities the highest seq holds, and absent fields change nothing', () => {
  const view = applyOrders(spec, [
    amend(3, { expiresAtMs: 4_000 }),
    amend(2, { priority: -5 }),
    amend(1, { priority: 7 }),
  ])
  assert.is(view.priority, -5)
})

orders('of two orders with one seq the smaller id holds', () => {
  const pair = [amend(1, { priority: 1 }), amend(1, { priority: 2 })]
  const smaller = pair[0]!.id < pair[1]!.id ? 1 : 2
  assert.is(applyOrders(spec, pair).priority, smaller)
  assert.is(applyOrders(spec, pair.reverse()).priority, smaller)
})

orders('each release lets as many hosts again fail its units', () => {
  const release = (seq: number, first: number) => order(seq, { type: 'release', units: [{ first, count: 10 }] })
  const view = applyOrders(spec, [release(2, 5), release(1, 0), release(1, 0)])
  assert.equal(
    [3, 7, 12, 15].map((unit) => errorsAllowed(spec, view, unit)),
    [6, 9, 6, 3],
  )
})

orders('a seal is kept', () => {
  assert.ok(applyOrders(spec, [order(1, { type: 'seal' })]).sealed)
})

orders('a job that is removed is cancelled, too', () => {
  const { removed, cancelled } = applyOrders(spec, [order(1, { type: 'remove' })])
  assert.equal([removed, cancelled], [true, true])
  assert.is(applyOrders(spec, [order(1, { type: 'cancel' })]).removed, false)
})

orders('an order extends a job to ninety days after itself at most', () => {
  const far = amend(1, { expiresAtMs: Number.MAX_SAFE_INTEGER })
  assert.is(applyOrders(spec, [far]).expiresAtMs, far.order.createdAtMs + EXTENDED_LIFE_MS_MAX)
})

orders('neither the order of arrival nor repetitions matter', () => {
  const body = fc.oneof(
    fc.constantFrom<OrderBody>(
      { type: 'cancel' },
      { type: 'seal' },
      { type: 'remove' },
      { type: 'release', units: [{ first: 1, count: 2 }] },
    ),
    fc.record({
      type: fc.constant('amend' as const),
      expiresAtMs: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }),
      priority: fc.option(fc.integer({ min: -3, max: 3 }), { nil: undefined }),
      maxInstances: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
      ownerRadius: fc.option(fc.constantFrom('00'.repeat(20) as Key, 'ff'.repeat(20) as Key), { nil: undefined }),
    }),
  )
  const known = fc.record({ seq: fc.integer({ min: 0, max: 3 }), body }).map((made) => order(made.seq, made.body))
  const both = fc
    .array(known, { maxLength: 8 })
    .chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length })),
    )
  fc.assert(
    fc.property(both, ([list, again]) => {
      assert.equal(applyOrders(spec, again), applyOrders(spec, list))
    }),
    { verbose: fc.VerbosityLevel.Verbose },
  )
})

orders.run()

const checks = suite('checkOrder')

const body: Order = { jobId, seq: 1, createdAtMs: 1_500, body: { type: 'cancel' } }
const encode = (value: Order) => utf8(JSON.stringify(value))
const context = {
  spec,
  jobId,
  sha256,
  verifier: countingVerifier(),
  decodeOrder: (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as Order,
}

checks('an order of the submitter counts and is named by its bytes', () => {
  const signed = signAs('order', spec.submitter, encode(body))
  assert.equal(checkOrder(signed, context), { ok: true, id: sha256(signed.bytes), order: body })
})

checks('orders of others, for another job, or of no sense do not count', () => {
  const reasonOf = (key: string, bytes: Uint8Array) => {
    const checked = checkOrder(signAs('order', keyOf(key), bytes), context)
    return checked.ok ? 'ok' : checked.reason
  }
  assert.is(reasonOf('stranger', encode(body)), 'badSignature')
  assert.is(reasonOf('submitter', encode({ ...body, jobId: 'bb'.repeat(32) as JobId })), 'otherJob')
  assert.is(reasonOf('submitter', utf8('{')), 'malformed')
})

checks.run()
