import type { Coordinator, FactExchange } from '../../../coordinator/index.js'
import type { BookedJob } from '../../../coordinator/job-book.js'
import type { MemoryStore } from '../../../coordinator/memory-store.js'
import { factId } from '../../../job/facts.js'
import { reportCodec, reportFactCodec } from '../../../proto/codec/facts.js'
import type { UnitBytes } from '../../../proto/messages.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, Grant, GrantRun, JobId, NodeId, PublicKey, ReportFact } from '../../../proto/model.js'
import type { Clock, Millis } from '../../../runtime/clock.js'
import { GridError, toGridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { fromHex, toHex, utf8 } from '../../../runtime/hex.js'
import { jitter } from '../../../runtime/jitter.js'
import type { Random } from '../../../runtime/random.js'
import type { Codec, Endpoint, Transport, UnaryMethod } from '../../../runtime/transport.js'
import type { GridDirectory } from './directory.js'

/** Time between two full comparisons of a shard with its other owners, varied by 20 %. Unit: ms. */
export const SYNC_MS = 10_000
/** What owners hand out is told again this often, and believed for this long. Unit: ms. */
const OUTSTANDING_MS = 3_000
const BELIEVED_MS = 8_000
/** Longest wait for another owner to have a fact on disk. Unit: ms. */
const OFFER_MS = 2_000
const CALL_MS = 5_000
/** Facts sent or fetched in one message. */
const FACTS_AT_ONCE = 40

interface ShardName {
  readonly jobId: JobId
  readonly shard: number
}
interface RawFact {
  readonly id: Digest
  readonly fact: Uint8Array
  readonly outputs: readonly UnitBytes[]
}
interface Outstanding extends ShardName {
  readonly worker: PublicKey
  readonly runs: readonly GrantRun[]
  readonly durationMs: Millis
}

/** Values as JSON, bytes in it as hex: what `node:v8` writes differs with how the engine happens to keep an array. */
function anyCodec<T>(): Codec<T> {
  function write(this: Record<string, unknown>, name: string, value: unknown) {
    // A Buffer has turned itself into something else by the time it is `value`.
    const original = this[name]
    return original instanceof Uint8Array ? { hex: toHex(original) } : value
  }
  const read = (_name: string, value: unknown) =>
    typeof value === 'object' && value !== null && 'hex' in value ? fromHex(String(value.hex)) : value
  return {
    encode: (value) => utf8(JSON.stringify(value, write)),
    decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes), read) as T,
  }
}
function simMethod<Request, Response>(name: string): UnaryMethod<Request, Response> {
  return { path: `/sim.Exchange/${name}`, request: anyCodec<Request>(), response: anyCodec<Response>() }
}

const exchangeMethods = {
  /** Facts that the caller has on disk. */
  offer: simMethod<ShardName & { readonly facts: readonly RawFact[] }, null>('Offer'),
  /** All fact ids of the caller; answered with the ids missing here, and with facts missing there. */
  compare: simMethod<
    ShardName & { readonly ids: readonly Digest[] },
    { readonly missing: readonly Digest[]; readonly facts: readonly RawFact[] }
  >('Compare'),
  outstanding: simMethod<readonly Outstanding[], null>('Outstanding'),
}

/** What the replicator of one peer is made from. */
export interface ExchangeParts {
  readonly coordinator: Coordinator
  readonly self: Endpoint
  readonly store: Pick<MemoryStore, 'facts' | 'outputs' | 'largeOutputs'>
  readonly outputs: { read(digest: Digest): Promise<Uint8Array | undefined> }
  readonly transport: Transport
  readonly directory: GridDirectory
  readonly clock: Clock
  readonly random: Random
}

/**
 * Keeps the owners of a shard alike in the plainest way that can be right: each fact is forwarded raw to the others at
 * once, and every ten seconds full sets of ids are compared. What is granted is told as soft state.
 */
export class SimExchange implements FactExchange {
  readonly #p: ExchangeParts
  readonly #shards = new Map<string, { readonly job: BookedJob; readonly shard: number }>()
  /** Large outputs that another owner has said it keeps. */
  readonly #pushed = new Set<string>()

  constructor(parts: ExchangeParts) {
    this.#p = parts
    const { transport, clock, random, coordinator } = parts
    transport.handleUnary(exchangeMethods.offer, async (request) => {
      await this.#take(request, request.facts)
      return null
    })
    transport.handleUnary(exchangeMethods.compare, (request) => this.#compared(request))
    transport.handleUnary(exchangeMethods.outstanding, (told, caller) => {
      for (const each of told) coordinator.owner.handle({ type: 'otherGranted', grantor: caller.nodeId, ...each })
      return null
    })
    const sync = () => {
      for (const { job, shard } of this.#shards.values()) void this.#sync(job, shard)
      clock.setTimer(jitter(random, SYNC_MS, 0.2), sync)
    }
    clock.setTimer(jitter(random, SYNC_MS, 0.2), sync)
    const tell = () => {
      for (const { job, shard } of this.#shards.values()) void this.#tellOutstanding(job, shard)
      clock.setTimer(OUTSTANDING_MS, tell)
    }
    clock.setTimer(OUTSTANDING_MS, tell)
  }

  shardOpened(job: BookedJob, shard: number): void {
    this.#shards.set(`${job.jobId}/${shard}`, { job, shard })
    void this.#sync(job, shard)
  }

  async replicate(
    job: BookedJob,
    shard: number,
    fact: ReportFact,
    outputs: readonly UnitBytes[],
  ): Promise<readonly NodeId[]> {
    const { self, coordinator } = this.#p
    const wanted = coordinator.options.shardHolders
    const holders: NodeId[] = [self.nodeId]
    const raw: RawFact = { id: factId(fact, sha256), fact: reportFactCodec.encode(fact), outputs }
    const others = await this.#others(job, shard)
    return new Promise((resolve) => {
      let open = others.length
      const settle = () => {
        if (holders.length >= wanted || open === 0) resolve([...holders])
      }
      settle()
      for (const other of others) {
        this.#offer(other, job, shard, [raw], OFFER_MS)
          .then(
            () => holders.push(other.nodeId),
            () => {},
          )
          .then(() => {
            open--
            settle()
          })
      }
    })
  }

  granted(job: BookedJob, { shard, worker, runs }: Grant): void {
    const told = [{ jobId: job.jobId, shard, worker, runs, durationMs: BELIEVED_MS }]
    void this.#tell(job, shard, told)
  }

  async #others(job: BookedJob, shard: number): Promise<readonly Endpoint[]> {
    const { directory, self, coordinator } = this.#p
    const key = job.shardKey(shard)
    const owners = await directory
      .asOwner(self)
      .owners(key, coordinator.options.shardOwners)
      .catch(() => [])
    coordinator.owner.handle({
      type: 'ownersChanged',
      jobId: job.jobId,
      shard,
      owners: owners.length > 0 ? owners.map(({ nodeId }) => nodeId) : [self.nodeId],
    })
    return owners.filter(({ nodeId }) => nodeId !== self.nodeId)
  }

  /** Gives facts to another owner, and the job first if it does not know it. */
  async #offer(
    other: Endpoint,
    job: BookedJob,
    shard: number,
    facts: readonly RawFact[],
    deadlineMs: Millis,
  ): Promise<void> {
    const { transport } = this.#p
    const { jobId } = job
    const offer = () => transport.call(other, exchangeMethods.offer, { jobId, shard, facts }, { deadlineMs })
    try {
      await offer()
    } catch (error) {
      if (toGridError(error).code !== 'notFound') throw error
      await this.#activate(other, job, shard)
      await offer()
    }
  }

  async #activate(other: Endpoint, job: BookedJob, shard: number): Promise<void> {
    const request = { spec: job.signed, orders: job.signedOrders, shard }
    await this.#p.transport.call(other, methods.activate, request, { deadlineMs: CALL_MS })
  }

  async #take({ jobId }: ShardName, facts: readonly RawFact[]): Promise<void> {
    const { coordinator } = this.#p
    coordinator.book.need(jobId)
    for (const { fact, outputs } of facts) {
      const refusal = await coordinator.owner.takeFact(reportFactCodec.decode(fact), outputs, 0, undefined)
      if (refusal !== undefined) throw new GridError('invalid', refusal)
    }
  }

  async #compared({ jobId, shard, ids }: ShardName & { readonly ids: readonly Digest[] }) {
    const { coordinator } = this.#p
    const job = coordinator.book.need(jobId)
    if (!job.shards.includes(shard)) throw new GridError('notFound', `the job has no shard ${shard}`)
    const own = await this.#ids(jobId, shard)
    const theirs = new Set(ids)
    return {
      missing: ids.filter((id) => !own.has(id)).slice(0, FACTS_AT_ONCE),
      facts: await this.#raw(jobId, shard, [...own].filter((id) => !theirs.has(id)).slice(0, FACTS_AT_ONCE)),
    }
  }

  async #ids(jobId: JobId, shard: number): Promise<Set<Digest>> {
    const facts = await this.#p.store.facts(jobId, shard, 0, Number.MAX_SAFE_INTEGER)
    return new Set(facts.map((stored) => stored.factId))
  }

  async #raw(jobId: JobId, shard: number, ids: readonly Digest[]): Promise<RawFact[]> {
    const { store } = this.#p
    const wanted = new Set(ids)
    const raw: RawFact[] = []
    for (const { factId: id, fact } of await store.facts(jobId, shard, 0, Number.MAX_SAFE_INTEGER)) {
      if (!wanted.has(id)) continue
      const { results } = reportCodec.decode(reportFactCodec.decode(fact).report.bytes)
      const units = results.map(({ unit }) => unit)
      const outputs = await store.outputs(
        jobId,
        shard,
        units.map((unit) => ({ unit, factId: id })),
      )
      raw.push({ id, fact, outputs: [...outputs].map(([unit, bytes]) => ({ unit, bytes })) })
    }
    return raw
  }

  /** Compares a shard with its other owners until each has what the other had. */
  async #sync(job: BookedJob, shard: number): Promise<void> {
    const { transport } = this.#p
    const { jobId } = job
    for (const other of await this.#others(job, shard)) {
      try {
        for (let more = true; more; ) {
          const ids = [...(await this.#ids(jobId, shard))]
          const compare = () =>
            transport.call(other, exchangeMethods.compare, { jobId, shard, ids }, { deadlineMs: CALL_MS })
          const reply = await compare().catch(async (error: unknown) => {
            if (toGridError(error).code !== 'notFound') throw error
            await this.#activate(other, job, shard)
            return compare()
          })
          await this.#take({ jobId, shard }, reply.facts)
          const raw = await this.#raw(jobId, shard, reply.missing)
          if (raw.length > 0) await this.#offer(other, job, shard, raw, CALL_MS)
          more = reply.facts.length === FACTS_AT_ONCE || reply.missing.length === FACTS_AT_ONCE
        }
        await this.#pushLarge(other, job, shard)
      } catch {
        // The other one is away or cannot write; the next round tries again.
      }
    }
  }

  /** Large outputs go to every owner as their worker would bring them. */
  async #pushLarge(other: Endpoint, { jobId }: BookedJob, shard: number): Promise<void> {
    const { store, outputs, transport } = this.#p
    for (const { unit, digest } of await store.largeOutputs(jobId, shard)) {
      const name = `${other.nodeId} ${jobId} ${unit} ${digest}`
      const bytes = this.#pushed.has(name) ? undefined : await outputs.read(digest)
      if (bytes === undefined) continue
      const stream = transport.open(other, methods.putOutput)
      stream.onMessage(({ stored }) => {
        if (stored) this.#pushed.add(name)
      })
      stream.onClose(() => {})
      stream.send({ start: { jobId, shard, unit, digest }, bytes })
      stream.end()
    }
  }

  async #tellOutstanding(job: BookedJob, shard: number): Promise<void> {
    const { jobId } = job
    const open = this.#p.coordinator.owner.core.shard(jobId, shard)
    if (open === undefined) return
    const byWorker = new Map<PublicKey, GrantRun[]>()
    for (const record of open.records()) {
      for (const { worker, opinion } of record.held) {
        const runs = byWorker.get(worker.key) ?? []
        runs.push({ first: record.unit, count: 1, opinion })
        byWorker.set(worker.key, runs)
      }
    }
    const told = [...byWorker].map(([worker, runs]) => ({ jobId, shard, worker, runs, durationMs: BELIEVED_MS }))
    if (told.length > 0) await this.#tell(job, shard, told)
  }

  async #tell(job: BookedJob, shard: number, told: readonly Outstanding[]): Promise<void> {
    for (const other of await this.#others(job, shard)) {
      this.#p.transport.call(other, exchangeMethods.outstanding, told, { deadlineMs: OFFER_MS }).catch(() => {})
    }
  }
}
