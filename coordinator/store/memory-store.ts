import { deserialize } from 'node:v8'
import type { Digest, JobId, PublicKey, Signed } from '../../proto/model.js'
import type { UnitBytes } from '../../proto/work-messages.js'
import type { Disk } from '../../runtime/disk.js'
import { GridError } from '../../runtime/errors.js'
import { frameRecord, readRecords, serializeRecord } from '../../runtime/record-log.js'
import {
  type FactOutput,
  type JobRole,
  KEYS_SEEN_MAX,
  type Store,
  type StoredFact,
  type StoredJob,
  type StoredOutput,
  type StoredShard,
  type Write,
} from './store.js'

/** Below this a log is not worth rewriting, however much of it is dead. */
const COMPACT_BYTES_MIN = 2 ** 20

interface MemoryShard {
  readonly activatedAtMs: number
  readonly facts: Map<Digest, { readonly fact: Uint8Array; readonly outputs: Map<number, Uint8Array> }>
  /** Facts in commit order; `row` is the place plus one. Undefined: dropped. */
  readonly order: (Digest | undefined)[]
  readonly large: Map<string, StoredOutput>
}

interface MemoryJob {
  readonly roles: Set<JobRole>
  readonly spec: Signed
  readonly receivedAtMs: number
  readonly orders: { readonly seq: number; readonly order: Signed }[]
  readonly shards: Map<number, MemoryShard>
}

/**
 * A store for the simulator: everything in memory, and a log of groups with checksums on a `Disk`, from which it starts
 * again after a crash. A group that was cut short, and whatever followed it, was never acknowledged and is dropped.
 */
export class MemoryStore implements Store {
  readonly #disk: Disk
  readonly #file: string
  readonly #jobs = new Map<JobId, MemoryJob>()
  readonly #keysSeen = new Map<PublicKey, number>()
  readonly #meta = new Map<string, Uint8Array>()
  #logBytes = 0
  /** The end of the file is not what the memory says, because a write failed half way. */
  #torn = false
  #last: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(disk: Disk, file: string) {
    this.#disk = disk
    this.#file = file
  }

  /** The store kept in `file` of `disk`, made when there is none. Rejects as `Disk` does. */
  static async open(disk: Disk, file = 'store.log'): Promise<MemoryStore> {
    const store = new MemoryStore(disk, file)
    const log = await disk.read(file)
    if (log === undefined) return store
    const { payloads, goodBytes } = readRecords(log)
    for (const payload of payloads) for (const write of deserialize(payload) as Write[]) store.#apply(write)
    store.#logBytes = goodBytes
    // What a process wrote and did not sync before it was killed is read here, and counts from now on: it must be durable.
    if (goodBytes < log.length) await disk.write(file, log.subarray(0, goodBytes))
    else await disk.sync(file)
    return store
  }

  commit(writes: readonly Write[]): Promise<void> {
    const run = this.#last.then(() => this.#commit(writes))
    this.#last = run.catch(() => {})
    return run
  }

  async #commit(writes: readonly Write[]): Promise<void> {
    this.#checkOpen()
    if (this.#torn) await this.#rewrite()
    const frame = frameRecord(serializeRecord(writes))
    try {
      await this.#disk.append(this.#file, frame)
      await this.#disk.sync(this.#file)
    } catch (error) {
      this.#torn = true
      throw error
    }
    this.#logBytes += frame.length
    for (const write of writes) this.#apply(write)
    if (writes.some(({ type }) => type === 'dropJob' || type === 'dropShard' || type === 'dropOutputs'))
      await this.#compact()
  }

  async jobs(): Promise<StoredJob[]> {
    this.#checkOpen()
    return [...this.#jobs].map(([jobId, { roles, spec, orders, receivedAtMs }]) => ({
      jobId,
      roles: new Set(roles),
      spec,
      orders: [...orders].sort((a, b) => a.seq - b.seq),
      receivedAtMs,
    }))
  }

  async shards(jobId: JobId): Promise<StoredShard[]> {
    this.#checkOpen()
    const shards = this.#jobs.get(jobId)?.shards ?? new Map<number, MemoryShard>()
    return [...shards].map(([shard, { activatedAtMs }]) => ({ shard, activatedAtMs })).sort((a, b) => a.shard - b.shard)
  }

  async facts(jobId: JobId, shard: number, after: number, limit: number): Promise<StoredFact[]> {
    const kept = this.#shard(jobId, shard)
    const found: StoredFact[] = []
    for (let at = after; kept !== undefined && at < kept.order.length && found.length < limit; at++) {
      const factId = kept.order[at]
      if (factId !== undefined) found.push({ row: at + 1, factId, fact: kept.facts.get(factId)!.fact })
    }
    return found
  }

  async factsById(jobId: JobId, shard: number, ids: readonly Digest[]): Promise<StoredFact[]> {
    const kept = this.#shard(jobId, shard)
    const wanted = new Set(ids)
    return (kept?.order ?? []).flatMap((factId, i) =>
      factId !== undefined && wanted.has(factId) ? [{ row: i + 1, factId, fact: kept!.facts.get(factId)!.fact }] : [],
    )
  }

  async factIds(jobId: JobId, shard: number): Promise<Digest[]> {
    return [...(this.#shard(jobId, shard)?.facts.keys() ?? [])]
  }

  async outputs(jobId: JobId, shard: number, wanted: readonly FactOutput[]): Promise<Map<number, Uint8Array>> {
    const kept = this.#shard(jobId, shard)
    const found = new Map<number, Uint8Array>()
    for (const { unit, factId } of wanted) {
      const bytes = kept?.facts.get(factId)?.outputs.get(unit)
      if (bytes) found.set(unit, bytes)
    }
    return found
  }

  async largeOutputs(jobId: JobId, shard: number): Promise<StoredOutput[]> {
    return [...(this.#shard(jobId, shard)?.large.values() ?? [])].sort(byUnit)
  }

  async keysSeen(): Promise<Map<PublicKey, number>> {
    this.#checkOpen()
    return new Map(this.#keysSeen)
  }

  async meta(name: string): Promise<Uint8Array | undefined> {
    this.#checkOpen()
    return this.#meta.get(name)
  }

  async bytesUsed(): Promise<number> {
    return this.#logBytes
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }

  #checkOpen(): void {
    if (this.#closed) throw new GridError('closed', 'the store is closed')
  }

  #shard(jobId: JobId, shard: number): MemoryShard | undefined {
    this.#checkOpen()
    return this.#jobs.get(jobId)?.shards.get(shard)
  }

  #apply(write: Write): void {
    if (write.type === 'spec') {
      this.#applySpec(write)
      return
    }
    if (write.type === 'meta') {
      if (write.value.length > 0) this.#meta.set(write.name, write.value)
      else this.#meta.delete(write.name)
      return
    }
    if (write.type === 'keySeen') {
      const known = this.#keysSeen.get(write.key)
      if (known === undefined && this.#keysSeen.size >= KEYS_SEEN_MAX) return
      this.#keysSeen.set(write.key, Math.min(known ?? write.atMs, write.atMs))
      return
    }
    const job = this.#jobs.get(write.jobId)
    if (!job) return
    if (write.type === 'dropJob') this.#jobs.delete(write.jobId)
    else if (write.type === 'dropRole') job.roles.delete(write.role)
    else if (write.type === 'order') applyOrder(job, write.seq, write.order)
    else if (write.type === 'dropOrder') dropOrder(job, write.seq, write.order)
    else if (write.type === 'dropShard') job.shards.delete(write.shard)
    else if (write.type === 'shard') applyShard(job, write.shard, write.activatedAtMs)
    else {
      const shard = job.shards.get(write.shard)
      if (shard) applyToShard(shard, write)
    }
  }

  #applySpec({ jobId, role, spec, receivedAtMs }: Extract<Write, { type: 'spec' }>): void {
    const known = this.#jobs.get(jobId)
    if (known) known.roles.add(role)
    else this.#jobs.set(jobId, { roles: new Set([role]), spec, receivedAtMs, orders: [], shards: new Map() })
  }

  /** Rewrites the log when most of it is dead; a failure only leaves it long. */
  async #compact(): Promise<void> {
    if (this.#logBytes < COMPACT_BYTES_MIN) return
    const live = frameRecord(serializeRecord(this.#snapshot()))
    if (2 * live.length > this.#logBytes) return
    await this.#disk.write(this.#file, live).then(
      () => {
        this.#logBytes = live.length
      },
      () => {},
    )
  }

  async #rewrite(): Promise<void> {
    const live = frameRecord(serializeRecord(this.#snapshot()))
    await this.#disk.write(this.#file, live)
    this.#logBytes = live.length
    this.#torn = false
  }

  /** Writes that make an empty store equal to this one. */
  #snapshot(): Write[] {
    const writes: Write[] = []
    for (const [jobId, job] of this.#jobs) {
      const { roles, spec, receivedAtMs } = job
      for (const role of roles) writes.push({ type: 'spec', jobId, role, spec, receivedAtMs })
      if (roles.size === 0) {
        writes.push(
          { type: 'spec', jobId, role: 'home', spec, receivedAtMs },
          { type: 'dropRole', jobId, role: 'home' },
        )
      }
      for (const { seq, order } of job.orders) writes.push({ type: 'order', jobId, order, seq })
      for (const [shard, { activatedAtMs, order, facts, large }] of job.shards) {
        writes.push({ type: 'shard', jobId, shard, activatedAtMs })
        for (const factId of order) {
          if (factId === undefined) continue
          const { fact, outputs } = facts.get(factId)!
          const kept: UnitBytes[] = [...outputs].map(([unit, bytes]) => ({ unit, bytes }))
          writes.push({ type: 'fact', jobId, shard, factId, fact, outputs: kept })
        }
        for (const output of large.values()) writes.push({ type: 'output', jobId, shard, ...output })
      }
    }
    for (const [key, atMs] of this.#keysSeen) writes.push({ type: 'keySeen', key, atMs })
    for (const [name, value] of this.#meta) writes.push({ type: 'meta', name, value })
    return writes
  }
}

function applyOrder(job: MemoryJob, seq: number, order: Signed): void {
  const signature = Buffer.from(order.signature)
  if (!job.orders.some((known) => known.seq === seq && signature.equals(known.order.signature)))
    job.orders.push({ seq, order })
}

function dropOrder(job: MemoryJob, seq: number, order: Signed): void {
  const signature = Buffer.from(order.signature)
  const at = job.orders.findIndex((known) => known.seq === seq && signature.equals(known.order.signature))
  if (at >= 0) job.orders.splice(at, 1)
}

function applyShard(job: MemoryJob, shard: number, activatedAtMs: number): void {
  if (!job.shards.has(shard)) job.shards.set(shard, { activatedAtMs, facts: new Map(), order: [], large: new Map() })
}

function applyToShard(
  shard: MemoryShard,
  write: Extract<Write, { type: 'fact' | 'smallOutputs' | 'output' | 'dropFacts' | 'dropOutputs' }>,
): void {
  if (write.type === 'dropOutputs') {
    shard.large.clear()
    for (const { outputs } of shard.facts.values()) outputs.clear()
  } else if (write.type === 'dropFacts') {
    for (const factId of write.factIds) {
      if (!shard.facts.delete(factId)) continue
      shard.order[shard.order.indexOf(factId)] = undefined
    }
  } else if (write.type === 'output') {
    const { unit, digest, size } = write
    const name = `${unit} ${digest}`
    if (!shard.large.has(name)) shard.large.set(name, { unit, digest, size })
  } else {
    if (write.type === 'fact' && !shard.facts.has(write.factId)) {
      shard.facts.set(write.factId, { fact: write.fact, outputs: new Map() })
      shard.order.push(write.factId)
    }
    const outputs = shard.facts.get(write.factId)?.outputs
    for (const { unit, bytes } of write.outputs) if (outputs && !outputs.has(unit)) outputs.set(unit, bytes)
  }
}

function byUnit(a: StoredOutput, b: StoredOutput): number {
  return a.unit - b.unit || (a.digest < b.digest ? -1 : 1)
}
