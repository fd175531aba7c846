import { ZERO_DIGEST } from '../../../job/facts/digest.js'
import type { Vote } from '../../../job/facts/votes.js'
import { hasAnswer, type Judgement, openAfterOne } from '../../../job/verdict/judgement.js'
import type { VerdictRules } from '../../../job/verdict/rules.js'
import { judge } from '../../../job/verdict/verdict.js'
import type { Digest, JobId, NodeId, Summary, UnitRange, UnitState } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { Believed } from './believed.js'
import { History } from './history.js'
import type { Job } from './job.js'
import { KeptFacts } from './kept-facts.js'
import { ShardCounts } from './shard-counts.js'
import { isDecided, type UnitChange, type UnitRecord } from './unit-record.js'
import { UntouchedUnits } from './untouched-units.js'
import type { Instance } from './worker-record.js'

/** Time a unit waits after a host failure: doubles with each, up to the longest. */
const ERROR_BACKOFF_MS = 1_000
const ERROR_BACKOFF_MAX_MS = 60_000
/** A held unit releases itself after this long. */
export const HELD_MS = 10 * 60_000

/**
 * The units of one shard and what the facts say about them. The verdict itself is `job/verdict/verdict.ts`; this keeps its inputs,
 * its last answer and the counts, and never forgets a vote.
 */
export class Shard {
  readonly job: Job
  readonly shard: number
  readonly ranges: readonly UnitRange[]
  readonly unitCount: number
  readonly #records = new Map<number, UnitRecord>()
  /** Returned to the pool: need an opinion that no draw is due for (first opinions lost on the way). */
  readonly again: UnitRecord[] = []
  /** Units that want a further opinion and have no reservation yet. */
  readonly undrawn: UnitRecord[] = []
  /** Accepted units whose bytes are lost, and nobody is here who could compute them once more. */
  readonly stranded = new Set<UnitRecord>()
  #queuedCount = 0
  readonly facts: KeptFacts
  readonly #counts: ShardCounts
  firstGrantAt: Millis | undefined
  lastGrantAt: Millis | undefined
  lastAnswerAt: Millis | undefined
  readonly history = new History()
  /** Set by the owner: who owns the shard, this node among them. */
  owners: readonly NodeId[] = []
  openedAt: Millis
  /** A worker has been asking in vain for work of ours since. */
  starvedSince: Millis | undefined
  /** When a unit of a block was last granted here that this node comes second for. */
  helpedAt: Millis | undefined
  /**
   * Nothing is granted before: after a restart until workers had time to come back with their tickets, and until another
   * owner, if there is one, was asked what it knows.
   */
  quietUntil: Millis
  /** {@link quietUntil} ends as soon as another owner was asked, but not before {@link returnUntil}. */
  awaitsOthers = false
  /** This process was the first here to open it: what was granted before, others know better. */
  isNewHere = false
  /** What comes in now is from this node's own disk: what it settled before is not doubted after. */
  isReadBack = false
  /** An owner that knows more and does not tell is waited for until then. */
  patientUntil: Millis = 0
  /** Workers have until then to come back with their tickets. */
  returnUntil: Millis = 0
  /** What donors of the shard are worth, where that decides. */
  readonly #believed: Believed<UnitRecord> | undefined
  /** Who took turns before, until what went over from them has been granted; undefined: nothing did. */
  formerOwners: readonly NodeId[] | undefined
  /** Those never granted nor reported, in the orders in which they are given out. */
  readonly untouchedUnits: UntouchedUnits

  constructor(job: Job, shard: number, ranges: readonly UnitRange[], now: Millis, quietUntil: Millis) {
    this.job = job
    this.shard = shard
    this.ranges = ranges
    this.unitCount = ranges.reduce((sum, range) => sum + range.count, 0)
    this.#counts = new ShardCounts(this.unitCount)
    this.facts = new KeptFacts(job.spec, this.#records)
    this.openedAt = now
    this.quietUntil = quietUntil
    this.untouchedUnits = new UntouchedUnits(ranges, (unit) => this.#records.has(unit))
    this.#believed = job.rules.policy.type === 'confidence' ? new Believed() : undefined
  }

  get jobId(): JobId {
    return this.job.jobId
  }

  get rules(): VerdictRules {
    return this.job.rules
  }

  /** Nothing left that a report could change for the better. */
  get finished(): boolean {
    return this.#counts.unfinished === 0
  }

  get openCount(): number {
    return this.#counts.unfinished
  }

  get disputedCount(): number {
    return this.#counts.of('disputed')
  }

  get failedCount(): number {
    return this.#counts.of('failed')
  }

  get settledCount(): number {
    return this.#counts.of('settled')
  }

  /** Selected units that were never granted nor reported. */
  get untouched(): number {
    return this.unitCount - this.#records.size
  }

  contains(unit: number): boolean {
    let low = 0
    let high = this.ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      const { first, count } = this.ranges[middle]!
      if (unit < first) high = middle
      else if (unit >= first + count) low = middle + 1
      else return true
    }
    return false
  }

  record(unit: number): UnitRecord | undefined {
    return this.#records.get(unit)
  }

  records(): IterableIterator<UnitRecord> {
    return this.#records.values()
  }

  /** The record of a selected unit, made on first use. */
  touch(unit: number, now: Millis): UnitRecord {
    const found = this.#records.get(unit)
    if (found !== undefined) return found
    const record: UnitRecord = {
      unit,
      shard: this,
      votes: [],
      held: [],
      reported: [],
      state: 'open',
      judgement: undefined,
      kept: [],
      wantedSince: now,
      reservedFor: undefined,
      reservedAt: 0,
      notBefore: 0,
      hostVotes: 0,
      queue: undefined,
      elsewhere: undefined,
      claimed: undefined,
      acceptedAt: 0,
      bringing: undefined,
      hopeAt: 0,
      past: undefined,
      fetchTried: undefined,
      spotChecked: false,
      doubt: undefined,
    }
    this.#records.set(unit, record)
    return record
  }

  /** Other owners than before: blocks that were passed over may be ours now. */
  setOwners(owners: readonly NodeId[]): void {
    this.formerOwners = this.owners.some((owner) => !owners.includes(owner)) ? this.owners : undefined
    this.owners = owners
    this.untouchedUnits.walkAgain()
    this.starvedSince = undefined
  }

  leaseStarted(instance: Instance): void {
    instance.record.held.push(instance)
    this.#counts.leaseStarted()
    this.firstGrantAt ??= instance.grantedAt
    this.lastGrantAt = instance.grantedAt
    this.history.note(instance.record, 'granted', instance.grantedAt, instance.worker.nodeId)
  }

  leaseEnded(instance: Instance): void {
    const { held } = instance.record
    const at = held.indexOf(instance)
    if (at < 0) return
    held.splice(at, 1)
    this.#counts.leaseEnded()
  }

  /** Adds votes of one new fact to a unit and judges it anew. */
  vote(record: UnitRecord, votes: readonly Vote[], now: Millis): UnitChange {
    for (const vote of votes) {
      record.votes.push(vote)
      record.elsewhere?.delete(vote.worker)
    }
    this.#counts.answered(votes.length)
    this.#believed?.heard(record, votes, this.rules)
    return this.#judge(record, now)
  }

  /** Judges the units again whose donors are worth something else since votes came or rules changed; mostly none. */
  *swayed(now: Millis): Generator<UnitChange> {
    for (const record of this.#believed?.swayed() ?? []) yield this.#judge(record, now)
  }

  /** Rulings changed: what donors are worth is added up again. To be followed by a review of all units. */
  weighAgain(): void {
    this.#believed?.weighAgain(this.#records.values(), this.rules)
  }

  /** Whether the unit is decided by the word of one donor alone, by what that donor has shown. */
  isByOneWord({ judgement }: UnitRecord): boolean {
    if (this.#believed === undefined || !hasAnswer(judgement)) return false
    return judgement.agreeing.length === 1 && judgement.ruled === undefined
  }

  /** Asks a second donor about a unit that the word of one has decided. */
  spotCheck(record: UnitRecord, now: Millis): UnitChange {
    record.spotChecked = true
    return this.#judge(record, now)
  }

  /** The bytes behind `digest` are kept here from now on. */
  keep(record: UnitRecord, digest: Digest, now: Millis): UnitChange {
    if (!record.kept.includes(digest)) record.kept.push(digest)
    return this.#judge(record, now)
  }

  /** Judges again after rules changed or a wait ended. */
  review(record: UnitRecord, now: Millis): UnitChange {
    return this.#judge(record, now)
  }

  #judge(record: UnitRecord, now: Millis): UnitChange {
    const before = record.state
    const earlier = record.judgement
    let judgement = judge(record.votes, this.rules, this.#believed?.weights)
    if (record.spotChecked && judgement.state !== 'open' && judgement.state !== 'disputed') {
      const [vote] = judgement.agreeing
      if (judgement.agreeing.length + judgement.conflicting.length === 1 && judgement.ruled === undefined)
        judgement = openAfterOne(vote!, this.rules)
    }
    judgement = this.job.doubts.look(record, judgement, { rules: this.rules, weights: this.#believed?.weights, now })
    record.judgement = judgement
    const after = this.#stateOf(record, judgement, now)
    if (after === before) {
      if (earlier !== undefined && isDecided(after)) {
        this.#counts.decided(earlier, -1)
        this.#counts.decided(judgement, 1)
      }
      return { record, before, after }
    }
    this.#counts.moved(before, after)
    record.state = after
    if (after === 'accepted') {
      record.acceptedAt = now
      record.hopeAt = now
    }
    if (earlier !== undefined && isDecided(before)) this.#counts.decided(earlier, -1)
    if (isDecided(after)) this.#counts.decided(judgement, 1)
    return { record, before, after }
  }

  #stateOf(record: UnitRecord, judgement: Judgement, now: Millis): UnitState {
    switch (judgement.state) {
      case 'accepted':
        return record.kept.includes(judgement.digest) ? 'settled' : 'accepted'
      case 'failed':
        // What a failed unit wrote is kept like any output: it says why.
        return judgement.digest === ZERO_DIGEST || record.kept.includes(judgement.digest) ? 'failed' : 'accepted'
      case 'disputed':
        return 'disputed'
      case 'open': {
        const errors = judgement.hostErrors
        if (errors === 0) return 'open'
        let failures = 0
        for (const { outcome } of record.votes) if (outcome === 'host') failures++
        const isNew = failures > record.hostVotes
        record.hostVotes = failures
        if (errors < this.job.errorsAllowed(record.unit)) {
          // Released by order: the wait is over.
          if (record.state === 'held') record.notBefore = now
          if (isNew)
            record.notBefore = now + Math.min(ERROR_BACKOFF_MAX_MS, ERROR_BACKOFF_MS * 2 ** Math.min(16, failures - 1))
          return 'open'
        }
        // Only a failure holds; one that was released by itself is open until the next.
        if (isNew) record.notBefore = now + HELD_MS
        return record.notBefore > now ? 'held' : 'open'
      }
    }
  }

  /** Units that nobody has been asked for, or that stand in `again`, `undrawn` or `stranded`; one that was decided meanwhile does not count. */
  get readyCount(): number {
    return this.untouched + this.#queuedCount + this.stranded.size
  }

  /** Notes where the unit waits; its entry in the list is the caller's to make. */
  setQueue(record: UnitRecord, queue: UnitRecord['queue']): void {
    if (record.queue !== undefined) this.#queuedCount--
    if (queue !== undefined) this.#queuedCount++
    record.queue = queue
  }

  /** Opinions to ask for now, leases and reservations not yet taken off. */
  wanted(record: UnitRecord): number {
    const { judgement } = record
    if (judgement === undefined) return 1
    if (judgement.state === 'open' || judgement.state === 'disputed') return judgement.wanted
    return 0
  }

  summary(workers: number, donors: number, ready: number): Summary {
    return this.#counts.summary({ workers, donors, ready })
  }

  /** Throws when counts and records do not agree. For tests and the simulator. */
  checkInvariants(): void {
    this.#counts.check(this.#records.values(), this.untouched)
    let queued = 0
    for (const record of this.#records.values()) if (record.queue !== undefined) queued++
    if (queued !== this.#queuedCount)
      throw new Error(`shard ${this.shard}: ${queued} units wait, counted ${this.#queuedCount}`)
  }
}
