import type { Millis } from '../../../runtime/clock.js'
import { Drafts } from './drafts.js'
import { isDistinct } from './draw.js'
import type { Job } from './job.js'
import { BYPASS_MS, type OwnerTables } from './owner-tables.js'
import type { Shard } from './shard.js'
import { Stragglers } from './stragglers.js'
import { SubmitterShares } from './submitter-shares.js'
import { mayWork, meets } from './unit-queue.js'
import type { UnitRecord } from './unit-record.js'
import type { WorkerRecord } from './worker-record.js'

/** Returned units looked at for one worker. */
const AGAIN_SCAN_MAX = 256
/** Reserved units passed over for one worker that wants no more of their jobs at the moment. */
const FULL_SCAN_MAX = 64
/** A worker without work is told why this often. */
const IDLE_NEWS_MS = 10_000
/** Why a worker gets nothing of a job that a ruling has put it out of. */
const CONVICTED = 'a replay has shown answers of this key to be false'

/** Decides what a worker with room gets next: what was reserved for it, then first opinions, then a straggler's copy. */
export class Granting {
  readonly #state: OwnerTables
  readonly #shares: SubmitterShares
  readonly #stragglers: Stragglers

  constructor(state: OwnerTables) {
    this.#state = state
    this.#shares = new SubmitterShares(state.jobs)
    this.#stragglers = new Stragglers(state)
  }

  serve(worker: WorkerRecord, now: Millis): void {
    if (worker.session === undefined) return
    let room = worker.want - worker.held.size
    if (room <= 0) return
    const drafts = new Drafts(worker, this.#state)
    const wallMs = this.#state.context.wallMs()
    let full = 0
    for (const record of worker.reserved) {
      if (room <= 0 || full > FULL_SCAN_MAX) break
      const { job, quietUntil } = record.shard
      if (worker.roomFor(job) <= 0) {
        full++
        continue
      }
      if (quietUntil > now || worker.isFailing(job.jobId, now) || job.refusal(wallMs) !== '') continue
      if (this.#isInheritedNext(record.shard, worker, now)) {
        const taken = this.#first(worker, [job], drafts, 1, now)
        worker.tookFurther &&= taken === 0
        room -= taken
        if (room <= 0) break
      }
      worker.reserved.delete(record)
      worker.cameAt = now
      record.reservedFor = undefined
      if (record.shard.wanted(record) <= record.held.length || this.#state.isCapped(record)) continue
      drafts.add(record, now)
      worker.tookFurther = true
      room--
    }
    if (room > 0) {
      const jobs = this.#candidates(worker, now, wallMs)
      if (jobs.length > 0) this.#first(worker, jobs, drafts, room, now)
      else if (worker.held.size === 0) this.#stragglers.copy(worker, drafts, now, wallMs)
    }
    drafts.send()
    if (worker.held.size === 0 && now - worker.toldIdleAt >= IDLE_NEWS_MS) this.#tellIdle(worker, now, wallMs)
  }

  /**
   * Whether a first opinion that went over from a lost owner stands before a further one of its shard, which is not refused:
   * they take turns. Further opinions come without end as first ones are answered, and those of the lost owner come at once.
   */
  #isInheritedNext({ formerOwners, job }: Shard, worker: WorkerRecord, now: Millis): boolean {
    if (formerOwners === undefined || !worker.tookFurther || !this.#hasFirst(job)) return false
    return mayWork(worker, job) && !job.isConvicted(worker) && worker.isFree(job.jobId, now)
  }

  /** Says why a worker with nothing in hand gets nothing. */
  #tellIdle(worker: WorkerRecord, now: Millis, wallMs: Millis): void {
    worker.toldIdleAt = now
    const reasons = new Set<string>()
    for (const job of this.#state.jobs.values()) {
      if (worker.hello.onlyJob !== undefined && worker.hello.onlyJob !== job.jobId) continue
      if ([...job.shards.values()].every((shard) => shard.finished)) continue
      const refusal = job.refusal(wallMs) || worker.refusal(job.spec) || (job.isConvicted(worker) ? CONVICTED : '')
      reasons.add(refusal === '' ? 'what is left waits for other workers' : refusal)
    }
    const reason = reasons.size === 0 ? 'no job has work here' : [...reasons].slice(0, 3).join('; ')
    this.#state.emit({ type: 'sendNoWork', session: worker.session!, reason, retryAfterMs: IDLE_NEWS_MS })
  }

  /** First opinions, within the credit window, shared between submitters. @returns how many */
  #first(worker: WorkerRecord, jobs: readonly Job[], drafts: Drafts, room: number, now: Millis): number {
    const submitters = new Set(jobs.map((job) => job.spec.submitter)).size
    let given = 0
    let progress = true
    while (given < room && progress) {
      progress = false
      for (const job of this.#shares.inOrder(jobs, worker)) {
        const share = Math.min(
          room - given,
          worker.roomFor(job),
          worker.windowRoom(job),
          this.#guided(job, worker),
          submitters > 1 ? Math.max(1, Math.ceil(room / submitters)) : room,
        )
        const taken = share > 0 ? this.#take(job, worker, drafts, share, now) : 0
        if (taken === 0) continue
        given += taken
        progress = submitters > 1
        this.#shares.granted(job, worker, taken)
        if (submitters > 1) break
        if (given >= room) break
      }
    }
    return given
  }

  /** Whether the job has units that nobody has been asked for, or that came back unanswered, in shards that this node owns. */
  #hasFirst(job: Job): boolean {
    for (const shard of job.shards.values()) {
      if (shard.untouched === 0 && shard.again.length === 0) continue
      if (!this.#state.isOutside(shard)) return true
    }
    return false
  }

  /** Jobs with first opinions to give. */
  #candidates(worker: WorkerRecord, now: Millis, wallMs: Millis): Job[] {
    const jobs: Job[] = []
    for (const alike of this.#state.jobsAlike.values()) {
      const [any] = alike
      if (any === undefined || !meets(worker, any)) continue
      for (const job of alike) {
        if (!this.#hasFirst(job) || !mayWork(worker, job) || job.isConvicted(worker)) continue
        if (job.refusal(wallMs) === '' && worker.isFree(job.jobId, now)) jobs.push(job)
      }
    }
    return jobs
  }

  /**
   * Guided self-scheduling (Polychronopoulos & Kuck 1987): near the end everybody holds less, so that nobody sits on a
   * queue while others are idle. Returns how many more of the job the worker may hold.
   */
  #guided(job: Job, worker: WorkerRecord): number {
    let left = 0
    for (const shard of job.shards.values()) left += shard.untouched + shard.again.length
    const fair = Math.max(1, Math.ceil(left / (2 * Math.max(1, this.#state.slots)))) * worker.hello.slots
    return Math.max(0, fair - worker.held.of(job))
  }

  #take(job: Job, worker: WorkerRecord, drafts: Drafts, most: number, now: Millis): number {
    let taken = 0
    for (const shard of job.shards.values()) {
      if (shard.quietUntil > now || this.#state.isOutside(shard)) continue
      while (taken < most) {
        const record = this.#nextFirst(shard, worker, now)
        if (record === undefined) break
        drafts.add(record, now)
        taken++
      }
      if (taken >= most) {
        shard.starvedSince = undefined
        break
      }
      if (shard.owners.length > 1 && shard.untouched > 0) {
        shard.starvedSince ??= now
        while (taken < most) {
          const unit = this.#nextOfOthers(shard, now)
          if (unit === undefined) break
          drafts.add(shard.touch(unit, now), now)
          taken++
        }
        if (taken >= most) break
      }
    }
    return taken
  }

  /**
   * An untouched unit of a block that another owner is to grant first: those that this node comes second for, and when none of
   * these has been left for long enough, any. Else two owners that have nothing left walk over the blocks of the third side by side.
   */
  #nextOfOthers(shard: Shard, now: Millis): number | undefined {
    const { untouchedUnits } = shard
    const starvedMs = now - (shard.starvedSince ?? now)
    if (starvedMs < BYPASS_MS) return undefined
    const unit = untouchedUnits.nextAsSecond((candidate) => this.#state.turnFor(shard, candidate, 0) <= 1)
    if (unit !== undefined) shard.helpedAt = now
    if (
      unit !== undefined ||
      starvedMs < 2 * BYPASS_MS ||
      now - (shard.helpedAt ?? Number.NEGATIVE_INFINITY) < 2 * BYPASS_MS
    )
      return unit
    return untouchedUnits.nextAnywhere()
  }

  #nextFirst(shard: Shard, worker: WorkerRecord, now: Millis): UnitRecord | undefined {
    const state = this.#state
    for (let i = Math.min(AGAIN_SCAN_MAX, shard.again.length); i > 0; i--) {
      const record = shard.again.shift()!
      if (record.queue !== 'again') continue
      if (shard.wanted(record) - record.held.length <= 0 || record.state === 'held') {
        shard.setQueue(record, undefined)
        continue
      }
      const turn = state.turnFor(shard, record.unit, record.held.length)
      const ours = !state.isElsewhere(record, now) && (turn === 0 || now - record.wantedSince >= turn * BYPASS_MS)
      if (ours && isDistinct(worker, record)) {
        shard.setQueue(record, undefined)
        return record
      }
      shard.again.push(record)
    }
    const unit =
      nextInherited(state, shard) ?? shard.untouchedUnits.next((candidate) => state.isPreferred(shard, candidate, 0))
    return unit === undefined ? undefined : shard.touch(unit, now)
  }
}

/** What went over to this node when other owners were lost comes first: it has waited longest. */
function nextInherited(state: OwnerTables, shard: Shard): number | undefined {
  if (shard.formerOwners === undefined) return undefined
  const unit = shard.untouchedUnits.nextInherited((candidate) => state.isInherited(shard, candidate))
  if (unit === undefined) shard.formerOwners = undefined
  return unit
}
