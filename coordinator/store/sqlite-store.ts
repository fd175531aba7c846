import type { Digest, JobId, PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { toHex } from '../../runtime/hex.js'
import { unpackOutputs } from './output-pack.js'
import { commitError, openSqlite, type SqliteFile } from './sqlite-file.js'
import { SqliteLog } from './sqlite-log.js'
import { PLACE_ROWS, type Place, SqlitePlaces } from './sqlite-places.js'
import { type SqliteStatements, statementsOf } from './sqlite-statements.js'
import { SqliteWrites } from './sqlite-writes.js'
import type {
  FactOutput,
  Store,
  StoredFact,
  StoredJob,
  StoredOrder,
  StoredOutput,
  StoredShard,
  Write,
} from './store.js'

/** Rows removed in one transaction, so that dropping a large job does not hold up everything else. */
const SWEEP_ROWS = 256

/**
 * The store of a real process: one SQLite file in WAL mode. Statements run on this thread, a group of writes in some tenths
 * of a millisecond, hence {@link GroupCommit} in front and its bounds; the disk is waited for elsewhere ({@link SqliteLog}).
 */
export class SqliteStore implements Store {
  readonly #db: SqliteFile
  readonly #log: SqliteLog
  readonly #sql: SqliteStatements
  readonly #places: SqlitePlaces
  readonly #writes: SqliteWrites
  #sweeping: Promise<void> | undefined
  #closed = false

  private constructor(db: SqliteFile, path: string) {
    this.#db = db
    this.#log = new SqliteLog(path)
    this.#sql = statementsOf(db)
    this.#places = new SqlitePlaces(this.#sql)
    this.#writes = new SqliteWrites(this.#sql, this.#places)
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
        this.#writes.apply(write)
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
    const { base, number } = place
    const found: StoredFact[] = []
    for (const factId of ids) {
      for (const [row, fact] of this.#read<[number, Buffer]>('factById', [number, fromHex(factId)]))
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
      const args = [place.number, fromHex(factId), place.outputsDropped]
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
    return this.#read<[number, Buffer, number]>('largeOutputs', [place.number]).map(([unit, digest, size]) => ({
      unit,
      digest: toHex(digest) as Digest,
      size,
    }))
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

  #place(jobId: JobId, shard: number): Place | undefined {
    this.#checkOpen()
    return this.#places.find(jobId, shard)
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
    this.#places.forgetAll()
    try {
      // Some failures have ended the transaction already.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      this.#writes.reset()
    } catch {
      // The error that led here says more.
    }
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

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}
