import type { ClientOverlay, FoundRecord } from '../../../client/overlay-face.js'
import { GridClient } from '../../../client/session.js'
import { digestOutput } from '../../../job/digest.js'
import { applyOrders } from '../../../job/orders.js'
import { selectedShards, shardUnits } from '../../../job/shard.js'
import { jobIdOf, specDefaults } from '../../../job/spec.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { unitCount } from '../../../job/unit-source.js'
import { compareDistance } from '../../../overlay/core/node-id.js'
import { createIdentity, ed25519Verifier, type Identity } from '../../../overlay/identity.js'
import { grantCodec, orderCodec, reportCodec, unitOutputCodec } from '../../../proto/codec/facts.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import { CHUNK_BYTES, INLINE_OUTPUT_BYTES_MAX } from '../../../proto/limits.js'
import type { ResultsReply, SettledUnit, ShardStatus, ShowReply, UnitStatus } from '../../../proto/messages.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, JobSpec, Key, PublicKey, ReportFact, Signed, Summary, UnitOutput } from '../../../proto/model.js'
import { type Clock, systemClock } from '../../../runtime/clock.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { fromHex, utf8 } from '../../../runtime/hex.js'
import { silentLogger } from '../../../runtime/logger.js'
import { systemRandom } from '../../../runtime/random.js'
import type { Caller, Endpoint, MessageStream, StreamMethod, Transport } from '../../../runtime/transport.js'
import { MemoryNetwork, type MemoryTransport } from './memory-transport.js'

const TWO_WORKERS: Summary = { ...EMPTY_SUMMARY, workers: 2, donors: 2 }

export const donors = [createIdentity(), createIdentity(), createIdentity()]

/** Output of a unit that printed `text`. */
export function printed(text: string | Uint8Array, changes: Partial<UnitOutput> = {}): UnitOutput {
  const stdout = typeof text === 'string' ? utf8(text) : text
  return { outcome: 'done', exitCode: 0, stdout, stderr: new Uint8Array(0), stderrLength: 0, files: [], ...changes }
}

/** What honest workers computed: the output of each unit; undefined: not settled; a state for units without result. */
export type Computed = (unit: number) => UnitOutput | 'open' | 'held'

/** One settled unit at an owner. */
interface Kept {
  readonly unit: number
  readonly output: UnitOutput
  readonly encoded: Uint8Array
}

/** A job as peers of the fake grid have it. */
export class FakeJob {
  readonly jobId: JobId
  readonly signed: Signed
  readonly spec: JobSpec
  readonly orders: Signed[] = []
  computed: Computed
  /** What a third donor says of a unit, if it says anything. */
  dissent: (unit: number) => UnitOutput | undefined = () => undefined
  /** How many donors answer the 64 units from this one on; undefined: as many as the quorum wants. */
  opinions: (first: number) => number | undefined = () => undefined
  readonly #facts = new Map<number, readonly ReportFact[]>()

  constructor(signed: Signed, computed: Computed) {
    this.signed = signed
    this.spec = jobSpecCodec.decode(signed.bytes)
    this.jobId = jobIdOf(sha256, signed.bytes)
    this.computed = computed
  }

  get cancelled(): boolean {
    const known = this.orders.map((order) => ({ id: sha256(order.bytes), order: orderCodec.decode(order.bytes) }))
    return applyOrders(this.spec, known).cancelled
  }

  units(shard: number): number[] {
    return shardUnits(this.spec, shard).flatMap(({ first, count }) =>
      Array.from({ length: count }, (_, i) => first + i),
    )
  }

  kept(shard: number): Kept[] {
    return this.units(shard).flatMap((unit) => {
      const output = this.computed(unit)
      return typeof output === 'string' ? [] : [{ unit, output, encoded: unitOutputCodec.encode(output) }]
    })
  }

  /** Facts of a shard: reports of 64 units by as many donors as the quorum wants. */
  facts(shard: number, owner: Identity): readonly ReportFact[] {
    let facts = this.#facts.get(shard)
    if (facts === undefined) {
      const votes = this.spec.policy.type === 'quorum' ? this.spec.policy.quorum : 1
      const kept = this.kept(shard)
      const made: ReportFact[] = []
      for (let at = 0; at < kept.length; at += 64) {
        for (let vote = 0; vote < (this.opinions(kept[at]!.unit) ?? votes); vote++)
          made.push(factBy(this, shard, kept.slice(at, at + 64), donors[vote]!, owner, vote))
      }
      const others = this.units(shard).flatMap((unit) => {
        const output = this.dissent(unit)
        return output === undefined ? [] : [{ unit, output, encoded: unitOutputCodec.encode(output) }]
      })
      for (let at = 0; at < others.length; at += 64)
        made.push(factBy(this, shard, others.slice(at, at + 64), donors[2]!, owner, votes))
      facts = made
      this.#facts.set(shard, facts)
    }
    return facts
  }

  summary(shards: readonly number[] = selectedShards(this.spec)): Summary {
    const counts = { settled: 0, failed: 0, open: 0, held: 0 }
    let units = 0
    for (const shard of shards) {
      for (const unit of this.units(shard)) {
        units++
        const output = this.computed(unit)
        if (typeof output === 'string') counts[output]++
        else if (output.outcome === 'done') counts.settled++
        else counts.failed++
      }
    }
    return { ...TWO_WORKERS, units, ...counts }
  }
}

/** A report of `worker` on units, with the grant of `owner` behind it. */
export function factBy(
  { jobId }: Pick<FakeJob, 'jobId'>,
  shard: number,
  units: readonly Pick<Kept, 'unit' | 'output' | 'encoded'>[],
  worker: Identity,
  owner: Identity,
  opinion: number,
): ReportFact {
  const grant = grantCodec.encode({
    jobId,
    shard,
    grantor: owner.publicKey,
    grantorIdNonce: owner.idNonce,
    worker: worker.publicKey,
    age: 'older',
    nonce: '0123456789abcdef',
    runs: units.map(({ unit }) => ({ first: unit, count: 1, opinion })),
    durationMs: 30_000,
  })
  const report = reportCodec.encode({
    jobId,
    shard,
    worker: worker.publicKey,
    donor: worker.publicKey,
    donorSignature: new Uint8Array(0),
    results: units.map(({ unit, output, encoded }) => ({
      unit,
      outcome: output.outcome,
      digest: digestOutput(sha256, output),
      outputBytes: output.outcome === 'wall' ? 0 : encoded.length,
      fuel: 100n,
    })),
  })
  return {
    report: { bytes: report, signature: worker.signer.sign('report', report) },
    grants: [{ bytes: grant, signature: owner.signer.sign('grant', grant) }],
  }
}

/** Ways in which a peer departs from what an honest one does. */
export interface Lies {
  readonly reply?: (reply: ResultsReply) => ResultsReply
  readonly output?: (bytes: Uint8Array, unit: number) => Uint8Array
  /** Breaks a stream of results after so many messages, once. */
  breakAfter?: number
  readonly knowsNothing?: boolean
  /** Changes what it lists of the units of a shard. */
  readonly units?: (units: readonly UnitStatus[]) => readonly UnitStatus[]
}

/** Home and owner in one, on a fake network. */
export class FakePeer {
  readonly identity: Identity
  readonly endpoint: Endpoint
  readonly jobs: Map<JobId, FakeJob>
  readonly blobs = new Map<string, Map<number, Uint8Array>>()
  readonly changed = new Set<() => void>()
  lies: Lies = {}
  /** What it attests of a shard to a caller. */
  attests: ((shard: number, caller: PublicKey) => Signed) | undefined
  /** Chunks of blobs that were sent here. */
  chunksTaken = 0

  constructor(transport: MemoryTransport, identity: Identity, endpoint: Endpoint, jobs: Map<JobId, FakeJob>) {
    this.identity = identity
    this.endpoint = endpoint
    this.jobs = jobs
    this.#serve(transport)
  }

  /** Tells watchers and followers that something settled. */
  notify(): void {
    for (const changed of [...this.changed]) changed()
  }

  #job(jobId: JobId): FakeJob {
    const job = this.lies.knowsNothing ? undefined : this.jobs.get(jobId)
    if (job === undefined) throw new GridError('notFound', 'not known here')
    return job
  }

  #show(jobId: JobId, withShards: boolean): ShowReply {
    const job = this.#job(jobId)
    const shards: ShardStatus[] = withShards
      ? selectedShards(job.spec).map((shard) => ({
          shard,
          owner: this.identity.nodeId,
          ownerAddress: this.endpoint.address,
          summary: job.summary([shard]),
          waiting: '',
          summaryAgeMs: 0,
          firstGrantAgoMs: undefined,
        }))
      : []
    return {
      spec: job.signed,
      orders: job.orders,
      summary: job.summary(),
      shards,
      waiting: '',
      ageMs: 10,
      firstGrantAgeMs: 1,
      holders: [this.identity.nodeId],
      wanted: 1,
    }
  }

  #serve(transport: Transport): void {
    transport.handleUnary(methods.submit, ({ spec }) => {
      const job = new FakeJob(spec, () => 'open')
      this.jobs.set(job.jobId, job)
      return { jobId: job.jobId, holders: [this.identity.nodeId], wanted: 1 }
    })
    transport.handleUnary(methods.give, ({ order }) => {
      const job = this.#job(orderCodec.decode(order.bytes).jobId)
      job.orders.push(order)
      this.notify()
      return { holders: [this.identity.nodeId], wanted: 1 }
    })
    transport.handleUnary(methods.attest, ({ shard }, { publicKey }) => {
      if (this.attests === undefined) throw new GridError('notFound', 'nothing to attest')
      return { attestation: this.attests(shard, publicKey) }
    })
    transport.handleUnary(methods.show, ({ jobId, withShards }) => this.#show(jobId, withShards))
    transport.handleUnary(methods.blobStat, ({ blob }) => ({
      complete: this.blobs.get(blob.digest)?.size === Math.ceil(blob.size / CHUNK_BYTES),
      present: new Uint8Array(0),
    }))
    transport.handleStream(methods.blobPut, (stream) => {
      let digest = ''
      stream.onMessage((message) => {
        if (message.type === 'start') {
          digest = message.blob.digest
          if (!this.blobs.has(digest)) this.blobs.set(digest, new Map())
        } else if (message.type === 'chunk') {
          this.chunksTaken++
          this.blobs.get(digest)!.set(message.index, message.bytes.slice())
        }
      })
      stream.onEnd(() => {
        stream.send({ complete: true, holder: this.identity.nodeId })
        stream.end()
      })
      stream.onClose(() => {})
    })
    this.#stream(transport, methods.blobManifest, async ({ blob }, stream) => {
      const chunks = this.blobs.get(blob.digest)
      if (chunks === undefined) throw new GridError('notFound', 'no such blob')
      const hashes = [...chunks.keys()].sort((a, b) => a - b).map((index) => fromHex(sha256(chunks.get(index)!)))
      stream.send({ hashes: Uint8Array.from(hashes.flatMap((hash) => [...hash])) })
    })
    this.#stream(transport, methods.blobGet, async ({ blob, chunks }, stream) => {
      const found = this.blobs.get(blob.digest)
      if (found === undefined) throw new GridError('notFound', 'no such blob')
      for (const index of chunks) stream.send({ index, bytes: found.get(index)! })
    })
    this.#stream(transport, methods.watch, async ({ jobId, withShards }, stream) => {
      for (;;) {
        const reply = this.#show(jobId, withShards)
        stream.send(reply)
        const { units, settled, failed } = reply.summary
        if (settled + failed === units || this.#job(jobId).cancelled) return
        await this.#nextChange(stream)
      }
    })
    this.#stream(transport, methods.listUnits, async ({ jobId, shard, state, limit, fromUnit = 0 }, stream) => {
      const job = this.#job(jobId)
      const all: UnitStatus[] = job.units(shard).map((unit) => {
        const output = job.computed(unit)
        const settled = typeof output === 'string' ? undefined : output
        return {
          unit,
          state: settled ? (settled.outcome === 'done' ? 'settled' : 'failed') : (output as 'open' | 'held'),
          instances: 0,
          answers: settled ? 2 : 0,
          errors: 0,
          result: settled && { digest: digestOutput(sha256, settled), outcome: settled.outcome },
          waiting: '',
        }
      })
      const told = this.lies.units?.(all) ?? all
      const listed = told
        .filter(({ unit, state: is }) => unit >= fromUnit && (state === undefined || is === state))
        .slice(0, limit)
      for (let at = 0; at < listed.length; at += 1_000) stream.send({ units: listed.slice(at, at + 1_000) })
    })
    this.#stream(transport, methods.results, async ({ jobId, shard, units, follow, withOutputs }, stream) => {
      const job = this.#job(jobId)
      const caller = stream.caller.publicKey
      const { submitter, judges } = job.spec
      if (!job.spec.isPublic && caller !== submitter && !judges.includes(caller))
        throw new GridError('forbidden', 'not for you')
      const wants = (unit: number) =>
        units.length === 0 || units.some(({ first, count }) => unit >= first && unit < first + count)
      const sent = new Set<number>()
      let messages = 0
      const send = async (reply: ResultsReply) => {
        if (this.lies.breakAfter !== undefined && messages++ === this.lies.breakAfter) {
          delete this.lies.breakAfter
          throw new GridError('unavailable', 'going down')
        }
        if (!stream.send(this.lies.reply?.(reply) ?? reply)) await stream.drained()
      }
      for (;;) {
        const facts = job.facts(shard, this.identity)
        for (let at = 0; at < facts.length; at += 64)
          await send({ facts: facts.slice(at, at + 64), settled: [], done: false })
        let settled: SettledUnit[] = []
        const kept = job.kept(shard).filter(({ unit }) => wants(unit) && !sent.has(unit))
        for (const { unit, output, encoded } of kept) {
          sent.add(unit)
          settled.push({
            unit,
            digest: digestOutput(sha256, output),
            outcome: output.outcome,
            output:
              withOutputs && encoded.length <= INLINE_OUTPUT_BYTES_MAX && output.outcome !== 'wall'
                ? encoded
                : undefined,
            outputBytes: encoded.length,
          })
          if (settled.length < 200) continue
          await send({ facts: [], settled, done: false })
          settled = []
        }
        if (settled.length > 0) await send({ facts: [], settled, done: false })
        const done = job.units(shard).every((unit) => typeof job.computed(unit) !== 'string') || job.cancelled
        if (done || !follow) return void (await send({ facts: [], settled: [], done }))
        await this.#nextChange(stream)
      }
    })
    this.#stream(transport, methods.output, async ({ jobId, shard, unit }, stream) => {
      const found = this.#job(jobId)
        .kept(shard)
        .find((kept) => kept.unit === unit)
      if (found === undefined) throw new GridError('notFound', 'no such output')
      const bytes = this.lies.output?.(found.encoded, unit) ?? found.encoded
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        if (!stream.send({ bytes: bytes.subarray(at, at + CHUNK_BYTES) })) await stream.drained()
      }
    })
  }

  #stream<Request, Reply>(
    transport: Transport,
    method: StreamMethod<Request, Reply>,
    serve: (request: Request, stream: MessageStream<Request, Reply>) => Promise<void>,
  ): void {
    transport.handleStream(method, (stream) => {
      stream.onMessage((request) => {
        serve(request, stream).then(
          () => stream.end(),
          (error: Error) => stream.cancel(error),
        )
      })
      stream.onClose(() => this.notify())
    })
  }

  #nextChange(stream: MessageStream<unknown, unknown>): Promise<void> {
    return new Promise((resolve) => {
      const changed = () => {
        this.changed.delete(changed)
        resolve()
      }
      this.changed.add(changed)
      stream.onClose(changed)
    })
  }
}

/** A small network of fake peers, and a client on it. */
export class FakeGrid {
  readonly network = new MemoryNetwork()
  readonly peers: FakePeer[] = []
  readonly records = new Map<string, Uint8Array>()
  readonly submitter = createIdentity()
  /** Whether the peers behind the homes are guards. */
  hasRegions = false
  readonly client: GridClient
  readonly overlay: ClientOverlay

  constructor(peerCount = 1) {
    const jobs = new Map<JobId, FakeJob>()
    for (let i = 0; i < peerCount; i++) {
      const identity = createIdentity()
      const endpoint = { nodeId: identity.nodeId, address: `peer${i}:1` }
      this.peers.push(new FakePeer(this.network.add(callerOf(identity), endpoint.address), identity, endpoint, jobs))
    }
    const near = (key: Key) =>
      this.peers.map(({ endpoint }) => endpoint).sort((a, b) => compareDistance(key, a.nodeId, b.nodeId))
    this.overlay = {
      owners: async (key, count) => near(key).slice(0, count),
      keepers: async (key, count) => ({
        owners: near(key).slice(0, count),
        guards: this.hasRegions ? near(key).slice(count) : [],
      }),
      putRecord: async ({ key, kind, value }) => {
        this.records.set(`${key}/${kind}`, value)
        return this.peers.length
      },
      getRecord: async (key, kind): Promise<FoundRecord[]> => {
        const value = this.records.get(`${key}/${kind}`)
        return value ? [{ publicKey: this.submitter.publicKey, value }] : []
      },
      estimatePeers: async () => this.peers.length,
    }
    this.client = this.clientOf(this.submitter)
  }

  clientOf(identity: Identity, clock: Clock = systemClock): GridClient {
    return new GridClient({
      transport: this.network.add(callerOf(identity), `client ${identity.nodeId}`),
      overlay: this.overlay,
      signer: identity.signer,
      verifier: ed25519Verifier,
      clock,
      random: systemRandom,
      logger: silentLogger,
      sha256,
      network: { name: 'test', idWorkBits: 0 },
    })
  }

  spec(changes: Partial<JobSpec> = {}): JobSpec {
    const nowMs = Date.now()
    return {
      ...specDefaults,
      network: 'test',
      submitter: this.submitter.publicKey,
      nonce: '0f'.repeat(16),
      createdAtMs: nowMs,
      expiresAtMs: nowMs + 3_600_000,
      task: { type: 'builtin', name: 'primes', version: 1 },
      source: { type: 'count', count: 100 },
      shardUnits: 64,
      ...changes,
    }
  }

  /** A job that the grid has, with what its workers computed. */
  job(changes: Partial<JobSpec> = {}, computed: Computed = (unit) => printed(`${unit}\n`)): FakeJob {
    const bytes = jobSpecCodec.encode(this.spec(changes))
    const job = new FakeJob({ bytes, signature: this.submitter.signer.sign('spec', bytes) }, computed)
    this.peers[0]!.jobs.set(job.jobId, job)
    if (unitCount(job.spec) === 0) throw new Error('a job without units')
    return job
  }
}

export function callerOf({ nodeId, publicKey, idNonce }: Identity): Caller {
  return { nodeId, publicKey, idNonce, host: '127.0.0.1' }
}
