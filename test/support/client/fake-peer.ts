import { digestOutput } from '../../../job/facts/digest.js'
import { selectedShards } from '../../../job/units/shard.js'
import type { Identity } from '../../../overlay/identity/identity.js'
import { orderCodec } from '../../../proto/codec/facts.js'
import type { ResultsReply, SettledUnit, ShardStatus, ShowReply, UnitStatus } from '../../../proto/job-messages.js'
import { CHUNK_BYTES, INLINE_OUTPUT_BYTES_MAX } from '../../../proto/limits.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, PublicKey, Signed } from '../../../proto/model.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { fromHex } from '../../../runtime/hex.js'
import type { Endpoint, MessageStream, StreamMethod, Transport } from '../../../runtime/transport.js'
import { FakeJob } from './fake-job.js'
import type { MemoryTransport } from './memory-transport.js'

/** Ways in which a peer departs from what an honest one does. */
export interface Lies {
  readonly reply?: (reply: ResultsReply) => ResultsReply
  readonly output?: (bytes: Uint8Array, unit: number) => Uint8Array
  /** Breaks a stream of results after so many messages, once. */
  breakAfter?: number
  readonly knowsNothing?: boolean
  /** Changes what it lists of the units of a shard. */
  readonly units?: (units: readonly UnitStatus[]) => readonly UnitStatus[]
  /** Takes what is uploaded and never says that it has it. */
  readonly isSilent?: boolean
  /** Changes what it shows of a job. */
  readonly show?: (reply: ShowReply) => ShowReply
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
    const reply: ShowReply = {
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
    return this.lies.show?.(reply) ?? reply
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
        if (this.lies.isSilent) return
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
    this.#stream(transport, methods.output, async ({ jobId, unit }, stream) => {
      const found = this.#job(jobId).keptOf(unit)
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
