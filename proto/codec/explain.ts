import type { ErrorCode } from '../../runtime/errors.js'
import type { Codec } from '../../runtime/transport.js'
import {
  EXPLAIN_MAX,
  type ExplainReply,
  type ExplainRequest,
  type Guarding,
  type HomeSight,
  type LeaseSight,
  type PeerTrouble,
  type RefusedKey,
  type ShardSight,
  type TroubleWord,
  type UnitEvent,
  type UnitEventWord,
  type UnitGroup,
  type UnitSight,
  type UnitWait,
  type WorkerBar,
  type WorkerGroup,
} from '../explain-messages.js'
import { HOLDERS_MAX, SHARD_UNITS_MAX, UNITS_MAX } from '../limits.js'
import type { WireMessage } from '../load.js'
import type { NodeId } from '../model.js'
import {
  ADDRESS_BYTES_MAX,
  agoToWire,
  messageCodec,
  optionalHex,
  optionalHexToWire,
  readReason,
  reasonToWire,
  UINT32_MAX,
  wholeMs,
} from './common.js'
import { readShard, readSummary, readUnit, summaryToWire } from './facts.js'
import { type Fields, hexToWire, uint64ToWire } from './fields.js'
import { readState } from './results.js'

const REPLY_BYTES_MAX = 512 * 1024
const GROUPS_MAX = 16
const WORD_CHARS_MAX = 32
const VERSION_BYTES_MAX = 100

/** Asks a peer what it knows of a job, or of one unit of it. */
export const explainRequestCodec: Codec<ExplainRequest> = messageCodec(
  'ExplainRequest',
  1_024,
  ({ jobId, unit, events }) => ({ jobId: hexToWire(jobId), ...(unit === undefined ? {} : { unit }), events }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    unit: fields.has('unit') ? fields.uint32('unit', { max: UNITS_MAX - 1 }) : undefined,
    events: fields.bool('events'),
  }),
)

/** What a peer knows of a job, up to 512 KiB; it is that peer's word, and nothing of it is proved. */
export const explainReplyCodec: Codec<ExplainReply> = messageCodec(
  'ExplainReply',
  REPLY_BYTES_MAX,
  ({ home, shards, workers, refusedKeys, unit, events, refusal, ...reply }) => ({
    ...reply,
    wallMs: wholeMs(reply.wallMs),
    uptimeMs: wholeMs(reply.uptimeMs),
    refusal: reasonToWire(refusal),
    home: home && {
      rank: home.rank,
      guarding: home.guarding ?? '',
      troubles: home.troubles.map(troubleToWire),
    },
    shards: shards.map(shardToWire),
    workers: workers.map(workersToWire),
    refusedKeys: refusedKeys.map(({ nodeId, reason, code, agoMs }) => ({
      nodeId: hexToWire(nodeId),
      reason: reasonToWire(reason),
      code,
      agoMs: wholeMs(agoMs),
    })),
    unitSight: unit && unitToWire(unit),
    events: events.map(eventToWire),
  }),
  (fields) => ({
    version: fields.text('version', { max: VERSION_BYTES_MAX, controls: 'strip' }),
    wallMs: fields.safeInteger('wallMs'),
    uptimeMs: fields.safeInteger('uptimeMs'),
    refusal: readReason(fields, 'refusal'),
    home: fields.has('home') ? fields.message('home', readHome) : undefined,
    shards: fields.list('shards', { max: EXPLAIN_MAX.shards }, readShardSight),
    workers: fields.list('workers', { max: EXPLAIN_MAX.workerGroups }, readWorkers),
    workersAble: fields.uint32('workersAble', { max: UINT32_MAX }),
    donorsAble: fields.uint32('donorsAble', { max: UINT32_MAX }),
    refusedKeys: fields.list('refusedKeys', { max: EXPLAIN_MAX.refusedKeys }, readRefused),
    unit: fields.has('unitSight') ? fields.message('unitSight', readUnitSight) : undefined,
    events: fields.list('events', { max: EXPLAIN_MAX.events }, readEvent),
  }),
)

function troubleToWire({ nodeId, reason, sinceMs, ...trouble }: PeerTrouble): WireMessage {
  return { ...trouble, nodeId: hexToWire(nodeId), reason: reasonToWire(reason), sinceMs: wholeMs(sinceMs) }
}

function readHome(fields: Fields): HomeSight {
  return {
    rank: fields.uint32('rank', { max: UINT32_MAX }),
    guarding: readGuarding(fields),
    troubles: fields.list('troubles', { max: EXPLAIN_MAX.troubles }, (trouble) => ({
      nodeId: trouble.nodeId('nodeId'),
      address: trouble.text('address', { max: ADDRESS_BYTES_MAX, controls: 'refuse' }),
      what: readWord<TroubleWord>(trouble, 'what'),
      code: trouble.text('code', { max: WORD_CHARS_MAX, controls: 'refuse' }) as ErrorCode | '',
      reason: readReason(trouble, 'reason'),
      sinceMs: trouble.safeInteger('sinceMs'),
      shards: trouble.uint32('shards', { max: UINT32_MAX }),
    })),
  }
}

function readGuarding(fields: Fields): Guarding | undefined {
  const word = fields.text('guarding', { max: WORD_CHARS_MAX, controls: 'refuse' })
  // A word of a later version is that of a guard all the same.
  return word === '' ? undefined : word === 'acting' ? 'acting' : 'watching'
}

function shardToWire({ summary, quietMs, groups, lastGrantMs, lastAnswerMs, ...sight }: ShardSight): WireMessage {
  return {
    ...sight,
    summary: summaryToWire(summary),
    quietMs: wholeMs(quietMs),
    groups: groups.map(({ wait, units, examples, sinceMs }) => ({
      wait,
      units,
      examples,
      sinceMs: agoToWire(sinceMs),
    })),
    lastGrantMs: agoToWire(lastGrantMs),
    lastAnswerMs: agoToWire(lastAnswerMs),
  }
}

function readShardSight(fields: Fields): ShardSight {
  return {
    shard: readShard(fields),
    summary: fields.message('summary', readSummary),
    owners: fields.uint32('owners', { max: HOLDERS_MAX }),
    minGrantors: fields.uint32('minGrantors', { max: HOLDERS_MAX }),
    quietMs: fields.safeInteger('quietMs'),
    groups: fields.list(
      'groups',
      { max: GROUPS_MAX },
      (group): UnitGroup => ({
        wait: readWord<UnitWait>(group, 'wait'),
        units: group.uint32('units', { max: SHARD_UNITS_MAX }),
        examples: group.uint32List('examples', { max: EXPLAIN_MAX.unitExamples }, { max: UNITS_MAX - 1 }),
        sinceMs: group.safeInteger('sinceMs') || undefined,
      }),
    ),
    lastGrantMs: fields.safeInteger('lastGrantMs') || undefined,
    lastAnswerMs: fields.safeInteger('lastAnswerMs') || undefined,
  }
}

function workersToWire({ bar, value, workers, threads, examples, sinceMs }: WorkerGroup): WireMessage {
  return {
    bar,
    value: reasonToWire(value),
    workers,
    threads,
    examples: examples.map(hexToWire),
    sinceMs: agoToWire(sinceMs),
  }
}

function readWorkers(fields: Fields): WorkerGroup {
  return {
    bar: readWord<WorkerBar>(fields, 'bar'),
    value: readReason(fields, 'value'),
    workers: fields.uint32('workers', { max: UINT32_MAX }),
    threads: fields.uint32('threads', { max: UINT32_MAX }),
    examples: fields.hexList('examples', { max: EXPLAIN_MAX.workerExamples }, 20) as NodeId[],
    sinceMs: fields.safeInteger('sinceMs') || undefined,
  }
}

function readRefused(fields: Fields): RefusedKey {
  return {
    nodeId: fields.nodeId('nodeId'),
    reason: readReason(fields, 'reason'),
    // Before it was said there was one cause.
    code: fields.text('code', { max: 32, controls: 'refuse' }) === 'unsupported' ? 'unsupported' : 'exists',
    agoMs: fields.safeInteger('agoMs'),
  }
}

function unitToWire({ sinceMs, leases, drawn, drawnMs, restingMs, elsewhere, ...unit }: UnitSight): WireMessage {
  return {
    ...unit,
    sinceMs: agoToWire(sinceMs),
    leases: leases.map(leaseToWire),
    drawn: optionalHexToWire(drawn),
    drawnMs: wholeMs(drawnMs),
    restingMs: wholeMs(restingMs),
    elsewhere: elsewhere.map(leaseToWire),
  }
}

function readUnitSight(fields: Fields): UnitSight {
  const count = (name: string) => fields.uint32(name, { max: UINT32_MAX })
  return {
    unit: readUnit(fields),
    shard: readShard(fields),
    state: readState(fields),
    wait: readWord<UnitWait>(fields, 'wait'),
    sinceMs: fields.safeInteger('sinceMs') || undefined,
    answers: count('answers'),
    errors: count('errors'),
    instancesMax: count('instancesMax'),
    errorsMax: count('errorsMax'),
    leases: fields.list('leases', { max: EXPLAIN_MAX.leases }, readLease),
    drawn: optionalHex<NodeId>(fields, 'drawn', 20),
    drawnMs: fields.safeInteger('drawnMs'),
    restingMs: fields.safeInteger('restingMs'),
    elsewhere: fields.list('elsewhere', { max: EXPLAIN_MAX.leases }, readLease),
  }
}

function leaseToWire({ worker, sinceMs, movedMs, fuel }: LeaseSight): WireMessage {
  return {
    worker: optionalHexToWire(worker),
    sinceMs: wholeMs(sinceMs),
    movedMs: wholeMs(movedMs),
    fuel: uint64ToWire(fuel),
  }
}

function readLease(fields: Fields): LeaseSight {
  return {
    worker: optionalHex<NodeId>(fields, 'worker', 20),
    sinceMs: fields.safeInteger('sinceMs'),
    movedMs: fields.safeInteger('movedMs'),
    fuel: fields.uint64('fuel'),
  }
}

function eventToWire({ unit, agoMs: ago, what, worker, detail }: UnitEvent): WireMessage {
  return { unit, agoMs: wholeMs(ago), what, worker: optionalHexToWire(worker), detail: reasonToWire(detail) }
}

function readEvent(fields: Fields): UnitEvent {
  return {
    unit: readUnit(fields),
    agoMs: fields.safeInteger('agoMs'),
    what: readWord<UnitEventWord>(fields, 'what'),
    worker: optionalHex<NodeId>(fields, 'worker', 20),
    detail: readReason(fields, 'detail'),
  }
}

/**
 * A word of a fixed list. One that only a later version knows is shown as it is: whoever reads explanations treats words that
 * it does not know as text.
 */
function readWord<Word extends string>(fields: Fields, name: string): Word {
  const text = fields.text(name, { min: 1, max: WORD_CHARS_MAX, controls: 'refuse' })
  if (!/^[A-Za-z-]+$/.test(text)) fields.fail(name, 'is not a word')
  return text as Word
}
