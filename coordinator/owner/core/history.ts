import type { UnitEventWord } from '../../../proto/explain-messages.js'
import type { NodeId, UnitState } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'

/** Events kept of one unit until it is decided, and of a whole shard. */
const UNIT_EVENTS_MAX = 16
const SHARD_EVENTS_MAX = 256

/** Something that happened to a unit at this owner. */
export interface PastEvent {
  readonly unit: number
  readonly at: Millis
  readonly what: UnitEventWord
  readonly worker: NodeId | undefined
  readonly detail: string
}

/** A unit whose events are kept; undefined: none yet, or it is decided, as `state` says. */
export interface Remembered {
  readonly unit: number
  readonly state: UnitState
  past: PastEvent[] | undefined
}

/** What happened to the units of one shard, for whoever asks why; soft state that a restart forgets. */
export class History {
  /** The last events, in a ring. */
  readonly #ring: PastEvent[] = []
  #next = 0
  #isQuiet = false

  /** What `action` leads to is not noted: it came about at a time that is not known any more. */
  quietly(action: () => void): void {
    this.#isQuiet = true
    action()
    this.#isQuiet = false
  }

  note(unit: Remembered, what: UnitEventWord, at: Millis, worker?: NodeId, detail = ''): void {
    if (this.#isQuiet) return
    const event: PastEvent = { unit: unit.unit, at, what, worker, detail }
    this.#ring[this.#next] = event
    this.#next = (this.#next + 1) % SHARD_EVENTS_MAX
    // What comes late for a decided unit is in the ring alone, or it would be kept as long as the shard.
    const isDecided = unit.state === 'settled' || unit.state === 'failed'
    if (unit.past === undefined) {
      if (!isDecided) unit.past = [event]
    } else {
      unit.past.push(event)
      if (unit.past.length > UNIT_EVENTS_MAX) unit.past.shift()
    }
  }

  /** The unit is decided: what is left of it is what the ring still has. */
  decided(unit: Remembered): void {
    unit.past = undefined
  }

  /** The last events of one unit, oldest first. */
  of({ unit, past }: Pick<Remembered, 'unit' | 'past'>): readonly PastEvent[] {
    return past ?? this.recent().filter((event) => event.unit === unit)
  }

  /** The last events of the shard, oldest first. */
  recent(): readonly PastEvent[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)]
  }
}
