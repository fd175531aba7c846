import { deserialize } from 'node:v8'
import type { JobId } from '../proto/model.js'
import type { Clock, Millis } from '../runtime/clock.js'
import type { Disk } from '../runtime/disk.js'
import { GridError, toGridError } from '../runtime/errors.js'
import { toHex } from '../runtime/hex.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import { frameRecord, readRecords, serializeRecord } from '../runtime/record-log.js'
import {
  dayOf,
  SettledBook,
  type SettledBookContent,
  type SettledCost,
  type SettledEntry,
  type SettledJob,
  type SettledRow,
} from './core/settled-book.js'

export { type Day, dayOf, type SettledRow } from './core/settled-book.js'

/** The file, beside the journal in the worker's folder. */
export const LEDGER_FILE = 'ledger.log'
const FORMAT = 1
/** What settles within this time shares a sync: nobody waits for it but the journal's removals. Unit: ms. */
const FLUSH_MS: Millis = 200
/** A file below this is not worth rewriting. */
const COMPACT_BYTES_MIN = 256 * 1024
/** Characters of a job's name that are kept. */
const NAME_CHARS_MAX = 80
const ID_BYTES = 16

/** The first record of a file. */
interface Base extends SettledBookContent {
  readonly v: number
  readonly type: 'base'
  /** Names this ledger: 32 hex digits, drawn when it was begun. */
  readonly id: string
  /** When it was begun, ms since 1970. */
  readonly sinceMs: number
}

type LedgerRecord = Base | { readonly v: number; readonly type: 'settled'; readonly entries: readonly SettledEntry[] }

/** A ledger as it is on disk. */
export interface LedgerContent {
  readonly id: string
  readonly sinceMs: number
  readonly rows: readonly SettledRow[]
}

/** A ledger that was read, and which units are in its sums. */
export interface LedgerOnDisk extends LedgerContent {
  /** Whether the unit was counted; of jobs that are long over, no longer known. */
  has(jobId: JobId, unit: number): boolean
}

/** Units counted now that were not before. */
export interface NewlyCounted {
  readonly agreed: number
  readonly disagreed: number
}

interface LedgerOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * What this worker gave, as owners confirmed it: a log of settled units with checksums, rewritten as sums by day when it
 * has grown. A unit of a job is counted once, however often and by whomever it is said to be settled, also after a
 * restart: a report leaves the journal only after {@link flushed}, and one that is offered again is known here.
 */
export class Ledger {
  readonly #options: LedgerOptions
  #id = ''
  #sinceMs = 0
  #book = new SettledBook()
  #fileBytes = 0
  #baseBytes = 0
  /** The end of the file is not what the memory says: it is rewritten before the next. */
  #torn = false
  /** Counted and not on disk yet. */
  #waiting: SettledEntry[] = []
  /** The last write, under way or over. */
  #written: Promise<void> = Promise.resolve()
  /** The write that takes up what waits. */
  #due: Promise<void> | undefined
  #hurry: () => void = () => {}
  #closed = false

  private constructor(options: LedgerOptions) {
    this.#options = options
  }

  /**
   * The ledger of `disk`, begun when there is none. Rejects as `Disk` does, and with GridError `unsupported` when a newer
   * version wrote it.
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const { disk, random, clock, logger } = options
    const ledger = new Ledger(options)
    const log = await disk.read(LEDGER_FILE)
    const read = log === undefined ? undefined : parse(log)
    ledger.#id = read?.base?.id ?? toHex(random.bytes(ID_BYTES))
    ledger.#sinceMs = read?.base?.sinceMs ?? clock.wallMs()
    if (log !== undefined && read !== undefined) {
      ledger.#book = read.book
      ledger.#fileBytes = read.goodBytes
      ledger.#baseBytes = read.baseBytes
      const droppedBytes = log.length - read.goodBytes
      if (droppedBytes > 0) logger.warn('ledgerCut', { keptBytes: read.goodBytes, droppedBytes })
      ledger.#torn = droppedBytes > 0
    }
    // A full disk must not keep the worker from its reports: the next write tries again.
    if (read?.base === undefined || ledger.#torn)
      await ledger.#rewrite().catch((error: unknown) => logger.warn('ledgerNotBegun', { error: String(error) }))
    return ledger
  }

  /**
   * Counts units of a job that an owner has called settled, leaving out those counted before, and gives how many that
   * were. They are on disk once {@link flushed} resolves.
   */
  settle(job: SettledJob, agreed: readonly SettledCost[], disagreed: readonly SettledCost[]): NewlyCounted {
    const day = dayOf(this.#options.clock.wallMs())
    const named = { ...job, jobName: [...job.jobName].slice(0, NAME_CHARS_MAX).join('') }
    const entry = this.#book.unseen(named, agreed, disagreed, day)
    if (entry === undefined || this.#closed) return { agreed: 0, disagreed: 0 }
    this.#book.add(entry)
    this.#waiting.push(entry)
    void this.flushed().catch(() => {})
    return { agreed: entry.agreed.length, disagreed: entry.disagreed.length }
  }

  /** Resolves when all that was counted so far is on disk. Rejects as `Disk` does; the next call tries again. */
  flushed(): Promise<void> {
    if (this.#due !== undefined) return this.#due
    if (this.#waiting.length === 0) return this.#written
    const before = this.#written
    this.#due = Promise.all([this.#soon(), before.catch(() => {})]).then(() => {
      this.#due = undefined
      return this.#flush()
    })
    this.#written = this.#due
    // Whoever waits hears of a failure; nobody has to.
    this.#due.catch(() => {})
    return this.#due
  }

  content(): LedgerContent {
    return { id: this.#id, sinceMs: this.#sinceMs, rows: this.#book.rows() }
  }

  /** Writes what waits and ends; what settles later is not counted. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    const last = this.flushed()
    this.#hurry()
    await last.catch((error: unknown) =>
      this.#options.logger.warn('ledgerNotWritten', { error: toGridError(error).message }),
    )
  }

  #soon(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(FLUSH_MS, resolve)
      this.#hurry = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  async #flush(): Promise<void> {
    const { disk, logger } = this.#options
    if (this.#torn || this.#fileBytes === 0) return this.#rewrite()
    const entries = this.#waiting.splice(0)
    if (entries.length === 0) return
    const frame = frameRecord(serializeRecord({ v: FORMAT, type: 'settled', entries } satisfies LedgerRecord))
    try {
      await disk.append(LEDGER_FILE, frame)
      await disk.sync(LEDGER_FILE)
    } catch (error) {
      this.#torn = true
      this.#waiting.unshift(...entries)
      throw error
    }
    this.#fileBytes += frame.length
    if (this.#fileBytes < COMPACT_BYTES_MIN || this.#fileBytes < 2 * this.#baseBytes) return
    await this.#rewrite().catch((error: unknown) => logger.warn('ledgerNotCompacted', { error: String(error) }))
  }

  /** Replaces the file by the sums, with what waits in them. */
  async #rewrite(): Promise<void> {
    const entries = this.#waiting.splice(0)
    const base: Base = { v: FORMAT, type: 'base', id: this.#id, sinceMs: this.#sinceMs, ...this.#book.content() }
    const frame = frameRecord(serializeRecord(base satisfies LedgerRecord))
    try {
      await this.#options.disk.write(LEDGER_FILE, frame)
    } catch (error) {
      // Perhaps it was replaced all the same: appending the entries could then count them twice.
      this.#torn = true
      this.#waiting.unshift(...entries)
      throw error
    }
    this.#torn = false
    this.#fileBytes = frame.length
    this.#baseBytes = frame.length
  }
}

/**
 * The ledger of a worker's folder, also while the worker writes it; undefined when there is none. Rejects as `Disk` does,
 * and with GridError `unsupported` when a newer version wrote it.
 */
export async function readLedger(disk: Pick<Disk, 'read'>): Promise<LedgerOnDisk | undefined> {
  const log = await disk.read(LEDGER_FILE)
  return log && ledgerIn(log)
}

/** The ledger that the bytes of a file hold, as {@link readLedger}. */
export function ledgerIn(log: Uint8Array): LedgerOnDisk | undefined {
  const { base, book } = parse(log)
  if (base === undefined) return undefined
  return { id: base.id, sinceMs: base.sinceMs, rows: book.rows(), has: (jobId, unit) => book.has(jobId, unit) }
}

/** What a file holds up to the first record that a crash cut short. */
function parse(log: Uint8Array): { base: Base | undefined; book: SettledBook; goodBytes: number; baseBytes: number } {
  const { payloads, goodBytes } = readRecords(log)
  let base: Base | undefined
  let book = new SettledBook()
  for (const payload of payloads) {
    const record = deserialize(payload) as LedgerRecord
    if (record.v > FORMAT)
      throw new GridError('unsupported', 'the ledger was written by a newer version', {
        hint: 'use that version, or a newer one',
      })
    if (record.type === 'base') {
      base = record
      book = new SettledBook(record)
    } else for (const entry of record.entries) book.add(entry)
  }
  return { base, book, goodBytes, baseBytes: payloads[0]?.length ?? 0 }
}
