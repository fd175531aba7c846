import type { NodeId } from '../../proto/model.js'
import { isDeterministic } from '../facts/digest.js'
import { isSameAnswer, type RuledAnswer } from '../facts/rulings.js'
import type { Vote } from '../facts/votes.js'

/** Units that a stranger has answered for and that were right, after which it is not tried any more. */
const UNITS_EACH = 4
/** Such units of a job in all: so many, or this share of it if it is more. */
const UNITS_MIN = 64
const UNITS_SHARE = 0.01
/** Strangers remembered of one look: anybody can make up any number, and no round tries so many. */
const STRANGERS_MAX = 4_096

/** Draws, as `Random` of the runtime makes them. */
export interface Chance {
  /** Uniform in [0, 1); nobody else may be able to foretell it. */
  next(): number
}

/** A unit by which strangers may be tried. */
interface Candidate {
  readonly unit: number
  readonly strangers: readonly NodeId[]
  readonly draw: number
}

/**
 * Units of a job that lean on owners whom nobody can find, and which of these are computed again to try them: a few of each
 * stranger, drawn at random at each look. Memory: a bit a unit, and {@link UNITS_EACH} units for each of as many strangers as
 * are remembered.
 */
export class LeaningUnits {
  readonly #random: Chance
  readonly #leaning: Uint8Array
  #units = 0
  /** Of each stranger the units with the lowest draws, ascending. */
  readonly #candidates = new Map<NodeId, Candidate[]>()
  readonly #tried = new Map<NodeId, { right: number; wrong: number }>()
  #left: number

  /** `unitEnd`: above every unit of the job; `units`: those selected. */
  constructor(unitEnd: number, units: number, random: Chance) {
    this.#random = random
    this.#leaning = new Uint8Array(Math.ceil(unitEnd / 8))
    this.#left = Math.max(UNITS_MIN, Math.ceil(units * UNITS_SHARE))
  }

  /** All units are about to be looked at, anew: {@link lean} tells of each that leans on strangers. */
  clear(): void {
    this.#leaning.fill(0)
    this.#units = 0
    this.#candidates.clear()
  }

  /** Without the grants of these the unit would be seen otherwise. One or more. */
  lean(unit: number, strangers: readonly NodeId[]): void {
    if (this.#isLeaning(unit)) return
    this.#flip(unit)
    this.#units++
    const candidate = { unit, strangers, draw: this.#random.next() }
    for (const nodeId of strangers) {
      const own = this.#candidates.get(nodeId) ?? []
      if (own.length === 0) this.#candidates.set(nodeId, own)
      const place = own.findLastIndex(({ draw }) => draw < candidate.draw) + 1
      if (place >= UNITS_EACH) continue
      own.splice(place, 0, candidate)
      if (own.length > UNITS_EACH) own.pop()
    }
    if (this.#candidates.size > 2 * STRANGERS_MAX) this.#forgetSome()
  }

  /** Units that lean on strangers and were not computed, and how many strangers that are. */
  get leaning(): { readonly units: number; readonly strangers: number } {
    return { units: this.#units, strangers: this.#units === 0 ? 0 : this.#candidates.size }
  }

  /** Units that are to be computed to try strangers, those drawn lowest first. */
  due(): readonly Pick<Candidate, 'unit' | 'strangers'>[] {
    const candidates = new Set([...this.#candidates.values()].flat())
    const planned = new Map<NodeId, number>()
    const isTried = (nodeId: NodeId) => (this.#tried.get(nodeId)?.right ?? 0) + (planned.get(nodeId) ?? 0) >= UNITS_EACH
    const due: Candidate[] = []
    for (const candidate of [...candidates].sort((a, b) => a.draw - b.draw)) {
      if (due.length >= this.#left) break
      const { unit, strangers } = candidate
      if (!this.#isLeaning(unit) || strangers.every(isTried)) continue
      for (const nodeId of strangers) planned.set(nodeId, (planned.get(nodeId) ?? 0) + 1)
      due.push(candidate)
    }
    return due
  }

  /** A unit was computed, for whatever reason: it leans on nobody any more. */
  computed(unit: number): void {
    if (!this.#isLeaning(unit)) return
    this.#flip(unit)
    this.#units--
  }

  /**
   * What a unit of {@link due} came to: which of its strangers are out by that, ascending. One is when most of its units that
   * were computed are false, or two: one mistake among others may be that of a worker.
   */
  tried(strangers: readonly NodeId[], answer: RuledAnswer, votes: readonly Vote[]): readonly NodeId[] {
    const out: NodeId[] = []
    let isWrong = false
    for (const nodeId of strangers) {
      const own = votes.filter(({ grantor, outcome }) => grantor === nodeId && isDeterministic(outcome))
      if (own.length === 0) continue
      const known = this.#tried.get(nodeId) ?? { right: 0, wrong: 0 }
      this.#tried.set(nodeId, known)
      if (own.every((vote) => isSameAnswer(answer, vote))) known.right++
      else {
        known.wrong++
        isWrong = true
        if (known.wrong > known.right || known.wrong > 1) out.push(nodeId)
      }
    }
    if (strangers.length > 0 && !isWrong) this.#left--
    return out.sort()
  }

  #isLeaning(unit: number): boolean {
    return (this.#leaning[unit >> 3]! & (1 << (unit & 7))) !== 0
  }

  #flip(unit: number): void {
    this.#leaning[unit >> 3]! ^= 1 << (unit & 7)
  }

  /** Those stay whose draws are lowest, so that nobody crowds others out by being looked at first. */
  #forgetSome(): void {
    const byDraw = [...this.#candidates].sort(([, [a]], [, [b]]) => a!.draw - b!.draw)
    for (const [nodeId] of byDraw.slice(STRANGERS_MAX)) this.#candidates.delete(nodeId)
  }
}
