import { type Bar, barText } from '../../../job/standing.js'
import type { DeclineWord, RestraintWord } from '../../../proto/explain-messages.js'
import type { AgeClass, JobId, JobSpec, NodeId, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { Credit, type Creditable } from './credit.js'
import type { Job } from './job.js'
import type { SessionId, WorkerHello } from './messages.js'
import type { Shard } from './shard.js'
import type { UnitRecord } from './unit-record.js'

/** How often a key is drawn, of what its credit gives, that let its last instance lapse; until it answers one. */
const LAPSED_WEIGHT = 1 / 16

/** One granted copy of a unit, from the grant until its fate is known. */
export interface Instance {
  readonly shard: Shard
  readonly record: UnitRecord
  readonly worker: WorkerRecord
  readonly opinion: number
  readonly grantedAt: Millis
  /** Last progress: granted, or fuel moved. */
  movedAt: Millis
  fuel: bigint
  /** What became of it, for the credit of its key. */
  readonly credited: Creditable
  /** Held: being computed, a lease. Reported: answered, not yet settled. Gone: settled, lost or withdrawn. */
  state: 'held' | 'reported' | 'gone'
}

/** Instances of one worker, counted by job. */
class InstancesByJob extends Set<Instance> {
  readonly #byJob = new Map<Job, number>()

  /** How many there are of a job. */
  of(job: Job): number {
    return this.#byJob.get(job) ?? 0
  }

  override add(instance: Instance): this {
    if (!this.has(instance)) this.#count(instance, 1)
    return super.add(instance)
  }

  override delete(instance: Instance): boolean {
    if (this.has(instance)) this.#count(instance, -1)
    return super.delete(instance)
  }

  override clear(): void {
    this.#byJob.clear()
    super.clear()
  }

  #count({ shard: { job } }: Instance, by: number): void {
    const left = this.of(job) + by
    if (left > 0) this.#byJob.set(job, left)
    else this.#byJob.delete(job)
  }
}

/** What co-owners are told of an instance, or of an opinion that is kept for a worker. */
export interface Outstanding extends Pick<Instance, 'shard' | 'record' | 'worker' | 'opinion'> {
  /** Not granted yet. */
  readonly isKept?: boolean
}

/** Rest of a key from a job that it handed units back of: doubles with each time, up to the longest. */
const REST_MS = 1_000
const REST_MAX_MS = 60_000
/** Failures of a job in a row from which on a key's host backs off from it, and its longest back-off. */
const HOST_FAILURES_FREE = 2
const HOST_BACKOFF_MAX_MS = 10 * 60_000
/** Versions of a task that are named where none fits. */
const VERSIONS_TOLD_MAX = 4
/** Submitters whose share of a worker with weights is remembered; past it all begin anew. */
const SERVED_MAX = 1_024
/** Reservations a key may have waiting; a draw that falls on a full key falls on another. */
export const RESERVED_MAX = 16_384

/**
 * A worker key as this owner knows it, connected or not. Leases, credit and reservations belong to the key, so that a
 * reconnect continues where the stream broke.
 *
 * States: connected (session set) -> away (session undefined, `awaySince` set) on a broken stream; away -> connected on a
 * new hello; away -> forgotten once nothing hangs on it.
 */
export class WorkerRecord {
  readonly key: PublicKey
  donor: PublicKey
  nodeId: NodeId
  host: string
  readonly firstSeenMs: number
  session: SessionId | undefined
  hello: WorkerHello
  heardAt: Millis
  awaySince: Millis | undefined
  /** Instances it is willing to hold in all. */
  want = 0
  /** Full with work of other owners: wants nothing now, and is drawn like everybody else. */
  busy = false
  readonly held = new InstancesByJob()
  /** Instances of single jobs that it is willing to hold, and of one that is not among them, as it says. */
  wantOf: ReadonlyMap<JobId, number> = new Map()
  wantOfNew = Number.POSITIVE_INFINITY
  /** Reported and not yet settled. */
  readonly unsettled = new InstancesByJob()
  readonly credit: Credit
  /** Further opinions reserved for this key, oldest first. */
  readonly reserved = new Set<UnitRecord>()
  /** The last it was given was one of them, and no first opinion that had to wait for it. */
  tookFurther = false
  /** When it last came for one of them. */
  cameAt: Millis = Number.NEGATIVE_INFINITY
  /** Jobs of which its host failed units in a row, and until when it is given none of them. */
  readonly failing = new Map<JobId, { times: number; until: Millis }>()
  /** Jobs that it handed units back of, which it is not given for a while. */
  readonly resting = new Map<JobId, { times: number; until: Millis }>()
  /** Why it wants less than it could compute, and since when, as it says. */
  restraint: RestraintWord | undefined
  restrainedAt: Millis = 0
  /** Jobs that it takes nothing of, as it says. */
  declined: ReadonlyMap<JobId, DeclineWord> = new Map()
  /** Since when it is connected. */
  connectedAt: Millis
  /** Work granted of each submitter, over its weight, where the volunteer has weights. Unit: ms. */
  readonly served = new Map<PublicKey, number>()
  /** It let the last instance go without an answer, and has answered none since. */
  hasLapsed = false
  /** When it was last told why there is no work for it. */
  toldIdleAt: Millis = Number.NEGATIVE_INFINITY

  constructor(hello: WorkerHello, session: SessionId, now: Millis) {
    this.key = hello.worker
    this.donor = hello.donor
    this.nodeId = hello.nodeId
    this.host = hello.host
    this.firstSeenMs = hello.firstSeenMs
    this.session = session
    this.hello = hello
    this.heardAt = now
    this.connectedAt = now
    this.credit = new Credit(hello.slots)
  }

  /** Instances of the job that it has room for. */
  roomFor(job: Job): number {
    const most = this.wantOf.get(job.jobId) ?? this.wantOfNew
    return Math.min(this.want - this.held.size, most - this.held.of(job))
  }

  /** The window of its key for first opinions of the job, in instances: what it may have in hand and unsettled. */
  windowOf({ durations }: Job): number {
    return this.credit.window(this.hello.slots, durations.unitMs)
  }

  /**
   * First opinions of the job that its window has room for. What it has in hand of other jobs counts against its credit alone:
   * a window of thousands of tiny units, full, would else leave nothing for a job whose window is of 64 long ones. What is
   * not settled of other jobs does not count: nobody may be there to settle it.
   */
  windowRoom(job: Job): number {
    const ofJob = this.windowOf(job) - this.held.of(job) - this.unsettled.of(job)
    return Math.min(this.credit.value - this.held.size, ofJob)
  }

  /** Fates of grants of the job were set. */
  settleCredit({ jobId, durations }: Job): void {
    this.credit.settle(jobId, this.hello.slots, durations.unitMs)
  }

  forgetJob(jobId: JobId): void {
    this.resting.delete(jobId)
    this.failing.delete(jobId)
    this.credit.forget(jobId)
  }

  /**
   * Chance that a draw for a further opinion takes this key once it has fallen on it. Credit does not tell a key that answers
   * nothing from a new one, so that hoarders would hold up as many units of a job that begins as they are keys.
   */
  get drawWeight(): number {
    return this.credit.drawWeight(this.hello.slots) * (this.hasLapsed ? LAPSED_WEIGHT : 1)
  }

  /** Notes work of a submitter that was granted; kept where the volunteer has weights alone. */
  wasServed(submitter: PublicKey, workMs: Millis): void {
    const { weights } = this.hello
    if (weights === undefined) return
    if (this.served.size >= SERVED_MAX && !this.served.has(submitter)) this.served.clear()
    this.served.set(submitter, (this.served.get(submitter) ?? 0) + workMs / (weights.get(submitter) ?? 1))
  }

  /**
   * What each of these submitters had of this worker, over its weight: the one with the least is next. Who comes anew, or was
   * away, is owed nothing for that time. Undefined: the volunteer has no weights.
   */
  servedBy(submitters: readonly PublicKey[]): ReadonlyMap<PublicKey, number> | undefined {
    if (this.hello.weights === undefined) return undefined
    const present = new Set(submitters)
    const known = [...this.served].filter(([submitter]) => present.has(submitter)).map(([, spent]) => spent)
    const floor = known.length === 0 ? 0 : Math.min(...known)
    for (const submitter of this.served.keys()) if (!present.has(submitter)) this.served.delete(submitter)
    for (const submitter of present) if (!this.served.has(submitter)) this.served.set(submitter, floor)
    return this.served
  }

  /**
   * Whether further opinions are kept for it. Not only while it has room: who is never busy would be drawn most, and that
   * is a ring which nobody gives first opinions any more.
   */
  get mayBeDrawn(): boolean {
    return this.want > 0 || this.busy
  }

  /** It gave units of the job back: they go to others first. */
  rest(jobId: JobId, now: Millis): void {
    const times = (this.resting.get(jobId)?.times ?? 0) + 1
    this.resting.set(jobId, { times, until: now + Math.min(REST_MAX_MS, REST_MS * 2 ** Math.min(16, times - 1)) })
  }

  /**
   * Its host failed a unit: after a few in a row it is given nothing of the job for a while. Of that job alone: a submitter
   * whose program brings hosts down would else take them from everybody.
   */
  hostFailed(jobId: JobId, now: Millis): void {
    const times = (this.failing.get(jobId)?.times ?? 0) + 1
    const backOffMs = times > HOST_FAILURES_FREE ? Math.min(HOST_BACKOFF_MAX_MS, 1_000 * 2 ** times) : 0
    this.failing.set(jobId, { times, until: now + backOffMs })
  }

  isFailing(jobId: JobId, now: Millis): boolean {
    const failed = this.failing.get(jobId)
    return failed !== undefined && failed.until > now
  }

  isResting(jobId: JobId, now: Millis): boolean {
    if (this.resting.size === 0) return false
    const rest = this.resting.get(jobId)
    return rest !== undefined && rest.until > now
  }

  /** Whether it is to be given units of the job: it handed none back just now, and its host failed none. */
  isFree(jobId: JobId, now: Millis): boolean {
    return !this.isResting(jobId, now) && !this.isFailing(jobId, now)
  }

  /** Whether the key was known before the job was made. */
  age(spec: JobSpec): AgeClass {
    return this.firstSeenMs <= spec.createdAtMs ? 'older' : 'younger'
  }

  /** What keeps this key from the job for good, by its hello and the spec; undefined: nothing does. */
  bar(spec: JobSpec): Bar | undefined {
    const { hello } = this
    // As `job/facts/facts.ts` has it: a report counts when its worker or its donor is named.
    const isNamed = spec.workers.includes(this.key) || spec.workers.includes(this.donor)
    if (spec.workers.length > 0 && !isNamed) return { bar: 'unnamed', value: '' }
    if (spec.task.type === 'module') {
      if (spec.profile > hello.profile) return { bar: 'profile', value: String(hello.profile) }
    } else {
      const { name, version } = spec.task
      if (!hello.tasks.has(`${name}@${version}`)) {
        const others = [...hello.tasks].filter((task) => task.startsWith(`${name}@`))
        return { bar: 'task', value: others.slice(0, VERSIONS_TOLD_MAX).join(', ') }
      }
    }
    if (spec.limits.memoryBytes > hello.memoryBytes) return { bar: 'memory', value: String(hello.memoryBytes) }
    return undefined
  }

  /** It could compute more than it wants, which is nothing, and has said why. */
  get isRestrained(): boolean {
    return this.want === 0 && this.restraint !== undefined
  }

  /** Whether this key may compute units of the job at all. Empty: yes; else why not. */
  refusal(spec: JobSpec): string {
    const bar = this.bar(spec)
    return bar === undefined ? '' : barText(bar, spec)
  }
}

/** The worker's lease on the unit, if it has one. */
export function heldBy(worker: WorkerRecord, record: UnitRecord | undefined): Instance | undefined {
  return record?.held.find((instance) => instance.worker === worker)
}

/** An instance as it begins, which takes its place in the order of its key's credit. */
export function newInstance(
  worker: WorkerRecord,
  record: UnitRecord,
  { opinion, state }: Pick<Instance, 'opinion' | 'state'>,
  now: Millis,
): Instance {
  const credited: Creditable = { fate: 'pending' }
  const { shard } = record
  worker.credit.granted(shard.jobId, credited)
  return { shard, record, worker, opinion, grantedAt: now, movedAt: now, fuel: 0n, credited, state }
}
