import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Job } from '../../coordinator/owner/core/job.js'
import { Shard } from '../../coordinator/owner/core/shard.js'
import type { Vote } from '../../job/facts/votes.js'
import { bitsOf, Credibility, isEnough, newcomersFor } from '../../job/verdict/credibility.js'
import { type VerdictRules, verdictRules } from '../../job/verdict/rules.js'
import { judge } from '../../job/verdict/verdict.js'
import type { Digest, JobId, NodeId, Outcome, PublicKey } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { noDigest, specWith } from '../unit/job/fixture.js'

const UNITS = 8

/** Few donors and units, so that what is said of one bears on the others. */
const voteArbitrary: fc.Arbitrary<Vote> = fc
  .record({
    unit: fc.integer({ min: 0, max: UNITS - 1 }),
    donor: fc.integer({ min: 0, max: 4 }),
    grantor: fc.integer({ min: 0, max: 2 }),
    outcome: fc.constantFrom<Outcome>('done', 'done', 'done', 'done', 'trap', 'wall', 'host'),
    answer: fc.constantFrom('x', 'x', 'x', 'x', 'y'),
  })
  .map(({ unit, donor, grantor, outcome, answer }) => ({
    unit,
    donor: `d${donor}` as PublicKey,
    worker: `d${donor}` as PublicKey,
    grantor: `g${grantor}` as NodeId,
    age: 'older',
    outcome,
    digest: outcome === 'wall' || outcome === 'host' ? noDigest : (answer as Digest),
    reportId: sha256(utf8(`${unit} ${donor} ${outcome} ${answer}`)),
    factId: sha256(utf8(`${unit} ${donor} ${outcome} ${answer} fact`)),
    outputBytes: 1,
    fuel: 1n,
  }))
const votesArbitrary = fc.array(voteArbitrary, { maxLength: 60, size: 'max' })
const specArbitrary = fc
  .record({ errorPpm: fc.constantFrom(1, 100, 1_000, 9_000, 49_999), minGrantors: fc.integer({ min: 1, max: 2 }) })
  .map(({ errorPpm, minGrantors }) =>
    specWith({ policy: { type: 'confidence', errorPpm }, requires: ['confidence'], minGrantors }),
  )

const on = (votes: readonly Vote[], unit: number) => votes.filter((vote) => vote.unit === unit)
const weigh = (votes: readonly Vote[], rules: VerdictRules): Credibility => {
  const credibility = new Credibility()
  for (let unit = 0; unit < UNITS; unit++) credibility.update(unit, on(votes, unit), rules)
  return credibility
}

const confidence = suite('confidence')

confidence('takes an answer exactly when Sarmenta’s formula gives it the probability asked for', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 18 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 49_999 }),
      (bits, errorPpm) => {
        // Odds of one answer over all ways for the votes to be as they are, all wrong among them.
        const odds = bits.map((each) => 2 ** each)
        const share = odds[0]! / (1 + odds.reduce((sum, each) => sum + each, 0))
        const wanted = 1 - errorPpm / 1_000_000
        if (Math.abs(share - wanted) < 1e-12) return
        assert.is(isEnough(bits[0]!, bits.slice(1), { type: 'confidence', errorPpm }), share > wanted)
      },
    ),
    { numRuns: 2_000 },
  )
})

confidence('asks 2 to 5 unknown donors, and one alone after enough agreements', () => {
  const needed = [49_999, 1_000, 100, 1].map((errorPpm) => newcomersFor({ type: 'confidence', errorPpm }))
  assert.equal(needed, [2, 3, 4, 5])
  const alone = (errorPpm: number) => {
    for (let agreements = 0; ; agreements++)
      if (isEnough(bitsOf(agreements, 0), [], { type: 'confidence', errorPpm })) return agreements
  }
  assert.equal([49_999, 1_000, 100].map(alone), [2, 52, 820])
  assert.ok(bitsOf(1_000, 1) < bitsOf(60, 0), 'one loss counts for more than a thousand agreements')
  assert.is(bitsOf(0, 3), 0)
})

confidence('weighs donors by the set of votes: neither order nor repetitions matter', () => {
  const shuffled = votesArbitrary.chain((votes) =>
    fc.tuple(fc.constant(votes), fc.shuffledSubarray([...votes, ...votes], { minLength: 2 * votes.length })),
  )
  let heavier = 0
  fc.assert(
    fc.property(shuffled, specArbitrary, ([votes, again], spec) => {
      const rules = verdictRules(spec)
      const [first, second] = [weigh(votes, rules), new Credibility()]
      for (const [i, vote] of again.entries()) second.update(vote.unit, on(again.slice(0, i + 1), vote.unit), rules)
      for (let donor = 0; donor < 5; donor++) {
        const key = `d${donor}` as PublicKey
        assert.equal(second.record(key), first.record(key))
        assert.is(second.weight(key), bitsOf(first.record(key).agreements, first.record(key).losses))
        if (first.weight(key) > 4) heavier++
      }
    }),
    { numRuns: 300 },
  )
  assert.ok(heavier > 0, 'some donor was worth more than an unknown one')
})

confidence('judges every unit as an owner does who heard the votes one by one', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(votesArbitrary, specArbitrary, (votes, spec) => {
      const job = new Job('aa'.repeat(32) as JobId, spec, [], { self: 'g0' as NodeId })
      const shard = new Shard(job, 0, [{ first: 0, count: UNITS }], 0, 0)
      for (const [i, vote] of votes.entries()) {
        shard.vote(shard.touch(vote.unit, 0), [vote], 0)
        for (const _ of shard.swayed(0));
        const known = votes.slice(0, i + 1)
        const weights = weigh(known, job.rules)
        for (const { unit, judgement } of shard.records()) {
          assert.equal(judgement, judge(on(known, unit), job.rules, weights))
          seen.add(judgement!.state)
        }
        shard.checkInvariants()
      }
    }),
    { numRuns: 60 },
  )
  for (const state of ['open', 'disputed', 'accepted']) assert.ok(seen.has(state), `${state} was met`)
})

confidence('never comes from one owner alone where two are to stand behind what makes a donor believed', () => {
  fc.assert(
    fc.property(votesArbitrary, specArbitrary, (votes, spec) => {
      const rules = verdictRules({ ...spec, minGrantors: 2 })
      const forged = votes.map((vote) => ({ ...vote, grantor: 'g0' as NodeId }))
      const weights = weigh(forged, rules)
      for (let unit = 0; unit < UNITS; unit++) {
        const { state } = judge(on(forged, unit), rules, weights)
        assert.ok(state === 'open' || state === 'disputed', state)
      }
    }),
    { numRuns: 200 },
  )
})

confidence.run()
