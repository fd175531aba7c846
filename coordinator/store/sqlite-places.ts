import type { JobId } from '../../proto/model.js'
import type { SqliteStatements } from './sqlite-statements.js'

/** Rows of one shard and table; see the schema. */
export const PLACE_ROWS = 2 ** 32

/** Where the rows of one shard lie. */
export interface Place {
  /** The shard's own number in the file; its rows are `number * PLACE_ROWS` and after. */
  readonly number: number
  readonly base: number
  lastFact: number
  lastOutput: number
  /** Rows of outputs up to this one are garbage. */
  outputsDropped: number
}

/** Where the rows of each shard lie, as the file says and the transaction at hand has changed it. */
export class SqlitePlaces {
  readonly #sql: SqliteStatements
  /** By job and shard. */
  readonly #known = new Map<string, Place>()

  constructor(sql: SqliteStatements) {
    this.#sql = sql
  }

  /** Undefined: the shard is not kept here. */
  find(jobId: JobId, shard: number): Place | undefined {
    const name = nameOf(jobId, shard)
    const known = this.#known.get(name)
    if (known) return known
    const [row] = this.#sql.place.all([Buffer.from(jobId, 'hex'), shard]) as [number, number][]
    if (!row) return undefined
    const base = row[0] * PLACE_ROWS
    const last = (statement: 'lastFact' | 'lastOutput') =>
      (this.#sql[statement].all([base, base + PLACE_ROWS]) as [number | null][])[0]![0] ?? base
    const outputsDropped = Math.max(base, row[1])
    const place: Place = {
      number: row[0],
      base,
      lastFact: last('lastFact'),
      lastOutput: Math.max(outputsDropped, last('lastOutput')),
      outputsDropped,
    }
    this.#known.set(name, place)
    return place
  }

  /** The shard is gone: it is looked up anew if it comes back. */
  forget(jobId: JobId, shard: number): void {
    this.#known.delete(nameOf(jobId, shard))
  }

  /** After a group that failed: what is known may not be in the file. */
  forgetAll(): void {
    this.#known.clear()
  }
}

function nameOf(jobId: JobId, shard: number): string {
  return `${jobId}/${shard}`
}
