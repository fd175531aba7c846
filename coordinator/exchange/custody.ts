import type { Digest, NodeId, PublicKey } from '../../proto/model.js'

/** A fact that fewer owners than wanted are known to have on disk. */
interface ThinFact {
  readonly factId: Digest
  readonly worker: PublicKey
  readonly units: ReadonlySet<number>
  readonly holders: Set<NodeId>
}

/** What a sync that begins now will have passed on when it ends well. */
export interface CustodySnapshot {
  readonly facts: readonly Digest[]
  readonly outputs: readonly number[]
}

/**
 * What of one shard is on too few disks to tell its producers that they may drop their copies. Grows with the facts of the
 * shard on disk, and is empty while all is well.
 */
export class Custody {
  readonly #self: NodeId
  readonly #thin = new Map<Digest, ThinFact>()
  readonly #byWorker = new Map<PublicKey, Set<ThinFact>>()
  /** Large outputs kept here, by unit, and who else has them. */
  readonly #outputs = new Map<number, Set<NodeId>>()
  /** Owners met since the shard was read back from disk; undefined: enough of them, or it was new. */
  #met: Set<NodeId> | undefined

  /** `restored`: read back from disk, so that nobody remembers who else has what. */
  constructor(self: NodeId, restored: boolean) {
    this.#self = self
    this.#met = restored ? new Set([self]) : undefined
  }

  /** Whether the producer of an answer may drop it: the fact with it, and its bytes, are on enough disks. */
  isSafe(worker: PublicKey, unit: number): boolean {
    if (this.#met !== undefined || this.#outputs.has(unit)) return false
    for (const { units } of this.#byWorker.get(worker) ?? []) if (units.has(unit)) return false
    return true
  }

  /** The fact is on these disks, too few. */
  factThin(factId: Digest, worker: PublicKey, units: readonly number[], holders: readonly NodeId[]): void {
    const known = this.#thin.get(factId)
    if (known !== undefined) {
      for (const holder of holders) known.holders.add(holder)
      return
    }
    const fact: ThinFact = { factId, worker, units: new Set(units), holders: new Set(holders) }
    this.#thin.set(factId, fact)
    const facts = this.#byWorker.get(worker)
    if (facts === undefined) this.#byWorker.set(worker, new Set([fact]))
    else facts.add(fact)
  }

  /** One more owner has the fact. Returns the units that this makes safe. */
  factHeld(factId: Digest, holder: NodeId, wanted: number): readonly number[] {
    const fact = this.#thin.get(factId)
    if (fact === undefined) return []
    fact.holders.add(holder)
    return fact.holders.size >= wanted ? this.#release(fact) : []
  }

  /** The fact is deleted: nobody needs it. */
  factDropped(factId: Digest): void {
    const fact = this.#thin.get(factId)
    if (fact !== undefined) this.#release(fact)
  }

  /** Bytes of a large output are here. */
  outputThin(unit: number): void {
    if (!this.#outputs.has(unit)) this.#outputs.set(unit, new Set([this.#self]))
  }

  /** One more owner has the bytes. Returns the unit if that makes it safe. */
  outputHeld(unit: number, holder: NodeId, wanted: number): readonly number[] {
    const holders = this.#outputs.get(unit)
    if (holders === undefined) return []
    holders.add(holder)
    if (holders.size < wanted) return []
    this.#outputs.delete(unit)
    return [unit]
  }

  /** Units whose bytes are on too few disks. */
  get thinOutputs(): Iterable<number> {
    return this.#outputs.keys()
  }

  snapshot(): CustodySnapshot {
    return { facts: [...this.#thin.keys()], outputs: [...this.#outputs.keys()] }
  }

  /**
   * An owner has all facts that were here when `snapshot` was taken. Returns the units that this makes safe; 'all' when
   * that may be any.
   */
  met(holder: NodeId, { facts }: CustodySnapshot, wanted: number): readonly number[] | 'all' {
    const released = facts.flatMap((factId) => [...this.factHeld(factId, holder, wanted)])
    this.#met?.add(holder)
    return this.#settleMet(wanted) ? 'all' : released
  }

  /** Fewer holders are wanted than before. Returns the units that this makes safe; 'all' when that may be any. */
  review(wanted: number): readonly number[] | 'all' {
    const released: number[] = []
    for (const fact of [...this.#thin.values()]) if (fact.holders.size >= wanted) released.push(...this.#release(fact))
    for (const [unit, holders] of [...this.#outputs]) {
      if (holders.size < wanted) continue
      this.#outputs.delete(unit)
      released.push(unit)
    }
    return this.#settleMet(wanted) ? 'all' : released
  }

  #settleMet(wanted: number): boolean {
    if (this.#met === undefined || this.#met.size < wanted) return false
    this.#met = undefined
    return true
  }

  #release(fact: ThinFact): readonly number[] {
    this.#thin.delete(fact.factId)
    const facts = this.#byWorker.get(fact.worker)
    facts?.delete(fact)
    if (facts?.size === 0) this.#byWorker.delete(fact.worker)
    return [...fact.units]
  }
}
