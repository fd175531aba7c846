import { DurationStatistics } from '../../coordinator/owner/core/delay-bound.js'
import type { Millis } from '../../runtime/clock.js'
import type { SeededRandom } from '../simulation/world/random.js'
import type { Accepted, Dispatch } from './dispatch.js'
import { ONE_WAY_MS } from './scene.js'
import type { Timeline } from './timeline.js'
import type { Held, Volunteer } from './volunteer.js'

/** Agreeing answers of a unit, and instances after which it is given up: `min_quorum` and `max_total_results`. */
const QUORUM = 2
const INSTANCES_MAX = 10
/** Jobs a host must have got right in a row before it may compute without a second opinion. */
const TRUSTED_AFTER = 10
/** Time until the instances of a host whose stream broke are free again, as with our owners. */
const LOST_MS: Millis = 1_000
/** Looks for instances beyond their delay bound. */
const SWEEP_MS: Millis = 5_000

interface Unit {
  readonly unit: number
  readonly votes: { readonly host: Volunteer; readonly answer: number }[]
  readonly hosts: Set<Volunteer>
  /** Granted and not answered; and waiting to be granted. */
  out: number
  unsent: number
  quorum: number
  accepted: number | undefined
  isOver: boolean
}

interface Instance extends Held {
  readonly host: Volunteer
  /** The stay of its host that it was granted in. */
  readonly stay: number
  readonly grantedAt: Millis
}

interface BoincParts {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly units: number
  /** Adaptive replication instead of two instances of every unit. */
  readonly isAdaptive: boolean
}

/**
 * To compare with: one server that hands the next instance to whoever asks (a host gets no unit twice) and accepts the first
 * answer that two hosts give. Adaptive: a host with N > 10 valid answers in a row, counted where they were compared, has a
 * unit checked by a second host only with probability 1/N; a wrong one sets N to 0. Source: D. P. Anderson, BOINC: A
 * Platform for Volunteer Computing, Journal of Grid Computing 18 (2020), on replication and adaptive replication.
 * Leases are ours: BOINC's deadlines of days would make it look worse than it is.
 */
export class Boinc implements Dispatch {
  readonly #p: BoincParts
  readonly #units: Unit[]
  /** Instances to hand out: one entry each, oldest first. */
  #queue: Unit[] = []
  #fresh = 0
  readonly #leases = new Map<Volunteer, Set<Instance>>()
  readonly #inRow = new Map<Volunteer, number>()
  readonly #durations = new DurationStatistics()
  readonly #asking = new Set<Volunteer>()
  decided = 0
  givenUp = 0
  granted = 0
  grantedToLiars = 0

  constructor(parts: BoincParts) {
    this.#p = parts
    this.#units = Array.from({ length: parts.units }, (_, unit) => ({
      unit,
      votes: [],
      hosts: new Set(),
      out: 0,
      unsent: 0,
      quorum: QUORUM,
      accepted: undefined,
      isOver: false,
    }))
    this.#sweep()
  }

  joined(volunteer: Volunteer): void {
    this.wants(volunteer)
  }

  left(volunteer: Volunteer): void {
    this.#asking.delete(volunteer)
    this.#p.timeline.after(LOST_MS, () => {
      for (const instance of this.#leasesOf(volunteer)) if (instance.stay < volunteer.stay) this.#lost(instance)
    })
  }

  wants(volunteer: Volunteer): void {
    const { stay } = volunteer
    this.#p.timeline.after(ONE_WAY_MS, () => {
      if (volunteer.stay !== stay || !volunteer.isHere) return
      this.#asking.add(volunteer)
      this.#serve(volunteer)
    })
  }

  beat(): void {}

  reported(volunteer: Volunteer, held: Held, answer: number, durationMs: Millis): void {
    this.#p.timeline.after(ONE_WAY_MS, () => {
      if (!this.#leasesOf(volunteer).delete(held as Instance)) return
      this.#durations.answered(durationMs)
      const unit = this.#units[held.unit]!
      unit.out--
      unit.votes.push({ host: volunteer, answer })
      if (unit.isOver) this.#judgeHost(unit, volunteer, answer)
      else this.#review(unit)
    })
  }

  #leasesOf(host: Volunteer): Set<Instance> {
    const known = this.#leases.get(host)
    if (known !== undefined) return known
    const leases = new Set<Instance>()
    this.#leases.set(host, leases)
    return leases
  }

  #serve(volunteer: Volunteer): void {
    const most = volunteer.room + volunteer.hand.length
    for (let room = most - this.#leasesOf(volunteer).size; room > 0; room--) {
      const unit = this.#next(volunteer)
      if (unit === undefined) return
      this.#grant(unit, volunteer)
    }
    this.#asking.delete(volunteer)
  }

  #next(volunteer: Volunteer): Unit | undefined {
    const at = this.#queue.findIndex(({ hosts }) => !hosts.has(volunteer))
    if (at >= 0) {
      const [unit] = this.#queue.splice(at, 1)
      unit!.unsent--
      return unit
    }
    const unit = this.#units[this.#fresh]
    if (unit === undefined) return undefined
    this.#fresh++
    const row = this.#inRow.get(volunteer) ?? 0
    if (this.#p.isAdaptive && row > TRUSTED_AFTER && this.#p.random.chance(1 - 1 / row)) unit.quorum = 1
    else this.#queueUp(unit, QUORUM - 1)
    return unit
  }

  #queueUp(unit: Unit, count: number): void {
    for (let i = 0; i < count; i++) {
      unit.unsent++
      this.#queue.push(unit)
    }
  }

  #want(unit: Unit, count: number): void {
    this.#queueUp(unit, count)
    if (count > 0) for (const volunteer of [...this.#asking]) this.#serve(volunteer)
  }

  #grant(unit: Unit, host: Volunteer): void {
    const { timeline } = this.#p
    const instance: Instance = { unit: unit.unit, from: 0, host, stay: host.stay, grantedAt: timeline.now }
    unit.hosts.add(host)
    unit.out++
    this.granted++
    if (!host.isHonest) this.grantedToLiars++
    this.#leasesOf(host).add(instance)
    timeline.after(ONE_WAY_MS, () => host.granted(instance, instance.stay))
  }

  #lost(instance: Instance): void {
    if (!this.#leasesOf(instance.host).delete(instance)) return
    const unit = this.#units[instance.unit]!
    unit.out--
    this.#inRow.set(instance.host, 0)
    if (!unit.isOver) this.#review(unit)
  }

  #review(unit: Unit): void {
    const answer = unit.votes.find(
      ({ answer }) => unit.votes.filter((other) => other.answer === answer).length >= unit.quorum,
    )?.answer
    if (answer !== undefined || unit.votes.length >= INSTANCES_MAX) {
      unit.isOver = true
      unit.accepted = answer
      if (answer === undefined) this.givenUp++
      else this.decided++
      this.#queue = unit.unsent > 0 ? this.#queue.filter((other) => other !== unit) : this.#queue
      for (const { host, answer } of unit.votes) this.#judgeHost(unit, host, answer)
      return
    }
    const most = Math.max(
      ...unit.votes.map((vote) => unit.votes.filter(({ answer }) => answer === vote.answer).length),
      0,
    )
    this.#want(unit, unit.quorum - most - unit.out - unit.unsent)
  }

  #judgeHost(unit: Unit, host: Volunteer, answer: number): void {
    if (answer !== unit.accepted) this.#inRow.set(host, 0)
    else if (unit.votes.length >= QUORUM) this.#inRow.set(host, (this.#inRow.get(host) ?? 0) + 1)
  }

  #sweep(): void {
    const { timeline } = this.#p
    timeline.after(SWEEP_MS, () => {
      const bound = this.#durations.delayBound(0)
      for (const leases of this.#leases.values()) {
        for (const instance of leases) {
          if (timeline.now - instance.grantedAt <= bound) continue
          this.#lost(instance)
          instance.host.withdrawn(instance.unit, 0, instance.stay)
        }
      }
      this.#sweep()
    })
  }

  accepted(unit: number): Accepted {
    return this.#units[unit]!.accepted
  }

  check(): void {
    for (const { out, unsent } of this.#units) if (out < 0 || unsent < 0) throw new Error('instances are counted once')
  }
}
