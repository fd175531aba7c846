import type { Codec } from '../../runtime/transport.js'
import type {
  Chunk,
  OutputRequest,
  ResultsReply,
  ResultsRequest,
  SettledUnit,
  UnitStatus,
  UnitsReply,
  UnitsRequest,
} from '../job-messages.js'
import {
  CHUNK_BYTES,
  ENCODED_OUTPUT_BYTES_MAX,
  INLINE_OUTPUT_BYTES_MAX,
  RESULTS_BYTES_MAX,
  RESULTS_FACTS_MAX,
  RESULTS_UNITS_MAX,
  SELECTION_RANGES_MAX,
  SHARD_UNITS_MAX,
  UNITS_PAGE_MAX,
} from '../limits.js'
import type { WireMessage } from '../load.js'
import type { Digest, UnitState } from '../model.js'
import {
  contentCodec,
  messageCodec,
  optionalHex,
  optionalHexToWire,
  plainView,
  rangesToWire,
  readRanges,
  readReason,
  reasonToWire,
  SMALL_BYTES_MAX,
  UINT32_MAX,
} from './common.js'
import { outcomeToWire, readOutcome, readReportFact, readShard, readUnit, reportFactToWire } from './facts.js'
import { type Fields, hexToWire } from './fields.js'

const UNIT_STATES: readonly string[] = [
  'open',
  'accepted',
  'settled',
  'disputed',
  'held',
  'failed',
] satisfies readonly UnitState[]

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
export const chunkCodec: Codec<Chunk> = contentCodec(
  'Chunk',
  CHUNK_BYTES + SMALL_BYTES_MAX,
  () => ({}),
  (fields) => ({ bytes: plainView(fields, 'bytes', { max: CHUNK_BYTES }) }),
)

// --------------------------------------------------------------------------------------------------------------- parts

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
