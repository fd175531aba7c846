import { isVoid, type RulingsView } from '../../../job/facts/rulings.js'
import { countOf, isAhead } from '../../../job/facts/votes.js'
import { EXPLAIN_MAX, type RefusalCode } from '../../../proto/explain-messages.js'
import type { Digest, JobId, NodeId, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { Random } from '../../../runtime/random.js'
import { Grantors } from './grantors.js'
import type { Job } from './job.js'
import type { OwnerEffect, SessionId } from './messages.js'
import { OutputFetches } from './output-fetches.js'
import type { Shard } from './shard.js'
import type { UnitRecord } from './unit-record.js'
import { type Instance, newInstance, type WorkerRecord } from './worker-record.js'

/** What an owner needs from outside. All of it is fixed for the life of the process. */
export interface OwnerContext {
  readonly self: NodeId
  /** The key that signs grants; absent: jobs that name their owners are granted as all others are. */
  readonly selfKey?: PublicKey
  readonly random: Random
  /** Whether grantors are looked up (`seekGrantor`); default false: there is no network to ask, and all count as peers. */
  readonly seeksGrantors?: boolean
  /** Wall clock, for expiry and age classes only. */
  readonly wallMs: () => Millis
  /** Bytes of large outputs that may be received at a time; absent: any number. */
  readonly receivingBytesMax?: number
  /** Ranks owners for a block: SHA-256(owner id, shard key, block). */
  readonly rank: (owner: NodeId, jobId: JobId, shard: number, block: number) => Digest
}

/**
 * Time after which an open opinion may be granted by the owner whose turn comes after the preferred one; as long again for the
 * next. All at once they would give one unit to two keys, and two of a ring that have it at one moment need not fear a third.
 */
export const BYPASS_MS = 2_000
/**
 * The same for an opinion that is drawn: it may be kept for a key that is busy for the moment. Owners hear of that from one
 * another every 2 s, so two messages may be lost.
 */
export const DRAWN_BYPASS_MS = 5_000
/** A broken stream without a new hello ends its leases after this long. */
export const AWAY_GRACE_MS = 1_000
/** The same for an owner whose grants stand behind the leading answer already: by then the others are known to be gone. */
export const LAST_RESORT_MS = 10_000
/** Units a block, the piece of a shard that one owner is preferred for. */
export const BLOCK_UNITS = 64

/** Owners of a shard in the order in which they are preferred, by block. */
interface Ranks {
  readonly shard: Shard
  readonly rulings: RulingsView | undefined
  readonly byBlock: Map<number, NodeId[]>
}

/** The tables that the parts of the owner's core share. */
export class OwnerTables {
  readonly context: OwnerContext
  readonly jobs = new Map<JobId, Job>()
  /** The same by {@link Job.demands}: who may work on none of thousands is not to look at each. */
  readonly jobsAlike = new Map<string, Set<Job>>()
  readonly workers = new Map<PublicKey, WorkerRecord>()
  /** Whose grants are those of peers that this node has met; undefined: whoever signed. */
  readonly grantors: Grantors | undefined
  readonly sessions = new Map<SessionId, WorkerRecord>()
  /** Workers with a session, in no order; drawn from. */
  readonly connected: WorkerRecord[] = []
  /** Threads of the connected workers. */
  slots = 0
  /** Workers to be served before the event at hand is done. */
  readonly toServe = new Set<WorkerRecord>()
  /** Units waiting for the end of a back-off or of being held. */
  readonly delayed = new Set<UnitRecord>()
  /** Accepted units whose bytes are not here yet. */
  readonly withoutBytes = new Set<UnitRecord>()
  /** Whom they are asked of. */
  readonly fetches: OutputFetches
  /** Workers that were turned away of late, the last one last. */
  readonly refused = new Map<NodeId, { readonly reason: string; readonly code: RefusalCode; readonly at: Millis }>()
  effects: OwnerEffect[] = []
  /** When leases, reservations and waits are looked at next; undefined: there is nothing to look at. */
  nextSweep: Millis | undefined
  /** By the list of owners, as it stands in their shard. */
  readonly #ranks = new WeakMap<readonly NodeId[], Ranks>()

  constructor(context: OwnerContext) {
    this.context = context
    const { receivingBytesMax } = context
    this.fetches = new OutputFetches({
      workers: this.workers,
      emit: (effect) => this.emit(effect),
      receivingBytesMax,
    })
    if (context.seeksGrantors !== true) return
    this.grantors = new Grantors((nodeId) => this.emit({ type: 'seekGrantor', nodeId }))
    this.grantors.meet([context.self])
  }

  /** A worker's stream was ended for good. */
  turnedAway(nodeId: NodeId, reason: string, code: RefusalCode, at: Millis): void {
    this.refused.delete(nodeId)
    this.refused.set(nodeId, { reason, code, at })
    if (this.refused.size > EXPLAIN_MAX.refusedKeys) this.refused.delete(this.refused.keys().next().value!)
  }

  addJob(job: Job): void {
    this.jobs.set(job.jobId, job)
    const alike = this.jobsAlike.get(job.demands) ?? new Set()
    this.jobsAlike.set(job.demands, alike.add(job))
  }

  removeJob(job: Job): void {
    this.jobs.delete(job.jobId)
    const alike = this.jobsAlike.get(job.demands)
    alike?.delete(job)
    if (alike?.size === 0) this.jobsAlike.delete(job.demands)
  }

  emit(effect: OwnerEffect): void {
    this.effects.push(effect)
  }

  shard(jobId: JobId, shard: number): Shard | undefined {
    return this.jobs.get(jobId)?.shards.get(shard)
  }

  /** Something ends at `at`: the next sweep is then at the latest. */
  sweepBy(at: Millis): void {
    this.nextSweep = Math.min(this.nextSweep ?? Number.POSITIVE_INFINITY, at)
  }

  /** Whether others own the shard and this node does not, or no more: they grant, and do not tell it what. */
  isOutside(shard: Shard): boolean {
    return !shard.owners.includes(this.context.self)
  }

  /** Whether this node is preferred for opinion `opinion` on the unit's block. */
  isPreferred(shard: Shard, unit: number, opinion: number): boolean {
    return shard.owners.length <= 1 || this.preferredFor(shard, unit, opinion) === this.context.self
  }

  /** How many owners are to grant opinion `opinion` on the unit before this node; infinite where its grants do not count. */
  turnFor(shard: Shard, unit: number, opinion: number): number {
    const { length } = shard.owners
    if (length <= 1) return 0
    for (let turn = 0; turn < length; turn++) {
      const owner = this.preferredFor(shard, unit, opinion + turn)
      // Nobody's grants count: where a ruling has decided the unit, any grant will do.
      if (owner === undefined) return 0
      if (owner === this.context.self) return turn
    }
    return Number.POSITIVE_INFINITY
  }

  /** Whether the first opinion on a unit has become this node's turn because owners were lost. */
  isInherited(shard: Shard, unit: number): boolean {
    const { formerOwners, owners } = shard
    if (formerOwners === undefined || !owners.includes(this.context.self)) return false
    return this.isPreferred(shard, unit, 0) && this.preferredFor(shard, unit, 0, formerOwners) !== this.context.self
  }

  /**
   * Who is to grant opinion `opinion` on the unit's block before anybody else, among `all`, by default the owners there are
   * now; undefined where there are none.
   */
  preferredFor(shard: Shard, unit: number, opinion: number, all = shard.owners): NodeId | undefined {
    const block = Math.floor(unit / BLOCK_UNITS)
    let cache = this.#ranks.get(all)
    const { rulings } = shard.rules
    if (cache === undefined || cache.shard !== shard || cache.rulings !== rulings) {
      cache = { shard, rulings, byBlock: new Map() }
      this.#ranks.set(all, cache)
    }
    let order = cache.byBlock.get(block)
    if (order === undefined) {
      const owners = all.filter((owner) => rulings?.dismissed.has(owner) !== true)
      const ranked = owners.map((owner) => ({
        owner,
        rank: this.context.rank(owner, shard.jobId, shard.shard, block),
      }))
      ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1))
      order = ranked.map(({ owner }) => owner)
      cache.byBlock.set(block, order)
    }
    return order[opinion % order.length]
  }

  /**
   * Whether another owner has an instance of the unit out, as far as it said lately. Not any more once its worker was here
   * and has left: after the loss of an owner nobody else would notice that.
   */
  isElsewhere(record: UnitRecord, now: Millis): boolean {
    const { elsewhere } = record
    if (elsewhere === undefined) return false
    for (const [key, until] of elsewhere) {
      const worker = this.workers.get(key)
      const hasLeft = worker?.awaySince !== undefined && now - worker.awaySince >= AWAY_GRACE_MS
      if (until <= now || hasLeft) elsewhere.delete(key)
    }
    if (elsewhere.size === 0) record.elsewhere = undefined
    return elsewhere.size > 0
  }

  /** A vote granted here would not count beside the ones that have been: each grantor's share of a quorum is capped. */
  isSpent(record: UnitRecord): boolean {
    const { judgement, shard } = record
    if (judgement === undefined || (judgement.state !== 'open' && judgement.state !== 'disputed')) return false
    if (this.isCapped(record)) return true
    return shard.rules.minGrantors > 1 && record.held.length >= shard.rules.grantorVotesMax
  }

  /** Votes granted here count as much as they can already. */
  isCapped({ judgement }: UnitRecord): boolean {
    if (judgement === undefined || (judgement.state !== 'open' && judgement.state !== 'disputed')) return false
    return judgement.spentGrantors.includes(this.context.self)
  }

  /**
   * An answer with the most votes that count so far has all that grants from here can give it: a further voter who agrees
   * with it would be used up for nothing, as each donor votes once. Other owners are to ask first. Votes over the cap of a
   * grantor do not make an answer lead: an owner that forges many would hide whom the honest answer lacks.
   */
  leansHere(record: UnitRecord): boolean {
    return this.#leans(record, this.context.self)
  }

  /**
   * How many owners are to draw the unit's next opinion before this node: those come first, in their order, whose grants do
   * not stand behind the leading answer already. All owners see the same votes, and so agree.
   */
  turnForNext(record: UnitRecord): number {
    const { shard, unit } = record
    const { length } = shard.owners
    if (length <= 1) return 0
    const next = record.votes.length + record.held.length
    let turn = 0
    for (let i = 0; i < length; i++) {
      const owner = this.preferredFor(shard, unit, next + i)
      if (owner === undefined) return 0
      if (owner === this.context.self) return turn
      if (!this.#leans(record, owner)) turn++
    }
    return Number.POSITIVE_INFINITY
  }

  #leans({ shard, unit, votes }: UnitRecord, owner: NodeId): boolean {
    const { rules } = shard
    const { minGrantors, rulings } = rules
    if (minGrantors === 1 || rulings?.answers.has(unit)) return false
    const answers = new Map<string, Map<NodeId, number>>()
    for (const vote of votes) {
      const { outcome, digest, grantor } = vote
      if (outcome === 'host' || (rulings !== undefined && isVoid(rulings, vote))) continue
      const name = outcome + digest
      const byGrantor = answers.get(name) ?? new Map<NodeId, number>()
      answers.set(name, byGrantor)
      byGrantor.set(grantor, (byGrantor.get(grantor) ?? 0) + 1)
    }
    let most = 0
    let leans = false
    for (const byGrantor of answers.values()) {
      const all = countOf(byGrantor, rules)
      if (all > most) leans = false
      most = Math.max(most, all)
      if (all === most && isAhead(byGrantor, owner, rules)) leans = true
    }
    return leans
  }

  /** Begins a lease. */
  startLease(worker: WorkerRecord, record: UnitRecord, opinion: number, now: Millis): Instance {
    const instance = newInstance(worker, record, { opinion, state: 'held' }, now)
    record.shard.leaseStarted(instance)
    worker.held.add(instance)
    return instance
  }

  /** Ends a lease. The unit is not put back: see {@link UnitQueue.release}. */
  endLease(instance: Instance): void {
    instance.shard.leaseEnded(instance)
    instance.worker.held.delete(instance)
    instance.state = 'gone'
  }

  cancelReservation(record: UnitRecord): void {
    record.reservedFor?.reserved.delete(record)
    record.reservedFor = undefined
  }

  connect(worker: WorkerRecord): void {
    this.connected.push(worker)
    this.slots += worker.hello.slots
  }

  disconnect(worker: WorkerRecord): void {
    const at = this.connected.indexOf(worker)
    if (at < 0) return
    this.slots -= worker.hello.slots
    this.connected[at] = this.connected.at(-1)!
    this.connected.pop()
  }
}
