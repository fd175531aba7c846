import type { JobId } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { fromHex, toHex } from '../../runtime/hex.js'
import type { JobBook } from '../jobs/job-book.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import type { Owner } from './core/owner.js'

const META_NAME = 'doubted'
const ID_BYTES = 32
const NUMBER_BYTES = 4
/** Units remembered, of all jobs together: 64 KiB. Of more, the rest is not doubted after a restart. */
const REMEMBERED_MAX = 16_384
/** What has changed is written so often. Unit: ms. */
const LOOK_MS: Millis = 1_000

interface KeptDoubtsContext {
  readonly clock: Clock
  readonly core: Owner
  readonly book: Pick<JobBook, 'get'>
  readonly store: Pick<Store, 'meta'>
  readonly commits: Pick<GroupCommit, 'commit'>
}

/** Units that this owner doubts, on disk: a restart is no reason to believe strangers. Those of the last second may be missing. */
export class KeptDoubts {
  readonly #c: KeptDoubtsContext
  #kept = new Map<JobId, ReadonlySet<number>>()
  #written = ''
  #timer: Timer | undefined
  #closed = false

  constructor(context: KeptDoubtsContext) {
    this.#c = context
  }

  /** Reads what was doubted before a restart. */
  async start(): Promise<void> {
    const bytes = (await this.#c.store.meta(META_NAME)) ?? new Uint8Array(0)
    this.#kept = decode(bytes)
    this.#written = toHex(bytes)
    this.#look()
  }

  /** Units of a job that are read back to be doubted. */
  of(jobId: JobId): ReadonlySet<number> | undefined {
    return this.#kept.get(jobId)
  }

  /** The job is deleted. */
  forget(jobId: JobId): void {
    this.#kept.delete(jobId)
  }

  #look(): void {
    if (this.#closed) return
    this.#timer = this.#c.clock.setTimer(LOOK_MS, () => this.#look())
    const { core, book, commits } = this.#c
    const doubted = new Map<JobId, Set<number>>()
    const add = (jobId: JobId, unit: number) => doubted.set(jobId, (doubted.get(jobId) ?? new Set()).add(unit))
    for (const { jobId, doubts } of core.jobs()) for (const { unit } of doubts.doubted) add(jobId, unit)
    for (const [jobId, units] of this.#kept) {
      // What is not in memory, or not yet, is as it was.
      const shardUnits = book.get(jobId)?.spec.shardUnits
      const isHere = (unit: number) => shardUnits !== undefined && core.hasShard(jobId, Math.floor(unit / shardUnits))
      for (const unit of units) if (!isHere(unit)) add(jobId, unit)
    }
    this.#kept = doubted
    const value = encode(doubted)
    const text = toHex(value)
    if (text === this.#written) return
    this.#written = text
    // What is not on disk is believed after a restart, as far as it is lost there.
    commits.commit([{ type: 'meta', name: META_NAME, value }]).catch(() => {})
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }
}

/** For each job its id, how many units, and these. */
function encode(doubted: ReadonlyMap<JobId, ReadonlySet<number>>): Uint8Array {
  const parts: number[] = []
  let left = REMEMBERED_MAX
  for (const [jobId, units] of doubted) {
    const some = [...units].sort((a, b) => a - b).slice(0, left)
    left -= some.length
    if (some.length === 0) continue
    parts.push(...fromHex(jobId))
    for (const number of [some.length, ...some])
      for (let shift = 24; shift >= 0; shift -= 8) parts.push((number >>> shift) & 255)
  }
  return Uint8Array.from(parts)
}

function decode(bytes: Uint8Array): Map<JobId, ReadonlySet<number>> {
  const doubted = new Map<JobId, ReadonlySet<number>>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + ID_BYTES + NUMBER_BYTES <= bytes.length; ) {
    const jobId = toHex(bytes.subarray(at, at + ID_BYTES)) as JobId
    at += ID_BYTES
    const count = view.getUint32(at)
    const units = new Set<number>()
    for (let i = 1; i <= count && at + (i + 1) * NUMBER_BYTES <= bytes.length; i++)
      units.add(view.getUint32(at + i * NUMBER_BYTES))
    at += (count + 1) * NUMBER_BYTES
    doubted.set(jobId, units)
  }
  return doubted
}
