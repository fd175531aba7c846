import { summaryCodec } from '../../proto/codec/facts.js'
import type { JobId, Summary } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { Limit } from '../../runtime/limit.js'
import type { Logger } from '../../runtime/logger.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store, Write } from '../store/store.js'
import type { Shard } from './core/shard.js'
import type { OwnerDriver } from './owner-driver.js'

/**
 * Units of shards read back because somebody asked, together: about 0.5 GiB. Anybody may ask for the units of any shard.
 */
export const READ_BACK_UNITS_MAX = 524_288
/** Shards being read back at a time; others wait in line. */
const READS_AT_ONCE = 4

interface FinishedShardsContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly store: Store
  readonly commits: GroupCommit
  readonly owner: OwnerDriver
  /** A finished shard leaves memory after this long without a question about it. Unit: ms. */
  readonly unloadAfterMs: number
}

/**
 * Shards with nothing left to do. They leave memory when nobody has asked for a while, and stay out of it after a restart:
 * their counts are kept, here and on disk, and their facts are read back when somebody asks. So a job of ten million units
 * takes the memory of the few shards that are being worked on.
 */
export class FinishedShards {
  readonly #c: FinishedShardsContext
  readonly #summaries = new Map<string, Summary>()
  readonly #idleSince = new Map<string, number>()
  /** Shards that were read back and have not left since; the one asked about last at the end. */
  readonly #readBack = new Map<string, { readonly jobId: JobId; readonly shard: number; readonly units: number }>()
  readonly #reads = new Limit(READS_AT_ONCE)

  constructor(context: FinishedShardsContext) {
    this.#c = context
  }

  summary(jobId: JobId, shard: number): Summary | undefined {
    return this.#summaries.get(finishedName(jobId, shard))
  }

  /** Whether the shard was finished before this process started: then its counts are read and nothing else. */
  async restore(jobId: JobId, shard: number): Promise<boolean> {
    const bytes = await this.#c.store.meta(finishedName(jobId, shard))
    // An empty one was left by versions that did not delete it.
    if (bytes === undefined || bytes.length === 0) return false
    try {
      this.#summaries.set(finishedName(jobId, shard), summaryCodec.decode(bytes))
      return true
    } catch {
      return false
    }
  }

  /** Somebody asked about the shard. */
  touch(jobId: JobId, shard: number): void {
    const name = finishedName(jobId, shard)
    this.#idleSince.set(name, this.#c.clock.now())
    const readBack = this.#readBack.get(name)
    if (readBack === undefined) return
    this.#readBack.delete(name)
    this.#readBack.set(name, readBack)
  }

  /**
   * Has a shard of `units` opened by `open` because somebody asks about it. Those that nobody has asked about for longest leave
   * for it. @throws GridError `quota` when too much is being read by others, and as `open` does
   */
  readBack(jobId: JobId, shard: number, units: number, open: () => Promise<void>): Promise<void> {
    return this.#reads.run(async () => {
      if (this.#c.owner.core.hasShard(jobId, shard)) return
      await this.#makeRoom(units)
      const name = finishedName(jobId, shard)
      this.#readBack.set(name, { jobId, shard, units })
      try {
        await open()
      } catch (error) {
        this.#readBack.delete(name)
        throw error
      }
    })
  }

  async #makeRoom(units: number): Promise<void> {
    for (const { jobId, shard } of [...this.#readBack.values()]) {
      if (this.#hasRoom(units)) return
      if (this.#c.owner.core.hasShard(jobId, shard)) await this.unload(jobId, shard)
    }
    if (!this.#hasRoom(units))
      throw new GridError('quota', 'too many finished shards are being read here; ask again in a moment')
  }

  #hasRoom(units: number): boolean {
    let all = units
    for (const one of this.#readBack.values()) all += one.units
    return all <= READ_BACK_UNITS_MAX
  }

  /** To be called every few seconds. */
  sweep(): void {
    const { owner } = this.#c
    for (const job of owner.core.jobs()) {
      for (const shard of job.shards.values()) if (shard.finished) this.#unloadLater(shard)
    }
  }

  /** What is to be written for the counts of the job's shards to leave the disk. */
  drops(jobId: JobId): Write[] {
    const names = [...this.#summaries.keys()].filter((name) => name.startsWith(`finished/${jobId}/`))
    return names.map((name) => ({ type: 'meta', name, value: new Uint8Array(0) }))
  }

  forget(jobId: JobId): void {
    for (const table of [this.#summaries, this.#idleSince, this.#readBack]) {
      for (const name of table.keys()) if (name.startsWith(`finished/${jobId}/`)) table.delete(name)
    }
  }

  /** The shard is not kept here any more. */
  forgetShard(jobId: JobId, shard: number): void {
    const name = finishedName(jobId, shard)
    this.#summaries.delete(name)
    this.#idleSince.delete(name)
    this.#readBack.delete(name)
  }

  #unloadLater({ jobId, shard }: Shard): void {
    const { clock, owner, unloadAfterMs } = this.#c
    const name = finishedName(jobId, shard)
    const since = this.#idleSince.get(name)
    if (since === undefined) this.#idleSince.set(name, clock.now())
    else if (clock.now() - since >= unloadAfterMs && !owner.isListenedTo(jobId, shard)) void this.unload(jobId, shard)
  }

  /** Lets a finished shard leave memory, its counts written first, unless somebody reads it. Never rejects. */
  async unload(jobId: JobId, shard: number): Promise<void> {
    const { commits, owner, logger } = this.#c
    const name = finishedName(jobId, shard)
    const report = owner.core.report(jobId, shard)
    if (report === undefined) return
    this.touch(jobId, shard)
    const summary: Summary = { ...report.summary, workers: 0, donors: 0, leased: 0, ready: 0 }
    try {
      await commits.commit([{ type: 'meta', name, value: summaryCodec.encode(summary) }])
    } catch (error) {
      logger.warn('a finished shard stays in memory', { jobId, shard, error: toGridError(error).message })
      return
    }
    if (owner.core.shard(jobId, shard)?.finished !== true || owner.isListenedTo(jobId, shard)) return
    this.#summaries.set(name, summary)
    this.#idleSince.delete(name)
    this.#readBack.delete(name)
    owner.unloadShard(jobId, shard)
  }
}

/** Name under which the counts of a finished shard are kept; without a value it is not finished any more. */
export function finishedName(jobId: JobId, shard: number): string {
  return `finished/${jobId}/${shard}`
}
