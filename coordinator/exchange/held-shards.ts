import { shardKey } from '../../job/units/shard.js'
import type { Digest, JobId, NodeId } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { Store } from '../store/store.js'
import type { FactSet } from '../sync/core/fact-set.js'
import { newFactSet } from '../sync/fact-set.js'
import { Custody } from './custody.js'
import { type HeldShard, heldName } from './held-shard.js'

/** Facts of one shard without room that are remembered. */
const CROWDED_OUT_MAX = 4_096
/** Ids in memory of shards at rest, together: about 25 MB. */
const RESTING_IDS_MAX = 500_000

/**
 * Sets of this size or more have their prints made right after they were read, a part a turn: all at once a million ids
 * hold everything else up for a quarter of a second when somebody compares.
 */
const WARM_IDS_MIN = 16_384
/** Digits of the ranges whose prints are made in one turn: 256 turns, about a millisecond each for a million ids. */
const WARM_DIGITS = 2

interface HeldShardsContext {
  readonly self: NodeId
  readonly clock: Clock
  readonly sha256: Sha256
  readonly store: Pick<Store, 'factIds'>
}

/** The shards that this peer has on disk, and the ids of their facts as far as they are in memory. */
export class HeldShards {
  readonly #c: HeldShardsContext
  readonly #held = new Map<string, HeldShard>()
  readonly #warming = new Set<FactSet>()
  #restingIds = 0

  constructor(context: HeldShardsContext) {
    this.#c = context
  }

  get(jobId: JobId, shard: number): HeldShard | undefined {
    return this.#held.get(`${jobId}/${shard}`)
  }

  /** All of them; those that {@link last} was called for come last. */
  all(): HeldShard[] {
    return [...this.#held.values()]
  }

  /** A new shard, at rest until it is opened. `restored`: facts of it were on disk. */
  add(job: BookedJob, shard: number, restored: boolean): HeldShard {
    const { self, clock, sha256 } = this.#c
    const held: HeldShard = {
      job,
      shard,
      key: shardKey(sha256, job.jobId, shard),
      custody: new Custody(self, restored),
      facts: undefined,
      gone: new Set(),
      crowdedOut: new Set(),
      isOpen: false,
      openedAt: clock.now(),
      askedAt: clock.now(),
      knowNothing: new Set(),
      isServing: false,
      owners: [],
      others: [],
      told: '',
      outsideSince: undefined,
      cleanSyncs: 0,
    }
    this.#held.set(heldName(held), held)
    return held
  }

  /** The shard is open, with these facts. */
  opened(held: HeldShard, ids: Iterable<Digest>): void {
    if (!held.isOpen) this.#restingIds -= held.facts?.size ?? 0
    held.isOpen = true
    if (held.facts !== undefined) return
    held.facts = newFactSet()
    for (const id of ids) held.facts.add(id)
    this.#warm(held.facts)
  }

  /** There is no room for these facts. A set of ids only grows: it is made anew when it is next compared. */
  dropped(held: HeldShard, ids: readonly Digest[]): void {
    const { facts, gone, crowdedOut, custody } = held
    for (const id of ids) {
      if (facts?.has(id) === true) gone.add(id)
      custody.factDropped(id)
      crowdedOut.add(id)
      if (crowdedOut.size > CROWDED_OUT_MAX) crowdedOut.delete(crowdedOut.values().next().value!)
    }
  }

  /** Whether a comparison finds the prints of the shard made. */
  isWarm({ facts }: HeldShard): boolean {
    return facts !== undefined && !this.#warming.has(facts)
  }

  #warm(facts: FactSet): void {
    if (facts.size < WARM_IDS_MIN) return
    this.#warming.add(facts)
    const turn = (range: number) => {
      facts.print(range.toString(16).padStart(WARM_DIGITS, '0'))
      if (range + 1 < 16 ** WARM_DIGITS) this.#c.clock.setTimer(0, () => turn(range + 1))
      else this.#warming.delete(facts)
    }
    this.#c.clock.setTimer(0, () => turn(0))
  }

  /** Nothing is left to do in it. */
  rested(held: HeldShard): void {
    held.isOpen = false
    this.#restingIds += held.facts?.size ?? 0
    this.forgetIds(held)
  }

  /** Its turn has been: the others come first next time. */
  last(held: HeldShard): void {
    const name = heldName(held)
    this.#held.delete(name)
    this.#held.set(name, held)
  }

  remove(held: HeldShard): void {
    if (!this.#held.delete(heldName(held))) return
    if (!held.isOpen) this.#restingIds -= held.facts?.size ?? 0
  }

  /** Ids of the facts of a shard: kept while it is open, read from disk when it is at rest. */
  async factsOf(held: HeldShard): Promise<FactSet> {
    if (held.gone.size > 0) this.#withoutGone(held)
    if (held.facts !== undefined) return held.facts
    const facts = newFactSet()
    for (const id of await this.#c.store.factIds(held.job.jobId, held.shard)) facts.add(id)
    if (held.facts !== undefined) return held.facts
    held.facts = facts
    if (!held.isOpen) this.#restingIds += facts.size
    this.#warm(facts)
    return facts
  }

  #withoutGone(held: HeldShard): void {
    const { facts: all, gone } = held
    if (all !== undefined) {
      const facts = newFactSet()
      for (const id of all.ids('', undefined, all.size)) if (!gone.has(id)) facts.add(id)
      held.facts = facts
      this.#warm(facts)
    }
    gone.clear()
  }

  /** Shards at rest give their ids back when there are too many; they are read again when somebody compares. */
  forgetIds(held: HeldShard): void {
    if (held.isOpen || held.facts === undefined || this.#restingIds <= RESTING_IDS_MAX) return
    this.#restingIds -= held.facts.size
    held.facts = undefined
  }
}
