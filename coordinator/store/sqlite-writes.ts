import type { Digest, JobId } from '../../proto/model.js'
import { packOutputs, unpackOutputs } from './output-pack.js'
import type { SqlitePlaces } from './sqlite-places.js'
import type { SqliteStatements } from './sqlite-statements.js'
import { KEYS_SEEN_MAX, type Write } from './store.js'

type OutputsWrite = Extract<Write, { type: 'fact' | 'smallOutputs' }>

/** Turns each {@link Write} into rows. What is dropped in large numbers becomes garbage, for `SqliteStore` to sweep. */
export class SqliteWrites {
  readonly #sql: SqliteStatements
  readonly #places: SqlitePlaces
  #nextPlace: number
  #keysSeen: number

  constructor(sql: SqliteStatements, places: SqlitePlaces) {
    this.#sql = sql
    this.#places = places
    this.#nextPlace = (sql.lastPlace.all([]) as [number][])[0]![0] + 1
    this.#keysSeen = this.#countKeys()
  }

  /** After a rollback: counts again what the transaction had counted. */
  reset(): void {
    this.#keysSeen = this.#countKeys()
  }

  /** To be called within a transaction; one that fails is to be rolled back, and then {@link reset}. */
  apply(write: Write): void {
    const sql = this.#sql
    switch (write.type) {
      case 'spec': {
        const { bytes, signature } = write.spec
        const home = write.role === 'home' ? 1 : 0
        sql.addJob.run([fromHex(write.jobId), home, 1 - home, bytes, signature, write.receivedAtMs])
        return
      }
      case 'order':
        sql.addOrder.run([write.seq, write.order.bytes, write.order.signature, fromHex(write.jobId)])
        return
      case 'dropOrder':
        sql.dropOrder.run([fromHex(write.jobId), write.seq, write.order.signature])
        return
      case 'shard':
        if (this.#places.find(write.jobId, write.shard)) return
        if (sql.addShard.run([this.#nextPlace, write.shard, write.activatedAtMs, fromHex(write.jobId)]).changes > 0)
          this.#nextPlace++
        return
      case 'fact':
      case 'smallOutputs':
        this.#applyFact(write)
        return
      case 'output': {
        const place = this.#places.find(write.jobId, write.shard)
        if (place) sql.addLargeOutput.run([place.number, write.unit, fromHex(write.digest), write.size])
        return
      }
      case 'dropFacts':
        this.#dropFacts(write.jobId, write.shard, write.factIds)
        return
      case 'dropOutputs':
        this.#dropOutputs(write.jobId, write.shard)
        return
      case 'dropShard':
        this.#dropShard(write.jobId, write.shard)
        return
      case 'dropRole': {
        const isHome = write.role === 'home'
        sql.dropRole.run([fromHex(write.jobId), isHome ? 0 : 1, isHome ? 1 : 0])
        return
      }
      case 'dropJob':
        this.#dropJob(write.jobId)
        return
      case 'keySeen':
        if (sql.ageKey.run([write.atMs, fromHex(write.key)]).changes > 0 || this.#keysSeen >= KEYS_SEEN_MAX) return
        sql.addKey.run([fromHex(write.key), write.atMs])
        this.#keysSeen++
        return
      case 'meta':
        if (write.value.length > 0) sql.setMeta.run([write.name, write.value])
        else sql.dropMeta.run([write.name])
        return
      default:
        write satisfies never
    }
  }

  #applyFact(write: OutputsWrite): void {
    const place = this.#places.find(write.jobId, write.shard)
    if (!place) return
    const number = place.number
    const factId = fromHex(write.factId)
    let row = place.lastFact + 1
    const added = write.type === 'fact' && this.#sql.addFact.run([row, number, factId, write.fact]).changes > 0
    if (added) place.lastFact = row
    if (write.outputs.length === 0) return
    let outputs = write.outputs
    if (!added) {
      const [known] = this.#sql.factRow.all([number, factId]) as [number][]
      if (!known) return
      row = known[0]
      const stored = new Set<number>()
      for (const [packed] of this.#sql.outputs.all([number, factId, place.outputsDropped]) as [Buffer][]) {
        unpackOutputs(packed, (unit) => stored.add(unit))
      }
      outputs = outputs.filter(({ unit }) => !stored.has(unit))
      if (outputs.length === 0) return
    }
    this.#sql.addOutputs.run([++place.lastOutput, row, packOutputs(outputs)])
  }

  #dropFacts(jobId: JobId, shard: number, factIds: readonly Digest[]): void {
    const place = this.#places.find(jobId, shard)
    if (!place) return
    for (const factId of factIds) {
      const [known] = this.#sql.factRow.all([place.number, fromHex(factId)]) as [number][]
      if (!known) continue
      this.#sql.dropOutputsOf.run([known[0]])
      this.#sql.dropFact.run([known[0]])
    }
  }

  #dropOutputs(jobId: JobId, shard: number): void {
    const place = this.#places.find(jobId, shard)
    if (!place) return
    const number = place.number
    this.#sql.dropLargeOutputs.run([number])
    this.#sql.addGarbage.run(['outputs', place.outputsDropped + 1, place.lastOutput])
    this.#sql.setOutputsDropped.run([place.lastOutput, number])
    place.outputsDropped = place.lastOutput
  }

  #dropJob(jobId: JobId): void {
    const id = fromHex(jobId)
    for (const [shard] of this.#sql.shards.all([id]) as [number, number][]) this.#dropContent(jobId, shard)
    this.#sql.dropShards.run([id])
    this.#sql.dropOrders.run([id])
    this.#sql.dropJob.run([id])
  }

  #dropShard(jobId: JobId, shard: number): void {
    if (!this.#places.find(jobId, shard)) return
    this.#dropContent(jobId, shard)
    this.#sql.dropShard.run([fromHex(jobId), shard])
  }

  /** Facts and outputs of a shard become garbage. */
  #dropContent(jobId: JobId, shard: number): void {
    const { number, base, lastFact, lastOutput } = this.#places.find(jobId, shard)!
    this.#sql.dropLargeOutputs.run([number])
    this.#sql.addGarbage.run(['facts', base, lastFact])
    this.#sql.addGarbage.run(['outputs', base, lastOutput])
    this.#places.forget(jobId, shard)
  }

  #countKeys(): number {
    return (this.#sql.countKeys.all([]) as [number][])[0]![0]
  }
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}
