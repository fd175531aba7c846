import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyOrders, type KnownOrder } from '../../job/facts/orders.js'
import type { Vote } from '../../job/facts/votes.js'
import { hasAnswer, type Judgement } from '../../job/verdict/judgement.js'
import { type VerdictRules, verdictRules } from '../../job/verdict/rules.js'
import { judge } from '../../job/verdict/verdict.js'
import type { Digest, JobId, NodeId, Outcome, PublicKey } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { smallVerdict } from '../simulation/grid/small-verdict.js'
import { noDigest, specWith } from '../unit/job/fixture.js'

/** Whether a further opinion is wanted, and of this owner's grants. */
const mayGrant = (judgement: Judgement, grantor: NodeId) =>
  'wanted' in judgement && judgement.wanted === 1 && !judgement.spentGrantors.includes(grantor)

/** Few donors, owners and answers, so that every rule meets every other one. */
const voteArbitrary: fc.Arbitrary<Vote> = fc
  .record({
    donor: fc.integer({ min: 0, max: 6 }),
    machine: fc.integer({ min: 0, max: 1 }),
    grantor: fc.integer({ min: 0, max: 2 }),
    age: fc.constantFrom('older' as const, 'younger' as const),
    outcome: fc.constantFrom<Outcome>('done', 'done', 'done', 'trap', 'wall', 'host'),
    answer: fc.constantFrom('x', 'x', 'y', 'z'),
    outputBytes: fc.integer({ min: 1, max: 3 }),
    variant: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ donor, machine, grantor, age, outcome, answer, outputBytes, variant }) => {
    const digest = outcome === 'wall' || outcome === 'host' ? noDigest : (answer as Digest)
    const worker = `w${donor}.${machine}` as PublicKey
    return {
      unit: 0,
      donor: `d${donor}` as PublicKey,
      worker,
      grantor: `g${grantor}` as NodeId,
      age,
      outcome,
      digest,
      // One report says one thing; who granted it may differ from copy to copy.
      reportId: sha256(utf8(`${worker} ${outcome} ${digest} ${outputBytes} ${variant}`)),
      factId: sha256(utf8(`${worker} ${outcome} ${digest} ${outputBytes} ${variant}`)),
      outputBytes,
      fuel: BigInt(outputBytes),
    }
  })

const votesArbitrary = fc.array(voteArbitrary, { maxLength: 16 })

const rulesArbitrary: fc.Arbitrary<VerdictRules> = fc
  .record({
    quorum: fc.integer({ min: 0, max: 4 }),
    minGrantors: fc.integer({ min: 1, max: 3 }),
    maxInstances: fc.integer({ min: 1, max: 12 }),
  })
  .map(({ quorum, minGrantors, maxInstances }) =>
    verdictRules(
      specWith({ policy: quorum === 0 ? { type: 'none' } : { type: 'quorum', quorum }, minGrantors, maxInstances }),
    ),
  )

const same = (a: Vote, b: Vote) => a.outcome === b.outcome && a.digest === b.digest
const real = (vote: Vote) => vote.outcome !== 'host' && vote.outcome !== 'wall'
const unique = <T>(values: readonly T[]): T[] => values.filter((value, i) => values.indexOf(value) === i)
const rank = (vote: Vote) => `${vote.reportId} ${vote.grantor} ${vote.age === 'younger' ? 0 : 1}`
const ascending = (votes: readonly Vote[]) => votes.slice().sort((a, b) => (rank(a) < rank(b) ? -1 : 1))

interface ModelVerdict {
  readonly state: Judgement['state']
  readonly winner: Vote | undefined
  readonly valid: readonly Vote[]
  readonly counted: readonly Vote[]
  readonly answered: number
}

/** One vote a donor: of all ways to choose them one with the least sum of squares of what the owners have. */
function mostEven(votes: readonly Vote[]): readonly Vote[] {
  const ways = unique(votes.map(({ donor }) => donor)).reduce<readonly (readonly Vote[])[]>(
    (chosen, donor) => {
      const own = votes.filter((vote) => vote.donor === donor)
      const choices = own.filter((a) => own.find((b) => a.grantor === b.grantor) === a)
      return chosen.flatMap((before) => choices.map((vote) => [...before, vote]))
    },
    [[]],
  )
  const unevenness = (way: readonly Vote[]) =>
    unique(way.map(({ grantor }) => grantor))
      .map((grantor) => way.filter((vote) => vote.grantor === grantor).length ** 2)
      .reduce((sum, square) => sum + square, 0)
  return ways.reduce((best, way) => (unevenness(way) < unevenness(best) ? way : best))
}

/** The rules of `judge` said again, slowly, one sentence a line. */
function model(all: readonly Vote[], rules: VerdictRules): ModelVerdict {
  const donors = unique(all.map((vote) => vote.donor))
  const byDonor = donors.map((donor) => ascending(all.filter((vote) => vote.donor === donor)))
  const consistent = byDonor.filter((own) => own.filter(real).every((a) => own.filter(real).every((b) => same(a, b))))
  const ends = consistent.flatMap((own) => own.filter(real))
  const walls = consistent.flatMap((own) => (own.some(real) ? [] : own.filter((vote) => vote.outcome === 'wall')))
  const able = ends.length > 0 ? ends : walls
  const firsts = (votes: readonly Vote[]) => votes.filter((a) => votes.find((b) => a.donor === b.donor) === a)
  const evenly = rules.minGrantors === 1 ? firsts : mostEven
  const kinds = able.filter((a, i) => able.findIndex((b) => same(a, b)) === i)
  const valid = ascending(kinds.flatMap((kind) => evenly(able.filter((vote) => same(vote, kind)))))
  const most = (vote: Vote) => {
    const own = valid.filter((other) => same(other, vote))
    const kept = (cap: number) =>
      own.filter((other, i) => own.slice(0, i).filter(({ grantor }) => grantor === other.grantor).length < cap)
    const isFair = (cap: number) => cap <= rules.grantorVotesMax || kept(cap).length >= rules.minGrantors * cap
    return kept(Math.max(...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16].filter(isFair)))
  }
  const counted = valid.filter((vote) => most(vote).includes(vote))
  const answering = byDonor.filter((own) => own.some((vote) => vote.outcome !== 'host'))
  const answerers = answering.map((own) => (own.find(real) ?? own.find((vote) => vote.outcome === 'wall'))!.grantor)
  const answered = unique(answerers)
    .map((grantor) => Math.min(rules.grantorAnswersMax, answerers.filter((other) => other === grantor).length))
    .reduce((sum, count) => sum + count, 0)
  const wins = (vote: Vote) => {
    const mine = counted.filter((other) => same(other, vote))
    if (rules.policy.type === 'none') return same(vote, valid[0]!)
    const owners = unique(mine.map((other) => other.grantor))
    return mine.length >= rules.quorum && mine.length > counted.length / 2 && owners.length >= rules.minGrantors
  }
  const winner = counted.find(wins)
  const differ = counted.some((vote) => !same(vote, counted[0]!))
  const undecided = differ || answered >= rules.maxInstances ? 'disputed' : 'open'
  const state = winner ? (winner.outcome === 'done' ? 'accepted' : 'failed') : undecided
  return { state, winner, valid, counted, answered }
}

/** Runs a property; a failure prints seed and path, with which it is repeated. */
function check<T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>, numRuns = 2_000): void {
  fc.assert(property, { numRuns, verbose: fc.VerbosityLevel.Verbose })
}

const verdict = suite('verdict')

verdict('equals the slow model', () => {
  const seen = new Set<string>()
  check(
    fc.property(votesArbitrary, rulesArbitrary, (votes, rules) => {
      const judgement = judge(votes, rules)
      const expected = model(votes, rules)
      seen.add(judgement.state)
      assert.is(judgement.state, expected.state)
      if (hasAnswer(judgement)) {
        const { winner, counted, valid } = expected
        assert.ok(winner && judgement.outcome === winner.outcome && judgement.digest === winner.digest)
        const { agreeing, conflicting } = judgement
        assert.is(agreeing.length, counted.filter((vote) => same(vote, winner)).length)
        assert.ok(agreeing.every((vote) => same(vote, winner) && valid.some(({ donor }) => donor === vote.donor)))
        const others = valid.filter((vote) => !same(vote, winner)).map(({ donor }) => donor)
        assert.equal(conflicting.map(({ donor }) => donor).sort(), others.sort())
        assert.equal([agreeing, conflicting].map(ascending), [agreeing, conflicting])
      } else {
        assert.is(judgement.votes, expected.counted.length)
        assert.is(judgement.wanted, expected.answered >= rules.maxInstances ? 0 : 1)
      }
      const hosts = votes.filter((vote) => vote.outcome === 'host').map((vote) => vote.worker)
      assert.is(judgement.hostErrors, unique(hosts).length)
    }),
    10_000,
  )
  assert.is(seen.size, 4, 'every state was met')
})

verdict('is a function of the set: order and repetitions do not matter', () => {
  const shuffled = votesArbitrary.chain((votes) =>
    fc.tuple(
      fc.constant(votes),
      fc.shuffledSubarray([...votes, ...votes.map((vote) => ({ ...vote })), ...votes], { minLength: 3 * votes.length }),
    ),
  )
  check(
    fc.property(shuffled, rulesArbitrary, ([votes, again], rules) => {
      assert.equal(judge(again, rules), judge(votes, rules))
    }),
  )
})

verdict('stands when a donor says again under another grant what it said', () => {
  const again = votesArbitrary.chain((votes) =>
    fc.tuple(
      fc.constant(votes),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 2 }), fc.nat()), { maxLength: 6 }),
    ),
  )
  let settled = 0
  check(
    fc.property(again, rulesArbitrary, ([votes, copies], rules) => {
      const judgement = judge(votes, rules)
      if (!hasAnswer(judgement)) return
      settled++
      const { digest, outcome, agreeing } = judgement
      const more = copies.map(([which, grantor, salt]) => {
        const vote = agreeing[which % agreeing.length]!
        return { ...vote, grantor: `g${grantor}` as NodeId, reportId: sha256(utf8(`${vote.reportId} ${salt}`)) }
      })
      const after = judge([...votes, ...more], rules)
      assert.ok(after.state === judgement.state && after.outcome === outcome && after.digest === digest)
    }),
    10_000,
  )
  assert.ok(settled > 100)
})

verdict('two owners that lost different facts agree once these are united', () => {
  const parts = votesArbitrary.chain((votes) => fc.tuple(fc.constant(votes), fc.subarray(votes), fc.subarray(votes)))
  check(
    fc.property(parts, rulesArbitrary, ([votes, here, there], rules) => {
      const rest = votes.filter((vote) => !here.includes(vote) && !there.includes(vote))
      assert.equal(judge([...here, ...there, ...rest], rules), judge([...rest, ...there, ...here], rules))
    }),
  )
})

verdict('never has two answers that would both win', () => {
  check(
    fc.property(votesArbitrary, rulesArbitrary, (votes, rules) => {
      const judgement = judge(votes, rules)
      if (!hasAnswer(judgement)) return
      if (rules.policy.type === 'none') return
      const { agreeing, conflicting } = judgement
      assert.ok(agreeing.length >= rules.quorum)
      assert.ok(new Set(agreeing.map((vote) => vote.donor)).size === agreeing.length)
      assert.ok(new Set(agreeing.map((vote) => vote.grantor)).size >= rules.minGrantors)
      if (rules.minGrantors === 1) assert.ok(agreeing.length > conflicting.length)
    }),
  )
})

verdict('changes by one vote at most, whatever one donor adds', () => {
  const counted = (judgement: Judgement) =>
    'votes' in judgement ? judgement.votes : judgement.agreeing.length + judgement.conflicting.length
  const oneGrantor = rulesArbitrary.filter((rules) => rules.minGrantors === 1)
  check(
    fc.property(votesArbitrary, votesArbitrary, oneGrantor, (votes, more, rules) => {
      const others = votes.filter((vote) => vote.donor !== 'd0' && vote.outcome !== 'wall')
      const own = more.map((vote) => ({ ...vote, donor: 'd0' as PublicKey })).filter((vote) => vote.outcome !== 'wall')
      const change = counted(judge([...others, ...own], rules)) - counted(judge(others, rules))
      assert.ok(change === 0 || change === 1, `changed by ${change}`)
    }),
  )
})

verdict('cannot be brought about by one grantor alone where two are needed', () => {
  const byOne = votesArbitrary.map((votes) => votes.map((vote) => ({ ...vote, grantor: 'g0' as NodeId })))
  const two = rulesArbitrary.filter((rules) => rules.minGrantors >= 2)
  check(
    fc.property(byOne, two, (votes, rules) => {
      const { state } = judge(votes, rules)
      assert.ok(state === 'open' || state === 'disputed')
    }),
  )
})

verdict('of honest votes through two owners holds against any flood of one answer through a third', () => {
  const flood = fc.integer({ min: 0, max: 30 })
  check(
    fc.property(flood, flood, (forged, salt) => {
      const vote = (donor: string, grantor: string, answer: string): Vote => ({
        unit: 0,
        donor: donor as PublicKey,
        worker: donor as PublicKey,
        grantor: grantor as NodeId,
        age: 'older',
        outcome: 'done',
        digest: answer as Digest,
        reportId: sha256(utf8(`${salt} ${donor}`)),
        factId: sha256(utf8(`${salt} ${donor}`)),
        outputBytes: 1,
        fuel: 1n,
      })
      const lies = Array.from({ length: forged }, (_, i) => vote(`sybil ${i}`, 'liar', 'false'))
      const judgement = judge(
        [...lies, vote('a', 'g1', 'true'), vote('b', 'g2', 'true')],
        verdictRules(specWith({ minGrantors: 2 })),
      )
      assert.ok(judgement.state === 'accepted' && judgement.digest === 'true')
    }),
    200,
  )
})

const rulingArbitrary = fc.record({
  seq: fc.integer({ min: 0, max: 20 }),
  isJudge: fc.boolean(),
  rulings: fc.uniqueArray(
    fc.record({
      unit: fc.integer({ min: 0, max: 2 }),
      outcome: fc.constantFrom<Outcome>('done', 'trap'),
      digest: fc.constantFrom('x', 'y') as fc.Arbitrary<Digest>,
      convicted: fc.subarray(['d0', 'd1', 'w2.0', 'd5']) as fc.Arbitrary<PublicKey[]>,
      rightGrantors: fc.array(fc.constantFrom('g0', 'g1'), { maxLength: 3 }) as fc.Arbitrary<NodeId[]>,
      wrongGrantors: fc.array(fc.constantFrom('g0', 'g1'), { maxLength: 9 }) as fc.Arbitrary<NodeId[]>,
    }),
    { selector: ({ unit }) => unit, minLength: 1, maxLength: 3 },
  ),
})
const ruledSpec = specWith({ judges: ['judge' as PublicKey] })
const orderArbitrary: fc.Arbitrary<KnownOrder> = rulingArbitrary.map(({ seq, isJudge, rulings }) => {
  const judgeKey = isJudge ? ruledSpec.judges[0]! : ruledSpec.submitter
  const body = { type: 'rulings' as const, judge: judgeKey, profile: 0, rulings }
  return {
    id: sha256(utf8(`${seq} ${JSON.stringify(body)}`)),
    order: { jobId: 'aa'.repeat(32) as JobId, seq, createdAtMs: 0, body },
  }
})
const ordersArbitrary = fc.array(orderArbitrary, { maxLength: 24 })
const ruled = (orders: readonly KnownOrder[], minGrantors: number) =>
  verdictRules({ ...ruledSpec, minGrantors }, applyOrders(ruledSpec, orders))

verdict(
  'with rulings is a function of the sets of votes and orders, however often and in which order they come',
  () => {
    const seen = new Set<string>()
    const twice = <T>(list: readonly T[]) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length }))
    const both = fc.tuple(votesArbitrary.chain(twice), ordersArbitrary.chain(twice), fc.integer({ min: 1, max: 2 }))
    check(
      fc.property(both, ([[votes, votesAgain], [orders, ordersAgain], minGrantors]) => {
        const judgement = judge(votes, ruled(orders, minGrantors))
        seen.add(judgement.ruled ? 'ruled' : judgement.voided ? 'voided' : 'plain')
        assert.equal(judge(votesAgain, ruled(ordersAgain, minGrantors)), judgement)
      }),
    )
    assert.is(seen.size, 3, 'ruled units, void votes and neither were met')
  },
)

verdict(
  'of two owners there is always one whose grant helps while an opinion is wanted, whatever a third one forges',
  () => {
    const ends = new Set<string>()
    const steps = fc.array(fc.record({ first: fc.boolean(), answer: fc.constantFrom('x', 'x', 'y', 'z', 'w') }), {
      minLength: 12,
      maxLength: 12,
    })
    const forged = fc.array(fc.constantFrom('y', 'z', 'w'), { maxLength: 12 })
    check(
      fc.property(steps, forged, fc.integer({ min: 2, max: 4 }), (said, lies, quorum) => {
        const rules = verdictRules(specWith({ policy: { type: 'quorum', quorum }, minGrantors: 2 }))
        const vote = (name: string, answer: string, grantor: string): Vote => ({
          unit: 0,
          donor: name as PublicKey,
          worker: name as PublicKey,
          grantor: grantor as NodeId,
          age: 'older',
          outcome: 'done',
          digest: answer as Digest,
          reportId: sha256(utf8(name)),
          factId: sha256(utf8(name)),
          outputBytes: 1,
          fuel: 1n,
        })
        const votes = lies.map((answer, i) => vote(`forged ${i}`, answer, 'liar'))
        for (const [i, { first, answer }] of said.entries()) {
          const judgement = judge(votes, rules)
          if (judgement.state !== 'open' && judgement.state !== 'disputed') break
          if (judgement.wanted === 0) break
          const able = (['g1', 'g2'] as const).filter((owner) => mayGrant(judgement, owner as NodeId))
          assert.ok(able.length > 0, 'one of the two may grant')
          votes.push(vote(`donor ${i}`, answer, first ? able[0]! : able.at(-1)!))
        }
        const judgement = judge(votes, rules)
        if ('wanted' in judgement) assert.is(judgement.wanted, 0, 'it ends within the instances allowed')
        ends.add(judgement.state)
      }),
    )
    assert.equal([...ends].sort(), ['accepted', 'disputed'])
  },
)

verdict('on a ruled unit accepts the ruled answer or none', () => {
  check(
    fc.property(votesArbitrary, ordersArbitrary, (votes, orders) => {
      const rules = ruled(orders, 1)
      const answer = rules.rulings?.answers.get(0)
      const judgement = judge(votes, rules)
      if (answer === undefined || !('digest' in judgement)) return
      assert.is(judgement.digest, answer.digest)
      assert.is(judgement.outcome, answer.outcome)
    }),
  )
})

verdict('leans on no vote of a convicted key or a dismissed grantor where nothing was ruled', () => {
  check(
    fc.property(votesArbitrary, ordersArbitrary, (votes, orders) => {
      const rules = ruled(orders, 1)
      const { rulings } = rules
      if (rulings === undefined || rulings.answers.has(0)) return
      const honest = votes.filter(
        ({ donor, worker, grantor }) =>
          !rulings.convicted.has(donor) && !rulings.convicted.has(worker) && !rulings.dismissed.has(grantor),
      )
      const { voided: _, ...judgement } = judge(votes, rules)
      assert.equal(judgement, judge(honest, rules))
    }),
  )
})

/** What L grants to volunteers that it makes up, what one liar says under a grant of anybody, and honest answers under honest grants. */
const planted = fc.record({
  quorum: fc.constantFrom(2, 2, 3),
  forged: fc.array(fc.constantFrom('y', 'y', 'y', 'x', 'z', 'host'), { maxLength: 14 }),
  liar: fc.record({
    grantor: fc.constantFrom('L', 'G', 'H'),
    answers: fc.array(fc.constantFrom('y', 'y', 'x'), { maxLength: 2 }),
  }),
  honest: fc.array(fc.constantFrom('G', 'H', 'L'), { maxLength: 6 }),
  salt: fc.nat(1_000),
})

verdict(
  'an owner that lies settles nothing alone, nor with one liar against a quorum that two other owners granted',
  () => {
    let settledFalsely = 0
    const spec = (quorum: number) => specWith({ policy: { type: 'quorum', quorum }, minGrantors: 2 })
    check(
      fc.property(planted, ({ quorum, forged, liar, honest, salt }) => {
        const votes: Vote[] = []
        const say = (donor: string, grantor: string, answer: string) =>
          votes.push({
            unit: 0,
            donor: donor as PublicKey,
            worker: donor as PublicKey,
            grantor: grantor as NodeId,
            age: 'older',
            outcome: answer === 'host' ? 'host' : 'done',
            digest: answer === 'host' ? noDigest : (answer as Digest),
            reportId: sha256(utf8(`${salt} ${donor} ${grantor} ${answer}`)),
            factId: sha256(utf8(`${salt} ${donor} ${grantor} ${answer}`)),
            outputBytes: 1,
            fuel: 1n,
          })
        for (const [i, answer] of forged.entries()) say(`made up ${i}`, 'L', answer)
        for (const [i, grantor] of honest.entries()) say(`honest ${i}`, grantor, 'x')
        const settledAs = () => {
          const judgement = judge(votes, verdictRules(spec(quorum)))
          const found = judgement.state === 'accepted' ? `done ${judgement.digest}` : undefined
          const small = smallVerdict(
            votes.map((vote) => ({ ...vote, answer: `${vote.outcome} ${vote.digest}` })),
            spec(quorum),
          )
          assert.is(found, small.decided ? small.answer : undefined)
          return found
        }
        const alone = settledAs()
        assert.ok(alone === undefined || alone === 'done x', 'one owner settles nothing alone')
        for (const answer of liar.answers) say('liar', liar.grantor, answer)
        const found = settledAs()
        if (found === undefined || found === 'done x') return
        settledFalsely++
        const granted = (owner: string) => honest.filter((grantor) => grantor === owner).length
        const isOutvotable = granted('G') >= quorum / 2 && granted('H') >= quorum / 2
        assert.not(isOutvotable, 'who has a quorum of two other owners against it has not settled anything')
      }),
    )
    assert.ok(settledFalsely > 0, 'with a vote through an honest owner it does where nobody else has answered')
  },
)

verdict.run()
