import { addsUp } from '../../../job/summary.js'
import type { NodeId, Summary } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'

/** Owners whose word on a shard is kept: its owners now, and some that were. */
const OWNERS_HEARD_MAX = 8

/** An owner's word on one of its shards. */
export interface OwnerStatus {
  readonly owner: NodeId
  readonly address: string
  readonly summary: Summary
  readonly waiting: string
  /** Since it granted the first instance of the shard. */
  readonly firstGrantAgoMs: Millis | undefined
}

interface Heard {
  readonly status: OwnerStatus
  readonly at: Millis
}

/**
 * What a home knows of one shard: what each of its owners last said of it, and what it makes of that. A shard:
 * activating -> active (an owner was heard within `silenceMs`) -> finished; active -> activating again when
 * all its owners fall silent.
 */
export class HomeShard {
  readonly shard: number
  readonly units: number
  /** Since when somebody should have activated it. */
  readonly wantedAt: Millis
  activating = false
  /** An owner that has not been heard for so long is silent: see `HomeTurn`. */
  silenceMs: Millis
  /** Activations that failed in a row, and until when the next one waits. */
  attempts = 0
  retryAt: Millis = 0
  /** Why the last activation failed. */
  reason = ''
  readonly #heard = new Map<NodeId, Heard>()
  #shown: OwnerStatus | undefined
  #heardAt: Millis
  #reopenedAt: Millis = Number.NEGATIVE_INFINITY

  constructor(shard: number, units: number, silenceMs: Millis, now: Millis) {
    this.silenceMs = silenceMs
    this.shard = shard
    this.units = units
    this.wantedAt = now
    this.#heardAt = now
  }

  /** What the owners say together; undefined: none was heard yet. */
  get shown(): OwnerStatus | undefined {
    return this.#shown
  }

  /** When the last owner was heard, or the shard first wanted. */
  get heardAt(): Millis {
    return this.#heardAt
  }

  get finished(): boolean {
    return this.#shown !== undefined && isFinished(this.#shown.summary)
  }

  /** Takes the word of an owner. False: its counts do not add up, it is wrong or lies and is not believed. */
  hear(status: OwnerStatus, now: Millis): boolean {
    if (!addsUp(status.summary, this.units)) return false
    this.#heard.delete(status.owner)
    this.#heard.set(status.owner, { status, at: now })
    if (this.#heard.size > OWNERS_HEARD_MAX) {
      const [oldest] = this.#heard.keys()
      if (oldest !== undefined) this.#heard.delete(oldest)
    }
    this.#heardAt = now
    this.activating = false
    this.attempts = 0
    this.reason = ''
    this.refresh(now)
    return true
  }

  /** Something was ruled: what finished owners said until now may not hold any more, and those that are there say it again. */
  reopened(now: Millis): void {
    this.#reopenedAt = now
    this.refresh(now)
  }

  /** Owners of the shard that should have said something of it by now, and when they last did. */
  silent(now: Millis): { readonly status: OwnerStatus; readonly at: Millis }[] {
    return [...this.#heard.values()].filter((heard) => !this.#isFresh(heard, now))
  }

  /** To be called as time passes: owners that fall silent are left out, unless nobody else is there. */
  refresh(now: Millis): void {
    const all = [...this.#heard.values()]
    const fresh = all.filter((heard) => this.#isFresh(heard, now))
    this.#shown = together((fresh.length > 0 ? fresh : all).map(({ status }) => status))
  }

  /** An owner with nothing left to do on the shard does not repeat itself, until something is ruled. */
  #isFresh({ status, at }: Heard, now: Millis): boolean {
    return now - at < this.silenceMs || (isFinished(status.summary) && at >= this.#reopenedAt)
  }
}

/**
 * What several owners say of one shard. Facts reach them all in time, so the one that knows more is right; but a lone liar
 * must not end a job, so of two or more the second most advanced is believed. What each owner counts for itself is summed.
 */
function together(statuses: readonly OwnerStatus[]): OwnerStatus | undefined {
  if (statuses.length < 2) return statuses[0]
  const sorted = [...statuses].sort((a, b) => compareProgress(b.summary, a.summary))
  const { owner, address, summary } = sorted[1]!
  const sum = (count: (summary: Summary) => number) => statuses.reduce((total, one) => total + count(one.summary), 0)
  const most = (count: (summary: Summary) => number) => Math.max(...statuses.map((one) => count(one.summary)))
  const firstGrants = statuses.flatMap(({ firstGrantAgoMs }) =>
    firstGrantAgoMs === undefined ? [] : [firstGrantAgoMs],
  )
  return {
    owner,
    address,
    summary: {
      ...summary,
      leased: isFinished(summary) ? 0 : sum(({ leased }) => leased),
      // Owners that are gone took their counts along, but their grants were answered.
      granted: Math.max(
        summary.answered,
        sum(({ granted }) => granted),
      ),
      workers: most(({ workers }) => workers),
      donors: most(({ donors }) => donors),
    },
    // As long as one of them grants, nothing waits.
    waiting: statuses.some(({ waiting }) => waiting === '') ? '' : sorted[1]!.waiting,
    firstGrantAgoMs: firstGrants.length === 0 ? undefined : Math.max(...firstGrants),
  }
}

function compareProgress(a: Summary, b: Summary): number {
  const decided = (summary: Summary) => summary.settled + summary.failed
  return decided(a) - decided(b) || a.accepted - b.accepted || a.answered - b.answered
}

/** Whether nothing is left to do. */
export function isFinished(summary: Summary): boolean {
  return summary.settled + summary.failed === summary.units
}
