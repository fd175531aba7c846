import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  dismissesAnother,
  isOfOneGrantor,
  isWorthAnOrder,
  rulingBatches,
  rulingOf,
  Strikes,
} from '../../../../job/audit/ruling-orders.js'
import type { Vote } from '../../../../job/facts/votes.js'
import { orderCodec } from '../../../../proto/codec/facts.js'
import { RULINGS_BYTES_MAX } from '../../../../proto/limits.js'
import type { Digest, NodeId, Ruling } from '../../../../proto/model.js'
import { digestOf, jobId, keyOf, specWith, voteOf } from '../fixture.js'

const fakeNode = (i: number) => i.toString(16).padStart(40, '0') as NodeId

const rulings = suite('rulingOf and rulingBatches')

rulings('are given at once first, and later ones together, as orders are few', () => {
  const least = (given: number) => {
    for (let urgent = 0; urgent < 64; urgent++) if (isWorthAnOrder({ urgent, kept: urgent, given })) return urgent
    return Number.POSITIVE_INFINITY
  }
  const never = Number.POSITIVE_INFINITY
  assert.equal([0, 7, 8, 9, 11, 12, 16].map(least), [1, 1, 2, 4, 16, never, never])
  assert.ok(isWorthAnOrder({ urgent: 0, kept: 64, given: 3 }))
})

rulings('tell keys that one owner may have made up from those that two owners have met', () => {
  const answer = { outcome: 'done', digest: 'x' as Digest } as const
  const grantedBy = (grantor: string) => ({ grantor: grantor as NodeId })
  const forged = [voteOf('m1', 'y', grantedBy('g1')), voteOf('m2', 'y', grantedBy('g1'))]
  const honest = voteOf('a', 'x', grantedBy('g2'))
  const told = (votes: readonly Vote[], strikes = new Strikes()) =>
    isOfOneGrantor(rulingOf({ unit: 0, sampled: false }, answer, votes, strikes), votes)
  assert.is(told([...forged, honest]), true)
  assert.is(told([...forged, voteOf('p', 'y', grantedBy('g2')), honest]), false)
  assert.is(told([honest]), false)
  const strikes = new Strikes()
  for (let i = 0; i < 3; i++) strikes.struck(answer, [voteOf('p', 'y')])
  assert.is(told([voteOf('p', 'y', grantedBy('g2')), honest], strikes), false)
})

rulings('name the grantors of units that were drawn early, too', () => {
  const answer = { outcome: 'done', digest: 'x' as Digest } as const
  const votes = [voteOf('a', 'y', { grantor: 'g2' as NodeId })]
  const ruling = rulingOf({ unit: 0, sampled: false, early: true }, answer, votes, new Strikes())
  assert.equal(ruling.wrongGrantors, ['g2'])
})

rulings('names the grantors of each donor of a drawn unit, and of no other', () => {
  const answer = { outcome: 'done', digest: 'x' as Digest } as const
  const votes = [
    voteOf('a', 'x', { grantor: 'g2' as NodeId }),
    voteOf('b', 'x', { grantor: 'g1' as NodeId }),
    voteOf('c', 'y', { grantor: 'g3' as NodeId }),
    voteOf('c', 'y', { grantor: 'g3' as NodeId }),
    voteOf('d', 'host', { grantor: 'g3' as NodeId }),
  ]
  const drawn = rulingOf({ unit: 0, sampled: true }, answer, votes, new Strikes())
  assert.equal([drawn.rightGrantors, drawn.wrongGrantors], [['g1', 'g2'], ['g3']])
  const disputed = rulingOf({ unit: 0, sampled: false }, answer, votes, new Strikes())
  assert.equal([disputed.rightGrantors, disputed.wrongGrantors], [[], []])
})

rulings(
  'convict a key at its fourth wrong answer that nobody shares, but not one that is right a third of the time',
  () => {
    const answer = { outcome: 'done' as const, digest: 'x' as Digest }
    const strikes = new Strikes()
    const convicted = (bad: string, said: string) =>
      rulingOf({ unit: 0, sampled: false }, answer, [voteOf('a', 'x'), voteOf('b', 'x'), voteOf(bad, said)], strikes)
        .convicted
    for (const said of ['y1', 'y2', 'y3']) assert.equal(convicted('liar', said), [])
    assert.equal(convicted('liar', 'y4'), ['liar'])
    for (const said of ['x', 'x', 'z1', 'z2', 'z3', 'z4'])
      assert.equal(convicted('unlucky', said), [], 'wrong four times of six')
  },
)

rulings('are given at once where they keep an owner that lies from counting', () => {
  const spec = specWith()
  const of = (units: number, wrong: number): Ruling[] =>
    Array.from({ length: units }, (_, unit) => ({
      unit,
      outcome: 'done',
      digest: digestOf('x'),
      convicted: [],
      rightGrantors: Array<NodeId>(2).fill('aa'.repeat(20) as NodeId),
      wrongGrantors: Array<NodeId>(wrong).fill('bb'.repeat(20) as NodeId),
    }))
  assert.not.ok(dismissesAnother(spec, [], of(5, 0)))
  assert.not.ok(dismissesAnother(spec, [], of(4, 2)), 'eight votes are too few')
  assert.ok(dismissesAnother(spec, [], of(5, 2)))
  const body = { type: 'rulings' as const, judge: spec.submitter, profile: 0, rulings: of(5, 2) }
  const given = { id: digestOf('order'), order: { jobId, seq: 1, createdAtMs: 0, body } }
  assert.not.ok(dismissesAnother(spec, [given], of(5, 2)), 'it does not count any more')
  assert.ok(isWorthAnOrder({ urgent: 0, kept: 5, given: 11, dismisses: true }))
})

rulings('fit into the orders they are cut into, all of them, in order', () => {
  const ruling = fc.record({
    unit: fc.integer({ min: 0, max: 9_999_999 }),
    keys: fc.integer({ min: 0, max: 64 }),
    grantors: fc.integer({ min: 0, max: 32 }),
  })
  fc.assert(
    fc.property(fc.uniqueArray(ruling, { selector: ({ unit }) => unit, maxLength: 200 }), (made) => {
      const all = made.map(
        ({ unit, keys, grantors }): Ruling => ({
          unit,
          outcome: 'done',
          digest: digestOf('x'),
          convicted: Array.from({ length: keys }, (_, i) => keyOf(`${i}`)).sort(),
          rightGrantors: Array.from({ length: grantors }, () => 'ab'.repeat(20) as NodeId),
          wrongGrantors: [],
          ...(grantors > 0 && { dismissed: Array.from({ length: grantors }, (_, i) => fakeNode(i)) }),
        }),
      )
      const batches = rulingBatches(all)
      assert.equal(
        batches.flat().map(({ unit }) => unit),
        all.map(({ unit }) => unit).sort((a, b) => a - b),
      )
      for (const batch of batches) {
        const body = { type: 'rulings' as const, judge: keyOf('judge'), profile: 4_000_000_000, rulings: batch }
        const bytes = orderCodec.encode({ jobId, seq: 2 ** 52, createdAtMs: 2 ** 52, body })
        assert.ok(bytes.length <= RULINGS_BYTES_MAX, `${bytes.length} bytes`)
        assert.equal(orderCodec.decode(bytes).body, body)
      }
    }),
    { numRuns: 60, verbose: fc.VerbosityLevel.Verbose },
  )
})

rulings.run()
