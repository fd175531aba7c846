import type { JobSpec, Policy } from '../../proto/model.js'
import type { OrdersView } from '../facts/orders.js'
import type { RulingsView } from '../facts/rulings.js'
import { newcomersFor } from './credibility.js'

/** What the verdict needs to know of a job; see {@link verdictRules}. */
export interface VerdictRules {
  readonly policy: Policy
  /** Agreeing donors needed: K of `quorum:K`, 1 for `none`; for `confidence:P` donors nobody knows yet. */
  readonly quorum: number
  /** Different grantors needed behind the votes that count; 1 to `quorum`. */
  readonly minGrantors: number
  /** Votes of one grantor for one answer that count in any case; more only beside those of others, see `job/facts/votes.ts`. */
  readonly grantorVotesMax: number
  /** Different hosts that may fail a unit before its owners hold it (soft state of theirs, never a verdict). */
  readonly maxErrors: number
  /** Answered instances after which an undecided unit stays disputed. At least `quorum`. */
  readonly maxInstances: number
  /** Answered instances of one grantor that count towards `maxInstances`. */
  readonly grantorAnswersMax: number
  /** What replays gave; absent: nothing was ruled. */
  readonly rulings?: RulingsView
}

/**
 * The rules of version 1 for a job, orders included.
 *
 * `minGrantors` above the quorum is lowered to it: K votes never have more than K grantors, and whoever asks for one
 * opinion lets one owner choose it. With `minGrantors` 1 votes of a grantor are not capped: the cap exists so that one
 * owner cannot settle a unit alone, which `minGrantors` 1 allows; a cap of K would only keep honest votes from ever
 * outnumbering K different wrong ones.
 */
export function verdictRules(spec: JobSpec, orders?: OrdersView): VerdictRules {
  const quorum = donorsNeeded(spec.policy)
  const minGrantors = Math.max(1, Math.min(spec.minGrantors, quorum))
  const maxInstances = Math.max(quorum, orders?.maxInstances ?? spec.maxInstances)
  const rulings = orders?.rulings
  return {
    ...(rulings === undefined ? {} : { rulings }),
    policy: spec.policy,
    quorum,
    minGrantors,
    grantorVotesMax: minGrantors === 1 ? Number.POSITIVE_INFINITY : Math.ceil(quorum / minGrantors),
    maxErrors: spec.maxErrors,
    maxInstances,
    grantorAnswersMax: Math.ceil(maxInstances / minGrantors),
  }
}

/** Agreeing donors that settle a unit when nothing is known of them. */
export function donorsNeeded(policy: Policy): number {
  if (policy.type === 'quorum') return Math.max(1, policy.quorum)
  return policy.type === 'none' ? 1 : newcomersFor(policy)
}
