import { Credibility, type Weights } from '../../job/credibility.js'
import type { VerdictRules, Vote } from '../../job/verdict.js'
import type { PublicKey } from '../../proto/model.js'
import type { UnitRecord } from './shard.js'

/** Of the units that the word of one donor would decide, so many are asked of a second one. Source: Sarmenta (2002), q = 0.05. */
export const SPOT_CHECKED_SHARE = 0.05

/**
 * What the donors of a shard are worth to its owner, under `confidence:P`, and which units that bears on. A donor's weight is in
 * bits, so that it changes some twenty times in a shard, not with every vote; only then its units are looked at again.
 */
export class Believed {
  readonly #credibility = new Credibility()
  readonly #units = new Map<PublicKey, Set<UnitRecord>>()
  readonly #swayed = new Set<UnitRecord>()

  get weights(): Weights {
    return this.#credibility
  }

  /** New votes on a unit, which is judged anew by whoever brings them. */
  heard(record: UnitRecord, votes: readonly Vote[], rules: VerdictRules): void {
    for (const { donor } of votes) {
      const units = this.#units.get(donor)
      if (units === undefined) this.#units.set(donor, new Set([record]))
      else units.add(record)
    }
    for (const donor of this.#credibility.update(record.unit, record.votes, rules))
      for (const other of this.#units.get(donor) ?? []) if (other !== record) this.#swayed.add(other)
  }

  /** Units with votes of donors whose weight has changed, each once. */
  *swayed(): Generator<UnitRecord> {
    for (const record of this.#swayed) {
      this.#swayed.delete(record)
      yield record
    }
  }

  /** Adds up anew after rulings changed which votes count. */
  weighAgain(records: Iterable<UnitRecord>, rules: VerdictRules): void {
    for (const record of records) this.#credibility.update(record.unit, record.votes, rules)
    this.#swayed.clear()
  }
}
