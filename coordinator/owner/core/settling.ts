import { isDeterministic } from '../../../job/facts/digest.js'
import type { Vote } from '../../../job/facts/votes.js'
import { agrees } from '../../../job/verdict/judgement.js'
import type { Millis } from '../../../runtime/clock.js'
import { SPOT_CHECKED_SHARE } from './believed.js'
import { HOST_FAILURES_MAX } from './draw.js'
import type { CheckedReport, OwnerEvent } from './messages.js'
import type { OwnerTables } from './owner-tables.js'
import type { Shard } from './shard.js'
import type { UnitQueue } from './unit-queue.js'
import { isDecided, isNewlyDecided, type UnitChange, type UnitRecord } from './unit-record.js'
import { heldBy, newInstance, type WorkerRecord } from './worker-record.js'

/** Equal answers of one key for one unit that are worth keeping: one more is needed where bytes were lost. */
const ANSWERS_MAX = 2

type OutputKept = Extract<OwnerEvent, { type: 'outputKept' }>
type OutputMoved = Extract<OwnerEvent, { type: 'outputMoved' }>
type OutputFailed = Extract<OwnerEvent, { type: 'outputFetchFailed' }>

/** How a report that is on disk now came to this owner. */
interface ReportArrival {
  /** Units whose small outputs came along and match their digests. */
  readonly stored: ReadonlySet<number>
  /** Time that the worker took for the whole report. Unit: ms. */
  readonly wallMs: number
  /** Straight from a worker, not read back or passed on by another owner. */
  readonly live: boolean
  /** Read back: nobody knows any more when it came. */
  readonly fromStore?: boolean
}

/**
 * From reports on disk to verdicts and what follows from them: leases end, instances meet their fate, bytes of accepted
 * units are fetched. What workers are to be told gathers until {@link tellWorkers}, one message a worker and shard.
 */
export class Settling {
  readonly #state: OwnerTables
  readonly #queue: UnitQueue
  /** Fates of the instances behind units decided since workers were told. */
  readonly #settled = new Map<WorkerRecord, Map<Shard, { agreed: number[]; disagreed: number[] }>>()
  /** Units whose copies are still being computed and are not wanted any more. */
  readonly #withdrawn = new Map<WorkerRecord, Map<Shard, number[]>>()

  constructor(state: OwnerTables, queue: UnitQueue) {
    this.#state = state
    this.#queue = queue
  }

  /** A report is on disk: its votes count from now on. A report that counted before changes nothing. */
  reportKept(checked: CheckedReport, kept: ReportArrival, now: Millis): void {
    const { report, factId } = checked
    const shard = this.#state.shard(report.jobId, report.shard)
    if (shard === undefined || shard.facts.has(factId)) return
    shard.isReadBack = kept.fromStore === true
    if (kept.fromStore) shard.history.quietly(() => this.#count(shard, checked, kept, now))
    else this.#count(shard, checked, kept, now)
    shard.isReadBack = false
  }

  #count(
    shard: Shard,
    { report, votes, factId }: CheckedReport,
    { stored, wallMs, live }: ReportArrival,
    now: Millis,
  ): void {
    const worker = this.#state.workers.get(report.worker)
    const unitMs = votes.length > 0 ? wallMs / votes.length : 0
    const decided: number[] = []
    const { counted, dropped } = shard.facts.add(factId, votes)
    if (dropped.length > 0)
      this.#state.emit({ type: 'dropFacts', jobId: report.jobId, shard: report.shard, facts: dropped })
    const isCounted = counted === votes ? undefined : new Set(counted)
    for (const vote of votes) {
      const record = shard.touch(vote.unit, now)
      if (worker !== undefined) this.#answered(record, worker, vote, now)
      if (isCounted?.has(vote) === false) {
        if (live && vote.outcome === 'host' && worker !== undefined) worker.hostFailed(shard.jobId, now)
        this.after(shard.review(record, now), now)
        continue
      }
      if (stored.has(vote.unit) && !record.kept.includes(vote.digest)) record.kept.push(vote.digest)
      if (live) {
        shard.lastAnswerAt = now
        const isHosts = vote.outcome === 'host'
        shard.history.note(record, isHosts ? 'failedHost' : 'answered', now, worker?.nodeId)
      }
      let change = shard.vote(record, [vote], now)
      if (live && shard.isByOneWord(record) && this.#state.context.random.next() < SPOT_CHECKED_SHARE)
        change = { ...shard.spotCheck(record, now), before: change.before }
      if (live && vote.outcome === 'host' && worker !== undefined) worker.hostFailed(shard.jobId, now)
      if (live && change.before === 'accepted' && worker !== undefined)
        this.#state.fetches.computedAgain(record, worker)
      this.after(change, now)
      if (isNewlyDecided(change)) decided.push(vote.unit)
      if (live && change.after !== 'open' && agrees(record.judgement, vote))
        shard.job.durations.agreed(vote.donor, unitMs)
    }
    for (const change of shard.swayed(now)) {
      this.after(change, now)
      if (isNewlyDecided(change)) decided.push(change.record.unit)
    }
    if (decided.length > 0)
      this.#state.emit({ type: 'unitsDecided', jobId: report.jobId, shard: report.shard, units: decided })
    this.#state.emit({ type: 'shardChanged', jobId: report.jobId, shard: report.shard })
    if (worker !== undefined) this.#state.toServe.add(worker)
  }

  /** The lease behind a vote ends; its fate follows when the unit is settled. */
  #answered(record: UnitRecord, worker: WorkerRecord, vote: Vote, now: Millis): void {
    const instance = heldBy(worker, record)
    if (vote.outcome !== 'host') worker.hasLapsed = false
    if (instance === undefined) {
      this.#answeredElsewhere(record, worker, vote, now)
      return
    }
    this.#state.endLease(instance)
    if (vote.outcome === 'host') {
      worker.credit.lost(instance.credited)
      return
    }
    record.shard.job.durations.answered(now - instance.grantedAt)
    worker.failing.delete(record.shard.jobId)
    instance.state = 'reported'
    worker.unsettled.add(instance)
    record.reported.push(instance)
  }

  /**
   * An answer to another owner's grant, or after the lease has ended: it takes a place in the key's window and in its order
   * all the same. Else a key would have as many windows as there are owners, and be unknown to each of them for long. The
   * place is that of its report: who is drawn for a first opinion shows only after that, so nothing is won by waiting.
   */
  #answeredElsewhere(record: UnitRecord, worker: WorkerRecord, vote: Vote, now: Millis): void {
    if (vote.outcome === 'host' || record.reported.some((instance) => instance.worker === worker)) return
    const instance = newInstance(worker, record, { opinion: record.votes.length, state: 'reported' }, now)
    worker.unsettled.add(instance)
    record.reported.push(instance)
  }

  /** Does what a judgement asks for: settles with the workers, fetches bytes, or has the unit asked for again. */
  after(change: UnitChange, now: Millis): void {
    const { record, after } = change
    this.#queue.decided(change, now)
    if (isDecided(after)) this.#settle(record)
    else if (after === 'accepted') this.#state.fetches.ask(record, now)
  }

  // ------------------------------------------------------------------------------------------------------------- bytes

  /** The bytes of a large output are on disk. */
  outputKept({ jobId, shard: number, unit, digest, fromStore }: OutputKept, now: Millis): void {
    const shard = this.#state.shard(jobId, number)
    const record = shard?.record(unit)
    if (shard === undefined || record === undefined) return
    const change = shard.keep(record, digest, now)
    if (fromStore) shard.history.quietly(() => this.after(change, now))
    else this.after(change, now)
    if (isNewlyDecided(change)) {
      this.#state.emit({ type: 'unitsDecided', jobId, shard: number, units: [unit] })
      this.#state.emit({ type: 'shardChanged', jobId, shard: number })
    }
  }

  /** Bytes of an output have come nearer. */
  outputMoved({ jobId, shard, unit, from }: OutputMoved, now: Millis): void {
    const record = this.#state.shard(jobId, shard)?.record(unit)
    if (record !== undefined) this.#state.fetches.moved(record, from, now)
  }

  /** What `from` brought had another digest, or did not come to its end. */
  outputFetchFailed({ jobId, shard, unit, from }: OutputFailed, now: Millis): void {
    const record = this.#state.shard(jobId, shard)?.record(unit)
    if (record !== undefined) this.#state.fetches.failed(record, from, now)
  }

  // ------------------------------------------------------------------------------------------------------------- fates

  /** Fates of the instances behind a decided unit; copies still being computed are withdrawn. */
  #settle(record: UnitRecord): void {
    const { shard } = record
    for (const instance of record.reported) {
      if (instance.state !== 'reported') continue
      const vote = record.votes.find(
        (candidate) => candidate.worker === instance.worker.key && candidate.outcome !== 'host',
      )
      const agreed = vote !== undefined && agrees(record.judgement, vote)
      instance.state = 'gone'
      instance.credited.fate = agreed ? 'agreed' : 'disagreed'
      instance.worker.unsettled.delete(instance)
      instance.worker.settleCredit(shard.job)
      this.#state.toServe.add(instance.worker)
    }
    record.reported = []
    for (const vote of record.votes) {
      const worker = this.#state.workers.get(vote.worker)
      if (worker?.session === undefined) continue
      const lists = listsOf(this.#settled, worker, shard, () => ({ agreed: [] as number[], disagreed: [] as number[] }))
      ;(agrees(record.judgement, vote) ? lists.agreed : lists.disagreed).push(record.unit)
    }
    for (const instance of [...record.held]) {
      instance.credited.fate = 'void'
      this.#state.endLease(instance)
      instance.worker.settleCredit(shard.job)
      this.#state.toServe.add(instance.worker)
      if (instance.worker.session !== undefined) this.withdraw(instance.worker, record)
    }
  }

  /** The worker is to be told that its copy of the unit is not wanted any more. */
  withdraw(worker: WorkerRecord, { shard, unit }: UnitRecord): void {
    listsOf(this.#withdrawn, worker, shard, () => [] as number[]).push(unit)
  }

  /** The end of an event: connected workers are told what was settled and withdrawn meanwhile. */
  tellWorkers(): void {
    const state = this.#state
    for (const [worker, byShard] of this.#settled) {
      for (const [shard, { agreed, disagreed }] of byShard) {
        if (worker.session !== undefined)
          state.emit({
            type: 'sendSettled',
            session: worker.session,
            jobId: shard.jobId,
            shard: shard.shard,
            agreed,
            disagreed,
          })
      }
    }
    this.#settled.clear()
    for (const [worker, byShard] of this.#withdrawn) {
      for (const [shard, units] of byShard) {
        if (worker.session === undefined) continue
        const reason = 'settled without this copy'
        state.emit({
          type: 'sendWithdraw',
          session: worker.session,
          jobId: shard.jobId,
          shard: shard.shard,
          units,
          wholeJob: false,
          reason,
        })
      }
    }
    this.#withdrawn.clear()
  }
}

/** Whether a vote changes nothing: its worker has given the same answer for the unit, or two that differ, often enough. */
export function isRedundant(vote: Vote, record: UnitRecord | undefined): boolean {
  if (record === undefined) return false
  let same = 0
  let first: Vote | undefined
  for (const other of record.votes) {
    if (other.worker !== vote.worker) continue
    if (other.outcome === vote.outcome && other.digest === vote.digest) same++
    if (!isDeterministic(vote.outcome) || !isDeterministic(other.outcome)) continue
    first ??= other
    // It contradicts itself already.
    if (other.outcome !== first.outcome || other.digest !== first.digest) return true
  }
  return same >= (vote.outcome === 'host' ? HOST_FAILURES_MAX : ANSWERS_MAX)
}

function listsOf<Lists>(
  table: Map<WorkerRecord, Map<Shard, Lists>>,
  worker: WorkerRecord,
  shard: Shard,
  make: () => Lists,
): Lists {
  let byShard = table.get(worker)
  if (byShard === undefined) {
    byShard = new Map()
    table.set(worker, byShard)
  }
  let lists = byShard.get(shard)
  if (lists === undefined) {
    lists = make()
    byShard.set(shard, lists)
  }
  return lists
}
