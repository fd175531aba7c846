import type { Policy as SpecPolicy } from '../../proto/model.js'
import { SeededRandom } from '../simulation/world/random.js'
import { Answers } from './answers.js'
import { Boinc } from './boinc.js'
import type { Dispatch } from './dispatch.js'
import { Judge } from './judge.js'
import { Owners, type OwnersParts } from './owners.js'
import {
  AWAY_MS,
  type Measures,
  RIGHT,
  type Scene,
  SPEED_SIGMA,
  STAY_MS,
  TIMED_SHARE,
  UNIT_MS,
  UNIT_SIGMA,
  YOUNGER_SHARE,
} from './scene.js'
import { Timeline } from './timeline.js'
import { type Kind, lognormal, Volunteer } from './volunteer.js'

/** How a grid hands out and judges: our owners with quorum 2 and with `confidence:0.999`, and two rules of others to compare with. */
export type Policy = 'ours' | 'confidence' | 'quorum 2' | 'adaptive'
export const POLICIES: readonly Policy[] = ['ours', 'confidence', 'quorum 2', 'adaptive']

const QUORUM: SpecPolicy = { type: 'quorum', quorum: 2 }
const CONFIDENCE: SpecPolicy = { type: 'confidence', errorPpm: 1_000 }

/** A run ends after this many ideal times, whatever is left. */
const GIVE_UP_FACTOR = 10
/** Whether units are given up is asked once for so many actions: it takes a look at each unit. */
const GIVEN_UP_EVERY = 4_096
/** A liar that was put out is back after this. */
const RETURN_MS = 1_000
/** Everybody has joined after this. */
const JOIN_MS = 5_000

interface RunOptions {
  readonly policy: Policy
  readonly scene: Scene
  readonly seed: number
  readonly units: number
  readonly keys: number
  /** Owners of a shard. */
  readonly owners: number
}

/** Runs one job. The same seed gives every policy the same units, machines and comings. */
export function run(options: RunOptions): Measures {
  return new Run(options).run()
}

class Run {
  readonly #o: RunOptions
  readonly #random: SeededRandom
  readonly #timeline = new Timeline()
  readonly #unitMs: readonly number[]
  readonly #answers: Answers
  readonly #dispatch: Dispatch
  #judge: Judge | undefined
  readonly #volunteers: Volunteer[] = []
  readonly #idealMs: number
  /** When, and with what time spent by the honest, 99 % of the units were decided. */
  #timed: { readonly atMs: number; readonly onlineMs: number; readonly busyMs: number } | undefined

  constructor(options: RunOptions) {
    this.#o = options
    const { scene, seed, units, keys } = options
    this.#random = new SeededRandom(`trust ${seed}`)
    const sizes = this.#random.split('units')
    this.#unitMs = Array.from({ length: units }, () => lognormal(sizes, UNIT_MS, UNIT_SIGMA))
    this.#answers = new Answers(scene, units, this.#random)
    this.#dispatch = this.#makeDispatch()
    const liars = Math.round(keys * scene.liars)
    for (let i = 0; i < keys; i++) this.#add(`key ${i}`, i < liars ? 'liar' : 'honest', undefined)
    const speed = this.#honest().reduce((sum, volunteer) => sum + volunteer.speed, 0)
    const total = this.#unitMs.reduce((sum, ms) => sum + ms, 0)
    this.#idealMs = total / ((speed * STAY_MS) / (STAY_MS + AWAY_MS))
  }

  #makeDispatch(): Dispatch {
    const { policy, units, owners } = this.#o
    const parts = { timeline: this.#timeline, random: this.#random.split('dispatch'), units }
    if (policy === 'ours') return this.#makeOwners({ ...parts, owners, policy: QUORUM })
    if (policy === 'confidence') return this.#makeOwners({ ...parts, owners, policy: CONFIDENCE })
    return new Boinc({ ...parts, isAdaptive: policy === 'adaptive' })
  }

  #makeOwners(parts: Pick<OwnersParts, 'timeline' | 'random' | 'units' | 'owners' | 'policy'>): Owners {
    const { forgedVotes = 0, audit } = this.#o.scene
    const bench = new Owners({ ...parts, forgedVotes, convicted: (volunteer) => this.#convicted(volunteer) })
    if (audit !== undefined) {
      const random = this.#random.split('judge')
      this.#judge = new Judge({ timeline: this.#timeline, random, shares: audit, unitMs: this.#unitMs, bench })
    }
    return bench
  }

  /** A liar that is out may come back under another name. */
  #convicted(volunteer: Volunteer): void {
    if (volunteer.isHonest || !this.#o.scene.returns) return
    volunteer.putOut()
    this.#timeline.after(RETURN_MS, () => this.#add(`again ${this.#volunteers.length}`, 'liar', true).join())
  }

  #add(name: string, kind: Kind, isYounger: boolean | undefined): Volunteer {
    const { scene } = this.#o
    const random = this.#random.split(name)
    const isLiar = kind === 'liar'
    const volunteer = new Volunteer({
      timeline: this.#timeline,
      random,
      name,
      kind,
      speed: lognormal(random.split('speed'), 1, SPEED_SIGMA),
      isYounger: isYounger ?? (!isLiar && random.split('age').chance(YOUNGER_SHARE)),
      unitMs: this.#unitMs,
      answerMs: isLiar ? scene.answerMs : undefined,
      isSilent: isLiar && scene.conduct === 'hoarder',
      answers: this.#answers,
      dispatch: this.#dispatch,
    })
    this.#volunteers.push(volunteer)
    return volunteer
  }

  #honest(): Volunteer[] {
    return this.#volunteers.filter(({ isHonest }) => isHonest)
  }

  run(): Measures {
    const { scene, units, keys } = this.#o
    const timeline = this.#timeline
    const arrivals = this.#random.split('arrivals')
    for (const volunteer of this.#volunteers) timeline.at(arrivals.next() * JOIN_MS, () => volunteer.join())
    const { flood } = scene
    if (flood !== undefined)
      timeline.at(flood.at * this.#idealMs, () => {
        for (let i = 0; i < keys; i++) this.#add(`flood ${i}`, 'liar', !flood.known).join()
      })
    let actions = 0
    timeline.run(GIVE_UP_FACTOR * this.#idealMs, () => {
      const { decided } = this.#dispatch
      if (decided < TIMED_SHARE * units) this.#timed = undefined
      else this.#timed ??= this.#spent()
      if (this.#judge !== undefined) return this.#judge.isDone
      if (decided === units) return true
      return ++actions % GIVEN_UP_EVERY === 0 && decided + this.#dispatch.givenUp === units
    })
    this.#dispatch.check()
    return this.#measure()
  }

  #spent(): { readonly atMs: number; readonly onlineMs: number; readonly busyMs: number } {
    let onlineMs = 0
    let busyMs = 0
    for (const { spentMs } of this.#honest()) {
      onlineMs += spentMs.online
      busyMs += spentMs.busy
    }
    return { atMs: this.#timeline.now, onlineMs, busyMs }
  }

  #measure(): Measures {
    const { units } = this.#o
    const dispatch = this.#dispatch
    const { atMs, onlineMs, busyMs } = this.#timed ?? this.#spent()
    let wrong = 0
    let open = 0
    for (let unit = 0; unit < units; unit++) {
      const answer = dispatch.accepted(unit)
      if (answer === undefined) open++
      else if (answer !== RIGHT) wrong++
    }
    return {
      units,
      wrong,
      disputed: dispatch.givenUp,
      undecided: open - dispatch.givenUp,
      redundancy: dispatch.granted / units,
      time: atMs / this.#idealMs,
      captured: dispatch.grantedToLiars / Math.max(1, dispatch.granted),
      putOut: dispatch instanceof Owners ? dispatch.honestOut : 0,
      replayed: (this.#judge?.replayed ?? 0) / units,
      idle: 1 - busyMs / onlineMs,
    }
  }
}
