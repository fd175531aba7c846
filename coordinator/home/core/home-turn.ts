import type { Millis } from '../../../runtime/clock.js'

/** How a node of one kind waits for those that are to act before it. Unit: ms. */
interface Patience {
  /** An owner that has not summarized an unfinished shard for this long counts as silent. */
  readonly silenceMs: Millis
  /** It leaves to the nearer ones what is to be done for so long, and longer by a step for each of them. */
  readonly bypassMs: Millis
  readonly bypassStepMs: Millis
  /** Having stepped in, it acts without waiting for so long. */
  readonly actingMs: Millis
}

/** A home is told of its shards every second or so, and steps in within ten seconds. */
export const HOME_PATIENCE: Patience = {
  silenceMs: 10_000,
  bypassMs: 5_000,
  bypassStepMs: 1_000,
  actingMs: 15_000,
}

/** A guard is told more rarely, and leaves the job to its homes; once it has stepped in they have failed, so it stays. */
export const GUARD_PATIENCE: Patience = {
  silenceMs: 60_000,
  bypassMs: 45_000,
  bypassStepMs: 2_000,
  actingMs: 10 * 60_000,
}

/**
 * Whose turn it is to act on a job. Waiting -> acting when something is left undone for as long as its place asks; acting
 * -> waiting after `actingMs`, when those before it may have come back. The nearest home acts always.
 */
export class HomeTurn {
  #rank: number
  #isGuard = false
  #actingUntil: Millis = Number.NEGATIVE_INFINITY

  /** `rank`: see {@link HomeTurn.rank}. */
  constructor(rank: number) {
    this.#rank = rank
  }

  /** So many homes (peers, at a guard) are nearer to the job than this node and seem to be there. */
  get rank(): number {
    return this.#rank
  }

  /** It is no home of the job, and keeps it for when the homes do not act. */
  get isGuard(): boolean {
    return this.#isGuard
  }

  get silenceMs(): Millis {
    return this.#patience.silenceMs
  }

  /** Takes the place of this node among the others. False: nothing changed. */
  ranked(rank: number, isGuard: boolean): boolean {
    if (this.#rank === rank && this.#isGuard === isGuard) return false
    this.#rank = rank
    this.#isGuard = isGuard
    return true
  }

  /** Whether this node does at once what is to be done. */
  acts(now: Millis): boolean {
    return (this.#rank === 0 && !this.#isGuard) || now < this.#actingUntil
  }

  /** Whether this node is to do what should have been done since `wantedAt`; one for whom that is too long steps in. */
  takes(wantedAt: Millis, now: Millis): boolean {
    if (this.acts(now)) return true
    const { bypassMs, bypassStepMs, actingMs } = this.#patience
    if (now < wantedAt + bypassMs + this.#rank * bypassStepMs) return false
    this.#actingUntil = now + actingMs
    return true
  }

  get #patience(): Patience {
    return this.#isGuard ? GUARD_PATIENCE : HOME_PATIENCE
  }
}
