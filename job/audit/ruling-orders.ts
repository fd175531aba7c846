import {
  RULING_CONVICTED_MAX,
  RULING_GRANTORS_MAX,
  RULING_ORDERS_MAX,
  RULINGS_BYTES_MAX,
  RULINGS_MAX,
} from '../../proto/limits.js'
import type { Digest, JobId, JobSpec, NodeId, PublicKey, Ruling } from '../../proto/model.js'
import { isDeterministic } from '../facts/digest.js'
import type { KnownOrder } from '../facts/orders.js'
import { applyRulings, convictedBy, isSameAnswer, type RuledAnswer } from '../facts/rulings.js'
import type { Vote } from '../facts/votes.js'
import { type AuditUnit, isRandom } from './audit.js'

/** Proven answers that nobody shares after which a key is out, and the share of its votes on replayed units beyond which. */
const STRIKES = 4
const STRIKES_SHARE = 2 / 3

/**
 * Keys that replays found wrong again and again, without a friend: a lone wrong answer may be a bad memory chip, three are a
 * host that nobody can use, when they are most of what it said of the units computed again. Liars of a ring that is outvoted
 * are found by that, where no two of them have the same unit.
 */
export class Strikes {
  readonly #byDonor = new Map<PublicKey, { right: number; wrong: number; readonly workers: Set<PublicKey> }>()

  /** Takes in the votes on a unit that was computed again; whoever is out by it, ascending. */
  struck(answer: RuledAnswer, votes: readonly Vote[]): readonly PublicKey[] {
    const out = new Set<PublicKey>()
    const heard = new Set<PublicKey>()
    for (const vote of votes) {
      if (!isDeterministic(vote.outcome) || heard.has(vote.donor)) continue
      heard.add(vote.donor)
      const known = this.#byDonor.get(vote.donor) ?? { right: 0, wrong: 0, workers: new Set() }
      this.#byDonor.set(vote.donor, known)
      known.workers.add(vote.worker)
      if (isSameAnswer(answer, vote)) known.right++
      else known.wrong++
      const { right, wrong, workers } = known
      if (isSameAnswer(answer, vote) || wrong < STRIKES || wrong <= STRIKES_SHARE * (right + wrong)) continue
      for (const key of [vote.donor, ...workers]) out.add(key)
    }
    return [...out].sort()
  }
}

/** What a replay that gave `answer` says of the votes on the unit. */
export function rulingOf(
  entry: AuditUnit,
  answer: RuledAnswer,
  votes: readonly Vote[],
  strikes: Strikes,
  dismissed: readonly NodeId[] = [],
): Ruling {
  const rightGrantors: NodeId[] = []
  const wrongGrantors: NodeId[] = []
  const heard = new Set<string>()
  for (const vote of isRandom(entry) ? votes : []) {
    const name = `${vote.donor} ${vote.digest}`
    if (!isDeterministic(vote.outcome) || heard.has(name)) continue
    heard.add(name)
    const grantors = isSameAnswer(answer, vote) ? rightGrantors : wrongGrantors
    if (grantors.length < RULING_GRANTORS_MAX) grantors.push(vote.grantor)
  }
  const guilty = new Set([...convictedBy(answer, votes), ...strikes.struck(answer, votes)])
  const convicted = [...guilty].sort().slice(0, RULING_CONVICTED_MAX)
  const { unit } = entry
  const { outcome, digest } = answer
  const grantors = { rightGrantors: rightGrantors.sort(), wrongGrantors: wrongGrantors.sort() }
  const out = dismissed.slice(0, RULING_GRANTORS_MAX)
  return { unit, outcome, digest, convicted, ...grantors, ...(out.length > 0 && { dismissed: out }) }
}

/**
 * Whether all whom a ruling convicts for agreeing on a false answer were granted the unit by one owner. They may be keys that it has made
 * up for this unit, and to put these out changes nothing.
 */
export function isOfOneGrantor({ convicted }: Ruling, votes: readonly Vote[]): boolean {
  const out = new Set(convicted)
  const donors = new Set<PublicKey>()
  const grantors = new Set<NodeId>()
  for (const { donor, worker, grantor } of votes) {
    if (!out.has(donor) && !out.has(worker)) continue
    donors.add(donor)
    grantors.add(grantor)
  }
  return donors.size > 1 && grantors.size === 1
}

/** Orders with rulings that are given at once, and those left for the end of a job. */
const PROMPT_ORDERS = 8
const LAST_ORDERS = 4
/** Rulings that change nothing yet are kept back until so many are there. */
const CLEAN_RULINGS_MIN = 64

/** Rulings of an audit that have not been given yet, and how many orders have been. */
interface RulingsAtHand {
  readonly urgent: number
  readonly kept: number
  readonly given: number
  /** {@link dismissesAnother}; default false. */
  readonly dismisses?: boolean
}

/** Whether `kept` rulings, given beside the orders that a job has, would keep one more owner's grants from counting. */
export function dismissesAnother(spec: JobSpec, orders: readonly KnownOrder[], kept: readonly Ruling[]): boolean {
  if (kept.every(({ wrongGrantors, dismissed }) => wrongGrantors.length === 0 && dismissed === undefined)) return false
  const body = { type: 'rulings' as const, judge: spec.submitter, profile: spec.profile, rulings: kept }
  const order = { jobId: '' as JobId, seq: 0, createdAtMs: 0, body }
  const dismissed = (all: readonly KnownOrder[]) => applyRulings(spec, all)?.dismissed.size ?? 0
  return dismissed([...orders, { id: '' as Digest, order }]) > dismissed(orders)
}

/**
 * Whether rulings are worth one of the few orders that count. `urgent`: how many of the `kept` ones change something at once: a
 * settled answer was false, or somebody is out who is more than one owner's word ({@link isOfOneGrantor}) or has a part in other disputes; `given`: orders of this rank that the job has. The first are given at once, each later one with twice as much:
 * an owner that makes up voters has new keys to convict on every unit.
 */
export function isWorthAnOrder({ urgent, kept, given, dismisses = false }: RulingsAtHand): boolean {
  if (given >= RULING_ORDERS_MAX - LAST_ORDERS) return false
  return dismisses || urgent >= 2 ** Math.max(0, given + 1 - PROMPT_ORDERS) || kept >= CLEAN_RULINGS_MIN
}

/** Bytes that an order has around its rulings, and that a ruling takes at most without its lists. */
const ORDER_BYTES = 256
const RULING_BYTES = 64

/** Rulings as the bodies of as few orders as the limits allow; each ascending by unit. */
export function rulingBatches(rulings: readonly Ruling[]): readonly (readonly Ruling[])[] {
  const batches: Ruling[][] = []
  let bytes = RULINGS_BYTES_MAX
  for (const ruling of [...rulings].sort((a, b) => a.unit - b.unit)) {
    const { convicted, rightGrantors, wrongGrantors, dismissed = [] } = ruling
    const grantors = rightGrantors.length + wrongGrantors.length + dismissed.length
    const size = RULING_BYTES + 34 * convicted.length + 22 * grantors
    const last = batches.at(-1)
    if (last === undefined || last.length >= RULINGS_MAX || bytes + size > RULINGS_BYTES_MAX) {
      batches.push([ruling])
      bytes = ORDER_BYTES + size
    } else {
      last.push(ruling)
      bytes += size
    }
  }
  return batches
}
