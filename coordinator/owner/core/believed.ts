import type { Vote } from '../../../job/facts/votes.js'
import { Credibility, type Weights } from '../../../job/verdict/credibility.js'
import type { VerdictRules } from '../../../job/verdict/rules.js'
import type { PublicKey } from '../../../proto/model.js'

/** Of the units that the word of one donor would decide, so many are asked of a second one. Source: Sarmenta (2002), q = 0.05. */
export const SPOT_CHECKED_SHARE = 0.05

/** What {@link Believed} looks at in a unit. */
interface VotedUnit {
  readonly unit: number
  readonly votes: readonly Vote[]
}

/**
 * What the donors of a shard are worth to its owner, under `confidence:P`, and which units that bears on. A donor's weight is in
 * bits, so that it changes some twenty times in a shard, not with every vote; only then its units are looked at again.
 */
export class Believed<Unit extends VotedUnit> {
  readonly #credibility = new Credibility()
  readonly #units = new Map<PublicKey, Set<Unit>>()
  readonly #swayed = new Set<Unit>()

  get weights(): Weights {
    return this.#credibility
  }

  /** New votes on a unit, which is judged anew by whoever brings them. */
  heard(record: Unit, votes: readonly Vote[], rules: VerdictRules): void {
    for (const { donor } of votes) {
      const units = this.#units.get(donor)
      if (units === undefined) this.#units.set(donor, new Set([record]))
      else units.add(record)
    }
    for (const donor of this.#credibility.update(record.unit, record.votes, rules))
      for (const other of this.#units.get(donor) ?? []) if (other !== record) this.#swayed.add(other)
  }

  /** Units with votes of donors whose weight has changed, each once. */
  *swayed(): Generator<Unit> {
    for (const record of this.#swayed) {
      this.#swayed.delete(record)
      yield record
    }
  }

  /** Adds up anew after rulings changed which votes count. */
  weighAgain(records: Iterable<Unit>, rules: VerdictRules): void {
    for (const record of records) this.#credibility.update(record.unit, record.votes, rules)
    this.#swayed.clear()
  }
}
