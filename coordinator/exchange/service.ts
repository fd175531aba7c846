import type {
  FetchFactsReply,
  FetchFactsRequest,
  OfferedFact,
  OfferReply,
  OfferRequest,
  OfferState,
  OutstandingGrant,
  ReconcileReply,
  ReconcileRequest,
  ShardAnswer,
} from '../../proto/exchange-messages.js'
import type { Chunk, OutputRequest } from '../../proto/job-messages.js'
import { CHUNK_BYTES } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { JobId, NodeId } from '../../proto/model.js'
import type { RangeReply } from '../../proto/sync-messages.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { takeRequest } from '../../runtime/take-request.js'
import { piecesRead, sendAll } from '../../runtime/transfer.js'
import type { Caller, MessageStream, Transport } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { JobBook } from '../jobs/job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { OutputFiles } from '../output-files.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import { answerRanges } from '../sync/core/answer.js'
import type { FactSet } from '../sync/core/fact-set.js'
import type { HeldShard } from './held-shard.js'
import { readMessageOf } from './raw-facts.js'

/** Bytes of answers after which the rest of the questions has to wait. */
const ANSWERS_BYTES_ENOUGH = 512 * 1024
/** Shards at rest whose ids one message has read from disk. */
const READS_MAX = 16
/** Outputs being copied to others at a time. */
const COPIES_MAX = 16
/** An owner that takes nothing of a copy for so long is cut off. Unit: ms. */
const COPY_IDLE_MS: Millis = 30_000

/** What answers to other owners are made from. */
export interface ExchangeServiceContext {
  readonly clock: Clock
  readonly store: Store
  readonly commits: GroupCommit
  readonly outputs: OutputFiles
  readonly book: JobBook
  readonly options: CoordinatorOptions
  readonly owner: () => OwnerDriver
  readonly heldShard: (jobId: JobId, shard: number) => HeldShard | undefined
  readonly factsOf: (held: HeldShard) => Promise<FactSet>
  /** Whether a node is to see what nobody but owners may: answers to open units. */
  readonly isOwner: (held: HeldShard, nodeId: NodeId) => boolean
  /** Never rejects. */
  readonly take: (fact: OfferedFact, offeredBy: Caller) => Promise<OfferState>
  readonly heardOutstanding: (from: NodeId, grants: readonly OutstandingGrant[]) => void
}

/** Registers what other owners may ask. */
export function serveExchange(transport: Transport, context: ExchangeServiceContext): void {
  let copying = 0
  transport.handleUnary(methods.offer, (request, caller) => offered(context, request, caller))
  transport.handleUnary(methods.reconcile, (request, caller) => reconciled(context, request, caller.nodeId))
  transport.handleUnary(methods.fetchFacts, (request, caller) => fetched(context, request, caller.nodeId))
  transport.handleUnary(methods.outstanding, ({ grants }, caller) => {
    context.heardOutstanding(caller.nodeId, grants)
    return {}
  })
  transport.handleStream(methods.copyOutput, (stream) =>
    takeRequest(context.clock, stream, (request) => {
      if (copying >= COPIES_MAX) return stream.cancel(new GridError('quota', 'too many outputs are being copied'))
      copying++
      let isOver = false
      stream.onClose(() => {
        copying--
        isOver = true
      })
      copyOutput(context, stream, request, () => isOver).catch((error: unknown) => stream.cancel(toGridError(error)))
    }),
  )
}

async function offered(context: ExchangeServiceContext, { facts }: OfferRequest, from: Caller): Promise<OfferReply> {
  // Whoever offers waits for the disk: that is what holds it back.
  await context.commits.drained()
  return { states: await Promise.all(facts.map((fact) => context.take(fact, from))) }
}

async function reconciled(
  context: ExchangeServiceContext,
  { shards }: ReconcileRequest,
  from: NodeId,
): Promise<ReconcileReply> {
  const answers: ShardAnswer[] = []
  let bytes = 0
  let reads = 0
  for (const { jobId, shard, ranges } of shards) {
    const held = context.heldShard(jobId, shard)
    const isOver = (job: BookedJob) =>
      job.removed || context.clock.wallMs() >= job.expiresAtMs + context.options.lateFactsMs
    if (held === undefined || isOver(held.job)) {
      answers.push({ state: held === undefined ? 'unknown' : 'notNow' })
      continue
    }
    if (bytes >= ANSWERS_BYTES_ENOUGH || (held.facts === undefined && ++reads > READS_MAX)) {
      answers.push({ state: 'notNow' })
      continue
    }
    const reply = answerRanges(await context.factsOf(held), ranges)
    bytes += sizeOf(reply)
    const toOutsider = !held.others.some(({ nodeId }) => nodeId === from)
    answers.push({ state: 'answered', ranges: reply, toOutsider })
  }
  return { shards: answers }
}

function sizeOf({ prints, ids }: RangeReply): number {
  return ids.reduce((sum, entry) => sum + 80 + 32 * entry.ids.length, 64 + prints.length * 340)
}

async function fetched(
  context: ExchangeServiceContext,
  { jobId, shard, factIds }: FetchFactsRequest,
  from: NodeId,
): Promise<FetchFactsReply> {
  const held = context.heldShard(jobId, shard)
  if (held === undefined) throw new GridError('notFound', `shard ${shard} is not kept here`)
  if (!context.isOwner(held, from)) throw new GridError('forbidden', 'facts of open units are for owners of the shard')
  return { facts: await readMessageOf(context.store, jobId, shard, factIds) }
}

async function copyOutput(
  context: ExchangeServiceContext,
  stream: MessageStream<unknown, Chunk>,
  { jobId, shard, unit, digest }: OutputRequest,
  isOver: () => boolean,
): Promise<void> {
  const held = context.heldShard(jobId, shard)
  if (held === undefined) throw new GridError('notFound', `shard ${shard} is not kept here`)
  if (!context.isOwner(held, stream.caller.nodeId))
    throw new GridError('forbidden', 'outputs of open units are for owners of the shard')
  const { core } = context.owner()
  const record = core.shard(jobId, shard)?.record(unit)
  const read = (start: number, length: number) => context.outputs.read(digest, start, length)
  const isHere = record?.kept.includes(digest) === true && (await read(0, 0)) !== undefined
  if (!isHere && record !== undefined && core.isComing(record))
    throw new GridError('unavailable', `the output of unit ${unit} is on its way here`)
  if (!isHere) throw new GridError('notFound', `the output of unit ${unit} is not here`)
  await sendAll(stream, piecesRead(read, CHUNK_BYTES, isOver), { clock: context.clock, idleMs: COPY_IDLE_MS })
  stream.end()
}
