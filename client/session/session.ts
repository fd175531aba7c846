import { type FactContext, factContext } from '../../job/facts/facts.js'
import { applyOrders, checkOrder, type KnownOrder, type OrdersView } from '../../job/facts/orders.js'
import type { SignatureVerifier } from '../../job/facts/signature.js'
import { checkSpec, jobIdOf } from '../../job/spec/spec.js'
import { addsUp } from '../../job/summary.js'
import { homeKey, selectedUnitCount, shardKey } from '../../job/units/shard.js'
import { idWorkOf, nodeIdOf, type Signer, type Verifier } from '../../overlay/identity/identity.js'
import { keyOfDigest } from '../../overlay/index.js'
import { grantCodec, orderCodec, reportCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { KeepJobRequest } from '../../proto/home-messages.js'
import type { ShowReply } from '../../proto/job-messages.js'
import { methods } from '../../proto/methods.js'
import type { JobId, JobSpec, Signed, Summary } from '../../proto/model.js'
import { type Clock, type Millis, pause } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { fromHex } from '../../runtime/hex.js'
import { jitter } from '../../runtime/jitter.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Endpoint, Transport, UnaryMethod } from '../../runtime/transport.js'
import type { ClientOverlay } from './overlay-face.js'

/** What a process hands to its client. */
export interface ClientParts {
  readonly transport: Transport
  readonly overlay: ClientOverlay
  /** Signs specs and orders; its key is the submitter. */
  readonly signer: Signer
  readonly verifier: Verifier
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  /** Name, and leading zero bits that it asks of ids. */
  readonly network: { readonly name: string; readonly idWorkBits: number }
  /** Peers asked for a job's home and for a shard, at most. Default: 5 and 3, as every network has them. */
  readonly homeOwners?: number
  readonly shardOwners?: number
}

/** A job whose spec and orders were checked against its id and its submitter's key. */
export interface KnownJob {
  readonly jobId: JobId
  readonly signed: Signed
  readonly spec: JobSpec
  readonly orders: readonly KnownOrder[]
  readonly view: OrdersView
}

/** How long a question to several peers may take. */
export interface AskOptions {
  /** For all attempts together. Default 15 s. */
  readonly deadlineMs?: Millis
  readonly signal?: AbortSignal
}

const HOME_OWNERS = 5
const SHARD_OWNERS = 3
const ASK_DEADLINE_MS = 15_000
/** Guards are waited for so long, for whom it is written down already. Unit: ms. */
const GUARD_MS = 3_000
/** One attempt at one peer; a peer that is there answers in far less. */
const CALL_MS = 5_000
const RETRY_MS = 200
const RETRY_MAX_MS = 3_000
/** Rounds in which a peer was unreachable and the rest did not know the job, before it counts as unknown. */
const UNKNOWN_ROUNDS_MAX = 3

/** Finds who keeps a job and asks them, with fail-over between them. Holds no connection of its own. */
export class GridClient {
  readonly parts: ClientParts

  constructor(parts: ClientParts) {
    this.parts = parts
  }

  /** The peers that keep spec and orders of a job, nearest first. */
  homes(jobId: JobId): Promise<readonly Endpoint[]> {
    return this.parts.overlay.owners(homeKey(jobId), this.parts.homeOwners ?? HOME_OWNERS)
  }

  /** The other peers of the region around a job, which keep it as well on large networks; none elsewhere. Never rejects. */
  async guards(jobId: JobId): Promise<readonly Endpoint[]> {
    const { overlay, logger, homeOwners = HOME_OWNERS } = this.parts
    try {
      return (await overlay.keepers(homeKey(jobId), homeOwners)).guards
    } catch (error) {
      logger.debug('region not found', { jobId, error: toGridError(error).message })
      return []
    }
  }

  /**
   * Gives spec and orders to guards of a job. Resolves, {@link GUARD_MS} later at most, to how many have it on disk by then.
   * Never rejects: homes have it.
   */
  async tellGuards(
    guards: Promise<readonly Endpoint[]>,
    { spec, orders }: Pick<KeepJobRequest, 'spec' | 'orders'>,
  ): Promise<number> {
    const { transport, clock } = this.parts
    let taken = 0
    const tell = async (guard: Endpoint) => {
      await transport.call(guard, methods.keepJob, { spec, orders, shards: [] }, { deadlineMs: CALL_MS })
      taken++
    }
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(GUARD_MS, resolve)
      void guards
        .then((found) => Promise.allSettled(found.map(tell)))
        .then(() => {
          timer.cancel()
          resolve()
        })
    })
    return taken
  }

  /** The peers that keep a shard, nearest first. */
  shardOwners(jobId: JobId, shard: number): Promise<readonly Endpoint[]> {
    const { overlay, sha256, shardOwners = SHARD_OWNERS } = this.parts
    return overlay.owners(shardKey(sha256, jobId, shard), shardOwners)
  }

  /** Owners that a shard would have now: what a spec's `minGrantors` depends on ({@link minGrantorsOf}). */
  async ownersHere(): Promise<number> {
    const { overlay, sha256, signer, shardOwners = SHARD_OWNERS } = this.parts
    return (await overlay.owners(keyOfDigest(sha256(fromHex(signer.publicKey))), shardOwners)).length
  }

  /** The peer that has the shard by the home's account, if it says so. Rejects as {@link askAny}. */
  async ownersNamed(jobId: JobId, shard: number, options: AskOptions = {}): Promise<readonly Endpoint[]> {
    const { shards } = await this.show(jobId, true, options)
    return shards
      .filter((status) => status.shard === shard && status.ownerAddress !== '')
      .map(({ owner, ownerAddress }) => ({ nodeId: owner, address: ownerAddress }))
  }

  /**
   * Asks the home of a job, and where it denies the job or anything of it, the guards. `check` throws for an answer that
   * cannot be true: then the next one is asked. Rejects as {@link askAny}.
   */
  async askHome<Request, Response>(
    jobId: JobId,
    method: UnaryMethod<Request, Response>,
    request: Request,
    { check, ...options }: AskOptions & { readonly check?: (response: Response, from: Endpoint) => void } = {},
  ): Promise<Response> {
    const { transport } = this.parts
    const asking = { ...options, what: `job ${jobId.slice(0, 8)}` }
    const ask = async (peer: Endpoint, call: { deadlineMs: Millis; signal?: AbortSignal }) => {
      const response = await transport.call(peer, method, request, call)
      check?.(response, peer)
      return response
    }
    try {
      return await this.askAny(() => this.homes(jobId), ask, asking)
    } catch (error) {
      const guards = options.signal?.aborted ? [] : await this.guards(jobId)
      if (guards.length === 0) throw error
      return await this.askAny(async () => guards, ask, asking).catch(() => Promise.reject(error))
    }
  }

  /**
   * Asks peers one after another until one answers, and all of them again after a pause until the deadline. Rejects with
   * GridError: `unreachable` when no peer is there, `notFound` when those there do not know the thing, a refusal
   * (`forbidden`, `invalid`, `expired` ...) once every peer has been asked, `closed` when aborted, else the last failure.
   */
  async askAny<T>(
    find: () => Promise<readonly Endpoint[]>,
    ask: (peer: Endpoint, call: { deadlineMs: Millis; signal?: AbortSignal }) => Promise<T>,
    { deadlineMs = ASK_DEADLINE_MS, signal, what }: AskOptions & { readonly what: string },
  ): Promise<T> {
    const { clock, random } = this.parts
    const endAt = clock.now() + deadlineMs
    let unknownRounds = 0
    for (let attempt = 0; ; attempt++) {
      const failures: GridError[] = []
      let peers: readonly Endpoint[] = []
      try {
        peers = await find()
      } catch (error) {
        failures.push(toGridError(error))
      }
      for (const peer of peers) {
        if (signal?.aborted) throw aborted()
        const leftMs = endAt - clock.now()
        if (leftMs <= 0) break
        try {
          return await ask(peer, { deadlineMs: Math.min(CALL_MS, leftMs), ...(signal ? { signal } : {}) })
        } catch (error) {
          failures.push(toGridError(error))
        }
      }
      if (signal?.aborted) throw aborted()
      const decisive = decisiveOf(failures)
      if (decisive !== undefined) {
        const isUnsure = decisive.code === 'notFound' && failures.some(({ retryable }) => retryable)
        if (!isUnsure || ++unknownRounds >= UNKNOWN_ROUNDS_MAX) throw explained(decisive, what)
      }
      const waitMs = jitter(random, Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(attempt, 10)), 0.3)
      if (clock.now() + waitMs >= endAt) throw decisive ? explained(decisive, what) : (failures.at(-1) ?? nobody(what))
      await pause(clock, waitMs, signal)
    }
  }

  /** Spec and orders of a job from its home, checked. Rejects as {@link askAny}. */
  async job(jobId: JobId, options: AskOptions = {}): Promise<KnownJob> {
    return this.checkShown(jobId, await this.show(jobId, false, options))
  }

  /** What the home says of a job; counts are its claims, and add up. `onFrom`: told who says it. Rejects as {@link askAny}. */
  show(
    jobId: JobId,
    withShards: boolean,
    { onFrom, ...options }: AskOptions & { readonly onFrom?: (from: Endpoint) => void } = {},
  ): Promise<ShowReply> {
    const check = (reply: ShowReply, from: Endpoint) => {
      this.checkReply(jobId, reply)
      onFrom?.(from)
    }
    return this.askHome(jobId, methods.show, { jobId, withShards }, { ...options, check })
  }

  /** As {@link checkShown}, and the counts are those of the job's units, each in one state. */
  checkReply(jobId: JobId, reply: ShowReply): KnownJob {
    const job = this.checkShown(jobId, reply)
    checkCounts(job, reply.summary)
    return job
  }

  /** A signed spec and orders as a checked job. Throws GridError `corrupt` when they are not those of `jobId`. */
  checkShown(jobId: JobId, { spec: signed, orders }: Pick<ShowReply, 'spec' | 'orders'>): KnownJob {
    const { sha256, verifier, network } = this.parts
    if (jobIdOf(sha256, signed.bytes) !== jobId) throw new GridError('corrupt', 'the home sent the spec of another job')
    const spec = jobSpecCodec.decode(signed.bytes)
    if (!verifier.verify(spec.submitter, 'spec', signed.bytes, signed.signature)) {
      throw new GridError('corrupt', 'the spec is not signed by its submitter')
    }
    const problem = checkSpec(spec, { network: network.name })
    if (problem !== undefined) throw new GridError('unsupported', problem)
    const known: KnownOrder[] = []
    for (const order of orders) {
      const checked = checkOrder(order, {
        spec,
        jobId,
        sha256,
        verifier: this.signatureVerifier(),
        decodeOrder: (bytes) => orderCodec.decode(bytes),
      })
      if (checked.ok) known.push({ id: checked.id, order: checked.order })
      else this.parts.logger.warn('order of a home is void', { jobId, reason: checked.reason })
    }
    return { jobId, signed, spec, orders: known, view: applyOrders(spec, known) }
  }

  /** What facts of a job are checked against. `verify` replaces the plain check of signatures. */
  factContext(job: KnownJob, changes: Partial<Pick<FactContext, 'verifier' | 'decoders'>> = {}): FactContext {
    return factContext({
      spec: job.spec,
      jobId: job.jobId,
      orders: job.view,
      sha256: this.parts.sha256,
      verifier: this.signatureVerifier(),
      decoders: {
        decodeGrant: (bytes) => grantCodec.decode(bytes),
        decodeReport: (bytes) => reportCodec.decode(bytes),
      },
      ...changes,
    })
  }

  /** Checks of keys as facts and orders want them. */
  signatureVerifier(): SignatureVerifier {
    const { verifier, network } = this.parts
    return {
      verify: (tag, publicKey, { bytes, signature }) => verifier.verify(publicKey, tag, bytes, signature),
      nodeIdOf,
      ...(network.idWorkBits > 0
        ? { meetsIdWork: (key, nonce) => idWorkOf(key, nonce) >= network.idWorkBits }
        : undefined),
    }
  }
}

/** Throws GridError `corrupt` for counts that cannot be those of the job. */
export function checkCounts({ spec }: KnownJob, summary: Summary): void {
  if (!addsUp(summary, selectedUnitCount(spec)))
    throw new GridError('corrupt', 'the home counts other units than the job has')
}

/** Which refusal tells most, of those that asking again cannot change. */
const DECISIVE = ['expired', 'forbidden', 'invalid', 'unsupported', 'exists', 'unauthenticated', 'corrupt'] as const

function decisiveOf(failures: readonly GridError[]): GridError | undefined {
  for (const code of DECISIVE) {
    const found = failures.find((failure) => failure.code === code)
    if (found) return found
  }
  // A limit that every peer has reached will not move within the deadline of one call.
  if (failures.length > 0 && failures.every(({ code }) => code === 'quota')) return failures[0]
  return failures.find(({ code }) => code === 'notFound')
}

function explained(error: GridError, what: string): GridError {
  if (error.code !== 'notFound') return error
  return new GridError('notFound', `${what} is not known to the peers that would keep it`, {
    cause: error,
    fields: error.fields,
    hint: 'it has expired, was never submitted to this network, or all peers that kept it are gone',
  })
}

function nobody(what: string): GridError {
  return new GridError('unreachable', `no peer is there to ask about ${what}`, {
    hint: 'join a network with --join HOST, or start a peer with `manyhands node`',
  })
}

/** How every waiting call of the client ends when its signal aborts. */
export function aborted(): GridError {
  return new GridError('closed', 'stopped by the caller')
}
