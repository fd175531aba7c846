import { NO_UNITS } from '../../../job/summary.js'
import type { Judgement } from '../../../job/verdict/judgement.js'
import type { Summary, UnitState } from '../../../proto/model.js'
import type { UnitRecord } from './unit-record.js'

/** What the owner knows besides, for a summary: workers and donors on the shard, and its units that wait for nobody in particular. */
type Besides = Pick<Summary, 'workers' | 'donors' | 'ready'>

/** The units of a shard by state, and what its instances, answers and decided units add up to. */
export class ShardCounts {
  readonly #units: number
  readonly #states: Record<UnitState, number>
  #leased = 0
  #granted = 0
  #answered = 0
  #disagreeing = 0
  #fuel = 0n

  /** All of `units` are open, and nothing has been granted. */
  constructor(units: number) {
    this.#units = units
    this.#states = { ...NO_UNITS, open: units }
  }

  /** Units in a state. */
  of(state: UnitState): number {
    return this.#states[state]
  }

  /** Units that a report could still change for the better. */
  get unfinished(): number {
    return this.#units - this.#states.settled - this.#states.failed
  }

  moved(before: UnitState, after: UnitState): void {
    this.#states[before]--
    this.#states[after]++
  }

  leaseStarted(): void {
    this.#leased++
    this.#granted++
  }

  leaseEnded(): void {
    this.#leased--
  }

  answered(votes: number): void {
    this.#answered += votes
  }

  /** Adds what a decided unit counts for (1), or takes it off (-1) when later facts lead back. */
  decided(judgement: Judgement, sign: 1 | -1): void {
    this.#disagreeing += sign * judgement.conflicting.length
    if (judgement.state === 'accepted') this.#fuel += BigInt(sign) * judgement.fuel
  }

  summary(besides: Besides): Summary {
    return {
      units: this.#units,
      ...this.#states,
      leased: this.#leased,
      granted: this.#granted,
      answered: this.#answered,
      disagreeing: this.#disagreeing,
      fuel: this.#fuel,
      ...besides,
    }
  }

  /** Throws when the records, with the `untouched` units beside them, add up to something else. */
  check(records: Iterable<UnitRecord>, untouched: number): void {
    const states = { ...NO_UNITS, open: untouched }
    let leased = 0
    for (const { state, held } of records) {
      states[state]++
      leased += held.length
    }
    for (const state of Object.keys(states) as UnitState[])
      if (states[state] !== this.#states[state])
        throw new Error(`${states[state]} units are ${state}, counted ${this.#states[state]}`)
    if (leased !== this.#leased) throw new Error(`${leased} leases, counted ${this.#leased}`)
  }
}
