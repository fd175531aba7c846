import type { PackedItems, UnitToSend } from './messages.js'
import { Queue } from './queue.js'

/** Units that are in the child at once; the rest waits here. */
export const SENT_UNITS_MAX = 8192
/** Content of the items of these units. Unit: bytes. */
export const SENT_BYTES_MAX = 32 * 1024 * 1024
/** Units that share a frame. */
export const FRAME_UNITS_MAX = 1024
/** Items that units of one frame bring together; a larger unit goes alone, to be handed to a thread uncopied. Unit: bytes. */
export const FRAME_ITEM_BYTES_MAX = 64 * 1024
/** Ends of the child that a unit waiting in it outlives. */
export const DEATHS_MAX = 3
/** Times a unit comes back unfinished, because of its neighbours on a thread, before it counts as failed here. */
export const RETURNS_MAX = 64

/**
 * A unit in hand. `waiting` here -> `sent` to the child -> `started` on a thread there; from both back to `waiting` when the
 * child dies or returns it; from all to `gone`, when it is answered, failed or not wanted any more.
 */
export interface UnitInHand<Job> extends UnitToSend {
  readonly job: Job
  readonly state: 'waiting' | 'sent' | 'started' | 'gone'
}

interface Entry<Job> extends UnitInHand<Job> {
  state: 'waiting' | 'sent' | 'started' | 'gone'
  deaths: number
  returns: number
}

/** Units in hand of the compute process: those that wait here, and as many as may be in the child. */
export class UnitsInHand<Job> {
  readonly #units = new Map<number, Entry<Job>>()
  readonly #waiting = new Queue<Entry<Job>>()
  #sentUnits = 0
  #sentBytes = 0
  #nextTicket = 0

  /** Units in hand. Unbounded: whoever adds holds the bound. */
  get size(): number {
    return this.#units.size
  }

  get(ticket: number): UnitInHand<Job> | undefined {
    return this.#units.get(ticket)
  }

  /** Takes a unit in hand. It is not sent before {@link wait}. */
  add(job: Job, unit: number, items: PackedItems | undefined): UnitInHand<Job> {
    const entry: Entry<Job> = { ticket: this.#drawTicket(), job, unit, items, state: 'waiting', deaths: 0, returns: 0 }
    this.#units.set(entry.ticket, entry)
    return entry
  }

  /** Units just added may be sent, behind all others. */
  wait(units: readonly UnitInHand<Job>[]): void {
    for (const unit of units) this.#waiting.push(unit as Entry<Job>)
  }

  /** Units of one job for a frame, sent from now on; empty: none waits, or the child has enough. */
  next(): readonly UnitInHand<Job>[] {
    const units: Entry<Job>[] = []
    let itemBytes = 0
    const job = this.#waiting.peek()?.job
    while (units.length < FRAME_UNITS_MAX && this.#hasRoom() && this.#waiting.peek()?.job === job) {
      const unit = this.#waiting.peek()
      if (unit === undefined) break
      const bytes = unit.items?.length ?? 0
      if (units.length > 0 && itemBytes + bytes > FRAME_ITEM_BYTES_MAX) break
      this.#waiting.shift()
      unit.state = 'sent'
      this.#sentUnits++
      this.#sentBytes += bytes
      itemBytes += bytes
      units.push(unit)
    }
    return units
  }

  /** The child has put units on threads. */
  started(tickets: Iterable<number>): void {
    for (const ticket of tickets) {
      const unit = this.#units.get(ticket)
      if (unit?.state === 'sent') unit.state = 'started'
    }
  }

  /**
   * The child gives units back unfinished: they wait, before all others.
   * @returns those that came back too often, which stay as they are
   */
  returned(tickets: Iterable<number>): UnitInHand<Job>[] {
    const again = new Set<Entry<Job>>()
    const failed = new Set<Entry<Job>>()
    for (const ticket of tickets) {
      const unit = this.#units.get(ticket)
      if (unit !== undefined && isInChild(unit)) (++unit.returns > RETURNS_MAX ? failed : again).add(unit)
    }
    this.#waitAgain([...again])
    return [...failed]
  }

  /**
   * The child has ended: units in it wait again, before all others. Not those on its threads, nor those that have seen
   * {@link DEATHS_MAX} ends, of which `blameless` ones do not count.
   * @returns these, which stay as they are
   */
  childDied(blameless: boolean): UnitInHand<Job>[] {
    const again: Entry<Job>[] = []
    const failed: Entry<Job>[] = []
    for (const unit of this.#units.values()) {
      if (unit.state === 'started') failed.push(unit)
      else if (unit.state === 'sent') (blameless || ++unit.deaths < DEATHS_MAX ? again : failed).push(unit)
    }
    this.#waitAgain(again)
    return failed
  }

  /** The child is replaced by our own will: all units in it wait again, before all others. */
  childReplaced(): void {
    this.#waitAgain([...this.#units.values()].filter(isInChild))
  }

  /** Forgets units, whatever becomes of them in the child. */
  drop(units: readonly UnitInHand<Job>[]): void {
    let waited = false
    for (const unit of units as readonly Entry<Job>[]) {
      if (unit.state === 'waiting') waited = true
      this.#leaveChild(unit)
      unit.state = 'gone'
      this.#units.delete(unit.ticket)
    }
    if (waited && this.#waiting.length > 0) this.#waiting.retain(({ state }) => state === 'waiting')
  }

  #hasRoom(): boolean {
    return this.#sentUnits < SENT_UNITS_MAX && this.#sentBytes < SENT_BYTES_MAX
  }

  #waitAgain(units: readonly Entry<Job>[]): void {
    for (const unit of units) {
      this.#leaveChild(unit)
      unit.state = 'waiting'
    }
    this.#waiting.pushFront(units)
  }

  #leaveChild(unit: Entry<Job>): void {
    if (!isInChild(unit)) return
    this.#sentUnits--
    this.#sentBytes -= unit.items?.length ?? 0
  }

  #drawTicket(): number {
    do this.#nextTicket = (this.#nextTicket + 1) >>> 0
    while (this.#units.has(this.#nextTicket))
    return this.#nextTicket
  }
}

function isInChild({ state }: UnitInHand<unknown>): boolean {
  return state === 'sent' || state === 'started'
}
