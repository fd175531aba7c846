import type { SeededRandom } from '../simulation/world/random.js'
import { LONE, RIGHT, RING, type Scene } from './scene.js'
import type { Volunteer } from './volunteer.js'

/** Members of a careful ring that must have a unit before one of them lies about it. */
const CAREFUL_FRIENDS = 2

/** What volunteers say of units, and what the ring knows of its own. */
export class Answers {
  readonly #scene: Scene
  readonly #random: SeededRandom
  /** Units that the ring lies about, where it does not lie about all. */
  readonly #dice: readonly number[]
  /** Liars that have a unit in hand or lied about it, and for a ring that remembers, all that were ever given it. */
  readonly #friends = new Map<number, Set<Volunteer>>()
  /** Units that one of them told the truth of. */
  readonly #truths = new Set<number>()
  #lone = LONE

  constructor(scene: Scene, units: number, random: SeededRandom) {
    this.#scene = scene
    this.#random = random.split('mischance')
    const dice = random.split('lies')
    this.#dice = Array.from({ length: units }, () => dice.next())
  }

  granted(volunteer: Volunteer, unit: number): void {
    if (volunteer.isHonest) return
    const friends = this.#friends.get(unit)
    if (friends === undefined) this.#friends.set(unit, new Set([volunteer]))
    else friends.add(volunteer)
  }

  /** It has lost the unit without an answer. */
  lost(volunteer: Volunteer, unit: number): void {
    if (this.#scene.conduct !== 'mindful') this.#friends.get(unit)?.delete(volunteer)
  }

  answer(volunteer: Volunteer, unit: number): number {
    const { honestErrors, honestAnswers = 0, lieShare = 1, conduct } = this.#scene
    if (volunteer.isHonest) return this.#random.chance(honestErrors) ? this.#lone++ : RIGHT
    if (conduct === 'lone') return this.#lone++
    const isCareful = conduct === 'careful' || conduct === 'mindful'
    const lies =
      volunteer.answered >= honestAnswers &&
      this.#dice[unit]! < lieShare &&
      (!isCareful || (!this.#truths.has(unit) && this.#friends.get(unit)!.size >= CAREFUL_FRIENDS))
    if (lies) return RING
    this.#truths.add(unit)
    return RIGHT
  }
}
