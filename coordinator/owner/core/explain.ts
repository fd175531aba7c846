import type { Bar } from '../../../job/standing.js'
import {
  EXPLAIN_MAX,
  type ExplainReply,
  type LeaseSight,
  type RefusedKey,
  type ShardSight,
  type UnitEvent,
  type UnitGroup,
  type UnitSight,
  type UnitWait,
  type WorkerBar,
  type WorkerGroup,
} from '../../../proto/explain-messages.js'
import type { JobId, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { drawWorker } from './draw.js'
import type { PastEvent } from './history.js'
import { byPriority, type Job } from './job.js'
import type { OwnerTables } from './owner-tables.js'
import { HELD_MS, type Shard } from './shard.js'
import { drawRules, mayWork } from './unit-queue.js'
import { isDecided, type UnitRecord } from './unit-record.js'
import type { Instance, WorkerRecord } from './worker-record.js'

/** Units without a donor of which it is looked whether one is here: a look goes over all workers. */
const DONORS_SOUGHT_MAX = 16
/** A worker turned away is told of for so long: it comes back every 20 s while its cause lasts. Unit: ms. */
const REFUSED_MS = 30_000

/** What an owner tells of a job. */
export type OwnerSight = Pick<
  ExplainReply,
  'refusal' | 'shards' | 'workers' | 'workersAble' | 'donorsAble' | 'refusedKeys' | 'unit' | 'events'
>

/** What keeps a worker from a job until something changes on its side or the job's; undefined: nothing. */
export function lastingBar(worker: WorkerRecord, job: Job): Bar | undefined {
  const { jobId, spec } = job
  const { onlyJob } = worker.hello
  if (onlyJob !== undefined && onlyJob !== jobId) return { bar: 'job', value: onlyJob }
  const bar = worker.bar(spec)
  if (bar !== undefined) return bar
  if (job.isConvicted(worker)) return { bar: 'convicted', value: '' }
  const declined = worker.declined.get(jobId)
  if (declined !== undefined) return { bar: 'refused', value: declined }
  return worker.isRestrained ? { bar: 'restrained', value: worker.restraint! } : undefined
}

/** Whether a worker could compute the job now, or once its hands are free: {@link lastingBar} has nothing against it. */
export function isAble(worker: WorkerRecord, job: Job): boolean {
  return mayWork(worker, job) && !worker.isRestrained && !job.isConvicted(worker)
}

/** Everything that one owner sees of a job; with `unit`, of that unit, too. */
export function sightOf(state: OwnerTables, job: Job, unit: number | undefined, now: Millis): OwnerSight {
  const left = (shard: Shard) => (shard.finished ? 0 : 1)
  const shards = [...job.shards.values()]
    .sort((a, b) => left(b) - left(a) || a.shard - b.shard)
    .slice(0, EXPLAIN_MAX.shards)
  const able = state.connected.filter((worker) => isAble(worker, job))
  const within = unit === undefined ? undefined : [...job.shards.values()].find((shard) => shard.contains(unit))
  return {
    refusal: job.refusal(state.context.wallMs()),
    shards: shards.map((shard) => sightOfShard(state, shard, able, now)),
    workers: workerGroups(state, job, now),
    workersAble: able.length,
    donorsAble: new Set(able.map(({ donor }) => donor)).size,
    refusedKeys: refusedKeys(state, now),
    unit: within && sightOfUnit(state, within, unit!, now),
    events: eventsOf(within === undefined ? shards : [within], unit, now),
  }
}

function sightOfShard(state: OwnerTables, shard: Shard, able: readonly WorkerRecord[], now: Millis): ShardSight {
  const donors = new Set(able.map(({ donor }) => donor)).size
  const ago = (at: Millis | undefined) => (at === undefined ? undefined : now - at)
  return {
    shard: shard.shard,
    summary: shard.summary(able.length, donors, 0),
    owners: shard.owners.length,
    minGrantors: shard.rules.minGrantors,
    quietMs: Math.max(0, shard.quietUntil - now),
    groups: shard.finished ? [] : unitGroups(state, shard, now),
    lastGrantMs: ago(shard.lastGrantAt),
    lastAnswerMs: ago(shard.lastAnswerAt),
  }
}

// --------------------------------------------------------------------------------------------------------------- units

function unitGroups(state: OwnerTables, shard: Shard, now: Millis): UnitGroup[] {
  const groups = new Map<UnitWait, { units: number; examples: number[]; since: Millis | undefined }>()
  const add = (wait: UnitWait, unit: number | undefined, units: number, since: Millis | undefined) => {
    const group = groups.get(wait) ?? { units: 0, examples: [], since: undefined }
    groups.set(wait, group)
    group.units += units
    if (unit !== undefined && group.examples.length < EXPLAIN_MAX.unitExamples) group.examples.push(unit)
    if (since !== undefined) group.since = Math.min(group.since ?? since, since)
  }
  const { untouched } = shard
  if (untouched > 0) add('untouched', shard.untouchedUnits.first(), untouched, shard.openedAt)
  const sought = { left: DONORS_SOUGHT_MAX }
  for (const record of shard.records()) {
    const wait = waitOf(state, record, sought, now)
    if (wait !== 'done') add(wait, record.unit, 1, sinceOf(record, wait))
  }
  return [...groups].map(([wait, { units, examples, since }]) => ({
    wait,
    units,
    examples,
    sinceMs: since === undefined ? undefined : Math.max(1, now - since),
  }))
}

/** What a unit waits for. `sought`: how many more times it may be looked whether a donor is here. */
function waitOf(state: OwnerTables, record: UnitRecord, sought: { left: number }, now: Millis): UnitWait {
  const { shard, state: is, judgement } = record
  if (isDecided(is)) return 'done'
  if (is === 'held') return 'held'
  if (is === 'accepted') return 'bytes'
  const isDoubted = shard.job.doubts.doubted.has(record)
  const isExhausted = (judgement?.state === 'open' || judgement?.state === 'disputed') && judgement.wanted === 0
  if (isExhausted && !isDoubted) return 'limit'
  if (is === 'disputed') return 'disputed'
  if (record.held.length > 0 && shard.wanted(record) <= record.held.length) return 'computing'
  if (record.reservedFor !== undefined) return 'drawn'
  if (state.isElsewhere(record, now)) return 'elsewhere'
  if (record.notBefore > now) return 'delay'
  if (!record.votes.some(({ outcome }) => outcome !== 'host')) return 'again'
  if (isDoubted) return 'doubted'
  const isForOthers = state.isSpent(record) || state.leansHere(record)
  if (!isForOthers) return 'donor'
  // Where nobody is left who could answer, it does not matter who may ask.
  if (sought.left-- <= 0) return 'grantor'
  const donor = drawWorker(record, state.connected, drawRules(state, shard, now), FIRST)
  return donor === undefined ? 'donor' : 'grantor'
}

/** Whoever comes first: it is only asked whether there is anybody. */
const FIRST = { next: () => 0, int: () => 0, bytes: (count: number) => new Uint8Array(count) }

function sinceOf(record: UnitRecord, wait: UnitWait): Millis | undefined {
  switch (wait) {
    case 'computing':
      return record.held.reduce((first, { grantedAt }) => Math.min(first, grantedAt), Number.POSITIVE_INFINITY)
    case 'drawn':
      return record.reservedAt
    case 'bytes':
      return record.acceptedAt
    case 'held':
      return record.notBefore - HELD_MS
    case 'disputed':
      return record.past?.findLast(({ what }) => what === 'disputed')?.at ?? record.wantedSince
    case 'donor':
    case 'grantor':
    case 'doubted':
    case 'again':
    case 'delay':
      return record.wantedSince
    default:
      return undefined
  }
}

function sightOfUnit(state: OwnerTables, shard: Shard, unit: number, now: Millis): UnitSight {
  const record = shard.record(unit)
  const { rules, job, openedAt } = shard
  const most = { instancesMax: rules.maxInstances, errorsMax: job.errorsAllowed(unit) }
  const none = { answers: 0, errors: 0, leases: [], drawn: undefined, drawnMs: 0, restingMs: 0, elsewhere: [] }
  const sinceMs = Math.max(1, now - openedAt)
  if (record === undefined)
    return { unit, shard: shard.shard, state: 'open', wait: 'untouched', sinceMs, ...most, ...none }
  const wait = waitOf(state, record, { left: 1 }, now)
  const since = sinceOf(record, wait)
  const answers = record.votes.filter(({ outcome }) => outcome !== 'host').length
  return {
    unit,
    shard: shard.shard,
    state: record.state,
    wait,
    sinceMs: since === undefined ? undefined : Math.max(1, now - since),
    answers,
    errors: record.judgement?.hostErrors ?? 0,
    ...most,
    leases: record.held.slice(0, EXPLAIN_MAX.leases).map((instance) => leaseOf(instance, now)),
    drawn: record.reservedFor?.nodeId,
    drawnMs: record.reservedFor === undefined ? 0 : now - record.reservedAt,
    restingMs: Math.max(0, record.notBefore - now),
    elsewhere: [...(record.elsewhere ?? [])].slice(0, EXPLAIN_MAX.leases).map(([key]) => ({
      worker: state.workers.get(key)?.nodeId,
      sinceMs: 0,
      movedMs: 0,
      fuel: 0n,
    })),
  }
}

function leaseOf({ worker, grantedAt, movedAt, fuel }: Instance, now: Millis): LeaseSight {
  return { worker: worker.nodeId, sinceMs: now - grantedAt, movedMs: now - movedAt, fuel }
}

function eventsOf(shards: readonly Shard[], unit: number | undefined, now: Millis): UnitEvent[] {
  const past: PastEvent[] = []
  for (const shard of shards) {
    if (unit === undefined) past.push(...shard.history.recent())
    else past.push(...shard.history.of(shard.record(unit) ?? { unit, past: undefined }))
  }
  past.sort((a, b) => a.at - b.at)
  return past
    .slice(-EXPLAIN_MAX.events)
    .map(({ unit: of, at, what, worker, detail }) => ({ unit: of, agoMs: now - at, what, worker, detail }))
}

// ------------------------------------------------------------------------------------------------------------- workers

/** Bars that come and go: nobody notes since when. */
const PASSING: ReadonlySet<WorkerBar> = new Set(['none', 'resting', 'failing', 'window', 'full'])

/** The connected workers by how they stand towards the job, the largest groups first. */
function workerGroups(state: OwnerTables, job: Job, now: Millis): WorkerGroup[] {
  const groups = new Map<
    string,
    { -readonly [Field in keyof WorkerGroup]: WorkerGroup[Field] } & { examples: NodeId[] }
  >()
  const before = jobBefore(state, job)
  for (const worker of state.connected) {
    const { bar, value } = lastingBar(worker, job) ?? passingBar(worker, job, before, now)
    const name = `${bar} ${value}`
    let group = groups.get(name)
    if (group === undefined) {
      group = { bar, value, workers: 0, threads: 0, examples: [], sinceMs: undefined }
      groups.set(name, group)
    }
    group.workers++
    group.threads += worker.hello.slots
    if (group.examples.length < EXPLAIN_MAX.workerExamples) group.examples.push(worker.nodeId)
    const since = PASSING.has(bar) ? undefined : bar === 'restrained' ? worker.restrainedAt : worker.connectedAt
    if (since !== undefined) group.sinceMs = Math.max(1, group.sinceMs ?? 0, now - since)
  }
  return [...groups.values()].sort((a, b) => b.workers - a.workers).slice(0, EXPLAIN_MAX.workerGroups)
}

/** The submitter's job of which workers are given units before this one, if there is one. */
function jobBefore(state: OwnerTables, job: Job): JobId | undefined {
  let first: Job | undefined
  for (const other of state.jobs.values()) {
    if (other.spec.submitter !== job.spec.submitter || byPriority(other, job) >= 0) continue
    if (first !== undefined && byPriority(first, other) < 0) continue
    if ([...other.shards.values()].some(({ untouched, again }) => untouched > 0 || again.length > 0)) first = other
  }
  return first?.jobId
}

/**
 * How a worker that may compute the job stands towards it at the moment.
 * @param before job of the same submitter that comes first
 */
function passingBar(worker: WorkerRecord, job: Job, before: JobId | undefined, now: Millis): Bar {
  if (worker.isResting(job.jobId, now)) return { bar: 'resting', value: '' }
  if (worker.isFailing(job.jobId, now)) return { bar: 'failing', value: '' }
  if (worker.roomFor(job) <= 0) return { bar: 'full', value: before ?? '' }
  if (worker.windowRoom(job) <= 0) return { bar: 'window', value: String(Math.floor(worker.windowOf(job))) }
  return { bar: 'none', value: '' }
}

function refusedKeys(state: OwnerTables, now: Millis): RefusedKey[] {
  const keys: RefusedKey[] = []
  for (const [nodeId, { reason, code, at }] of state.refused)
    if (now - at < REFUSED_MS) keys.push({ nodeId, reason, code, agoMs: now - at })
  return keys
}
