import type { JobId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { Capacity } from '../../worker/core/capacity.js'
import type { SeededRandom } from '../simulation/world/random.js'
import type { Answers } from './answers.js'
import type { Dispatch } from './dispatch.js'
import { AWAY_MS, NOISE_SIGMA, STAY_MS } from './scene.js'
import type { Timeline } from './timeline.js'

/** Instances that liars who answer at once, or never, ask for: what would last an honest thread for two seconds. */
const GREEDY_INSTANCES = 64
/** A run has one job. */
const THE_JOB = '00'.repeat(32) as JobId
/** Time between signs of life. */
const BEAT_MS: Millis = 5_000

export type Kind = 'honest' | 'liar'

/** One granted instance in a volunteer's hands. */
export interface Held {
  readonly unit: number
  /** Where it came from: the number of an owner. */
  readonly from: number
}

/** What a volunteer is made of. */
export interface VolunteerParts {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly name: string
  readonly kind: Kind
  /** Against a machine that takes {@link UNIT_MS} for a unit on average. */
  readonly speed: number
  /** First seen by owners after the job was made. */
  readonly isYounger: boolean
  /** Time of each unit on a machine of speed 1, ms. */
  readonly unitMs: readonly Millis[]
  /** Answers in this time whatever the unit, ms; undefined: as long as the work takes. */
  readonly answerMs: Millis | undefined
  /** Never answers. */
  readonly isSilent: boolean
  readonly answers: Answers
  readonly dispatch: Dispatch
}

/**
 * A machine of one thread with one key: it computes what it is granted in that order, asks for as much as the worker's core
 * would, leaves now and then without a word, and comes back.
 */
export class Volunteer {
  readonly #p: VolunteerParts
  readonly #capacity = new Capacity(1)
  readonly #noise: SeededRandom
  /** Being computed, then waiting. */
  readonly hand: Held[] = []
  isHere = false
  /** Rises whenever it leaves. */
  stay = 0
  /** Put out: leaves for good. */
  isOut = false
  /** Answers given so far. */
  answered = 0
  #busyMs = 0
  #startedAt: Millis = 0
  #onlineMs = 0
  #joinedAt: Millis = 0

  constructor(parts: VolunteerParts) {
    this.#p = parts
    this.#noise = parts.random.split('noise')
  }

  get name(): string {
    return this.#p.name
  }

  get isHonest(): boolean {
    return this.#p.kind === 'honest'
  }

  get isYounger(): boolean {
    return this.#p.isYounger
  }

  get speed(): number {
    return this.#p.speed
  }

  /** Instances it wants to hold beyond those in hand. */
  get room(): number {
    const { answerMs, isSilent } = this.#p
    const most = isSilent || answerMs !== undefined ? GREEDY_INSTANCES : this.#capacity.of(THE_JOB)
    return Math.max(0, most - this.hand.length)
  }

  /** Time here and time computing until now. */
  get spentMs(): { readonly online: Millis; readonly busy: Millis } {
    const { now } = this.#p.timeline
    const running = this.hand.length > 0 && !this.#p.isSilent ? now - this.#startedAt : 0
    return { online: this.#onlineMs + (this.isHere ? now - this.#joinedAt : 0), busy: this.#busyMs + running }
  }

  join(): void {
    const { timeline, random, dispatch } = this.#p
    if (this.isOut) return
    this.isHere = true
    this.#joinedAt = timeline.now
    const { stay } = this
    dispatch.joined(this)
    timeline.after(random.exponential(STAY_MS), () => {
      if (this.stay === stay) this.#leave()
    })
    this.#beat(stay)
  }

  /** Leaves without a word; what it has in hand is lost. */
  #leave(): void {
    const { timeline, random, dispatch } = this.#p
    this.#stop()
    dispatch.left(this)
    timeline.after(random.exponential(AWAY_MS), () => this.join())
  }

  /** Has been found out: gone for good. */
  putOut(): void {
    if (this.isOut) return
    this.isOut = true
    if (!this.isHere) return
    this.#stop()
    this.#p.dispatch.left(this)
  }

  #stop(): void {
    const { timeline, isSilent } = this.#p
    if (this.hand.length > 0 && !isSilent) this.#busyMs += timeline.now - this.#startedAt
    this.isHere = false
    this.stay++
    this.#onlineMs += timeline.now - this.#joinedAt
    for (const { unit } of this.hand) this.#p.answers.lost(this, unit)
    this.hand.length = 0
  }

  /** It was granted an instance during stay `stay`. Returns whether it is there to take it. */
  granted(held: Held, stay: number): boolean {
    if (this.stay !== stay) return false
    this.#p.answers.granted(this, held.unit)
    this.#capacity.granted(THE_JOB)
    this.hand.push(held)
    if (this.hand.length === 1) this.#start()
    return true
  }

  /** The grid does not want the instance any more. Returns whether it was in hand. */
  withdrawn(unit: number, from: number, stay: number): boolean {
    if (this.stay !== stay) return false
    const at = this.hand.findIndex((held) => held.unit === unit && held.from === from)
    if (at < 0) return false
    if (at === 0 && !this.#p.isSilent) this.#busyMs += this.#p.timeline.now - this.#startedAt
    this.#p.answers.lost(this, unit)
    this.hand.splice(at, 1)
    if (at === 0) this.#start()
    return true
  }

  #start(): void {
    const held = this.hand[0]
    const { timeline, answerMs, unitMs, speed, isSilent, dispatch } = this.#p
    if (held === undefined || isSilent) return
    this.#startedAt = timeline.now
    const { stay } = this
    const duration = answerMs ?? (unitMs[held.unit]! * lognormal(this.#noise, 1, NOISE_SIGMA)) / speed
    timeline.after(duration, () => {
      if (this.stay !== stay || this.hand[0] !== held) return
      this.hand.shift()
      this.#busyMs += duration
      this.#capacity.measured(THE_JOB, 1, duration)
      dispatch.reported(this, held, this.#p.answers.answer(this, held.unit), duration)
      this.answered++
      this.#start()
      dispatch.wants(this)
    })
  }

  #beat(stay: number): void {
    this.#p.timeline.after(BEAT_MS, () => {
      if (this.stay !== stay) return
      this.#p.dispatch.beat(this, this.#p.isSilent ? undefined : this.hand[0])
      this.#beat(stay)
    })
  }
}

/** Lognormal with this mean. */
export function lognormal(random: SeededRandom, mean: number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  return mean * Math.exp(sigma * normal - (sigma * sigma) / 2)
}
