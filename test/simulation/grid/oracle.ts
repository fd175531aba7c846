import type { UnitAnswer } from '../../../client/answer.js'
import type { Shard } from '../../../coordinator/core/shard.js'
import type { Coordinator } from '../../../coordinator/index.js'
import type { Verifier } from '../../../overlay/identity.js'
import { grantCodec, reportCodec } from '../../../proto/codec/facts.js'
import type { OwnerMessage, WorkerMessage } from '../../../proto/messages.js'
import type { Digest, JobId, JobSpec, NodeId, UnitRange } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { LEDGER_FILE, ledgerIn } from '../../../worker/ledger.js'
import type { Host } from '../world/host.js'
import type { World } from '../world/world.js'
import type { Plan, PlannedJob } from './plan.js'
import { JOURNAL_FILE } from './processes.js'
import { type SmallVote, smallVerdict, votesOf } from './small-verdict.js'
import { type DiskFacts, readStore, shardName } from './store-log.js'
import { rightOutput } from './task.js'

/** A report as its worker sent it, and what the oracle heard about it. */
interface SentReport {
  readonly reportId: Digest
  readonly jobId: JobId
  readonly shard: number
  readonly units: readonly number[]
  readonly worker: Host
  readonly sentAtMs: number
  /** Key of the worker when it sent it: another one after its disk was lost. */
  readonly producer: NodeId
  /** Units that an owner has told the worker to be settled. */
  readonly settled: Set<number>
  readonly acks: { readonly holders: readonly NodeId[]; readonly isDurable: boolean }[]
  /** The worker had it on its own disk when it was first acknowledged. */
  isJournaled: boolean
  /** Disks lost in the whole run when it was first acknowledged. */
  diskLosses: number
  /** An owner has said that it changes nothing. */
  isRefused: boolean
}

/** A job that a client has submitted. */
export interface KnownToOracle {
  readonly planned: PlannedJob
  readonly jobId: JobId
  readonly spec: JobSpec
}

/** A report that an owner has acknowledged. */
export interface Acknowledged {
  readonly reportId: Digest
  readonly jobId: JobId
  readonly shard: number
  /** Its producer has it on disk, and was not told yet that it may drop it. */
  readonly isKept: boolean
}

/** A newcomer waits five seconds for others at most, by a clock that may run a little fast. Unit: ms. */
const ALONE_MS = 4_990

/**
 * Watches a simulated grid from outside: what was acknowledged, what clients saw, what owners said; and compares it with
 * what the disks hold and with verdicts of its own. Everything it finds fails the run.
 */
export class Oracle {
  readonly #world: World
  readonly #plan: Plan
  readonly #verifier: Verifier
  readonly #jobs = new Map<JobId, KnownToOracle>()
  readonly #reports = new Map<Digest, SentReport>()
  /** Reports by worker host and unit. */
  readonly #byUnit = new Map<string, Set<SentReport>>()
  /** Specs by who acknowledged them. */
  readonly #specs: { readonly holder: NodeId; readonly jobId: JobId }[] = []
  /** Units that an owner has called settled. */
  readonly #told = new Map<NodeId, Set<string>>()
  /** Units of shards that an owner has finished. */
  readonly #finished = new Map<NodeId, Set<string>>()
  /** Unit and worker of everything granted. */
  readonly #issued = new Set<string>()
  readonly #ackSent = new Map<NodeId, Set<Digest>>()
  readonly #heard = new Map<NodeId, Set<Digest>>()
  /** Results that a client saw. */
  readonly #seen = new Map<string, string>()
  #seenNow = new Set<string>()
  readonly #votes = new Map<Digest, readonly SmallVote[]>()
  /** When a withholder last said that it has all that another owner has of a shard. */
  readonly #claimedAt = new Map<string, number>()
  /** Shards that processes have opened and asked nobody about yet. */
  readonly #opened = new Map<string, { readonly atMs: number; readonly awaits: () => boolean }>()

  constructor(world: World, plan: Plan, verifier: Verifier) {
    this.#world = world
    this.#plan = plan
    this.#verifier = verifier
  }

  get jobs(): Iterable<KnownToOracle> {
    return this.#jobs.values()
  }

  // ---------------------------------------------------------------------------------------------------- what clients see

  specAccepted(job: KnownToOracle, holders: readonly NodeId[]): void {
    this.#jobs.set(job.jobId, job)
    for (const holder of holders) this.#specs.push({ holder, jobId: job.jobId })
    this.#world.count('specsAccepted')
  }

  /** A client has proved a result for itself. */
  clientSaw({ planned, jobId, spec }: KnownToOracle, answer: UnitAnswer): void {
    const { unit, digest, outcome } = answer
    const name = unitName(jobId, unit)
    const text = `${outcome} ${digest}`
    const votes = answer.proof().flatMap((fact) => votesOf(fact, jobId, this.#verifier))
    const own = smallVerdict(
      votes.filter((vote) => vote.unit === unit),
      spec,
    )
    this.#check(
      own.decided && own.answer === text,
      `a client saw unit ${name} as ${text} without the votes its policy asks for: ${describeVotes(votes)}`,
    )
    const right = rightOutput(planned.name, unit)
    const before = this.#seen.get(name)
    if (spec.policy.type === 'quorum') {
      this.#check(
        text === `${right.outcome} ${right.digest}`,
        `a client saw a wrong result of unit ${name}: ${text} of ${describeVotes(votes.filter((vote) => vote.unit === unit))}`,
      )
      this.#check(before === undefined || before === text, `the result of unit ${name} changed after a client saw it`)
    } else if (before !== undefined && before !== text) {
      // With one vote a late report of a smaller id is the result by the rules, and says so by its facts.
      this.#world.count('overturned')
    }
    this.#seen.set(name, text)
    this.#seenNow.add(name)
    this.#world.count('resultsSeen')
  }

  /** Forgets which results were seen, not what they were: clients read once more. */
  readAgain(): void {
    this.#seenNow = new Set()
  }

  /** Units that a client has not seen since {@link readAgain}. */
  unseen(): string[] {
    const left: string[] = []
    for (const { jobId, planned } of this.#jobs.values()) {
      for (let unit = 0; unit < planned.units; unit++) {
        const name = unitName(jobId, unit)
        if (!this.#seenNow.has(name) && !this.#isGone(name)) left.push(name)
      }
    }
    return left
  }

  /**
   * Whether a unit was settled at an owner that has lost its disk since: with one owner a shard its facts are gone for good,
   * and its producers were told that they could drop theirs.
   */
  #isGone(name: string): boolean {
    if (this.#plan.owners > 1) return false
    const alive = new Set(this.#world.hosts.map(({ caller }) => caller.nodeId))
    for (const table of [this.#told, this.#finished])
      for (const [nodeId, units] of table) if (units.has(name) && !alive.has(nodeId)) return true
    return false
  }

  /** Whether every unit not seen has been answered by every worker there is, so that only a new donor could decide it. */
  isExhausted(peers: readonly Host[], workers: readonly Host[]): boolean {
    const left = this.unseen()
    if (this.#jobs.size < this.#plan.jobs.length) return false
    const voters = new Map<string, Set<string>>()
    for (const peer of peers) {
      for (const [name, facts] of readStore(peer.disk).facts) {
        const jobId = name.slice(0, name.indexOf('/')) as JobId
        for (const [id, fact] of facts) {
          for (const { unit, donor } of this.#votesOf(id, fact, jobId)) setOf(voters, unitName(jobId, unit)).add(donor)
        }
      }
    }
    return left.every((name) => workers.every(({ caller }) => voters.get(name)?.has(caller.publicKey) === true))
  }

  hasSeenAll(): boolean {
    return this.#jobs.size === this.#plan.jobs.length && this.unseen().length === 0
  }

  // ------------------------------------------------------------------------------------------------- what workers hear

  workerSaid(worker: Host, message: WorkerMessage): void {
    if (message.type !== 'report') return
    const reportId = sha256(message.fact.report.bytes)
    if (this.#reports.has(reportId)) return
    const { jobId, shard, results } = reportCodec.decode(message.fact.report.bytes)
    const report: SentReport = {
      reportId,
      jobId,
      shard,
      // A host failure is no vote: its producer need not keep it.
      units: results.filter(({ outcome }) => outcome !== 'host').map(({ unit }) => unit),
      worker,
      sentAtMs: this.#world.nowMs,
      producer: worker.caller.nodeId,
      settled: new Set(),
      acks: [],
      isJournaled: false,
      diskLosses: this.#diskLosses,
      isRefused: false,
    }
    this.#reports.set(reportId, report)
    for (const unit of report.units) {
      const name = `${report.producer} ${unitName(jobId, unit)}`
      const reports = this.#byUnit.get(name) ?? new Set()
      this.#byUnit.set(name, reports.add(report))
    }
  }

  workerHeard(worker: Host, message: OwnerMessage): void {
    if (message.type === 'settled') {
      for (const unit of [...message.agreed, ...message.disagreed]) {
        const reports = this.#byUnit.get(`${worker.caller.nodeId} ${unitName(message.jobId, unit)}`) ?? []
        for (const report of reports) {
          report.settled.add(unit)
          this.#checkSettled(report)
        }
      }
    } else if (message.type === 'refused') {
      // An owner that has settled all its units without it may say so: then the producer need not keep it.
      const report = this.#reports.get(message.report)
      for (const unit of report?.units ?? []) report?.settled.add(unit)
      if (report !== undefined) report.isRefused = true
    } else if (message.type === 'ack') {
      for (const reportId of message.reports) {
        const report = this.#reports.get(reportId)
        if (report === undefined) continue
        const { holders, wanted } = message
        if (report.acks.length === 0) {
          const journal = worker.disk.contents(JOURNAL_FILE)
          report.isJournaled = journal !== undefined && Buffer.from(journal).includes(reportId)
        }
        report.acks.push({ holders, isDurable: holders.length >= wanted })
        this.#checkSettled(report)
        this.#world.count('acksHeard')
        this.#world.count(holders.length >= wanted ? 'durableAcks' : 'partialAcks')
      }
    }
  }

  /** Every report acknowledged so far. */
  acknowledged(): Acknowledged[] {
    const acked = [...this.#reports.values()].filter(({ acks }) => acks.length > 0)
    return acked.map(({ reportId, jobId, shard, isJournaled, settled, units }) => ({
      reportId,
      jobId,
      shard,
      isKept: isJournaled && settled.size < units.length,
    }))
  }

  get #diskLosses(): number {
    const { diskLoss = 0, isolatedAndLost = 0 } = this.#world.counters()
    return diskLoss + isolatedAndLost
  }

  /**
   * A producer that is told that all its units are settled drops its report: by then two owners must have, of each unit, this
   * report or another of that producer, whatever the acknowledgement said. A withholder that says it has everything is
   * believed. Not looked at once a disk has been lost since it was sent: an owner may count on that one still.
   */
  #checkSettled(report: SentReport): void {
    const { reportId, jobId, shard, worker, acks, settled, units, diskLosses, isRefused, sentAtMs } = report
    if (this.#plan.owners === 1 || isRefused || settled.size < units.length || units.length === 0) return
    if (acks.length === 0 || acks.some(({ isDurable }) => isDurable) || diskLosses !== this.#diskLosses) return
    const claims = (this.#claimedAt.get(shardName(jobId, shard)) ?? Number.NEGATIVE_INFINITY) >= sentAtMs ? 1 : 0
    const disks = Math.min(...units.map((unit) => this.#disksWith(report, unit)))
    this.#check(
      disks + claims >= 2,
      `${worker.name} is told that all of report ${reportId.slice(0, 8)} is settled, which ${disks} owners have on disk`,
    )
    this.#world.count('thinMadeDurable')
  }

  /** Hosts with what the producer of a report said of a unit, in that report or in the one that most of them have. */
  #disksWith({ producer, jobId }: SentReport, unit: number): number {
    const reports = [...(this.#byUnit.get(`${producer} ${unitName(jobId, unit)}`) ?? [])]
    const disks = this.#world.hosts.map(({ disk }) => readStore(disk).reports)
    return Math.max(...reports.map(({ reportId }) => disks.filter((kept) => kept.has(reportId)).length))
  }

  // --------------------------------------------------------------------------------------------------- what owners say

  ownerHeard(owner: Host, message: WorkerMessage): void {
    if (message.type !== 'report') return
    const reportId = sha256(message.fact.report.bytes)
    const heard = setOf(this.#heard, owner.caller.nodeId)
    if (heard.has(reportId)) this.#world.count('duplicateReports')
    heard.add(reportId)
    const report = this.#reports.get(reportId)
    const told = setOf(this.#told, owner.caller.nodeId)
    if (report?.units.some((unit) => told.has(unitName(report.jobId, unit)))) this.#world.count('lateReports')
  }

  ownerSaid(owner: Host, message: OwnerMessage): void {
    const { nodeId } = owner.caller
    if (message.type === 'ack') {
      for (const reportId of message.reports) setOf(this.#ackSent, nodeId).add(reportId)
    } else if (message.type === 'settled') {
      const told = setOf(this.#told, nodeId)
      for (const unit of [...message.agreed, ...message.disagreed]) told.add(unitName(message.jobId, unit))
    } else if (message.type === 'grant') {
      this.#world.count('grants')
      const grant = grantCodec.decode(message.grant.bytes)
      this.#checkMayServe(owner, grant.jobId, grant.shard)
      const told = setOf(this.#told, nodeId)
      for (const { first, count } of grant.runs) {
        for (let unit = first; unit < first + count; unit++) {
          // Two owners that grant a unit to one worker at once: it computes it once.
          const instance = `${unitName(grant.jobId, unit)} ${grant.worker}`
          this.#world.count(this.#issued.has(instance) ? 'grantedTwice' : 'instances')
          this.#issued.add(instance)
          if (told.has(unitName(grant.jobId, unit))) this.#checkStillOpen(owner, grant.jobId, grant.shard, unit)
        }
      }
    }
  }

  /** A process opens a shard that others may know more of; `awaits`: whether it sees any of them now. */
  shardOpened(owner: Host, boot: number, jobId: JobId, shard: number, awaits: () => boolean): void {
    this.#opened.set(openedName(owner, boot, jobId, shard), { atMs: this.#world.nowMs, awaits })
  }

  /** Another owner has answered the process about the shard. */
  othersAsked(owner: Host, boot: number, jobId: JobId, shard: number, from: NodeId): void {
    if (this.#withholds(from)) this.#claimedAt.set(shardName(jobId, shard), this.#world.nowMs)
    if (this.#opened.delete(openedName(owner, boot, jobId, shard))) this.#world.count('askedBeforeServing')
  }

  /** A newcomer grants nothing before another owner has told it what it knows, or for five seconds. */
  #checkMayServe(owner: Host, jobId: JobId, shard: number): void {
    const opened = this.#opened.get(openedName(owner, owner.process?.boot, jobId, shard))
    if (opened === undefined || !opened.awaits()) return
    const ageMs = this.#world.nowMs - opened.atMs
    this.#check(
      ageMs >= ALONE_MS,
      `${owner.name} grants from shard ${shard} ${Math.round(ageMs)} ms after it was given it, and has asked no other owner`,
    )
  }

  /** An owner grants a unit that it has called settled: right only if later facts on its disk have overturned it. */
  #checkStillOpen(owner: Host, jobId: JobId, shard: number, unit: number): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    const facts = readStore(owner.disk).facts.get(shardName(jobId, shard)) ?? new Map()
    const votes = [...facts].flatMap(([id, fact]) => this.#votesOf(id, fact, jobId))
    const verdict = smallVerdict(
      votes.filter((vote) => vote.unit === unit),
      job.spec,
    )
    this.#check(
      !verdict.decided,
      `${owner.name} grants unit ${unitName(jobId, unit)} again, which it knows to be settled`,
    )
  }

  // ------------------------------------------------------------------------------------------------------ disks, verdicts

  /** An owner has nothing left to do in a shard, whether or not there was a worker to tell. */
  shardFinished(owner: Host, jobId: JobId, ranges: readonly UnitRange[]): void {
    const finished = setOf(this.#finished, owner.caller.nodeId)
    for (const { first, count } of ranges)
      for (let unit = first; unit < first + count; unit++) finished.add(unitName(jobId, unit))
  }

  /** What `owner` has acknowledged must have survived on its disk; to be called before a restarted process changes it. */
  checkKept(owner: Host): void {
    const { nodeId } = owner.caller
    const kept = readStore(owner.disk)
    for (const { holder, jobId } of this.#specs) {
      this.#check(holder !== nodeId || kept.homes.has(jobId), `${owner.name} lost a spec that it acknowledged`)
    }
    for (const report of this.#reports.values()) {
      if (!report.acks.some(({ holders }) => holders.includes(nodeId))) continue
      this.#check(kept.reports.has(report.reportId), `${owner.name} lost a report that it acknowledged`)
    }
    const sent = setOf(this.#ackSent, nodeId)
    for (const reportId of setOf(this.#heard, nodeId)) {
      if (kept.reports.has(reportId) && !sent.has(reportId)) this.#world.count('crashBetweenSyncAndSend')
    }
  }

  /**
   * The ledger on a worker's disk, at any instant: each unit in it is there once and was called settled, and of a report
   * that was settled as a whole every unit is in it, or the report is still in the journal to be offered again.
   */
  checkLedger(worker: Host): void {
    const { nodeId } = worker.caller
    const log = worker.disk.contents(LEDGER_FILE)
    const ledger = log && ledgerIn(log)
    const journal = worker.disk.contents(JOURNAL_FILE) ?? new Uint8Array(0)
    const has = (jobId: JobId, unit: number) => ledger?.has(jobId, unit) === true
    const heard = new Set<string>()
    for (const { reportId, jobId, producer, settled, units, isJournaled, isRefused } of this.#reports.values()) {
      if (producer !== nodeId) continue
      for (const unit of settled) heard.add(unitName(jobId, unit))
      if (isRefused || !isJournaled || settled.size < units.length) continue
      const missing = units.find((unit) => !has(jobId, unit))
      this.#check(
        missing === undefined || Buffer.from(journal).includes(reportId),
        `${worker.name} was told that unit ${missing} of report ${reportId.slice(0, 8)} is settled, and has not counted it`,
      )
    }
    for (const { jobId, planned } of this.#jobs.values()) {
      let units = 0
      for (let unit = 0; unit < planned.units; unit++) {
        if (!has(jobId, unit)) continue
        units++
        this.#check(heard.has(unitName(jobId, unit)), `${worker.name} counted a unit that nobody called settled`)
      }
      const rows = ledger?.rows.filter((row) => row.jobId === jobId) ?? []
      const sum = rows.reduce((total, { agreed, disagreed }) => total + agreed + disagreed, 0)
      this.#check(sum === units, `${worker.name} counted ${sum} units of ${planned.name}, which are ${units}`)
      if (units > 0) this.#world.count('ledgersCompared')
    }
  }

  /** Every verdict that a running owner acts on is the one that the facts on its disk give by the rules. */
  checkVerdicts(owner: Host, coordinator: Coordinator): void {
    coordinator.owner.core.checkInvariants()
    coordinator.home.core.checkInvariants()
    const kept = readStore(owner.disk)
    for (const job of coordinator.owner.core.jobs()) {
      const known = this.#jobs.get(job.jobId)
      if (known === undefined) continue
      for (const shard of job.shards.values()) this.#checkShard(owner, known, shard, kept)
    }
  }

  #checkShard(owner: Host, { jobId, spec }: KnownToOracle, shard: Shard, kept: DiskFacts): void {
    // It leaves memory as soon as the owner hears that it is gone from disk.
    if (kept.dropped.has(shardName(jobId, shard.shard))) return
    const onDisk = kept.facts.get(shardName(jobId, shard.shard)) ?? new Map<Digest, Uint8Array>()
    const votes = new Map<number, SmallVote[]>()
    for (const id of shard.facts) {
      const fact = onDisk.get(id)
      this.#check(fact !== undefined, `${owner.name} counts a fact that is not on its disk`)
      const own = this.#votesOf(id, fact!, jobId)
      this.#check(own.length > 0, `${owner.name} counts a fact whose signatures or grants do not verify`)
      for (const vote of own) votes.set(vote.unit, [...(votes.get(vote.unit) ?? []), vote])
    }
    for (const { unit, judgement, state } of shard.records()) {
      const verdict = smallVerdict(votes.get(unit) ?? [], spec)
      const decided = judgement?.state === 'accepted' || judgement?.state === 'failed' ? judgement : undefined
      const theirs = decided && `${decided.outcome} ${decided.digest}`
      const ours = verdict.decided ? verdict.answer : undefined
      this.#check(
        theirs === ours,
        `${owner.name} has unit ${unitName(jobId, unit)} ${state} as ${theirs}, by the rules it is ${ours}`,
      )
    }
  }

  #votesOf(id: Digest, fact: Uint8Array, jobId: JobId): readonly SmallVote[] {
    let votes = this.#votes.get(id)
    if (votes === undefined) {
      votes = votesOf(fact, jobId, this.#verifier)
      this.#votes.set(id, votes)
    }
    return votes
  }

  /**
   * After all faults: acknowledged reports are where they must be, owners of a shard are alike, and every unit is decided.
   * `owners`: hosts of the true owners of a shard.
   */
  checkEnd(peers: readonly Host[], ownersOf: (jobId: JobId, shard: number) => readonly Host[]): void {
    const disks = new Map(peers.map((peer) => [peer, readStore(peer.disk)]))
    const alive = new Map(peers.map((peer) => [peer.caller.nodeId, peer]))
    for (const report of this.#reports.values()) this.#checkReport(report, disks, alive, ownersOf)
    for (const { jobId, spec, planned } of this.#jobs.values()) {
      for (let shard = 0; shard * spec.shardUnits < planned.units; shard++) {
        const owners = ownersOf(jobId, shard).filter((owner) => !this.#withholds(owner.caller.nodeId))
        const sets = owners.map((owner) =>
          [...(disks.get(owner)!.facts.get(shardName(jobId, shard))?.keys() ?? [])].sort().join(),
        )
        if (this.#plan.owners > 1)
          this.#check(new Set(sets).size === 1, `owners of shard ${shard} of ${planned.name} hold different facts`)
      }
    }
  }

  #checkReport(
    report: SentReport,
    disks: ReadonlyMap<Host, DiskFacts>,
    alive: ReadonlyMap<NodeId, Host>,
    ownersOf: (jobId: JobId, shard: number) => readonly Host[],
  ): void {
    const { reportId, jobId, shard, acks, worker, producer, settled, units } = report
    if (acks.length === 0) return
    const has = (host: Host) => disks.get(host)!.reports.has(reportId)
    const producerHolds = report.isJournaled && worker.caller.nodeId === producer && settled.size < units.length
    const survives = acks.some(({ holders, isDurable }) => {
      const lost = holders.filter((holder) => !alive.has(holder) || this.#withholds(holder)).length
      return lost <= (isDurable && this.#plan.owners > 1 ? 1 : 0)
    })
    if (!survives && !producerHolds) {
      this.#world.count('excusedLosses')
      return
    }
    for (const { holders } of acks) {
      for (const holder of holders) {
        const host = alive.get(holder)
        this.#check(host === undefined || has(host), `${host?.name} lost a report that it acknowledged`)
      }
    }
    const owners = () => ownersOf(jobId, shard).filter((owner) => !this.#withholds(owner.caller.nodeId))
    const where = this.#plan.owners > 1 ? owners() : [...disks.keys()]
    const found = this.#plan.owners > 1 ? where.every(has) : where.some(has)
    const why = producerHolds ? 'its producer was to keep it' : 'its holders were to keep it'
    this.#check(
      found,
      `report ${reportId.slice(0, 8)} of ${worker.name} on shard ${shard} was acknowledged and is lost: ${why}`,
    )
  }

  /** Whether a node gives nobody what it has: as far as others can tell, that is gone. */
  #withholds(nodeId: NodeId): boolean {
    const at = this.#plan.peerCharacters.indexOf('withholder')
    return at >= 0 && this.#world.hosts[at]?.caller.nodeId === nodeId
  }

  #check(condition: boolean, message: string): void {
    if (!condition) this.#world.fail(new Error(`oracle: ${message}`))
  }
}

function unitName(jobId: JobId, unit: number): string {
  return `${jobId.slice(0, 8)}/${unit}`
}

function setOf<K, V>(table: Map<K, Set<V>>, key: K): Set<V> {
  let set = table.get(key)
  if (set === undefined) {
    set = new Set()
    table.set(key, set)
  }
  return set
}

function describeVotes(votes: readonly SmallVote[]): string {
  return votes
    .map(({ unit, donor, grantor, answer }) =>
      [unit, donor, grantor, answer].map((text) => String(text).slice(0, 8)).join(' '),
    )
    .join(', ')
}

function openedName(owner: Host, boot: number | undefined, jobId: JobId, shard: number): string {
  return `${owner.name} ${boot} ${jobId}/${shard}`
}
