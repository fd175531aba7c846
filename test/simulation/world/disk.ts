import type { Millis } from '../../../runtime/clock.js'
import { checkFileName, type Disk } from '../../../runtime/disk.js'
import { GridError } from '../../../runtime/errors.js'
import type { SimProcess } from './process.js'
import type { SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

/** Time of an operation that only reaches the page cache. Unit: ms. */
const CACHE_MS = 0.01
/** Median time of a sync on a healthy disk, that of a consumer SSD. Unit: ms. */
const SYNC_MS = 2

interface StoredFile {
  /** Contents in the order they were written. */
  writes: Uint8Array[]
  /** How many of them survive a crash. */
  syncedCount: number
  /** Whether the file itself does. */
  entrySynced: boolean
  size: number
}

/** What disks did to their files, over all hosts; a run that shows zeros has tested nothing. */
export interface DiskCounters {
  /** Appends that a crash lost whole. */
  lostWrites: number
  /** Appends of which a crash kept a part. */
  tornWrites: number
  /** Replacements that a crash interrupted. */
  interruptedWrites: number
  /** Operations refused because the disk was full. */
  refusedWrites: number
  syncs: number
}

export function newDiskCounters(): DiskCounters {
  return { lostWrites: 0, tornWrites: 0, interruptedWrites: 0, refusedWrites: 0, syncs: 0 }
}

/** The disk of one host: outlives its processes, keeps after a crash what was synced and a random part of the rest. */
export class SimDisk {
  /** While true nothing more can be stored. */
  full = false
  /** Times the usual time of a sync or replacement; 1 is healthy. */
  slowness = 1
  /** Bytes it can hold; more is refused as if it were full. */
  capacityBytes = Number.POSITIVE_INFINITY
  readonly #host: string
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #trace: Trace
  readonly #counters: DiskCounters
  #files = new Map<string, StoredFile>()
  /** Replacements on their way to the disk. */
  #drafts = new Set<{ readonly file: string; readonly bytes: Uint8Array }>()

  constructor(host: string, scheduler: Scheduler, random: SeededRandom, trace: Trace, counters: DiskCounters) {
    this.#host = host
    this.#scheduler = scheduler
    this.#random = random
    this.#trace = trace
    this.#counters = counters
  }

  /** The disk as `process` uses it. Nothing it asks for resolves once the process is dead. */
  open(process: SimProcess): Disk {
    const perform = <T>(file: string, delayMs: Millis, action: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const timer = process.after(delayMs, () => {
          try {
            resolve(action())
          } catch (error) {
            reject(error)
          }
        })
        try {
          checkFileName(file)
        } catch (error) {
          timer.cancel()
          reject(error)
        }
      })
    return {
      append: (file, bytes) => {
        const copy = bytes.slice()
        return perform(file, CACHE_MS, () => this.#append(file, copy))
      },
      sync: (file) => {
        // Covers what was appended before the call, as fsync does; appends in flight come with the next one.
        const stored = this.#files.get(file)
        const count = stored?.writes.length ?? 0
        return perform(file, this.#syncMs(), () => this.#sync(file, stored, count))
      },
      read: (file) => perform(file, CACHE_MS, () => this.contents(file)),
      write: (file, bytes) => {
        const draft = { file, bytes: bytes.slice() }
        if (process.alive) this.#drafts.add(draft)
        return perform(file, this.#syncMs(), () => {
          this.#drafts.delete(draft)
          this.#replace(file, draft.bytes)
        })
      },
      remove: (file) => perform(file, this.#syncMs(), () => void this.#files.delete(file)),
      list: (prefix) =>
        perform('list', CACHE_MS, () => [...this.#files.keys()].filter((name) => name.startsWith(prefix)).sort()),
    }
  }

  /** What a reader would find in `file` now, for oracles and tests; undefined if there is no such file. */
  contents(file: string): Uint8Array | undefined {
    const stored = this.#files.get(file)
    return stored && joined(stored.writes)
  }

  /** Bytes held by all files. */
  get usedBytes(): number {
    let used = 0
    for (const stored of this.#files.values()) used += stored.size
    return used
  }

  /** The process died and the system did not: what was handed to the system stays, replacements under way may. */
  processDied(): void {
    for (const draft of this.#drafts) {
      this.#counters.interruptedWrites++
      if (this.#random.chance(0.5)) this.#files.set(draft.file, syncedFile(draft.bytes))
    }
    this.#drafts.clear()
  }

  /** The machine lost power. Of what was not synced each file keeps a random first part, the last write perhaps torn. */
  powerLost(): void {
    this.processDied()
    for (const [file, stored] of [...this.#files]) {
      const unsynced = stored.writes.slice(stored.syncedCount)
      if (unsynced.length === 0 && stored.entrySynced) continue
      const kept = this.#keepPart(unsynced)
      if (!stored.entrySynced && kept.length === 0) this.#files.delete(file)
      else this.#files.set(file, syncedFile(joined([...stored.writes.slice(0, stored.syncedCount), kept])))
    }
  }

  /** The machine lost its disk and has an empty one. */
  erase(): void {
    this.#files.clear()
    this.#drafts.clear()
  }

  #keepPart(writes: readonly Uint8Array[]): Uint8Array {
    const all = joined(writes)
    const fate = this.#random.next()
    // Nothing, everything and a cut anywhere are each likely enough to be seen in a few seeds.
    const cut = fate < 0.4 ? 0 : fate < 0.5 ? all.length : this.#random.int(all.length + 1)
    let end = 0
    for (const write of writes) {
      const start = end
      end += write.length
      if (end <= cut) continue
      if (start >= cut) {
        this.#counters.lostWrites++
        continue
      }
      this.#counters.tornWrites++
      // The length may have reached the disk before the contents: the rest of the write then reads as zeros.
      if (this.#random.chance(0.3)) return joined([all.subarray(0, cut), new Uint8Array(end - cut)])
    }
    return all.slice(0, cut)
  }

  #append(file: string, bytes: Uint8Array): void {
    this.#makeRoom(file, bytes.length)
    const stored = this.#files.get(file)
    if (stored) {
      stored.writes.push(bytes)
      stored.size += bytes.length
    } else this.#files.set(file, { writes: [bytes], syncedCount: 0, entrySynced: false, size: bytes.length })
    this.#trace.record(this.#scheduler.nowMs, this.#host, 'append', file, bytes)
  }

  #sync(file: string, stored: StoredFile | undefined, count: number): void {
    if (!stored) throw new GridError('unavailable', `cannot sync ${file}: ENOENT`, { fields: { file, code: 'ENOENT' } })
    stored.syncedCount = Math.max(stored.syncedCount, count)
    stored.entrySynced = true
    this.#counters.syncs++
    this.#trace.record(this.#scheduler.nowMs, this.#host, 'sync', file)
  }

  #replace(file: string, bytes: Uint8Array): void {
    this.#makeRoom(file, bytes.length)
    this.#files.set(file, syncedFile(bytes))
    this.#trace.record(this.#scheduler.nowMs, this.#host, 'write', file, bytes)
  }

  #makeRoom(file: string, byteCount: number): void {
    const unlimited = this.capacityBytes === Number.POSITIVE_INFINITY
    if (!this.full && (unlimited || this.usedBytes + byteCount <= this.capacityBytes)) return
    this.#counters.refusedWrites++
    throw new GridError('unavailable', `cannot write ${file}: the disk is full`, { fields: { file, code: 'ENOSPC' } })
  }

  #syncMs(): Millis {
    return (SYNC_MS * 0.5 + this.#random.exponential(SYNC_MS * 0.7)) * this.slowness
  }
}

function syncedFile(bytes: Uint8Array): StoredFile {
  return { writes: [bytes], syncedCount: 1, entrySynced: true, size: bytes.length }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!.slice()
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** `disk` with another way to sync. */
export function syncedBy(disk: Disk, sync: Disk['sync']): Disk {
  return {
    append: (file, bytes) => disk.append(file, bytes),
    read: (file) => disk.read(file),
    write: (file, bytes) => disk.write(file, bytes),
    remove: (file) => disk.remove(file),
    list: (prefix) => disk.list(prefix),
    sync,
  }
}
