import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'libsql'
import { diskProblem } from '../../runtime/disk-problem.js'
import { GridError } from '../../runtime/errors.js'
import { makeFolders } from '../../runtime/folders.js'

/** An open database with the schema of this version. */
export type SqliteFile = Database.Database

/**
 * Steps from an empty file to the schema of this version; a step that was released is never edited. Step i makes
 * version i + 1.
 *
 * - `shards.place` numbers the shards kept here. Rows of a shard's facts and outputs lie in
 *   `place * 2^32 + 1 .. (place + 1) * 2^32 - 1`, so that a shard is read in order and dropped as one range.
 * - `facts` holds a report with its grants in one row, `outputs` the small outputs of a report (see `packOutputs`).
 * - `garbage` names ranges of rows that are dropped already but still take room.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE jobs (
     job_id BLOB PRIMARY KEY, is_home INTEGER NOT NULL, is_shard INTEGER NOT NULL,
     spec BLOB NOT NULL, signature BLOB NOT NULL, received_at_ms INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE orders (
     job_id BLOB NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, signature BLOB NOT NULL,
     PRIMARY KEY (job_id, seq, signature)
   ) STRICT;
   CREATE TABLE shards (
     place INTEGER PRIMARY KEY, job_id BLOB NOT NULL, shard INTEGER NOT NULL, activated_at_ms INTEGER NOT NULL,
     outputs_dropped INTEGER NOT NULL DEFAULT 0,
     UNIQUE (job_id, shard)
   ) STRICT;
   CREATE TABLE facts (row INTEGER PRIMARY KEY, place INTEGER NOT NULL, fact_id BLOB NOT NULL, fact BLOB NOT NULL) STRICT;
   CREATE UNIQUE INDEX facts_by_id ON facts (place, fact_id);
   CREATE TABLE outputs (row INTEGER PRIMARY KEY, fact INTEGER NOT NULL, packed BLOB NOT NULL) STRICT;
   CREATE INDEX outputs_by_fact ON outputs (fact);
   CREATE TABLE large_outputs (
     place INTEGER NOT NULL, unit INTEGER NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
     PRIMARY KEY (place, unit, digest)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE keys_seen (key BLOB PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE garbage (target TEXT NOT NULL, first_row INTEGER NOT NULL, last_row INTEGER NOT NULL) STRICT;`,
]

/** Files up to this size are checked in full when opened; it takes about a tenth of a second. */
const CHECK_BYTES_MAX = 64 * 2 ** 20
/** The write-ahead log goes into the database once it is this long, and is cut back to it after a burst. */
const WAL_BYTES_KEPT = 16 * 2 ** 20
/** Free pages given back to the file system at each start, 4 KiB each. */
const VACUUM_PAGES = 16_384

/**
 * Opens the database at `path`, made (0600) when there is none, and brings its schema up to date. Throws GridError
 * `corrupt` for a damaged file, `unsupported` for one of a later version, `unavailable` when it cannot be opened, is in
 * use, or the disk is full. Nothing is ever moved or deleted.
 *
 * The lock on the data directory keeps a second process out; SQLite's own exclusive mode does not do it, because the
 * binding holds closed files open until its statements are collected.
 */
export function openSqlite(path: string): SqliteFile {
  let db: SqliteFile | undefined
  try {
    makeFolders(dirname(path))
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    db = new Database(path)
    db.exec('PRAGMA auto_vacuum = INCREMENTAL')
    db.exec('PRAGMA journal_mode = WAL')
    // Commits are made durable by `SqliteLog`, away from the event loop; checkpoints are by SQLite.
    db.exec('PRAGMA synchronous = NORMAL')
    db.exec(`PRAGMA wal_autocheckpoint = ${WAL_BYTES_KEPT / 4096}`)
    db.exec(`PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}`)
    check(db, path)
    migrate(db, path)
    db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`)
    return db
  } catch (error) {
    db?.close()
    throw openError(error, path)
  }
}

function check(db: SqliteFile, path: string): void {
  if (statSync(path).size > CHECK_BYTES_MAX) return
  const [problem] = db.prepare('PRAGMA quick_check(1)').raw().all([]) as [string][]
  if (problem?.[0] !== 'ok') throw damaged(path, problem?.[0] ?? 'no answer to a check')
}

function migrate(db: SqliteFile, path: string): void {
  db.exec('CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY) STRICT')
  const [row] = db.prepare('SELECT coalesce(max(version), 0) FROM migrations').raw().all([]) as [number][]
  const version = row![0]
  if (version > MIGRATIONS.length) {
    throw new GridError('unsupported', `${path} was written by a newer version of this program`, {
      fields: { path, version, known: MIGRATIONS.length },
      hint: 'use that version, or another data directory',
    })
  }
  for (let i = version; i < MIGRATIONS.length; i++) {
    db.exec('BEGIN IMMEDIATE')
    db.exec(MIGRATIONS[i]!)
    db.exec(`INSERT INTO migrations VALUES (${i + 1})`)
    db.exec('COMMIT')
  }
}

function openError(error: unknown, path: string): GridError {
  if (error instanceof GridError) return error
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (isDamage(code)) return damaged(path, message, error)
  const fields = { path, code }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new GridError('unavailable', `${path} is in use by another process`, {
      cause: error,
      fields,
      hint: 'stop that process, or use another data directory',
    })
  }
  if (diskProblem(code) !== undefined) return diskRefuses(error, code)
  return new GridError('unavailable', `cannot open ${path}: ${message}`, { cause: error, fields })
}

/** What a failed statement means for callers, who may be other machines: no path in it. */
export function commitError(error: unknown): GridError {
  if (error instanceof GridError) return error
  const code = codeOf(error)
  if (diskProblem(code) !== undefined) return diskRefuses(error, code)
  if (isDamage(code)) {
    const hint = 'stop this node and start it again: it will say which file is damaged and what to do'
    return new GridError('corrupt', 'the job store of this node is damaged', { cause: error, fields: { code }, hint })
  }
  const what = code.startsWith('SQLITE_') ? code : error instanceof Error ? error.message : 'failed'
  return new GridError('unavailable', `cannot write the job store: ${what}`, { cause: error, fields: { code } })
}

function damaged(path: string, problem: string, cause?: unknown): GridError {
  return new GridError('corrupt', `${path} is damaged (${problem})`, {
    cause,
    fields: { path },
    hint: `move it and its -wal file away (mv ${path} ${path}.damaged) and start again: other owners and the workers offer what they hold anew; what this node alone held is lost`,
  })
}

function diskRefuses(cause: unknown, code: string): GridError {
  const { text = code, hint } = diskProblem(code) ?? {}
  return new GridError('unavailable', `cannot write the job store: ${text}`, {
    cause,
    fields: { code },
    ...(hint === undefined ? {} : { hint }),
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed'
}

function isDamage(code: string): boolean {
  return code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')
}
