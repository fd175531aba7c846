import type { Digest, JobId, PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { toHex } from '../../runtime/hex.js'
import { packOutputs, unpackOutputs } from './output-pack.js'
import { commitError, openSqlite, type SqliteFile } from './sqlite-file.js'
import { SqliteLog } from './sqlite-log.js'
import { type SqliteStatements, statementsOf } from './sqlite-statements.js'
import {
  type FactOutput,
  KEYS_SEEN_MAX,
  type Store,
  type StoredFact,
  type StoredJob,
  type StoredOrder,
  type StoredOutput,
  type StoredShard,
  type Write,
} from './store.js'

/** Rows of one shard and table; see the schema. */
const PLACE_ROWS = 2 ** 32
/** Rows removed in one transaction, so that dropping a large job does not hold up everything else. */
const SWEEP_ROWS = 256

type OutputsWrite = Extract<Write, { type: 'fact' | 'smallOutputs' }>

interface Place {
  readonly base: number
  lastFact: number
  lastOutput: number
  outputsDropped: number
}

/**
 * The store of a real process: one SQLite file in WAL mode. Statements run on this thread, a group of writes in some tenths
 * of a millisecond, hence {@link GroupCommit} in front and its bounds; the disk is waited for elsewhere ({@link SqliteLog}).
 */
export class SqliteStore implements Store {
  readonly #db: SqliteFile
  readonly #log: SqliteLog
  readonly #sql: SqliteStatements
  /** Shards by job and number; forgotten whenever a group fails, and read again when needed. */
  readonly #places = new Map<string, Place>()
  #nextPlace: number
  #keysSeen: number
  #sweeping: Promise<void> | undefined
  #closed = false

  private constructor(db: SqliteFile, path: string) {
    this.#db = db
    this.#log = new SqliteLog(path)
    this.#sql = statementsOf(db)
    this.#nextPlace = (this.#sql.lastPlace.all([]) as [number][])[0]![0] + 1
    this.#keysSeen = (this.#sql.countKeys.all([]) as [number][])[0]![0]
    this.#sweep()
  }

  /** The store in the file `path`, made when there is none. Throws as `openSqlite` does. */
  static open(path: string): SqliteStore {
    const db = openSqlite(path)
    try {
      const store = new SqliteStore(db, path)
      // What a process wrote and did not sync before it was killed is read from now on: it must be durable, and a checkpoint syncs.
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      return store
    } catch (error) {
      db.close()
      throw commitError(error)
    }
  }

  async commit(writes: readonly Write[]): Promise<void> {
    this.#checkOpen()
    let drops = false
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      for (const write of writes) {
        this.#apply(write)
        if (write.type === 'dropJob' || write.type === 'dropShard' || write.type === 'dropOutputs') drops = true
      }
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#rollback()
      throw commitError(error)
    }
    await this.#log.sync()
    if (drops) this.#sweep()
  }

  async jobs(): Promise<StoredJob[]> {
    const orders = new Map<string, StoredOrder[]>()
    for (const [jobId, seq, bytes, signature] of this.#read<[Buffer, number, Buffer, Buffer]>('orders')) {
      const name = toHex(jobId)
      const list = orders.get(name) ?? []
      orders.set(name, list)
      list.push({ seq, order: { bytes, signature } })
    }
    return this.#read<[Buffer, number, number, Buffer, Buffer, number]>('jobs').map(
      ([id, isHome, isShard, bytes, signature, receivedAtMs]) => {
        const jobId = toHex(id) as JobId
        const roles = new Set([...(isHome ? (['home'] as const) : []), ...(isShard ? (['shard'] as const) : [])])
        return { jobId, roles, spec: { bytes, signature }, orders: orders.get(jobId) ?? [], receivedAtMs }
      },
    )
  }

  async shards(jobId: JobId): Promise<StoredShard[]> {
    return this.#read<[number, number]>('shards', [fromHex(jobId)]).map(([shard, activatedAtMs]) => ({
      shard,
      activatedAtMs,
    }))
  }

  async facts(jobId: JobId, shard: number, after: number, limit: number): Promise<StoredFact[]> {
    const place = this.#place(jobId, shard)
    if (!place) return []
    const { base } = place
    return this.#read<[number, Buffer, Buffer]>('facts', [base + after, base + PLACE_ROWS, limit]).map(
      ([row, id, fact]) => ({
        row: row - base,
        factId: toHex(id) as Digest,
        fact,
      }),
    )
  }

  async factsById(jobId: JobId, shard: number, ids: readonly Digest[]): Promise<StoredFact[]> {
    const place = this.#place(jobId, shard)
    if (!place) return []
    const { base } = place
    const found: StoredFact[] = []
    for (const factId of ids) {
      for (const [row, fact] of this.#read<[number, Buffer]>('factById', [base / PLACE_ROWS, fromHex(factId)]))
        found.push({ row: row - base, factId, fact })
    }
    return found
  }

  async factIds(jobId: JobId, shard: number): Promise<Digest[]> {
    const place = this.#place(jobId, shard)
    if (!place) return []
    const { base } = place
    return this.#read<[Buffer]>('factIds', [base, base + PLACE_ROWS]).map(([id]) => toHex(id) as Digest)
  }

  async outputs(jobId: JobId, shard: number, wanted: readonly FactOutput[]): Promise<Map<number, Uint8Array>> {
    const place = this.#place(jobId, shard)
    const found = new Map<number, Uint8Array>()
    if (!place) return found
    const byFact = new Map<Digest, Set<number>>()
    for (const { unit, factId } of wanted) {
      const units = byFact.get(factId)
      if (units) units.add(unit)
      else byFact.set(factId, new Set([unit]))
    }
    for (const [factId, units] of byFact) {
      const args = [place.base / PLACE_ROWS, fromHex(factId), place.outputsDropped]
      for (const [packed] of this.#read<[Buffer]>('outputs', args)) {
        unpackOutputs(packed, (unit, bytes) => {
          if (units.has(unit) && !found.has(unit)) found.set(unit, bytes)
        })
      }
    }
    return found
  }

  async largeOutputs(jobId: JobId, shard: number): Promise<StoredOutput[]> {
    const place = this.#place(jobId, shard)
    if (!place) return []
    return this.#read<[number, Buffer, number]>('largeOutputs', [place.base / PLACE_ROWS]).map(
      ([unit, digest, size]) => ({
        unit,
        digest: toHex(digest) as Digest,
        size,
      }),
    )
  }

  async keysSeen(): Promise<Map<PublicKey, number>> {
    return new Map(this.#read<[Buffer, number]>('keysSeen').map(([key, atMs]) => [toHex(key) as PublicKey, atMs]))
  }

  async meta(name: string): Promise<Uint8Array | undefined> {
    return this.#read<[Buffer]>('meta', [name])[0]?.[0]
  }

  async bytesUsed(): Promise<number> {
    return this.#read<[number]>('bytesUsed')[0]![0]
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#sweeping
    await this.#log.close()
    try {
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // Nothing is lost: the next start reads the write-ahead log.
    }
    this.#db.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw new GridError('closed', 'the store is closed')
  }

  #read<Row>(statement: keyof SqliteStatements, args: readonly unknown[] = []): Row[] {
    this.#checkOpen()
    try {
      return this.#sql[statement].all(args) as Row[]
    } catch (error) {
      throw commitError(error)
    }
  }

  #rollback(): void {
    this.#places.clear()
    try {
      // Some failures have ended the transaction already.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      this.#keysSeen = (this.#sql.countKeys.all([]) as [number][])[0]![0]
    } catch {
      // The error that led here says more.
    }
  }

  #apply(write: Write): void {
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
        if (this.#place(write.jobId, write.shard)) return
        if (sql.addShard.run([this.#nextPlace, write.shard, write.activatedAtMs, fromHex(write.jobId)]).changes > 0)
          this.#nextPlace++
        return
      case 'fact':
      case 'smallOutputs':
        this.#applyFact(write)
        return
      case 'output': {
        const place = this.#place(write.jobId, write.shard)
        if (place) sql.addLargeOutput.run([place.base / PLACE_ROWS, write.unit, fromHex(write.digest), write.size])
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
    const place = this.#place(write.jobId, write.shard)
    if (!place) return
    const number = place.base / PLACE_ROWS
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
    const place = this.#place(jobId, shard)
    if (!place) return
    for (const factId of factIds) {
      const [known] = this.#sql.factRow.all([place.base / PLACE_ROWS, fromHex(factId)]) as [number][]
      if (!known) continue
      this.#sql.dropOutputsOf.run([known[0]])
      this.#sql.dropFact.run([known[0]])
    }
  }

  #dropOutputs(jobId: JobId, shard: number): void {
    const place = this.#place(jobId, shard)
    if (!place) return
    const number = place.base / PLACE_ROWS
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
    if (!this.#place(jobId, shard)) return
    this.#dropContent(jobId, shard)
    this.#sql.dropShard.run([fromHex(jobId), shard])
  }

  /** Facts and outputs of a shard become garbage. */
  #dropContent(jobId: JobId, shard: number): void {
    const { base, lastFact, lastOutput } = this.#place(jobId, shard)!
    this.#sql.dropLargeOutputs.run([base / PLACE_ROWS])
    this.#sql.addGarbage.run(['facts', base, lastFact])
    this.#sql.addGarbage.run(['outputs', base, lastOutput])
    this.#places.delete(placeName(jobId, shard))
  }

  #place(jobId: JobId, shard: number): Place | undefined {
    this.#checkOpen()
    const name = placeName(jobId, shard)
    const known = this.#places.get(name)
    if (known) return known
    const [row] = this.#sql.place.all([fromHex(jobId), shard]) as [number, number][]
    if (!row) return undefined
    const base = row[0] * PLACE_ROWS
    const last = (statement: 'lastFact' | 'lastOutput') =>
      (this.#sql[statement].all([base, base + PLACE_ROWS]) as [number | null][])[0]![0] ?? base
    const outputsDropped = Math.max(base, row[1])
    const place: Place = {
      base,
      lastFact: last('lastFact'),
      lastOutput: Math.max(outputsDropped, last('lastOutput')),
      outputsDropped,
    }
    this.#places.set(name, place)
    return place
  }

  /** Removes what is in `garbage`, a slice at a time between other work. */
  #sweep(): void {
    this.#sweeping ??= this.#sweepAll()
      // Full or failing: the next drop or start tries again.
      .catch(() => {})
      .then(() => {
        this.#sweeping = undefined
      })
  }

  async #sweepAll(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#closed) return
      const [range] = this.#sql.garbage.all([]) as [number, string, number, number][]
      if (!range) return
      const [id, target, first, last] = range
      const drop = target === 'facts' ? this.#sql.sweepFacts : this.#sql.sweepOutputs
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        if (drop.run([first, last, SWEEP_ROWS]).changes < SWEEP_ROWS) this.#sql.dropGarbage.run([id])
        this.#db.exec('COMMIT')
      } catch (error) {
        this.#rollback()
        throw error
      }
    }
  }
}

function placeName(jobId: JobId, shard: number): string {
  return `${jobId}/${shard}`
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}
