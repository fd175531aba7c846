import type { Coordinator } from '../../../../coordinator/index.js'
import type { Shard } from '../../../../coordinator/owner/core/shard.js'
import { grantorFactsMax } from '../../../../job/verdict/crowding.js'
import type { Digest, JobId, NodeId } from '../../../../proto/model.js'
import { LEDGER_FILE, ledgerIn } from '../../../../worker/ledger.js'
import type { Host } from '../../world/host.js'
import { JOURNAL_FILE } from '../processes.js'
import { type SmallVote, smallVerdict } from '../small-verdict.js'
import { type DiskFacts, readStore, shardName } from '../store-log.js'
import { type KnownToOracle, type Notes, unitName } from './notes.js'
import type { Owners } from './owners.js'
import type { Reports, SentReport } from './reports.js'

/** What disks hold against what was acknowledged, and what owners act on against what their disks hold. */
export class Disks {
  readonly #notes: Notes
  readonly #reports: Reports
  readonly #owners: Owners

  constructor(notes: Notes, reports: Reports, owners: Owners) {
    this.#notes = notes
    this.#reports = reports
    this.#owners = owners
  }

  /** What `owner` has acknowledged must have survived on its disk; to be called before a restarted process changes it. */
  checkKept(owner: Host): void {
    const { nodeId } = owner.caller
    const kept = readStore(owner.disk)
    for (const { holder, jobId } of this.#notes.specs) {
      this.#notes.check(holder !== nodeId || kept.homes.has(jobId), `${owner.name} lost a spec that it acknowledged`)
    }
    for (const report of this.#reports.all()) {
      if (!report.acks.some(({ holders }) => holders.includes(nodeId))) continue
      this.#notes.check(kept.reports.has(report.reportId), `${owner.name} lost a report that it acknowledged`)
    }
    for (const reportId of this.#owners.unacknowledged(nodeId))
      if (kept.reports.has(reportId)) this.#notes.world.count('crashBetweenSyncAndSend')
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
    for (const { reportId, jobId, producer, settled, units, isJournaled, isRefused } of this.#reports.all()) {
      if (producer !== nodeId) continue
      for (const unit of settled) heard.add(unitName(jobId, unit))
      if (isRefused || !isJournaled || settled.size < units.length) continue
      const missing = units.find((unit) => !has(jobId, unit))
      this.#notes.check(
        missing === undefined || Buffer.from(journal).includes(reportId),
        `${worker.name} was told that unit ${missing} of report ${reportId.slice(0, 8)} is settled, and has not counted it`,
      )
    }
    for (const { jobId, planned } of this.#notes.jobs.values()) {
      let units = 0
      for (let unit = 0; unit < planned.units; unit++) {
        if (!has(jobId, unit)) continue
        units++
        this.#notes.check(heard.has(unitName(jobId, unit)), `${worker.name} counted a unit that nobody called settled`)
      }
      const rows = ledger?.rows.filter((row) => row.jobId === jobId) ?? []
      const sum = rows.reduce((total, { agreed, disagreed }) => total + agreed + disagreed, 0)
      this.#notes.check(sum === units, `${worker.name} counted ${sum} units of ${planned.name}, which are ${units}`)
      if (units > 0) this.#notes.world.count('ledgersCompared')
    }
  }

  /** Every verdict that a running owner acts on is the one that the facts on its disk give by the rules. */
  checkVerdicts(owner: Host, coordinator: Coordinator): void {
    coordinator.owner.core.checkInvariants()
    coordinator.home.core.checkInvariants()
    const kept = readStore(owner.disk)
    for (const job of coordinator.owner.core.jobs()) {
      const known = this.#notes.jobs.get(job.jobId)
      if (known === undefined) continue
      for (const shard of job.shards.values()) this.#checkShard(owner, known, shard, kept)
    }
  }

  /**
   * After all faults: acknowledged reports are where they must be, owners of a shard are alike, and every unit is decided.
   * `owners`: hosts of the true owners of a shard.
   */
  checkEnd(peers: readonly Host[], ownersOf: (jobId: JobId, shard: number) => readonly Host[]): void {
    const disks = new Map(peers.map((peer) => [peer, readStore(peer.disk)]))
    const alive = new Map(peers.map((peer) => [peer.caller.nodeId, peer]))
    for (const report of this.#reports.all()) this.#checkReport(report, disks, alive, ownersOf)
    for (const { jobId, spec, planned } of this.#notes.jobs.values()) {
      for (let shard = 0; shard * spec.shardUnits < planned.units; shard++) {
        const owners = ownersOf(jobId, shard).filter((owner) => !this.#notes.withholds(owner.caller.nodeId))
        const sets = owners.map((owner) =>
          [...(disks.get(owner)!.facts.get(shardName(jobId, shard))?.keys() ?? [])].sort().join(),
        )
        if (this.#notes.plan.owners > 1)
          this.#notes.check(
            new Set(sets).size === 1,
            `owners of shard ${shard} of ${planned.name} hold different facts`,
          )
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
      const lost = holders.filter((holder) => !alive.has(holder) || this.#notes.withholds(holder)).length
      return lost <= (isDurable && this.#notes.plan.owners > 1 ? 1 : 0)
    })
    if (!survives && !producerHolds) {
      this.#notes.world.count('excusedLosses')
      return
    }
    const isThere = (host: Host) => has(host) || this.#isCrowdedOut(report, disks.get(host)!)
    for (const { holders } of acks) {
      for (const holder of holders) {
        const host = alive.get(holder)
        this.#notes.check(host === undefined || isThere(host), `${host?.name} lost a report that it acknowledged`)
      }
    }
    const owners = () => ownersOf(jobId, shard).filter((owner) => !this.#notes.withholds(owner.caller.nodeId))
    const where = this.#notes.plan.owners > 1 ? owners() : [...disks.keys()]
    const found = this.#notes.plan.owners > 1 ? where.every(isThere) : where.some(isThere)
    const why = producerHolds ? 'its producer was to keep it' : 'its holders were to keep it'
    this.#notes.check(
      found,
      `report ${reportId.slice(0, 8)} of ${worker.name} on shard ${shard} was acknowledged and is lost: ${why}`,
    )
  }

  /** Whether one grantor has as many others keep of each unit of the report as there is room for: its own gave way (decision 0025). */
  #isCrowdedOut({ jobId, shard, units }: SentReport, { facts }: DiskFacts): boolean {
    const { spec } = this.#notes.jobs.get(jobId)!
    const kept = [...(facts.get(shardName(jobId, shard)) ?? [])].flatMap(([id, fact]) =>
      this.#notes.votesOf(id, fact, jobId),
    )
    const isFull = (unit: number) => {
      const byGrantor = new Map<string, number>()
      for (const vote of kept)
        if (vote.unit === unit) byGrantor.set(vote.grantor, (byGrantor.get(vote.grantor) ?? 0) + 1)
      return Math.max(0, ...byGrantor.values()) >= grantorFactsMax(spec)
    }
    const isCrowdedOut = units.every(isFull)
    if (isCrowdedOut) this.#notes.world.count('crowdedOut')
    return isCrowdedOut
  }

  #checkShard(owner: Host, { jobId, spec }: KnownToOracle, shard: Shard, kept: DiskFacts): void {
    // It leaves memory as soon as the owner hears that it is gone from disk.
    if (kept.dropped.has(shardName(jobId, shard.shard))) return
    const onDisk = kept.facts.get(shardName(jobId, shard.shard)) ?? new Map<Digest, Uint8Array>()
    const votes = new Map<number, SmallVote[]>()
    for (const id of shard.facts.ids) {
      const fact = onDisk.get(id)
      this.#notes.check(fact !== undefined, `${owner.name} counts a fact that is not on its disk`)
      const own = this.#notes.votesOf(id, fact!, jobId)
      this.#notes.check(own.length > 0, `${owner.name} counts a fact whose signatures or grants do not verify`)
      for (const vote of own) votes.set(vote.unit, [...(votes.get(vote.unit) ?? []), vote])
    }
    for (const record of shard.records()) {
      const { unit, judgement, state } = record
      const verdict = smallVerdict(votes.get(unit) ?? [], spec)
      if (shard.job.doubts.doubted.has(record)) {
        // Facts settle it, and this owner has not met all who granted them.
        const isLeaning = (votes.get(unit) ?? []).some(({ grantor }) => grantor !== owner.caller.nodeId)
        this.#notes.check(
          verdict.decided && isLeaning,
          `${owner.name} doubts unit ${unitName(jobId, unit)} for nothing`,
        )
        this.#notes.world.count('doubted')
        continue
      }
      const decided = judgement?.state === 'accepted' || judgement?.state === 'failed' ? judgement : undefined
      const theirs = decided && `${decided.outcome} ${decided.digest}`
      const ours = verdict.decided ? verdict.answer : undefined
      this.#notes.check(
        theirs === ours,
        `${owner.name} has unit ${unitName(jobId, unit)} ${state} as ${theirs}, by the rules it is ${ours}`,
      )
    }
  }
}
