import type { Codec } from '../../runtime/transport.js'
import { DECLINES, type DeclineWord, RESTRAINTS, type RestraintWord } from '../explain-messages.js'
import {
  ACK_REPORTS_MAX,
  CHUNK_BYTES,
  DURATION_MS_MAX,
  GRANT_UNITS_MAX,
  HOLDERS_MAX,
  INLINE_OUTPUT_BYTES_MAX,
  REPORT_UNITS_MAX,
  SPEC_BYTES_MAX,
  STREAM_MESSAGE_BYTES_LIMIT,
  UNITS_MAX,
} from '../limits.js'
import type { WireMessage } from '../load.js'
import type { BootId, Digest, JobId, NodeId, PublicKey } from '../model.js'
import type {
  Hello,
  OutputChunk,
  OwnerMessage,
  PutOutputReply,
  RunningUnit,
  UnitBytes,
  WorkerMessage,
} from '../work-messages.js'
import {
  contentCodec,
  messageCodec,
  optionalHex,
  optionalHexToWire,
  plainView,
  readReason,
  readSigned,
  reasonToWire,
  SIGNED_OVERHEAD_BYTES,
  signedToWire,
  UINT32_MAX,
  wholeMs,
} from './common.js'
import { readReportFact, readShard, readUnit, reportFactToWire } from './facts.js'
import { type Fields, hexToWire, type TextBound, uint64ToWire } from './fields.js'
import { outputRequestToWire, readOutputRequest } from './results.js'
import { readBuiltinTask } from './spec.js'

const TASKS_MAX = 256
const TICKETS_MAX = 256
const WEIGHTS_MAX = 64
const HOST: TextBound = { max: 64, controls: 'strip' }
const WEIGHT_RANGE = { min: 0.01, max: 100 } as const
const SLOTS_MAX = 4_096
/** Units whose progress one message tells: a few a thread. */
const RUNNING_MAX = 4_096
/** Instances a worker may hold. */
const WANT_MAX = 2 ** 20

/** Jobs that a worker says it takes nothing of. */
const DECLINED_MAX = 64
/** Jobs of which a worker says how many instances it wants. */
const JOB_WANTS_MAX = 64
const WORD_CHARS_MAX = 32

/** Every message a worker sends on the work stream. */
export const workerMessageCodec: Codec<WorkerMessage> = messageCodec(
  'WorkerMessage',
  STREAM_MESSAGE_BYTES_LIMIT,
  workerMessageToWire,
  (fields) =>
    fields.oneof<WorkerMessage>('body', {
      hello: readHello,
      want: (want) => ({
        type: 'want',
        instances: want.uint32('instances', { max: WANT_MAX }),
        restraint: readRestraint(want),
        declined: want.list('declined', { max: DECLINED_MAX }, (declined) => ({
          jobId: declined.jobId('jobId'),
          reason: readDecline(declined),
        })),
        busy: want.bool('busy'),
        jobs: want.list('jobs', { max: JOB_WANTS_MAX }, (job) => ({
          jobId: job.jobId('jobId'),
          instances: job.uint32('instances', { max: WANT_MAX }),
        })),
        ofNew: want.uint32('ofNew', { max: WANT_MAX }),
      }),
      report: (report) => ({
        type: 'report',
        fact: report.message('fact', readReportFact),
        outputs: readOutputs(report),
        wallMs: report.uint32('wallMs', { max: UINT32_MAX }),
      }),
      progress: (progress) => ({
        type: 'progress',
        running: progress.list('running', { max: RUNNING_MAX }, readRunning),
      }),
      handBack: (handBack) => ({
        type: 'handBack',
        jobId: handBack.jobId('jobId'),
        shard: readShard(handBack),
        units: readUnits(handBack, 'units'),
        reason: readReason(handBack, 'reason'),
      }),
    }),
)

function workerMessageToWire(message: WorkerMessage): WireMessage {
  switch (message.type) {
    case 'hello':
      return { hello: helloToWire(message) }
    case 'want':
      return {
        want: {
          instances: message.instances,
          restraint: message.restraint,
          busy: message.busy === true,
          declined: (message.declined ?? [])
            .slice(0, DECLINED_MAX)
            .map(({ jobId, reason }) => ({ jobId: hexToWire(jobId), reason })),
          jobs: (message.jobs ?? [])
            .slice(-JOB_WANTS_MAX)
            .map(({ jobId, instances }) => ({ jobId: hexToWire(jobId), instances })),
          ofNew: message.ofNew ?? 0,
        },
      }
    case 'report': {
      const { fact, outputs, wallMs } = message
      return { report: { fact: reportFactToWire(fact), outputs, wallMs: Math.min(wholeMs(wallMs), UINT32_MAX) } }
    }
    case 'progress':
      return {
        progress: {
          running: message.running.map(({ jobId, unit, fuel }) => ({
            jobId: hexToWire(jobId),
            unit,
            fuel: uint64ToWire(fuel),
          })),
        },
      }
    case 'handBack': {
      const { jobId, shard, units, reason } = message
      return { handBack: { jobId: hexToWire(jobId), shard, units, reason: reasonToWire(reason) } }
    }
  }
}

function helloToWire(hello: Hello): WireMessage {
  return {
    bootId: hexToWire(hello.bootId),
    slots: hello.slots,
    tasks: hello.tasks,
    memoryBytes: hello.memoryBytes,
    jobId: optionalHexToWire(hello.jobId),
    donor: optionalHexToWire(hello.donor),
    donorSignature: hello.donorSignature,
    tickets: hello.tickets.map(signedToWire),
    profile: hello.profile,
    ...hello.protocol,
    weights: (hello.weights ?? [])
      .slice(0, WEIGHTS_MAX)
      .map(({ submitter, weight }) => ({ submitter: hexToWire(submitter), weight })),
  }
}

function readHello(fields: Fields): Hello {
  const donor = optionalHex<PublicKey>(fields, 'donor', 32)
  const weights = fields.list('weights', { max: WEIGHTS_MAX }, (entry) => ({
    submitter: entry.publicKey('submitter'),
    weight: entry.uint32('weight', WEIGHT_RANGE),
  }))
  const protocolMin = fields.uint32('protocolMin', { max: UINT32_MAX })
  const protocolMax = fields.uint32('protocolMax', { min: protocolMin, max: UINT32_MAX })
  return {
    type: 'hello',
    bootId: fields.hex('bootId', 8) as BootId,
    slots: fields.uint32('slots', { min: 1, max: SLOTS_MAX }),
    tasks: fields.list('tasks', { max: TASKS_MAX }, readBuiltinTask),
    memoryBytes: fields.safeInteger('memoryBytes'),
    jobId: optionalHex<JobId>(fields, 'jobId', 32),
    donor,
    donorSignature: fields.bytes('donorSignature', { length: donor === undefined ? 0 : 64 }),
    tickets: fields.list('tickets', { max: TICKETS_MAX }, readSigned),
    profile: fields.uint32('profile', { max: UINT32_MAX }),
    ...(weights.length > 0 && { weights }),
    ...(protocolMin > 0 && { protocol: { protocolMin, protocolMax } }),
  }
}

/** A word that only a later version knows is still a restraint. */
function readRestraint(fields: Fields): RestraintWord | undefined {
  const word = fields.text('restraint', { max: WORD_CHARS_MAX, controls: 'refuse' })
  if (word === '') return undefined
  return (RESTRAINTS as readonly string[]).includes(word) ? (word as RestraintWord) : 'other'
}

function readDecline(fields: Fields): DeclineWord {
  const word = fields.text('reason', { max: WORD_CHARS_MAX, controls: 'refuse' })
  return (DECLINES as readonly string[]).includes(word) ? (word as DeclineWord) : 'broken'
}

function readRunning(fields: Fields): RunningUnit {
  return { jobId: fields.jobId('jobId'), unit: readUnit(fields), fuel: fields.uint64('fuel') }
}

function readOutputs(fields: Fields): UnitBytes[] {
  return fields.list('outputs', { max: REPORT_UNITS_MAX }, (output) => ({
    unit: readUnit(output),
    bytes: output.bytes('bytes', { max: INLINE_OUTPUT_BYTES_MAX }),
  }))
}

function readUnits(fields: Fields, name: string): number[] {
  return fields.uint32List(name, { max: GRANT_UNITS_MAX }, { max: UNITS_MAX - 1 })
}

/** Every message an owner sends on the work stream. */
export const ownerMessageCodec: Codec<OwnerMessage> = messageCodec(
  'OwnerMessage',
  SPEC_BYTES_MAX + SIGNED_OVERHEAD_BYTES,
  ownerMessageToWire,
  (fields) =>
    fields.oneof<OwnerMessage>('body', {
      welcome: (welcome) => {
        const sameKeyAt = welcome.text('sameKeyAt', HOST)
        return {
          type: 'welcome',
          bootId: welcome.hex('bootId', 8) as BootId,
          ...(sameKeyAt !== '' && { sameKeyAt }),
        }
      },
      spec: (spec) => ({ type: 'spec', spec: spec.message('spec', readSigned) }),
      grant: (granted) => ({ type: 'grant', grant: granted.message('grant', readSigned) }),
      ack: (ack) => ({
        type: 'ack',
        reports: ack.hexList('reports', { max: ACK_REPORTS_MAX }, 32) as Digest[],
        holders: ack.hexList('holders', { max: HOLDERS_MAX }, 20) as NodeId[],
        wanted: ack.uint32('wanted', { max: HOLDERS_MAX }),
      }),
      settled: (settled) => ({
        type: 'settled',
        jobId: settled.jobId('jobId'),
        shard: readShard(settled),
        agreed: readUnits(settled, 'agreed'),
        disagreed: readUnits(settled, 'disagreed'),
      }),
      withdraw: (withdraw) => ({
        type: 'withdraw',
        jobId: withdraw.jobId('jobId'),
        shard: readShard(withdraw),
        units: readUnits(withdraw, 'units'),
        wholeJob: withdraw.bool('wholeJob'),
        reason: readReason(withdraw, 'reason'),
      }),
      noWork: (noWork) => ({
        type: 'noWork',
        reason: readReason(noWork, 'reason'),
        retryAfterMs: noWork.safeInteger('retryAfterMs', { max: DURATION_MS_MAX }),
      }),
      fetch: (fetch) => ({ type: 'fetch', ...readOutputRequest(fetch) }),
      refused: (refused) => ({
        type: 'refused',
        report: refused.digest('report'),
        reason: readReason(refused, 'reason'),
      }),
    }),
)

function ownerMessageToWire(message: OwnerMessage): WireMessage {
  switch (message.type) {
    case 'welcome':
      return { welcome: { bootId: hexToWire(message.bootId), sameKeyAt: message.sameKeyAt ?? '' } }
    case 'spec':
      return { spec: { spec: signedToWire(message.spec) } }
    case 'grant':
      return { grant: { grant: signedToWire(message.grant) } }
    case 'ack': {
      const { reports, holders, wanted } = message
      return { ack: { reports: reports.map(hexToWire), holders: holders.map(hexToWire), wanted } }
    }
    case 'settled': {
      const { jobId, shard, agreed, disagreed } = message
      return { settled: { jobId: hexToWire(jobId), shard, agreed, disagreed } }
    }
    case 'withdraw': {
      const { jobId, shard, units, wholeJob, reason } = message
      return { withdraw: { jobId: hexToWire(jobId), shard, units, wholeJob, reason: reasonToWire(reason) } }
    }
    case 'noWork':
      return { noWork: { reason: reasonToWire(message.reason), retryAfterMs: wholeMs(message.retryAfterMs) } }
    case 'fetch':
      return { fetch: outputRequestToWire(message) }
    case 'refused':
      return { refused: { report: hexToWire(message.report), reason: reasonToWire(message.reason) } }
  }
}

/** A piece of an output too large for the stream. */
export const outputChunkCodec: Codec<OutputChunk> = contentCodec(
  'OutputChunk',
  CHUNK_BYTES + SIGNED_OVERHEAD_BYTES,
  ({ start }) => (start === undefined ? {} : outputRequestToWire(start)),
  (fields) => ({
    start: fields.view('jobId', { max: 32 }).length === 0 ? undefined : readOutputRequest(fields),
    bytes: plainView(fields, 'bytes', { max: CHUNK_BYTES }),
  }),
)

/** Whether a large output is on the owner's disk. */
export const putOutputReplyCodec: Codec<PutOutputReply> = messageCodec(
  'PutOutputReply',
  64,
  ({ stored }) => ({ stored }),
  (fields) => ({ stored: fields.bool('stored') }),
)
