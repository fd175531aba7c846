import type { GrantRun, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { drawWorker, failuresOf, isDistinct } from './draw.js'
import { byPriority, type Job } from './job.js'
import { BYPASS_MS, type OwnerTables } from './owner-tables.js'
import type { Shard } from './shard.js'
import { drawRules, mayWork, meets } from './unit-queue.js'
import type { UnitRecord } from './unit-record.js'
import type { Instance, WorkerRecord } from './worker-record.js'

/** Bounds of one grant message. */
const GRANT_RUNS_MAX = 256
const GRANT_UNITS_MAX = 1_024
/** A unit's last instance is copied once it runs longer than this many times the 95th percentile. */
const STRAGGLER_FACTOR = 2
const STRAGGLER_MIN_MS = 1_000
/** Time between two draws for one straggler's copy. */
const COPY_DRAW_MS = 500
/** Instances looked at for a straggler. */
const STRAGGLER_SCAN_MAX = 4_096
/** Returned units looked at for one worker. */
const AGAIN_SCAN_MAX = 256
/** Reserved units passed over for one worker that wants no more of their jobs at the moment. */
const FULL_SCAN_MAX = 64
/** Submitters whose share is remembered beside those of the open jobs. */
const SUBMITTERS_MAX = 1_024
/** A worker without work is told why this often. */
const IDLE_NEWS_MS = 10_000
/** Work a unit is taken to be while nobody knows, for the shares of submitters. */
const UNKNOWN_UNIT_MS = 1_000

/** Why a worker gets nothing of a job that a ruling has put it out of. */
const CONVICTED = 'a replay has shown answers of this key to be false'

/** Decides what a worker with room gets next: what was reserved for it, then first opinions, then a straggler's copy. */
export class Granting {
  readonly #state: OwnerTables
  /** Work granted to each submitter so far, ms: the one with the least is next. */
  readonly #spent = new Map<PublicKey, number>()
  /** What the submitter served last had been granted before that: nobody who comes is owed more than from here on. */
  #served = 0

  /** When somebody was last drawn for a copy of a straggling unit. */
  readonly #copyDrawnAt = new WeakMap<UnitRecord, Millis>()

  constructor(state: OwnerTables) {
    this.#state = state
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
      else if (worker.held.size === 0) this.#straggler(worker, drafts, now, wallMs)
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

  /** One more copy of a unit for this worker, whatever the window says. */
  copy(worker: WorkerRecord, record: UnitRecord, now: Millis): void {
    const drafts = new Drafts(worker, this.#state)
    drafts.add(record, now)
    drafts.send()
  }

  /** First opinions, within the credit window, shared between submitters. @returns how many */
  #first(worker: WorkerRecord, jobs: readonly Job[], drafts: Drafts, room: number, now: Millis): number {
    const submitters = new Set(jobs.map((job) => job.spec.submitter)).size
    let given = 0
    let progress = true
    while (given < room && progress) {
      progress = false
      for (const job of this.#inOrder(jobs, worker)) {
        const unitMs = job.durations.unitMs
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
        this.#served = this.#spent.get(job.spec.submitter)!
        this.#spent.set(job.spec.submitter, this.#served + taken * (unitMs ?? UNKNOWN_UNIT_MS))
        worker.wasServed(job.spec.submitter, taken * (unitMs ?? UNKNOWN_UNIT_MS))
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
   * Least served submitter first; within one, priority, then age. Start-time fair queueing (Goyal, Vin & Cheng 1996): who
   * was away is owed nothing for that time.
   */
  #inOrder(jobs: readonly Job[], worker: WorkerRecord): readonly Job[] {
    for (const { spec } of jobs)
      this.#spent.set(spec.submitter, Math.max(this.#served, this.#spent.get(spec.submitter) ?? 0))
    if (this.#spent.size > SUBMITTERS_MAX + this.#state.jobs.size) this.#forgetSubmitters()
    if (jobs.length === 1) return jobs
    // A volunteer's own weights come before fairness among all.
    const spent = worker.servedBy(jobs.map(({ spec }) => spec.submitter)) ?? this.#spent
    return [...jobs].sort((a, b) => spent.get(a.spec.submitter)! - spent.get(b.spec.submitter)! || byPriority(a, b))
  }

  #forgetSubmitters(): void {
    const present = new Set<PublicKey>()
    for (const { spec } of this.#state.jobs.values()) present.add(spec.submitter)
    for (const submitter of this.#spent.keys()) if (!present.has(submitter)) this.#spent.delete(submitter)
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

  /**
   * One extra copy of the instance that has run longest, when there is nothing else to give. Like any further opinion it is
   * drawn among all, and given only when the draw falls on a key that has nothing in hand: whoever asks first is the fast
   * ring, one key of which stalls a unit until a friend gets the copy.
   */
  #straggler(worker: WorkerRecord, drafts: Drafts, now: Millis, wallMs: Millis): void {
    let worst: Instance | undefined
    let seen = 0
    for (const other of this.#state.connected) {
      if (other === worker) continue
      for (const instance of other.held) {
        if (++seen > STRAGGLER_SCAN_MAX) break
        const { job } = instance.shard
        const p95 = job.durations.p95
        if (p95 === undefined || now - instance.grantedAt < Math.max(STRAGGLER_MIN_MS, STRAGGLER_FACTOR * p95)) continue
        if (worst !== undefined && worst.grantedAt <= instance.grantedAt) continue
        const { record } = instance
        if (record.held.length > instance.shard.wanted(record) || record.reservedFor !== undefined) continue
        if (instance.shard.quietUntil > now) continue
        if (now - (this.#copyDrawnAt.get(record) ?? Number.NEGATIVE_INFINITY) < COPY_DRAW_MS) continue
        // Each donor has one vote: a copy whose vote cannot count would use one up.
        if (this.#state.isCapped(record) || this.#state.leansHere(record)) continue
        if (!isDistinct(worker, record) || failuresOf(worker, record) > 0) continue
        if (!mayWork(worker, job) || !worker.isFree(job.jobId, now) || job.refusal(wallMs) !== '') continue
        if (job.isConvicted(worker)) continue
        worst = instance
      }
    }
    if (worst === undefined) return
    const { record, shard } = worst
    const state = this.#state
    if (!this.#hasSpareDonor(record, now)) return
    this.#copyDrawnAt.set(record, now)
    const drawn = drawWorker(record, state.connected, drawRules(state, shard, now), state.context.random)
    if (drawn === worker) drafts.add(record, now)
    else if (drawn !== undefined && drawn.held.size === 0) this.copy(drawn, record, now)
  }

  /**
   * Where votes of a grantor are capped, a copy may be answered beside the original, and one of the two then counts for nothing:
   * there must be another donor left for the grant of another owner.
   */
  #hasSpareDonor(record: UnitRecord, now: Millis): boolean {
    const { shard } = record
    if (shard.rules.minGrantors === 1) return true
    const { mayWork: may } = drawRules(this.#state, shard, now)
    const donors = new Set<PublicKey>()
    for (const worker of this.#state.connected) {
      if (isDistinct(worker, record) && may(worker, record)) donors.add(worker.donor)
      if (donors.size > 1) return true
    }
    return false
  }
}

/** What went over to this node when other owners were lost comes first: it has waited longest. */
function nextInherited(state: OwnerTables, shard: Shard): number | undefined {
  if (shard.formerOwners === undefined) return undefined
  const unit = shard.untouchedUnits.nextInherited((candidate) => state.isInherited(shard, candidate))
  if (unit === undefined) shard.formerOwners = undefined
  return unit
}

/** Collects instances for one worker and sends them as few grants. */
class Drafts {
  readonly #worker: WorkerRecord
  readonly #state: OwnerTables
  readonly #byShard = new Map<Shard, Instance[]>()

  constructor(worker: WorkerRecord, state: OwnerTables) {
    this.#worker = worker
    this.#state = state
  }

  add(record: UnitRecord, now: Millis): void {
    const { shard } = record
    const opinion = record.votes.length + record.held.length
    const instance = this.#state.startLease(this.#worker, record, opinion, now)
    const list = this.#byShard.get(shard)
    if (list === undefined) this.#byShard.set(shard, [instance])
    else list.push(instance)
  }

  send(): void {
    for (const [shard, instances] of this.#byShard) {
      instances.sort((a, b) => a.record.unit - b.record.unit)
      let runs: { first: number; count: number; opinion: number }[] = []
      let units = 0
      const flush = () => {
        if (runs.length > 0) this.#sendRuns(shard, runs)
        runs = []
        units = 0
      }
      for (const { record, opinion } of instances) {
        const last = runs.at(-1)
        if (units >= GRANT_UNITS_MAX) flush()
        else if (last !== undefined && last.opinion === opinion && last.first + last.count === record.unit) {
          last.count++
          units++
          continue
        } else if (runs.length >= GRANT_RUNS_MAX) flush()
        runs.push({ first: record.unit, count: 1, opinion })
        units++
      }
      flush()
      this.#state.emit({ type: 'shardChanged', jobId: shard.jobId, shard: shard.shard })
    }
  }

  #sendRuns(shard: Shard, runs: readonly GrantRun[]): void {
    const worker = this.#worker
    this.#state.emit({
      type: 'sendGrant',
      session: worker.session!,
      grant: {
        jobId: shard.jobId,
        shard: shard.shard,
        worker: worker.key,
        age: worker.age(shard.job.spec),
        runs,
        durationMs: Math.round(shard.job.durations.delayBound(shard.job.spec.delayBoundMs)),
      },
    })
  }
}
