import type { SqliteFile } from './sqlite-file.js'

const SQL = {
  addJob: `INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET is_home = max(is_home, ?2), is_shard = max(is_shard, ?3)`,
  addOrder: 'INSERT OR IGNORE INTO orders SELECT job_id, ?, ?, ? FROM jobs WHERE job_id = ?',
  addShard: `INSERT OR IGNORE INTO shards (place, job_id, shard, activated_at_ms)
    SELECT ?, job_id, ?, ? FROM jobs WHERE job_id = ?`,
  addFact: 'INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?)',
  addOutputs: 'INSERT INTO outputs VALUES (?, ?, ?)',
  addLargeOutput: 'INSERT OR IGNORE INTO large_outputs VALUES (?, ?, ?, ?)',
  ageKey: 'UPDATE keys_seen SET at_ms = min(at_ms, ?) WHERE key = ?',
  addKey: 'INSERT INTO keys_seen VALUES (?, ?)',
  setMeta: 'INSERT OR REPLACE INTO meta VALUES (?, ?)',
  setOutputsDropped: 'UPDATE shards SET outputs_dropped = ? WHERE place = ?',
  addGarbage: 'INSERT INTO garbage VALUES (?, ?, ?)',

  jobs: 'SELECT job_id, is_home, is_shard, spec, signature, received_at_ms FROM jobs',
  orders: 'SELECT job_id, seq, body, signature FROM orders ORDER BY job_id, seq, signature',
  shards: 'SELECT shard, activated_at_ms FROM shards WHERE job_id = ? ORDER BY shard',
  place: 'SELECT place, outputs_dropped FROM shards WHERE job_id = ? AND shard = ?',
  lastPlace: `SELECT max(coalesce((SELECT max(place) FROM shards), 0),
    coalesce((SELECT max(last_row) >> 32 FROM garbage), 0))`,
  lastFact: 'SELECT max(row) FROM facts WHERE row > ? AND row < ?',
  lastOutput: 'SELECT max(row) FROM outputs WHERE row > ? AND row < ?',
  facts: 'SELECT row, fact_id, fact FROM facts WHERE row > ? AND row < ? ORDER BY row LIMIT ?',
  factById: 'SELECT row, fact FROM facts WHERE place = ? AND fact_id = ?',
  factIds: 'SELECT fact_id FROM facts WHERE row > ? AND row < ?',
  factRow: 'SELECT row FROM facts WHERE place = ? AND fact_id = ?',
  outputs: `SELECT packed FROM outputs WHERE fact = (SELECT row FROM facts WHERE place = ? AND fact_id = ?) AND row > ?
    ORDER BY row`,
  largeOutputs: 'SELECT unit, digest, size FROM large_outputs WHERE place = ? ORDER BY unit, digest',
  keysSeen: 'SELECT key, at_ms FROM keys_seen',
  countKeys: 'SELECT count(*) FROM keys_seen',
  meta: 'SELECT value FROM meta WHERE name = ?',
  bytesUsed: `SELECT (page_count - freelist_count) * page_size
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
  garbage: 'SELECT rowid, target, first_row, last_row FROM garbage LIMIT 1',

  dropMeta: 'DELETE FROM meta WHERE name = ?',
  dropFact: 'DELETE FROM facts WHERE row = ?',
  dropOutputsOf: 'DELETE FROM outputs WHERE fact = ?',
  dropLargeOutputs: 'DELETE FROM large_outputs WHERE place = ?',
  dropShards: 'DELETE FROM shards WHERE job_id = ?',
  dropShard: 'DELETE FROM shards WHERE job_id = ? AND shard = ?',
  dropOrder: 'DELETE FROM orders WHERE job_id = ? AND seq = ? AND signature = ?',
  dropOrders: 'DELETE FROM orders WHERE job_id = ?',
  dropRole: 'UPDATE jobs SET is_home = min(is_home, ?2), is_shard = min(is_shard, ?3) WHERE job_id = ?1',
  dropJob: 'DELETE FROM jobs WHERE job_id = ?',
  sweepFacts: 'DELETE FROM facts WHERE row IN (SELECT row FROM facts WHERE row BETWEEN ? AND ? ORDER BY row LIMIT ?)',
  sweepOutputs:
    'DELETE FROM outputs WHERE row IN (SELECT row FROM outputs WHERE row BETWEEN ? AND ? ORDER BY row LIMIT ?)',
  dropGarbage: 'DELETE FROM garbage WHERE rowid = ?',
} as const

/** A prepared statement; `args` is one list, because libsql takes a lone byte array for a list of numbers. */
interface SqliteStatement {
  run(args: readonly unknown[]): { readonly changes: number }
  /** Rows as lists of columns; blobs are Buffers. */
  all(args: readonly unknown[]): unknown[]
}

/** All statements of the store, by name. */
export type SqliteStatements = { readonly [Name in keyof typeof SQL]: SqliteStatement }

/** Prepares them on `db`, whose schema is up to date. */
export function statementsOf(db: SqliteFile): SqliteStatements {
  return Object.fromEntries(
    Object.entries(SQL).map(([name, text]) => {
      const statement = db.prepare(text)
      if (text.startsWith('SELECT')) statement.raw()
      return [name, statement]
    }),
  ) as unknown as SqliteStatements
}
