import type { ErrorCode } from '../../runtime/errors.js'
import type { Codec } from '../../runtime/transport.js'
import type {
  AdminReply,
  DrainRequest,
  LogEntry,
  LogRequest,
  OwnerState,
  PauseRequest,
  PeerState,
  PreferenceValue,
  PreferReply,
  PreferRequest,
  ProcessState,
  Restraint,
  ResumeRequest,
  RunningUnitState,
  SameKey,
  ThreadState,
  WatchProcessRequest,
  WorkerState,
} from '../admin-messages.js'
import { DURATION_MS_MAX, UNITS_MAX } from '../limits.js'
import type { WireMessage } from '../load.js'
import { messageCodec, readReason, reasonToWire, SMALL_BYTES_MAX, UINT32_MAX } from './common.js'
import { type Fields, hexToWire, type TextBound, uint64ToWire } from './fields.js'

/** What a state tells of at most; the sender leaves out what is above. */
const ADMIN_THREADS_MAX = 1_024
const ADMIN_PEERS_MAX = 1_024
const ADMIN_OWNERS_MAX = 256
const ADMIN_RESTRAINTS_MAX = 32
const PREFERENCES_MAX = 64
/** A value of a preference, as typed. Unit: bytes. */
const PREFERENCE_BYTES_MAX = 8 * 1024
/** Entries of the log that a process keeps. */
export const LOG_ENTRIES_MAX = 1_000
/** The name of an entry's event. Unit: bytes. */
export const LOG_MESSAGE_BYTES_MAX = 1_024
/** All fields of an entry as text; those that no longer fit are left out. Unit: bytes. */
export const LOG_FIELDS_BYTES_MAX = 4 * 1024
/** Least and most time between two states. Unit: ms. */
const WATCH_EVERY_MS = { min: 100, max: 60_000 } as const

/** A state with everything at its bound: under the largest message. */
const STATE_BYTES_MAX = 1024 * 1024
const PREFER_BYTES_MAX = 640 * 1024
const WORD: TextBound = { max: 256, controls: 'strip' }
const VALUE: TextBound = { max: PREFERENCE_BYTES_MAX, controls: 'strip' }

const restraintToWire = ({ preference, reason, untilMs }: Restraint): WireMessage => ({
  preference,
  reason: reasonToWire(reason),
  untilMs,
})

const readRestraint = (fields: Fields): Restraint => ({
  preference: fields.text('preference', WORD),
  reason: readReason(fields, 'reason'),
  untilMs: fields.safeInteger('untilMs'),
})

const readPreference = (fields: Fields): PreferenceValue => ({
  name: fields.text('name', WORD),
  value: fields.text('value', VALUE),
  origin: fields.text('origin', WORD),
})

const unitToWire = (unit: RunningUnitState): WireMessage => ({
  ...unit,
  jobId: hexToWire(unit.jobId),
  submitter: hexToWire(unit.submitter),
  fuel: uint64ToWire(unit.fuel),
  fuelMax: uint64ToWire(unit.fuelMax),
})

const readRunningUnit = (fields: Fields): RunningUnitState => ({
  jobId: fields.jobId('jobId'),
  jobName: fields.text('jobName', WORD),
  submitter: fields.publicKey('submitter'),
  unit: fields.uint32('unit', { max: UNITS_MAX - 1 }),
  task: fields.text('task', WORD),
  sinceMs: fields.safeInteger('sinceMs'),
  fuel: fields.uint64('fuel'),
  fuelMax: fields.uint64('fuelMax'),
})

const threadToWire = ({ thread, unit }: ThreadState): WireMessage => ({
  thread,
  ...(unit !== undefined && { unit: unitToWire(unit) }),
})

const readThread = (fields: Fields): ThreadState => ({
  thread: fields.uint32('thread', { max: UINT32_MAX }),
  unit: fields.optional('unit', readRunningUnit),
})

const ownerToWire = (owner: OwnerState): WireMessage => ({
  ...owner,
  nodeId: hexToWire(owner.nodeId),
  reason: reasonToWire(owner.reason),
})

const readOwner = (fields: Fields): OwnerState => ({
  nodeId: fields.nodeId('nodeId'),
  address: fields.text('address', WORD),
  connected: fields.bool('connected'),
  held: fields.uint32('held', { max: UINT32_MAX }),
  reason: readReason(fields, 'reason'),
  reasonAtMs: fields.safeInteger('reasonAtMs'),
  code: fields.text('code', WORD) as ErrorCode | '',
})

const readSameKey = (fields: Fields): SameKey => ({
  host: fields.text('host', WORD),
  owner: fields.nodeId('owner'),
  atMs: fields.safeInteger('atMs'),
})

const workerToWire = ({ sameKey, ...worker }: WorkerState): WireMessage => ({
  ...worker,
  ...(sameKey !== undefined && { sameKey: { ...sameKey, owner: hexToWire(sameKey.owner) } }),
  threads: worker.threads.slice(0, ADMIN_THREADS_MAX).map(threadToWire),
  owners: worker.owners.slice(0, ADMIN_OWNERS_MAX).map(ownerToWire),
  restraints: worker.restraints.slice(0, ADMIN_RESTRAINTS_MAX).map(restraintToWire),
  fuel: uint64ToWire(BigInt.asUintN(64, worker.fuel)),
  idleReason: reasonToWire(worker.idleReason),
})

const readWorker = (fields: Fields): WorkerState => ({
  threads: fields.list('threads', { max: ADMIN_THREADS_MAX }, readThread),
  owners: fields.list('owners', { max: ADMIN_OWNERS_MAX }, readOwner),
  restraints: fields.list('restraints', { max: ADMIN_RESTRAINTS_MAX }, readRestraint),
  threadsAllowed: fields.uint32('threadsAllowed', { max: UINT32_MAX }),
  cpuTimeShare: readNumber(fields, 'cpuTimeShare', 1),
  paused: fields.bool('paused'),
  draining: fields.bool('draining'),
  held: fields.uint32('held', { max: UINT32_MAX }),
  unsettled: fields.uint32('unsettled', { max: UINT32_MAX }),
  computed: fields.safeInteger('computed'),
  agreed: fields.safeInteger('agreed'),
  disagreed: fields.safeInteger('disagreed'),
  fuel: fields.uint64('fuel'),
  idleReason: readReason(fields, 'idleReason'),
  preferences: fields.list('preferences', { max: PREFERENCES_MAX }, readPreference),
  sameKey: fields.optional('sameKey', readSameKey),
})

const peerToWire = ({ nodeId, address, roundTripMs, lastSeenMs, version }: PeerState): WireMessage => ({
  nodeId: hexToWire(nodeId),
  address,
  ...(roundTripMs !== undefined && { roundTripMs }),
  lastSeenMs,
  version,
})

const readPeer = (fields: Fields): PeerState => ({
  nodeId: fields.nodeId('nodeId'),
  address: fields.text('address', WORD),
  roundTripMs: fields.has('roundTripMs') ? readNumber(fields, 'roundTripMs', DURATION_MS_MAX) : undefined,
  lastSeenMs: fields.safeInteger('lastSeenMs'),
  version: fields.text('version', WORD),
})

/** A double from 0 to `max`. */
function readNumber(fields: Fields, name: string, max: number): number {
  return fields.uint32(name, { max })
}

/** How often a watcher wants the state; more often than every 100 ms is refused. */
export const watchProcessRequestCodec: Codec<WatchProcessRequest> = messageCodec(
  'WatchProcessRequest',
  SMALL_BYTES_MAX,
  ({ everyMs }) => ({ everyMs }),
  (fields) => ({ everyMs: fields.uint32('everyMs', WATCH_EVERY_MS) }),
)

/** The state of a process. Peers beyond 1,024 are left out when it is sent. */
export const processStateCodec: Codec<ProcessState> = messageCodec(
  'ProcessState',
  STATE_BYTES_MAX,
  ({ nodeId, publicKey, peers, worker, unreached, ...rest }) => ({
    ...rest,
    nodeId: hexToWire(nodeId),
    publicKey: hexToWire(publicKey),
    peers: peers.slice(0, ADMIN_PEERS_MAX).map(peerToWire),
    ...(worker !== undefined && { worker: workerToWire(worker) }),
    unreached: reasonToWire(unreached),
  }),
  (fields) => ({
    nodeId: fields.nodeId('nodeId'),
    publicKey: fields.publicKey('publicKey'),
    version: fields.text('version', WORD),
    network: fields.text('network', WORD),
    startedMs: fields.safeInteger('startedMs'),
    address: fields.text('address', WORD),
    eligible: fields.bool('eligible'),
    peers: fields.list('peers', { max: ADMIN_PEERS_MAX }, readPeer),
    shards: fields.uint32('shards', { max: UINT32_MAX }),
    storedBytes: fields.safeInteger('storedBytes'),
    worker: fields.optional('worker', readWorker),
    unreached: readReason(fields, 'unreached'),
    otherSelf: fields.text('otherSelf', WORD),
  }),
)

/** From how many entries back the log is wanted. */
export const logRequestCodec: Codec<LogRequest> = messageCodec(
  'LogRequest',
  SMALL_BYTES_MAX,
  ({ past }) => ({ past }),
  (fields) => ({ past: fields.uint32('past', { max: LOG_ENTRIES_MAX }) }),
)

/** One entry of the log; control characters are stripped, as a terminal shows it. */
export const logEntryCodec: Codec<LogEntry> = messageCodec(
  'LogEntry',
  2 * SMALL_BYTES_MAX,
  (entry) => ({ ...entry }),
  (fields) => ({
    atMs: fields.safeInteger('atMs'),
    level: fields.text('level', WORD),
    scope: fields.text('scope', WORD),
    message: fields.text('message', { max: LOG_MESSAGE_BYTES_MAX, controls: 'strip' }),
    fields: fields.text('fields', { max: LOG_FIELDS_BYTES_MAX, controls: 'strip' }),
  }),
)

/** Preferences to set; values with control characters are refused, as they are kept in a file. */
export const preferRequestCodec: Codec<PreferRequest> = messageCodec(
  'PreferRequest',
  PREFER_BYTES_MAX,
  ({ values }) => ({ values }),
  (fields) => ({
    values: fields.list('values', { max: PREFERENCES_MAX }, (value) => ({
      name: value.text('name', WORD),
      value: value.text('value', { ...VALUE, controls: 'refuse' }),
    })),
  }),
)

/** Every preference as it is now. */
export const preferReplyCodec: Codec<PreferReply> = messageCodec(
  'PreferReply',
  PREFER_BYTES_MAX,
  ({ preferences }) => ({ preferences }),
  (fields) => ({ preferences: fields.list('preferences', { max: PREFERENCES_MAX }, readPreference) }),
)

/** A pause of up to 400 days; 0: until it is ended. */
export const pauseRequestCodec: Codec<PauseRequest> = messageCodec(
  'PauseRequest',
  SMALL_BYTES_MAX,
  ({ forMs }) => ({ forMs }),
  (fields) => ({ forMs: fields.safeInteger('forMs', { max: DURATION_MS_MAX }) }),
)

const empty = <T extends Readonly<Record<never, never>>>(name: string): Codec<T> =>
  messageCodec<T>(
    name,
    SMALL_BYTES_MAX,
    () => ({}),
    () => ({}) as T,
  )

/** Ends a pause; has no fields. */
export const resumeRequestCodec: Codec<ResumeRequest> = empty('ResumeRequest')
/** Asks a process to finish what is in hand and stop; has no fields. */
export const drainRequestCodec: Codec<DrainRequest> = empty('DrainRequest')
/** Answers whatever says nothing but that it was done; has no fields. */
export const adminReplyCodec: Codec<AdminReply> = empty('AdminReply')
