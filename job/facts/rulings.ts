import { RULING_ORDERS_MAX, RULINGS_BYTES_MAX } from '../../proto/limits.js'
import type { Digest, JobSpec, NodeId, Order, OrderBody, Outcome, PublicKey, Ruling } from '../../proto/model.js'
import { contains } from '../units/selection.js'
import { unitCount } from '../units/unit-source.js'
import { isDeterministic } from './digest.js'
import { answerOf, type Vote } from './votes.js'

/** The body of an order with rulings. */
export type Rulings = Extract<OrderBody, { type: 'rulings' }>

/** Why rulings do not count, whoever looks at them. */
export type RulingsRefusal = 'notAJudge' | 'otherProfile' | 'unitUnknown' | 'rulingsTooLong'

/** The answer that a replay proved. */
export interface RuledAnswer {
  readonly outcome: Outcome
  readonly digest: Digest
}

/** What all rulings of a job say together. */
export interface RulingsView {
  /** By unit. Units on which rulings of equal rank contradict each other are not among them. */
  readonly answers: ReadonlyMap<number, RuledAnswer>
  /** Workers and donors that are out for this job. */
  readonly convicted: ReadonlySet<PublicKey>
  /** Owners whose grants do not count for this job any more. */
  readonly dismissed: ReadonlySet<NodeId>
}

/** Votes in the random sample that a grantor must have before it can be dismissed, and the others together as well. */
const GRANTOR_VOTES_MIN = 10
/** How many times the share of false votes of the others its own must be. */
const GRANTOR_WORSE = 2

/** Whether rulings are void by what they say; their signature, by `judge`, is for the caller to check. */
export function wrongInRulings(body: Rulings, bytes: number, spec: JobSpec): RulingsRefusal | undefined {
  if (bytes > RULINGS_BYTES_MAX) return 'rulingsTooLong'
  if (body.judge !== spec.submitter && !spec.judges.includes(body.judge)) return 'notAJudge'
  if (body.profile !== spec.profile) return 'otherProfile'
  const units = unitCount(spec)
  for (const { unit } of body.rulings) {
    if (unit >= units || (spec.selection.length > 0 && !contains(spec.selection, unit))) return 'unitUnknown'
  }
  return undefined
}

/**
 * What the rulings among `orders` say together; undefined when there are none. A function of the set: neither order of
 * arrival nor repetitions matter.
 *
 * 1. Of the submitter's orders the 16 with the lowest seq (then smallest id) count, and of all judges' together as many.
 * 2. On one unit the submitter outranks judges. Two different answers of one rank cancel each other out: then nothing is
 *    ruled on the unit, and nobody convicted by it.
 * 3. Whoever a ruling that stands convicts is out. Rulings on one unit that agree add their convicted keys up.
 * 4. A grantor is dismissed when it granted 10 or more votes on units of the random sample, more than half of them were
 *    false, and that is more than twice the share of the other grantors' votes, who have 10 or more together, too. An honest
 *    owner draws from those who are there: where a ring is half of them, half of what each owner granted is false.
 *    Of a unit ruled on more than once the longest list of votes counts, once.
 * 5. So is whoever a ruling that stands names as dismissed: an owner that nobody can find, of which the judge has tried units.
 */
export function applyRulings(
  spec: JobSpec,
  orders: readonly { readonly id: Digest; readonly order: Order }[],
): RulingsView | undefined {
  if (!orders.some(({ order }) => order.body.type === 'rulings')) return undefined
  const ranks = [rulingsOf(orders, (judge) => judge === spec.submitter)]
  ranks.push(rulingsOf(orders, (judge) => judge !== spec.submitter))
  const standing = new Map<number, Ruling[]>()
  const decided = new Set<number>()
  for (const byUnit of ranks) {
    for (const [unit, rulings] of byUnit) {
      const higher = standing.get(unit)
      if (higher) higher.push(...rulings.filter((ruling) => isSameAnswer(ruling, higher[0]!)))
      else if (!decided.has(unit) && rulings.every((ruling) => isSameAnswer(ruling, rulings[0]!)))
        standing.set(unit, rulings)
      decided.add(unit)
    }
  }
  const answers = new Map<number, RuledAnswer>()
  const convicted = new Set<PublicKey>()
  const dismissed = new Set<NodeId>()
  const granted = new Map<NodeId, { votes: number; wrong: number }>()
  for (const [unit, rulings] of standing) {
    const { outcome, digest } = rulings[0]!
    answers.set(unit, { outcome, digest })
    for (const ruling of rulings) {
      for (const key of ruling.convicted) convicted.add(key)
      for (const grantor of ruling.dismissed ?? []) dismissed.add(grantor)
    }
    countGrants(granted, rulings)
  }
  const all = { votes: 0, wrong: 0 }
  for (const { votes, wrong } of granted.values()) {
    all.votes += votes
    all.wrong += wrong
  }
  for (const [grantor, { votes, wrong }] of granted) {
    const others = { votes: all.votes - votes, wrong: all.wrong - wrong }
    if (votes < GRANTOR_VOTES_MIN || others.votes < GRANTOR_VOTES_MIN || 2 * wrong <= votes) continue
    if (wrong * others.votes > GRANTOR_WORSE * others.wrong * votes) dismissed.add(grantor)
  }
  return { answers, convicted, dismissed }
}

/** Whether a vote counts nowhere in the job. */
export function isVoid({ convicted, dismissed }: RulingsView, vote: Vote): boolean {
  return convicted.has(vote.donor) || convicted.has(vote.worker) || dismissed.has(vote.grantor)
}

/** Whether two answers are the same. */
export function isSameAnswer(a: RuledAnswer, b: RuledAnswer): boolean {
  return a.outcome === b.outcome && a.digest === b.digest
}

/**
 * The keys that a true answer convicts: workers and donors of votes of two or more donors for one other answer. A lone
 * wrong answer may be a bad memory chip and costs its vote alone; two that are equal are no accident. Ascending.
 */
export function convictedBy(answer: RuledAnswer, votes: readonly Vote[]): readonly PublicKey[] {
  const donors = new Map<string, Set<PublicKey>>()
  const keys = new Map<string, Set<PublicKey>>()
  for (const vote of votes) {
    if (!isDeterministic(vote.outcome) || isSameAnswer(answer, vote)) continue
    const name = answerOf(vote)
    donors.set(name, (donors.get(name) ?? new Set()).add(vote.donor))
    keys.set(name, (keys.get(name) ?? new Set()).add(vote.donor).add(vote.worker))
  }
  const convicted = new Set<PublicKey>()
  for (const [name, { size }] of donors) if (size > 1) for (const key of keys.get(name)!) convicted.add(key)
  return [...convicted].sort()
}

/** Rulings by unit of the orders that count among those whose judge `belongs`. */
function rulingsOf(
  orders: readonly { readonly id: Digest; readonly order: Order }[],
  belongs: (judge: PublicKey) => boolean,
): Map<number, Ruling[]> {
  const mine = new Map<Digest, Order>()
  for (const { id, order } of orders)
    if (order.body.type === 'rulings' && belongs(order.body.judge)) mine.set(id, order)
  const first = [...mine]
    .sort(([aId, a], [bId, b]) => a.seq - b.seq || (aId < bId ? -1 : 1))
    .slice(0, RULING_ORDERS_MAX)
  const byUnit = new Map<number, Ruling[]>()
  for (const [, { body }] of first) {
    for (const ruling of (body as Rulings).rulings) {
      const known = byUnit.get(ruling.unit)
      if (known) known.push(ruling)
      else byUnit.set(ruling.unit, [ruling])
    }
  }
  return byUnit
}

function countGrants(granted: Map<NodeId, { votes: number; wrong: number }>, rulings: readonly Ruling[]): void {
  const name = ({ rightGrantors, wrongGrantors }: Ruling) => `${rightGrantors.join()} ${wrongGrantors.join()}`
  const length = ({ rightGrantors, wrongGrantors }: Ruling) => rightGrantors.length + wrongGrantors.length
  let longest = rulings[0]!
  for (const ruling of rulings) {
    const longer = length(ruling) - length(longest)
    if (longer > 0 || (longer === 0 && name(ruling) < name(longest))) longest = ruling
  }
  const count = (grantor: NodeId, wrong: 0 | 1) => {
    const counts = granted.get(grantor) ?? { votes: 0, wrong: 0 }
    granted.set(grantor, { votes: counts.votes + 1, wrong: counts.wrong + wrong })
  }
  for (const grantor of longest.rightGrantors) count(grantor, 0)
  for (const grantor of longest.wrongGrantors) count(grantor, 1)
}
