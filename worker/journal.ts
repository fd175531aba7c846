import { deserialize } from 'node:v8'
import type { Digest, PublicKey } from '../proto/model.js'
import type { UnitBytes } from '../proto/work-messages.js'
import type { Disk } from '../runtime/disk.js'
import { GridError } from '../runtime/errors.js'
import type { Logger } from '../runtime/logger.js'
import { frameRecord, readRecords, serializeRecord } from '../runtime/record-log.js'

/** One report of this worker that is not settled yet. */
export interface JournalEntry {
  /** SHA-256 of the signed report bytes. */
  readonly id: Digest
  /** Encoded ReportFact. */
  readonly fact: Uint8Array
  /** Its small outputs; large ones are in memory only. */
  readonly outputs: readonly UnitBytes[]
  /** Undefined in entries of versions that did not keep it. */
  readonly work?: ReportedWork
}

/** What the ledger is to say of a report once its units are settled. */
export interface ReportedWork {
  readonly submitter: PublicKey
  readonly jobName: string
  /** Computing time of each result, in their order. Unit: ms. */
  readonly computeMs: readonly number[]
}

interface JournalOptions {
  readonly disk: Disk
  readonly logger: Logger
  /** Calls back after the events at hand, so that their entries share a sync: `setImmediate`, or a turn of the simulator. */
  readonly schedule: (run: () => void) => void
  /** Bytes of reports and outputs kept; past it the oldest reports are given up. */
  readonly bytesMax: number
  readonly file?: string
}

type Entry = { readonly type: 'add' } & JournalEntry
type JournalRecord = readonly (Entry | { readonly type: 'remove'; readonly ids: readonly Digest[] })[]

interface Waiting {
  readonly entry: JournalEntry
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A file below this is not worth rewriting, however much of it is dead. */
const COMPACT_BYTES_MIN = 2 ** 20
/** Bytes of an entry beside those of its fact and outputs, roughly. */
const ENTRY_OVERHEAD_BYTES = 200

/**
 * The producer's own durable copies: what it reported stays on its disk, and is offered again, until the units are settled.
 * A log of groups with checksums; what a crash cut short was never acknowledged and is dropped. Removals are written with
 * the next sync: one that a crash loses only makes the worker offer a report again that owners know.
 */
export class Journal {
  readonly #options: JournalOptions
  readonly #file: string
  /** In the order they were added. */
  readonly #entries = new Map<Digest, JournalEntry>()
  #liveBytes = 0
  #fileBytes = 0
  /** The end of the file is not what the memory says, because a write failed half way: it is rewritten before the next. */
  #torn = false
  #waiting: Waiting[] = []
  #removed: Digest[] = []
  #scheduled = false
  #last: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(options: JournalOptions) {
    this.#options = options
    this.#file = options.file ?? 'journal.log'
  }

  /**
   * The journal in `file` of the disk, with the reports that are not settled. Rejects when the file cannot be read, as
   * `Disk` does; a disk that is full leaves a torn end for later.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options)
    const log = await options.disk.read(journal.#file)
    if (log === undefined) return journal
    const { payloads, goodBytes } = readRecords(log)
    for (const payload of payloads) {
      for (const record of deserialize(payload) as JournalRecord) {
        if (record.type === 'remove') for (const id of record.ids) journal.#forget(id)
        else journal.#keep(entryOf(record))
      }
    }
    journal.#fileBytes = goodBytes
    if (goodBytes < log.length) {
      options.logger.warn('journalCut', { keptBytes: goodBytes, droppedBytes: log.length - goodBytes })
      // A full disk must not keep the worker from its reports: the next write repairs the file.
      await options.disk.write(journal.#file, log.subarray(0, goodBytes)).catch((error: unknown) => {
        journal.#torn = true
        options.logger.warn('journalNotTrimmed', { error: String(error) })
      })
    }
    return journal
  }

  /** Reports to offer again, the oldest first. */
  entries(): readonly JournalEntry[] {
    return [...this.#entries.values()]
  }

  has(id: Digest): boolean {
    return this.#entries.has(id)
  }

  /** Bytes of what is kept. */
  get bytesUsed(): number {
    return this.#liveBytes
  }

  /**
   * Resolves once the entry is durable. Rejects with GridError `unavailable` when the disk is full or fails, `quota` for an
   * entry larger than the whole journal, `closed`; it is not kept then.
   */
  append(entry: JournalEntry): Promise<void> {
    if (this.#closed) return Promise.reject(new GridError('closed', 'the journal is closed'))
    const { bytesMax } = this.#options
    if (sizeOf(entry) > bytesMax) {
      return Promise.reject(new GridError('quota', `a report has more than the ${bytesMax} bytes kept for all of them`))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      this.#wake()
    })
  }

  /** Forgets reports that are settled or refused for good. */
  remove(ids: readonly Digest[]): void {
    for (const id of ids) if (this.#forget(id)) this.#removed.push(id)
    if (this.#removed.length > 0 && !this.#closed) this.#wake()
  }

  /** Writes what waits and ends. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#flush()
  }

  #wake(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    this.#options.schedule(() => {
      this.#scheduled = false
      void this.#flush()
    })
  }

  /** Never rejects: those who wait are told. */
  #flush(): Promise<void> {
    this.#last = this.#last.then(async () => {
      const group = this.#waiting.splice(0)
      const removed = this.#removed.splice(0)
      if (group.length === 0 && removed.length === 0) return
      try {
        await this.#write(group, removed)
      } catch (error) {
        this.#torn = true
        for (const { reject } of group) reject(error)
        return
      }
      for (const { entry, resolve } of group) {
        this.#keep(entry)
        resolve()
      }
      this.#giveUpOldest()
      await this.#compact()
    })
    return this.#last
  }

  async #write(group: readonly Waiting[], removed: readonly Digest[]): Promise<void> {
    const { disk } = this.#options
    if (this.#torn) await this.#rewrite()
    const records: JournalRecord = [
      ...(removed.length > 0 ? [{ type: 'remove', ids: removed } as const] : []),
      ...group.map(({ entry }) => ({ type: 'add', ...entryOf(entry) }) as const),
    ]
    const frame = frameRecord(serializeRecord(records))
    await disk.append(this.#file, frame)
    if (group.length > 0) await disk.sync(this.#file)
    this.#fileBytes += frame.length
  }

  #keep(entry: JournalEntry): void {
    this.#forget(entry.id)
    this.#entries.set(entry.id, entry)
    this.#liveBytes += sizeOf(entry)
  }

  #forget(id: Digest): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    this.#entries.delete(id)
    this.#liveBytes -= sizeOf(entry)
    return true
  }

  #giveUpOldest(): void {
    const { bytesMax, logger } = this.#options
    const given: Digest[] = []
    for (const id of this.#entries.keys()) {
      if (this.#liveBytes <= bytesMax) break
      given.push(id)
      this.#forget(id)
    }
    if (given.length === 0) return
    logger.warn('journalFull', { bytesMax, reportsGivenUp: given.length, oldest: given[0] })
    this.#removed.push(...given)
    this.#wake()
  }

  /** Rewrites the file when most of it is dead; a failure only leaves it long. */
  async #compact(): Promise<void> {
    if (this.#fileBytes < COMPACT_BYTES_MIN || this.#fileBytes < 2 * this.#liveBytes) return
    await this.#rewrite().catch((error: unknown) =>
      this.#options.logger.warn('journalNotCompacted', { error: String(error) }),
    )
  }

  async #rewrite(): Promise<void> {
    const records: JournalRecord = [...this.#entries.values()].map((entry) => ({ type: 'add', ...entry }))
    const frame = frameRecord(serializeRecord(records))
    await this.#options.disk.write(this.#file, frame)
    this.#fileBytes = frame.length
    this.#torn = false
  }
}

function entryOf({ id, fact, outputs, work }: JournalEntry): JournalEntry {
  return { id, fact, outputs, ...(work && { work }) }
}

function sizeOf({ fact, outputs }: JournalEntry): number {
  return outputs.reduce((sum, { bytes }) => sum + bytes.length, fact.length + ENTRY_OVERHEAD_BYTES)
}
