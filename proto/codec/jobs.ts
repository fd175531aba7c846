import type { Codec } from '../../runtime/transport.js'
import type {
  ActivateReply,
  ActivateRequest,
  Chunk,
  OrderReply,
  OrderRequest,
  OutputRequest,
  ResultsReply,
  ResultsRequest,
  SettledUnit,
  ShardStatus,
  ShowReply,
  ShowRequest,
  StatusReply,
  StatusRequest,
  SubmitReply,
  SubmitRequest,
  SummarizeReply,
  SummarizeRequest,
  UnitStatus,
  UnitsReply,
  UnitsRequest,
} from '../job-messages.js'
import {
  CHUNK_BYTES,
  ENCODED_OUTPUT_BYTES_MAX,
  HOLDERS_MAX,
  INLINE_OUTPUT_BYTES_MAX,
  MESSAGE_SHARDS_MAX,
  ORDERS_MAX,
  RESULTS_BYTES_MAX,
  RESULTS_FACTS_MAX,
  RESULTS_UNITS_MAX,
  SELECTION_RANGES_MAX,
  SHARD_UNITS_MAX,
  SPEC_BYTES_MAX,
  UNITS_PAGE_MAX,
} from '../limits.js'
import type { WireMessage } from '../load.js'
import type { Digest, NodeId, UnitState } from '../model.js'
import {
  messageCodec,
  optionalHex,
  optionalHexToWire,
  plainView,
  rangesToWire,
  readRanges,
  readReason,
  readSigned,
  reasonToWire,
  SIGNED_OVERHEAD_BYTES,
  signedToWire,
} from './common.js'
import {
  outcomeToWire,
  readOutcome,
  readReportFact,
  readShard,
  readSummary,
  readUnit,
  reportFactToWire,
  summaryToWire,
} from './facts.js'
import { type Fields, hexToWire } from './fields.js'

const UNIT_STATES: readonly string[] = [
  'open',
  'accepted',
  'settled',
  'disputed',
  'held',
  'failed',
] satisfies readonly UnitState[]
const UINT32_MAX = 2 ** 32 - 1
/** Requests and replies of a few ids and numbers. */
const SMALL_BYTES_MAX = 8 * 1024
/** A spec with orders, and the status of shards. */
const JOB_BYTES_MAX = SPEC_BYTES_MAX + RESULTS_BYTES_MAX
const ADDRESS_BYTES_MAX = 300
const WORKER_VERSIONS_MAX = 16

/** A signed spec; it is read and checked by `codec/spec.ts` and `job/spec.ts`. */
export const submitRequestCodec: Codec<SubmitRequest> = messageCodec(
  'SubmitRequest',
  SPEC_BYTES_MAX + SIGNED_OVERHEAD_BYTES,
  ({ spec }) => ({ spec: signedToWire(spec) }),
  (fields) => ({ spec: fields.message('spec', readSigned) }),
)

/** Who has the job on disk, of how many wanted: up to 32. */
export const submitReplyCodec: Codec<SubmitReply> = messageCodec(
  'SubmitReply',
  SMALL_BYTES_MAX,
  (reply) => ({ jobId: hexToWire(reply.jobId), ...storedToWire(reply) }),
  (fields) => ({ jobId: fields.jobId('jobId'), ...readStored(fields) }),
)

/** A signed order; it is read and checked by `job/orders.ts`. */
export const orderRequestCodec: Codec<OrderRequest> = messageCodec(
  'OrderRequest',
  SPEC_BYTES_MAX + SIGNED_OVERHEAD_BYTES,
  ({ order }) => ({ order: signedToWire(order) }),
  (fields) => ({ order: fields.message('order', readSigned) }),
)

/** Who has the order on disk, of how many wanted: up to 32. */
export const orderReplyCodec: Codec<OrderReply> = messageCodec('OrderReply', SMALL_BYTES_MAX, storedToWire, readStored)

/** Asks a home for a job, with or without its shards. */
export const showRequestCodec: Codec<ShowRequest> = messageCodec(
  'ShowRequest',
  SMALL_BYTES_MAX,
  ({ jobId, withShards }) => ({ jobId: hexToWire(jobId), withShards }),
  (fields) => ({ jobId: fields.jobId('jobId'), withShards: fields.bool('withShards') }),
)

/** A job as a home knows it, with up to 1,024 shards a message. Durations are whole milliseconds; 0 stands for none. */
export const showReplyCodec: Codec<ShowReply> = messageCodec(
  'ShowReply',
  JOB_BYTES_MAX,
  (reply) => ({
    spec: signedToWire(reply.spec),
    orders: reply.orders.map(signedToWire),
    summary: summaryToWire(reply.summary),
    shards: reply.shards.map(shardStatusToWire),
    waiting: reasonToWire(reply.waiting),
    ageMs: wholeMs(reply.ageMs),
    firstGrantAgeMs: agoToWire(reply.firstGrantAgeMs),
    ...storedToWire(reply),
  }),
  (fields) => ({
    spec: fields.message('spec', readSigned),
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    summary: fields.message('summary', readSummary),
    shards: fields.list('shards', { max: MESSAGE_SHARDS_MAX }, readShardStatus),
    waiting: readReason(fields, 'waiting'),
    ageMs: fields.safeInteger('ageMs'),
    firstGrantAgeMs: fields.safeInteger('firstGrantAgeMs') || undefined,
    ...readStored(fields),
  }),
)

/** Asks an owner for units of a shard, in one state or in all; a `limit` of 0 is refused. */
export const unitsRequestCodec: Codec<UnitsRequest> = messageCodec(
  'UnitsRequest',
  SMALL_BYTES_MAX,
  (request) => ({
    jobId: hexToWire(request.jobId),
    shard: request.shard,
    state: request.state,
    limit: request.limit,
    fromUnit: request.fromUnit ?? 0,
  }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    state: fields.text('state', { max: 16, controls: 'refuse' }) === '' ? undefined : readState(fields),
    limit: fields.uint32('limit', { min: 1, max: SHARD_UNITS_MAX }),
    ...readFromUnit(fields),
  }),
)

function readFromUnit(fields: Fields): Pick<UnitsRequest, 'fromUnit'> {
  const fromUnit = fields.uint32('fromUnit', { max: UINT32_MAX })
  return fromUnit === 0 ? {} : { fromUnit }
}

/** States of up to 1,024 units. */
export const unitsReplyCodec: Codec<UnitsReply> = messageCodec(
  'UnitsReply',
  RESULTS_BYTES_MAX,
  ({ units }) => ({ units: units.map(unitStatusToWire) }),
  (fields) => ({ units: fields.list('units', { max: UNITS_PAGE_MAX }, readUnitStatus) }),
)

/** Asks an owner for results of up to 4,096 ranges of units, ascending and disjoint. */
export const resultsRequestCodec: Codec<ResultsRequest> = messageCodec(
  'ResultsRequest',
  128 * 1024,
  ({ jobId, shard, units, follow, withOutputs }) => ({
    jobId: hexToWire(jobId),
    shard,
    units: rangesToWire(units),
    follow,
    withOutputs,
  }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    units: readRanges(fields, 'units', { max: SELECTION_RANGES_MAX }),
    follow: fields.bool('follow'),
    withOutputs: fields.bool('withOutputs'),
  }),
)

/** Up to 1,024 facts and 1,024 settled units; outputs of more than 4 KiB are left to be fetched. */
export const resultsReplyCodec: Codec<ResultsReply> = messageCodec(
  'ResultsReply',
  RESULTS_BYTES_MAX,
  ({ facts, settled, done }) => ({
    facts: facts.map(reportFactToWire),
    settled: settled.map(settledUnitToWire),
    done,
  }),
  (fields) => ({
    facts: fields.list('facts', { max: RESULTS_FACTS_MAX }, readReportFact),
    settled: fields.list('settled', { max: RESULTS_UNITS_MAX }, readSettledUnit),
    done: fields.bool('done'),
  }),
)

/** Asks an owner for one output by unit and digest. */
export const outputRequestCodec: Codec<OutputRequest> = messageCodec(
  'OutputRequest',
  SMALL_BYTES_MAX,
  outputRequestToWire,
  readOutputRequest,
)

/** A piece of an output, up to 256 KiB; the digest of the whole is for the reader to check. */
export const chunkCodec: Codec<Chunk> = messageCodec(
  'Chunk',
  CHUNK_BYTES + SMALL_BYTES_MAX,
  ({ bytes }) => ({ bytes }),
  (fields) => ({ bytes: plainView(fields, 'bytes', { max: CHUNK_BYTES }) }),
)

/** A home hands a shard to an owner, with all that the owner must know of the job. */
export const activateRequestCodec: Codec<ActivateRequest> = messageCodec(
  'ActivateRequest',
  JOB_BYTES_MAX,
  ({ spec, orders, shard }) => ({ spec: signedToWire(spec), orders: orders.map(signedToWire), shard }),
  (fields) => ({
    spec: fields.message('spec', readSigned),
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    shard: readShard(fields),
  }),
)

/** How far the shard is at that owner. */
export const activateReplyCodec: Codec<ActivateReply> = messageCodec(
  'ActivateReply',
  SMALL_BYTES_MAX,
  ({ summary }) => ({ summary: summaryToWire(summary) }),
  (fields) => ({ summary: fields.message('summary', readSummary) }),
)

/** An owner tells a home how far up to 1,024 shards are, and which orders it has, by one digest. */
export const summarizeRequestCodec: Codec<SummarizeRequest> = messageCodec(
  'SummarizeRequest',
  RESULTS_BYTES_MAX,
  ({ jobId, shards, orders }) => ({
    jobId: hexToWire(jobId),
    shards: shards.map(shardStatusToWire),
    orders: optionalHexToWire(orders),
  }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    shards: fields.list('shards', { max: MESSAGE_SHARDS_MAX }, readShardStatus),
    orders: optionalHex<Digest>(fields, 'orders', 32),
  }),
)

/** Orders that the owner lacks, and why nothing more is to be granted; empty: it goes on. */
export const summarizeReplyCodec: Codec<SummarizeReply> = messageCodec(
  'SummarizeReply',
  RESULTS_BYTES_MAX,
  ({ orders, stopped }) => ({ orders: orders.map(signedToWire), stopped: reasonToWire(stopped) }),
  (fields) => ({
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    stopped: readReason(fields, 'stopped'),
  }),
)

/** Asks a peer how it does; has no fields. */
export const statusRequestCodec: Codec<StatusRequest> = messageCodec(
  'StatusRequest',
  SMALL_BYTES_MAX,
  () => ({}),
  () => ({}),
)

/** How a peer does, by its own word; versions of up to 16 kinds of workers. */
export const statusReplyCodec: Codec<StatusReply> = messageCodec(
  'StatusReply',
  SMALL_BYTES_MAX,
  (reply) => ({ ...reply, uptimeMs: wholeMs(reply.uptimeMs), wallMs: wholeMs(reply.wallMs) }),
  (fields) => ({
    peers: fields.uint32('peers', { max: UINT32_MAX }),
    workers: fields.uint32('workers', { max: UINT32_MAX }),
    threads: fields.uint32('threads', { max: UINT32_MAX }),
    jobs: fields.uint32('jobs', { max: UINT32_MAX }),
    readyJobs: fields.uint32('readyJobs', { max: UINT32_MAX }),
    settledLastMinute: fields.safeInteger('settledLastMinute'),
    uptimeMs: fields.safeInteger('uptimeMs'),
    version: fields.text('version', { max: 64, controls: 'strip' }),
    address: fields.text('address', { max: ADDRESS_BYTES_MAX, controls: 'strip' }),
    eligible: fields.bool('eligible'),
    shards: fields.uint32('shards', { max: UINT32_MAX }),
    storedBytes: fields.safeInteger('storedBytes'),
    wallMs: fields.safeInteger('wallMs'),
    firstJobs: fields.uint32('firstJobs', { max: UINT32_MAX }),
    firstReadyJobs: fields.uint32('firstReadyJobs', { max: UINT32_MAX }),
    firstSettledLastMinute: fields.safeInteger('firstSettledLastMinute'),
    countedWorkers: fields.list('countedWorkers', { max: WORKER_VERSIONS_MAX }, (count) => ({
      version: count.text('version', { max: 64, controls: 'strip' }),
      workers: count.uint32('workers', { max: UINT32_MAX }),
      threads: count.uint32('threads', { max: UINT32_MAX }),
    })),
  }),
)

// --------------------------------------------------------------------------------------------------------------- parts

/** Durations come from monotonic clocks with fractions; the wire has whole milliseconds. */
export function wholeMs(durationMs: number): number {
  return Math.max(0, Math.floor(durationMs))
}

/** Unit and digest of an output, as fields of a message. */
export function outputRequestToWire({ jobId, shard, unit, digest }: OutputRequest): WireMessage {
  return { jobId: hexToWire(jobId), shard, unit, digest: hexToWire(digest) }
}

/** Reads what {@link outputRequestToWire} wrote. That the unit is of the shard is not checked here. */
export function readOutputRequest(fields: Fields): OutputRequest {
  return {
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    unit: readUnit(fields),
    digest: fields.digest('digest'),
  }
}

function storedToWire({ holders, wanted }: OrderReply): WireMessage {
  return { holders: holders.map(hexToWire), wanted }
}

function readStored(fields: Fields): OrderReply {
  return {
    holders: fields.hexList('holders', { max: HOLDERS_MAX }, 20) as NodeId[],
    wanted: fields.uint32('wanted', { max: HOLDERS_MAX }),
  }
}

/** A shard as a field; durations as whole milliseconds. */
export function shardStatusToWire(status: ShardStatus): WireMessage {
  return {
    shard: status.shard,
    owner: hexToWire(status.owner),
    ownerAddress: status.ownerAddress,
    summary: summaryToWire(status.summary),
    waiting: reasonToWire(status.waiting),
    summaryAgeMs: wholeMs(status.summaryAgeMs),
    firstGrantAgoMs: agoToWire(status.firstGrantAgoMs),
  }
}

/** Reads what {@link shardStatusToWire} wrote; an address with control characters is refused. */
export function readShardStatus(fields: Fields): ShardStatus {
  return {
    shard: readShard(fields),
    owner: fields.nodeId('owner'),
    ownerAddress: fields.text('ownerAddress', { max: ADDRESS_BYTES_MAX, controls: 'refuse' }),
    summary: fields.message('summary', readSummary),
    waiting: readReason(fields, 'waiting'),
    summaryAgeMs: fields.safeInteger('summaryAgeMs'),
    firstGrantAgoMs: fields.safeInteger('firstGrantAgoMs') || undefined,
  }
}

/** The field `state`; fails for a word that is no state of a unit. */
export function readState(fields: Fields): UnitState {
  const state = fields.text('state', { max: 16, controls: 'refuse' })
  if (!UNIT_STATES.includes(state)) fields.fail('state', `must be one of ${UNIT_STATES.join(', ')}`)
  return state as UnitState
}

function unitStatusToWire(status: UnitStatus): WireMessage {
  return {
    unit: status.unit,
    state: status.state,
    instances: status.instances,
    answers: status.answers,
    errors: status.errors,
    digest: optionalHexToWire(status.result?.digest),
    outcome: status.result === undefined ? 0 : outcomeToWire(status.result.outcome),
    waiting: reasonToWire(status.waiting),
  }
}

function readUnitStatus(fields: Fields): UnitStatus {
  const digest = optionalHex<Digest>(fields, 'digest', 32)
  return {
    unit: readUnit(fields),
    state: readState(fields),
    instances: fields.uint32('instances', { max: UINT32_MAX }),
    answers: fields.uint32('answers', { max: UINT32_MAX }),
    errors: fields.uint32('errors', { max: UINT32_MAX }),
    result: digest === undefined ? undefined : { digest, outcome: readOutcome(fields, 'outcome') },
    waiting: readReason(fields, 'waiting'),
  }
}

function settledUnitToWire(settled: SettledUnit): WireMessage {
  return {
    unit: settled.unit,
    digest: hexToWire(settled.digest),
    outcome: outcomeToWire(settled.outcome),
    output: settled.output,
    outputSize: settled.outputBytes,
  }
}

function readSettledUnit(fields: Fields): SettledUnit {
  const output = fields.bytes('output', { max: INLINE_OUTPUT_BYTES_MAX })
  const outputBytes = fields.uint32('outputSize', { max: ENCODED_OUTPUT_BYTES_MAX })
  if (output.length !== 0 && output.length !== outputBytes) fields.fail('outputSize', 'differs from the bytes sent')
  return {
    unit: readUnit(fields),
    digest: fields.digest('digest'),
    outcome: readOutcome(fields, 'outcome'),
    output: output.length === 0 && outputBytes !== 0 ? undefined : output,
    outputBytes,
  }
}

/** Ages of which 0 stands for none. */
function agoToWire(agoMs: number | undefined): number {
  return agoMs === undefined ? 0 : Math.max(1, wholeMs(agoMs))
}
