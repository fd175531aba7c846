import type { DeclineWord } from '../../proto/explain-messages.js'
import type { Digest, JobId, NodeId, Signed } from '../../proto/model.js'
import type { DeclinedJob } from '../../proto/work-messages.js'
import type { Millis } from '../../runtime/clock.js'
import { assert, unreachable } from '../../runtime/errors.js'
import type { Random } from '../../runtime/random.js'
import type { Endpoint } from '../../runtime/transport.js'
import { Capacity } from './capacity.js'
import { DeclinedJobs } from './declined-jobs.js'
import { type LinkNow, Links } from './links.js'
import type { ComputedUnit, WorkerEffect, WorkerEvent } from './messages.js'
import { ReportBatches } from './report-batches.js'
import { ReportBook } from './report-book.js'
import { Shares } from './shares.js'
import { type Appetite, isDeclined, NO_STANCE, type Stance, Wants } from './wants.js'
import { WorkInHand } from './work-in-hand.js'

/** Instances of one owner are taken up to so many times what it was asked for, and these. */
const SURPLUS_FACTOR = 2
const SURPLUS_UNITS = 1_024
/** A pause longer than this gives back what is in hand: others compute it meanwhile. Long ones are common, a job should not wait. */
const PAUSE_HELD_MS = 60_000
/** Time between looks at reports that nobody takes. */
const SEEK_MS = 1_000

/** Why units of a declined job go back. */
const NOT_WANTED = 'the volunteer does not compute this job'

/** What bounds a worker; values and ranges: `WorkerOptions`. */
interface WorkerLimits {
  readonly threads: number
  /** Most instances to hold in all; undefined: as many as two seconds of work need. */
  readonly instancesMax: number | undefined
  /** Owners a shard has; where there are several, a worker talks to all of them. */
  readonly shardOwners: number
}

/**
 * Everything a worker decides: whom to connect to, how much to ask for, when to report and to whom, what to keep. Seeking
 * (no link with work) -> pulling -> computing -> reporting run side by side; draining ends pulling, and finishes once
 * nothing is in hand and every report has been acknowledged or handed to the journal.
 */
export class WorkerCore {
  readonly #limits: WorkerLimits
  readonly #capacity: Capacity
  /** What the event at hand leads to, in order; the parts below add to it. */
  readonly #effects: WorkerEffect[] = []
  readonly #links: Links
  readonly #work: WorkInHand
  readonly #batches: ReportBatches
  readonly #reports: ReportBook
  readonly #shares = new Shares()
  /** What owners offer, by their own word, and is declined: told to each of its own alone. */
  readonly #offers = new DeclinedJobs()
  readonly #wants: Wants
  #draining = false
  #finished = false
  #outputsFull = false
  /** What goes along with a want; another object each time it changes. */
  #stance = NO_STANCE
  #computedCount = 0
  #unitsMax = Number.POSITIVE_INFINITY
  #pause: { readonly reason: string; readonly giveBackAt: Millis; gaveBack: boolean } | undefined
  #wakeAt: Millis | undefined

  constructor(limits: WorkerLimits, random: Random) {
    this.#limits = limits
    this.#capacity = new Capacity(limits.threads)
    this.#links = new Links(random, this.#effects)
    this.#work = new WorkInHand(this.#effects)
    this.#batches = new ReportBatches(this.#effects)
    this.#reports = new ReportBook(this.#links, this.#effects)
    this.#wants = new Wants({
      links: this.#links,
      work: this.#work,
      capacity: this.#capacity,
      shares: this.#shares,
      offers: this.#offers,
      effects: this.#effects,
    })
  }

  /** Instances in hand. */
  get heldCount(): number {
    return this.#work.count
  }

  /** Reports not settled yet. */
  get unsettledCount(): number {
    return this.#reports.unsettledCount
  }

  get openLinks(): readonly NodeId[] {
    return this.#links.open().map(({ endpoint }) => endpoint.nodeId)
  }

  /** Whom it talks to, or tries to. */
  get links(): readonly LinkNow[] {
    return this.#links.list()
  }

  get isDraining(): boolean {
    return this.#draining
  }

  endpoint(owner: NodeId): Endpoint | undefined {
    return this.#links.get(owner)?.endpoint
  }

  /** The report, not settled yet, that a unit is in. */
  reportOf(jobId: JobId, unit: number): Digest | undefined {
    return this.#reports.reportOf(jobId, unit)
  }

  /** Whether `owner` is the one that has, or is to get, the report a unit is in. */
  isReportedTo(owner: NodeId, jobId: JobId, unit: number): boolean {
    return this.#reports.isReportedTo(owner, jobId, unit)
  }

  /** Whether a computed unit waits to be put into a report. */
  isWaiting(jobId: JobId, unit: number): boolean {
    return this.#batches.has(jobId, unit)
  }

  /** Whether a computed unit is in a report that is not settled, or waits to be. */
  isReported(jobId: JobId, unit: number): boolean {
    return this.#batches.has(jobId, unit) || this.#reports.has(jobId, unit)
  }

  /** Signed grants with units still in hand, for a hello. */
  tickets(most: number): Signed[] {
    return this.#work.tickets(most)
  }

  handle(event: WorkerEvent, now: Millis): WorkerEffect[] {
    assert(this.#effects.length === 0, 'worker is re-entered')
    switch (event.type) {
      case 'workSeen':
        this.#links.seen(event.owner, event.ready, event.declined === undefined, now)
        this.#offers.offered(event.owner.nodeId, event.jobId, byWish(event.declined))
        break
      case 'ownersFound':
        this.#reports.moveTo(this.#links.toOwners(event.owners, now), event.jobId, event.shard, now)
        break
      case 'linkOpened': {
        const link = this.#links.opened(event.owner, now)
        if (link !== undefined) this.#reports.offerAll(link, now)
        break
      }
      case 'linkClosed':
        this.#links.closed(event.owner, event.lasting, now)
        break
      case 'granted':
        this.#granted(event, now)
        break
      case 'computed':
        this.#computed(event.units, now)
        break
      case 'jobFailed':
        this.#work.giveBack(({ grant }) => grant.jobId === event.jobId, event.reason)
        break
      case 'reportKept':
        if (event.owner === undefined) this.#reports.restored(event.report, now)
        else {
          this.#batches.kept(event.report)
          this.#reports.kept(event.report, this.#links.get(event.owner), now)
        }
        break
      case 'unitsSettled':
        for (const unit of event.agreed) this.#reports.settled(event.owner, event.jobId, unit)
        for (const unit of event.disagreed) this.#reports.settled(event.owner, event.jobId, unit)
        break
      case 'reportsTaken':
        this.#reports.taken(event.owner, event.reportIds)
        break
      case 'reportRefused':
        this.#reports.refused(event.owner, event.reportId, event.reason, now)
        break
      case 'withdrawn':
        this.#work.withdraw(event.owner, event.jobId, event.units, event.wholeJob)
        break
      case 'outputsFull':
        this.#outputsFull = event.full
        break
      case 'drained':
        this.#draining = true
        this.#setStance({ restraint: 'drain' })
        this.#links.drain()
        if (event.atOnce) this.#work.giveBack(() => true, 'the volunteer is leaving')
        else if (this.#pause !== undefined) this.#work.giveBack(() => true, this.#pause.reason)
        break
      case 'resized':
        this.#capacity.resize(event.threads)
        break
      case 'weighed':
        this.#shares.weigh(event.weights)
        break
      case 'limited':
        this.#unitsMax = event.unitsMax ?? Number.POSITIVE_INFINITY
        break
      case 'paused':
        this.#paused(event.reason, event.atOnce, now)
        if (!this.#draining) this.#setStance({ restraint: event.restraint })
        break
      case 'declined':
        this.#declined(event.jobs)
        break
      case 'woke':
        break
      default:
        unreachable(event)
    }
    this.#tend(now)
    return this.#effects.splice(0)
  }

  nextWakeup(): Millis | undefined {
    return this.#wakeAt
  }

  checkInvariants(): void {
    this.#work.checkInvariants(this.#links.all())
    this.#batches.checkInvariants()
    this.#reports.checkInvariants()
  }

  #granted(event: Extract<WorkerEvent, { type: 'granted' }>, now: Millis): void {
    const link = this.#links.get(event.owner)
    if (link === undefined) return
    link.usefulAt = now
    // Wants and grants cross on the way, and a want may have sunk meanwhile; beyond that an owner sends what nobody asked for.
    // What goes back for that keeps the job away for a while, so that it must not happen to an owner that is right.
    const most = SURPLUS_FACTOR * link.asked.most + SURPLUS_UNITS
    const isAnswered = (jobId: JobId, unit: number) =>
      this.#batches.has(jobId, unit) || this.#reports.answers(link, jobId, unit, now)
    const taken = this.#work.take(link, event, most, isAnswered)
    if (taken === undefined) return
    const { jobId, shard } = event.grant
    this.#capacity.granted(jobId)
    if (event.submitter !== undefined) this.#shares.granted(jobId, event.submitter, now)
    // Its other owners have opinions of their own to grant.
    if (this.#limits.shardOwners > 1) this.#links.accompany(jobId, shard, now)
    if (this.#draining) this.#work.giveBack((held) => held === taken.held, 'the volunteer is leaving')
    else if (isDeclined(this.#stance, jobId)) this.#work.giveBack((held) => held === taken.held, NOT_WANTED)
    else if (this.#pause?.gaveBack) this.#work.giveBack((held) => held === taken.held, this.#pause.reason)
    else this.#effects.push({ type: 'compute', jobId, shard, units: taken.units })
  }

  #computed(units: readonly ComputedUnit[], now: Millis): void {
    const byJob = new Map<JobId, { units: number; wallMs: Millis }>()
    for (const unit of units) {
      const sum = byJob.get(unit.jobId) ?? { units: 0, wallMs: 0 }
      byJob.set(unit.jobId, sum)
      sum.units++
      sum.wallMs += unit.wallMs
      const held = this.#work.release(unit.jobId, unit.unit)
      if (held !== undefined) this.#batches.add(unit, held, now)
    }
    this.#computedCount += units.length
    for (const [jobId, sum] of byJob) {
      this.#capacity.measured(jobId, sum.units, sum.wallMs)
      this.#shares.computed(jobId, sum.wallMs)
    }
  }

  #paused(reason: string | undefined, atOnce: boolean, now: Millis): void {
    if (reason === undefined) this.#pause = undefined
    else {
      const giveBackAt = Math.min(this.#pause?.giveBackAt ?? now + PAUSE_HELD_MS, atOnce ? now : now + PAUSE_HELD_MS)
      this.#pause = { reason, giveBackAt, gaveBack: this.#pause?.gaveBack ?? false }
    }
  }

  #declined(jobs: readonly DeclinedJob[]): void {
    this.#setStance({ declined: jobs })
    this.#work.giveBack(({ grant }) => isDeclined(this.#stance, grant.jobId), NOT_WANTED)
  }

  #setStance(changes: Partial<Stance>): void {
    const { restraint, declined } = { ...this.#stance, ...changes }
    // The reason in words may change every two seconds; owners hear of it when it is another restraint.
    const isSame = restraint === this.#stance.restraint && declined === this.#stance.declined
    if (!isSame) this.#stance = { restraint, declined }
  }

  #tend(now: Millis): void {
    if (this.#pause !== undefined && !this.#pause.gaveBack && now >= this.#pause.giveBackAt) {
      this.#pause.gaveBack = true
      this.#work.giveBack(() => true, this.#pause.reason)
    }
    const inHand = this.#work.count
    const batchesAt = this.#batches.flushDue((jobId) => this.#capacity.reportWaitMs(jobId, inHand), now)
    this.#links.tend(now)
    this.#reports.seekOwners(now)
    this.#links.connectCandidates(now)
    this.#shares.held(this.#work.byJob.keys(), now)
    this.#wants.tell(this.#appetite, now)
    let wakeAt = Math.min(batchesAt, this.#links.nextWakeup(), this.#shares.nextWakeup(now))
    if (this.#pause !== undefined && !this.#pause.gaveBack) wakeAt = Math.min(wakeAt, this.#pause.giveBackAt)
    if (this.#reports.unsettledCount > 0 || this.#links.isSeeking) wakeAt = Math.min(wakeAt, now + SEEK_MS)
    this.#wakeAt = Number.isFinite(wakeAt) ? wakeAt : undefined
    const isIdle = this.#work.count === 0 && this.#batches.isEmpty
    if (this.#draining && !this.#finished && isIdle && this.#reports.isDone(now)) {
      this.#finished = true
      this.#effects.push({ type: 'finished' })
    }
  }

  get #appetite(): Appetite {
    const isClosed = this.#draining || this.#outputsFull || this.#pause !== undefined
    const stance = this.#stance
    return {
      room: isClosed ? 0 : Math.max(0, this.#instancesMax - this.#work.count),
      isClosed,
      isLast: this.#computedCount >= this.#unitsMax,
      stance,
      restraint: this.#draining ? 'drain' : (stance.restraint ?? (this.#outputsFull ? 'outputs' : undefined)),
    }
  }

  /** Instances to hold at most, whatever they are of: what the volunteer allows. */
  get #instancesMax(): number {
    const { instancesMax = Number.POSITIVE_INFINITY } = this.#limits
    return Math.min(instancesMax, Math.max(0, this.#unitsMax - this.#computedCount))
  }
}

/** What owners cannot tell from a hello: that the volunteer does not want to. */
function byWish(declined: DeclineWord | undefined): DeclineWord | undefined {
  return declined === 'refuse' || declined === 'accept' ? declined : undefined
}
