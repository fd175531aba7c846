import { grantCodec } from '../../../../proto/codec/facts.js'
import type { Digest, JobId, NodeId, PublicKey, UnitRange } from '../../../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../../../proto/work-messages.js'
import { sha256 } from '../../../../runtime/hash.js'
import type { Host } from '../../world/host.js'
import { smallVerdict } from '../small-verdict.js'
import { readStore, shardName } from '../store-log.js'
import { mapOf, type Notes, setOf, unitName } from './notes.js'
import type { Reports } from './reports.js'

/** A newcomer waits five seconds for others at most, by a clock that may run a little fast. Unit: ms. */
const ALONE_MS = 4_990

/** What owners say and hear: they grant nothing that they know to be settled, nor before they have asked others. */
export class Owners {
  readonly #notes: Notes
  readonly #reports: Reports
  /** Units that an owner has called settled, to whom, and whether it was by their answer. */
  readonly #told = new Map<NodeId, Map<string, Map<PublicKey, boolean>>>()
  /** Units of shards that an owner has finished. */
  readonly #finished = new Map<NodeId, Set<string>>()
  /** Unit and worker of everything granted. */
  readonly #issued = new Set<string>()
  readonly #ackSent = new Map<NodeId, Set<Digest>>()
  readonly #heard = new Map<NodeId, Set<Digest>>()
  /** Shards that processes have opened and asked nobody about yet. */
  readonly #opened = new Map<string, { readonly atMs: number; readonly awaits: () => boolean }>()

  /** Facts that an owner goes by: one just written is passed on before it counts. Set by the grid. */
  countedFacts: (owner: Host, jobId: JobId, shard: number) => ReadonlySet<Digest> | undefined = () => undefined

  constructor(notes: Notes, reports: Reports) {
    this.#notes = notes
    this.#reports = reports
  }

  /** Owners that called a unit settled, or finished its shard. */
  settledAt(name: string): NodeId[] {
    return [...this.#told, ...this.#finished].flatMap(([nodeId, units]) => (units.has(name) ? [nodeId] : []))
  }

  /** Reports that an owner has heard and not acknowledged. */
  unacknowledged(owner: NodeId): Digest[] {
    const sent = setOf(this.#ackSent, owner)
    return [...setOf(this.#heard, owner)].filter((reportId) => !sent.has(reportId))
  }

  heard(owner: Host, message: WorkerMessage): void {
    if (message.type !== 'report') return
    const reportId = sha256(message.fact.report.bytes)
    const heard = setOf(this.#heard, owner.caller.nodeId)
    if (heard.has(reportId)) this.#notes.world.count('duplicateReports')
    heard.add(reportId)
    const report = this.#reports.get(reportId)
    const told = mapOf(this.#told, owner.caller.nodeId)
    if (report?.units.some((unit) => told.has(unitName(report.jobId, unit)))) this.#notes.world.count('lateReports')
  }

  said(owner: Host, to: PublicKey, message: OwnerMessage): void {
    const { nodeId } = owner.caller
    if (message.type === 'ack') {
      for (const reportId of message.reports) setOf(this.#ackSent, nodeId).add(reportId)
    } else if (message.type === 'settled') {
      const told = mapOf(this.#told, nodeId)
      for (const unit of message.agreed) mapOf(told, unitName(message.jobId, unit)).set(to, true)
      for (const unit of message.disagreed) mapOf(told, unitName(message.jobId, unit)).set(to, false)
    } else if (message.type === 'grant') {
      this.#notes.world.count('grants')
      const grant = grantCodec.decode(message.grant.bytes)
      this.#checkMayServe(owner, grant.jobId, grant.shard)
      const told = mapOf(this.#told, nodeId)
      for (const { first, count } of grant.runs) {
        for (let unit = first; unit < first + count; unit++) {
          // Two owners that grant a unit to one worker at once: it computes it once.
          const instance = `${unitName(grant.jobId, unit)} ${grant.worker}`
          this.#notes.world.count(this.#issued.has(instance) ? 'grantedTwice' : 'instances')
          this.#issued.add(instance)
          const toldOf = told.get(unitName(grant.jobId, unit))
          if (toldOf !== undefined) this.#checkStillOpen(owner, toldOf, grant.jobId, grant.shard, unit)
        }
      }
    }
  }

  /** A process opens a shard that others may know more of; `awaits`: whether it sees any of them now. */
  shardOpened(owner: Host, boot: number, jobId: JobId, shard: number, awaits: () => boolean): void {
    this.#opened.set(openedName(owner, boot, jobId, shard), { atMs: this.#notes.world.nowMs, awaits })
  }

  /** Another owner has answered the process about the shard. */
  othersAsked(owner: Host, boot: number, jobId: JobId, shard: number, from: NodeId): void {
    if (this.#notes.withholds(from)) this.#notes.claimedAt.set(shardName(jobId, shard), this.#notes.world.nowMs)
    if (this.#opened.delete(openedName(owner, boot, jobId, shard))) this.#notes.world.count('askedBeforeServing')
  }

  /** An owner has nothing left to do in a shard, whether or not there was a worker to tell. */
  shardFinished(owner: Host, jobId: JobId, ranges: readonly UnitRange[]): void {
    const finished = setOf(this.#finished, owner.caller.nodeId)
    for (const { first, count } of ranges)
      for (let unit = first; unit < first + count; unit++) finished.add(unitName(jobId, unit))
  }

  /** A newcomer grants nothing before another owner has told it what it knows, or for five seconds. */
  #checkMayServe(owner: Host, jobId: JobId, shard: number): void {
    const opened = this.#opened.get(openedName(owner, owner.process?.boot, jobId, shard))
    if (opened === undefined || !opened.awaits()) return
    const ageMs = this.#notes.world.nowMs - opened.atMs
    this.#notes.check(
      ageMs >= ALONE_MS,
      `${owner.name} grants from shard ${shard} ${Math.round(ageMs)} ms after it was given it, and has asked no other owner`,
    )
  }

  /**
   * An owner grants a unit that it has called settled: right only if later facts on its disk have overturned it. It is open
   * then, or has another answer, the output of which may be lost.
   */
  #checkStillOpen(
    owner: Host,
    toldOf: ReadonlyMap<PublicKey, boolean>,
    jobId: JobId,
    shard: number,
    unit: number,
  ): void {
    const job = this.#notes.jobs.get(jobId)
    if (job === undefined) return
    const facts = readStore(owner.disk).facts.get(shardName(jobId, shard)) ?? new Map()
    const counted = this.countedFacts(owner, jobId, shard)
    const votes = [...facts].flatMap(([id, fact]) =>
      counted?.has(id) === false ? [] : this.#notes.votesOf(id, fact, jobId),
    )
    const ofUnit = votes.filter((vote) => vote.unit === unit)
    const verdict = smallVerdict(ofUnit, job.spec)
    const isOverturned =
      !verdict.decided ||
      ofUnit.some(({ donor, answer }) => {
        const agreed = toldOf.get(donor as PublicKey)
        return agreed !== undefined && agreed !== (answer === verdict.answer)
      })
    this.#notes.check(
      isOverturned,
      `${owner.name} grants unit ${unitName(jobId, unit)} again, which it knows to be settled`,
    )
  }
}

function openedName(owner: Host, boot: number | undefined, jobId: JobId, shard: number): string {
  return `${owner.name} ${boot} ${jobId}/${shard}`
}
