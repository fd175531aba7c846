import type { Digest, Grant, JobId, NodeId, Signed } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { assert, unreachable } from '../../runtime/errors.js'
import type { Random } from '../../runtime/random.js'
import type { Endpoint } from '../../runtime/transport.js'
import { reconnectWait } from './backoff.js'
import { Capacity } from './capacity.js'
import type { ComputedUnit, KeptReport, WorkerEffect, WorkerEvent } from './messages.js'

/** Owners a worker is connected to at a time, those of shards it holds reports of aside. */
const LINKS_MAX = 8
/** Owners remembered with ready work while all links are taken. */
const CANDIDATES_MAX = 256
/** Units of a report, and how long a computed unit waits for others to share one. */
const REPORT_UNITS_MAX = 64
const REPORT_WAIT_MS = 10
/** Bytes of outputs that travel beside one report. */
const REPORT_OUTPUT_BYTES_MAX = 32 * 1024
const INLINE_BYTES_MAX = 4 * 1024
/** Bytes of grants that travel with one report, so that it stays under what a stream message may have. */
const REPORT_GRANT_BYTES_MAX = 12 * 1024
/** Instances of one owner are taken up to so many times what is wanted of all together, and these. */
const SURPLUS_FACTOR = 2
const SURPLUS_UNITS = 1_024
/** Instances in hand at most, whatever owners send: what is above goes back. */
const HELD_MAX = 65_536
/** Owners of one shard that are connected to. */
const SHARD_OWNERS_MAX = 8
/** A worker that drains waits this long for outputs that are fetched to be taken. */
const DRAIN_OUTPUTS_MS = 60_000
/** A link says something this often, so that an owner can tell a busy worker from a dead one. */
const HEARTBEAT_MS = 5_000
/** A link with nothing in hand, no reports and no ready work is given up after this long. */
const IDLE_LINK_MS = 60_000
/** An owner that cannot be reached for this long is looked for anew by the shards of its reports. */
const LOST_OWNER_MS = 5_000
/** An owner that refused this key is not asked again for this long. */
const REFUSED_MS = 60_000
/** Reports are offered again to an owner that has not settled them after this long. */
const REOFFER_MS = 60_000

export interface WorkerLimits {
  readonly threads: number
  /** Most instances to hold in all; undefined: as many as two seconds of work need. */
  readonly instancesMax: number | undefined
  /** Owners a shard has; where there are several, a worker talks to all of them. */
  readonly shardOwners: number
}

type LinkState = 'connecting' | 'open' | 'waiting'

/** An owner this worker talks to. connecting -> open -> waiting -> connecting ...; waiting -> gone when nothing needs it. */
interface Link {
  readonly endpoint: Endpoint
  state: LinkState
  attempts: number
  retryAt: Millis
  lostAt: Millis
  usefulAt: Millis
  heartbeatAt: Millis
  held: number
  wanted: number
  /** Reports not settled that this owner is to get. */
  readonly reports: Set<Digest>
}

interface HeldGrant {
  readonly id: Digest
  readonly grant: Grant
  readonly signed: Signed
  readonly link: Link
  left: number
}

interface OpenReport extends KeptReport {
  readonly unsettled: Set<number>
  /** Its owner has it on disk. */
  taken: boolean
  link: Link | undefined
  offeredAt: Millis
}

/** Computed units of one shard that wait to be reported together. */
interface Batch {
  readonly jobId: JobId
  readonly shard: number
  readonly link: Link
  units: ComputedUnit[]
  grants: Map<Digest, Signed>
  grantBytes: number
  outputBytes: number
  since: Millis
}

/**
 * Everything a worker decides: whom to connect to, how much to ask for, when to report and to whom, what to keep. Seeking
 * (no link with work) -> pulling -> computing -> reporting run side by side; draining ends pulling, and finishes once
 * nothing is in hand and every report has been acknowledged or handed to the journal.
 */
export class WorkerCore {
  readonly #random: Random
  readonly #limits: WorkerLimits
  readonly #capacity: Capacity
  readonly #links = new Map<NodeId, Link>()
  readonly #candidates = new Map<NodeId, { readonly endpoint: Endpoint; ready: number }>()
  readonly #refusedUntil = new Map<NodeId, Millis>()
  readonly #held = new Map<string, HeldGrant>()
  readonly #grants = new Map<Digest, HeldGrant>()
  readonly #reports = new Map<Digest, OpenReport>()
  readonly #reportsByUnit = new Map<string, OpenReport>()
  readonly #batches = new Map<string, Batch>()
  readonly #waiting = new Set<string>()
  readonly #seeking = new Map<string, Millis>()
  /** Reported units whose outputs stay here until they are settled. */
  readonly #unfetched = new Set<string>()
  #emptyAt: Millis | undefined
  #keeping = 0
  #draining = false
  #finished = false
  #outputsFull = false
  #effects: WorkerEffect[] = []
  #wakeAt: Millis | undefined

  constructor(limits: WorkerLimits, random: Random) {
    this.#limits = limits
    this.#random = random
    this.#capacity = new Capacity(limits.threads)
  }

  /** Instances in hand. */
  get heldCount(): number {
    return this.#held.size
  }

  /** Reports not settled yet. */
  get unsettledCount(): number {
    return this.#reports.size
  }

  get openLinks(): readonly NodeId[] {
    return [...this.#links].filter(([, { state }]) => state === 'open').map(([owner]) => owner)
  }

  endpoint(owner: NodeId): Endpoint | undefined {
    return this.#links.get(owner)?.endpoint
  }

  /** The report, not settled yet, that a unit is in. */
  reportOf(jobId: JobId, unit: number): Digest | undefined {
    return this.#reportsByUnit.get(nameOf(jobId, unit))?.reportId
  }

  /** Whether `owner` is the one that has, or is to get, the report a unit is in. */
  isReportedTo(owner: NodeId, jobId: JobId, unit: number): boolean {
    return this.#reportsByUnit.get(nameOf(jobId, unit))?.link?.endpoint.nodeId === owner
  }

  /** Whether a computed unit waits to be put into a report. */
  isWaiting(jobId: JobId, unit: number): boolean {
    return this.#waiting.has(nameOf(jobId, unit))
  }

  /** Signed grants with units still in hand, for a hello. */
  tickets(most: number): Signed[] {
    const tickets: Signed[] = []
    for (const { signed } of this.#grants.values()) {
      if (tickets.length >= most) break
      tickets.push(signed)
    }
    return tickets
  }

  handle(event: WorkerEvent, now: Millis): WorkerEffect[] {
    assert(this.#effects.length === 0, 'worker is re-entered')
    switch (event.type) {
      case 'workSeen':
        this.#workSeen(event.owner, event.ready, now)
        break
      case 'ownersFound':
        this.#ownersFound(event.jobId, event.shard, event.owners, now)
        break
      case 'linkOpened':
        this.#linkOpened(event.owner, now)
        break
      case 'linkClosed':
        this.#linkClosed(event.owner, event.lasting, now)
        break
      case 'granted':
        this.#granted(event, now)
        break
      case 'computed':
        this.#computed(event.units, now)
        break
      case 'jobFailed':
        this.#giveBack(({ grant }) => grant.jobId === event.jobId, event.reason)
        break
      case 'reportKept':
        this.#keeping--
        this.#reportKept(event.report, event.owner, now)
        break
      case 'unitsSettled':
        for (const unit of event.agreed) this.#unitSettled(event.owner, event.jobId, unit)
        for (const unit of event.disagreed) this.#unitSettled(event.owner, event.jobId, unit)
        break
      case 'reportsTaken':
        for (const reportId of event.reportIds) {
          const report = this.#reports.get(reportId)
          if (report?.link?.endpoint.nodeId !== event.owner) continue
          report.taken = true
          if (report.unsettled.size === 0) this.#drop(report)
        }
        break
      case 'reportRefused':
        this.#reportRefused(event.owner, event.reportId, event.reason, now)
        break
      case 'withdrawn':
        this.#withdrawn(event.owner, event.jobId, event.units, event.wholeJob)
        break
      case 'outputsFull':
        this.#outputsFull = event.full
        break
      case 'drained':
        this.#draining = true
        if (event.atOnce) this.#giveBack(() => true, 'the volunteer is leaving')
        break
      case 'woke':
        break
      default:
        unreachable(event)
    }
    this.#tend(now)
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  nextWakeup(): Millis | undefined {
    return this.#wakeAt
  }

  checkInvariants(): void {
    const held = new Map<Link, number>()
    for (const { link } of this.#held.values()) held.set(link, (held.get(link) ?? 0) + 1)
    for (const link of this.#links.values())
      assert(link.held === (held.get(link) ?? 0), 'instances are counted by link')
    for (const grant of this.#grants.values()) assert(grant.left > 0, 'a grant without units is forgotten')
    assert(this.#held.size <= HELD_MAX, 'instances in hand are bounded')
    for (const [name, report] of this.#reportsByUnit) {
      assert(report.unsettled.has(unitOf(name)), 'a unit stands in its report until it is settled')
      assert(this.#reports.get(report.reportId) === report, 'a reported unit has its report')
    }
    for (const report of this.#reports.values())
      assert(report.link === undefined || report.link.reports.has(report.reportId), 'a report is listed by its owner')
  }

  // ------------------------------------------------------------------------------------------------------------- links

  #workSeen(owner: Endpoint, ready: number, now: Millis): void {
    const link = this.#links.get(owner.nodeId)
    if (link !== undefined) {
      if (ready > 0) link.usefulAt = now
      return
    }
    if (ready === 0) {
      this.#candidates.delete(owner.nodeId)
      return
    }
    if ((this.#refusedUntil.get(owner.nodeId) ?? 0) > now || this.#draining) return
    this.#candidates.set(owner.nodeId, { endpoint: owner, ready })
    if (this.#candidates.size > CANDIDATES_MAX) {
      const { value } = this.#candidates.keys().next()
      if (value !== undefined) this.#candidates.delete(value)
    }
  }

  #connect(endpoint: Endpoint, now: Millis): Link {
    const link: Link = {
      endpoint,
      state: 'connecting',
      attempts: 0,
      retryAt: now,
      lostAt: now,
      usefulAt: now,
      heartbeatAt: now + HEARTBEAT_MS,
      held: 0,
      wanted: 0,
      reports: new Set(),
    }
    this.#links.set(endpoint.nodeId, link)
    this.#candidates.delete(endpoint.nodeId)
    this.#effects.push({ type: 'openLink', owner: endpoint })
    return link
  }

  #linkOpened(owner: NodeId, now: Millis): void {
    const link = this.#links.get(owner)
    if (link === undefined) return
    link.state = 'open'
    link.attempts = 0
    link.wanted = 0
    link.usefulAt = now
    link.heartbeatAt = now + HEARTBEAT_MS
    for (const reportId of link.reports) this.#offer(this.#reports.get(reportId)!, link, now)
  }

  #linkClosed(owner: NodeId, lasting: boolean, now: Millis): void {
    const link = this.#links.get(owner)
    if (link === undefined) return
    if (link.state === 'open') link.lostAt = now
    link.state = 'waiting'
    link.retryAt = now + (lasting ? REFUSED_MS : reconnectWait(link.attempts++, this.#random))
    if (!lasting) return
    for (const [refusing, until] of this.#refusedUntil) if (until <= now) this.#refusedUntil.delete(refusing)
    this.#refusedUntil.set(owner, now + REFUSED_MS)
    if (this.#refusedUntil.size > CANDIDATES_MAX) this.#refusedUntil.delete(this.#refusedUntil.keys().next().value!)
    // Its place is for an owner that takes this worker.
    if (link.held === 0 && link.reports.size === 0) this.#links.delete(owner)
  }

  #ownersFound(jobId: JobId, shard: number, owners: readonly Endpoint[], now: Millis): void {
    if (owners.length === 0) return
    const links = owners
      .filter(({ nodeId }) => (this.#refusedUntil.get(nodeId) ?? 0) <= now)
      .slice(0, SHARD_OWNERS_MAX)
      .map((endpoint) => this.#links.get(endpoint.nodeId) ?? this.#connect(endpoint, now))
    const first = links.find(({ state }) => state === 'open') ?? links[0]
    if (first === undefined) return
    for (const report of this.#reports.values()) {
      if (report.jobId !== jobId || report.shard !== shard) continue
      if (report.link !== undefined && (report.link.state === 'open' || links.includes(report.link))) continue
      report.link?.reports.delete(report.reportId)
      report.link = first
      report.taken = false
      first.reports.add(report.reportId)
      if (first.state === 'open') this.#offer(report, first, now)
    }
  }

  // ------------------------------------------------------------------------------------------------------ work in hand

  #granted({ owner, grant, signed, grantId }: Extract<WorkerEvent, { type: 'granted' }>, now: Millis): void {
    const link = this.#links.get(owner)
    if (link === undefined) return
    link.usefulAt = now
    const held: HeldGrant = { id: grantId, grant, signed, link, left: 0 }
    const units: number[] = []
    const surplus: number[] = []
    // Wants and grants cross on the way, and a want may have sunk meanwhile; beyond that an owner sends what nobody asked for.
    const most = SURPLUS_FACTOR * this.#roomInAll + SURPLUS_UNITS
    for (const run of grant.runs) {
      for (let unit = run.first; unit < run.first + run.count; unit++) {
        const name = nameOf(grant.jobId, unit)
        if (this.#held.has(name) || this.#waiting.has(name) || this.#reportsByUnit.has(name)) continue
        if (this.#held.size >= HELD_MAX || link.held + units.length >= most) {
          surplus.push(unit)
          continue
        }
        this.#held.set(name, held)
        held.left++
        units.push(unit)
      }
    }
    if (surplus.length > 0 && link.state === 'open') {
      const { jobId, shard } = grant
      const reason = 'more instances than were asked for'
      this.#effects.push({ type: 'sendHandBack', owner, jobId, shard, units: surplus, reason })
    }
    if (held.left === 0) return
    this.#grants.set(grantId, held)
    link.held += held.left
    // Its other owners have opinions of their own to grant.
    if (this.#limits.shardOwners > 1) this.#seek(grant.jobId, grant.shard, now)
    if (this.#draining) this.#giveBack((other) => other === held, 'the volunteer is leaving')
    else this.#effects.push({ type: 'compute', jobId: grant.jobId, shard: grant.shard, units })
  }

  /** Takes a unit out of hand. Returns what it was held by. */
  #release(jobId: JobId, unit: number): HeldGrant | undefined {
    const name = nameOf(jobId, unit)
    const held = this.#held.get(name)
    if (held === undefined) return undefined
    this.#held.delete(name)
    held.link.held--
    if (--held.left === 0) this.#grants.delete(held.id)
    return held
  }

  #giveBack(which: (held: HeldGrant) => boolean, reason: string): void {
    const byGrant = new Map<HeldGrant, number[]>()
    for (const [name, held] of this.#held) {
      if (!which(held)) continue
      const units = byGrant.get(held) ?? []
      units.push(unitOf(name))
      byGrant.set(held, units)
    }
    for (const [{ grant, link }, units] of byGrant) {
      const { jobId, shard } = grant
      for (const unit of units) this.#release(jobId, unit)
      this.#effects.push({ type: 'abort', jobId, units })
      if (link.state === 'open')
        this.#effects.push({ type: 'sendHandBack', owner: link.endpoint.nodeId, jobId, shard, units, reason })
    }
  }

  #withdrawn(owner: NodeId, jobId: JobId, units: readonly number[], wholeJob: boolean): void {
    const gone: number[] = []
    if (wholeJob) {
      for (const [name, { grant, link }] of this.#held)
        if (grant.jobId === jobId && link.endpoint.nodeId === owner) gone.push(unitOf(name))
    } else {
      for (const unit of units) if (this.#held.get(nameOf(jobId, unit))?.link.endpoint.nodeId === owner) gone.push(unit)
    }
    for (const unit of gone) this.#release(jobId, unit)
    if (gone.length > 0) this.#effects.push({ type: 'abort', jobId, units: gone })
  }

  // ----------------------------------------------------------------------------------------------------------- reports

  #computed(units: readonly ComputedUnit[], now: Millis): void {
    let wallMs = 0
    for (const unit of units) {
      wallMs += unit.wallMs
      const held = this.#release(unit.jobId, unit.unit)
      if (held === undefined) continue
      const { grant, link } = held
      const name = `${grant.jobId}/${grant.shard}/${link.endpoint.nodeId}`
      let batch = this.#batches.get(name)
      if (batch === undefined) {
        batch = {
          jobId: grant.jobId,
          shard: grant.shard,
          link,
          units: [],
          grants: new Map(),
          grantBytes: 0,
          outputBytes: 0,
          since: now,
        }
        this.#batches.set(name, batch)
      }
      const bytes = unit.outputBytes <= INLINE_BYTES_MAX ? unit.outputBytes : 0
      const isFull =
        batch.outputBytes + bytes > REPORT_OUTPUT_BYTES_MAX ||
        (!batch.grants.has(held.id) && batch.grantBytes + held.signed.bytes.length > REPORT_GRANT_BYTES_MAX)
      if (batch.units.length > 0 && isFull) this.#flush(name, batch)
      if (batch.units.length === 0) batch.since = now
      batch.units.push(unit)
      this.#waiting.add(nameOf(unit.jobId, unit.unit))
      if (!batch.grants.has(held.id)) batch.grantBytes += held.signed.bytes.length
      batch.grants.set(held.id, held.signed)
      if (unit.outputBytes > INLINE_BYTES_MAX) this.#unfetched.add(nameOf(unit.jobId, unit.unit))
      batch.outputBytes += bytes
      if (batch.units.length >= REPORT_UNITS_MAX) this.#flush(name, batch)
    }
    this.#capacity.measured(units.length, wallMs)
  }

  #flush(name: string, batch: Batch): void {
    this.#batches.delete(name)
    const units = [...batch.units].sort((a, b) => a.unit - b.unit)
    // The others wait until the report is kept: until then a second grant of such a unit must not start it again.
    for (const { jobId, unit, outcome } of units) if (outcome === 'host') this.#waiting.delete(nameOf(jobId, unit))
    this.#keeping++
    this.#effects.push({
      type: 'keepReport',
      owner: batch.link.endpoint.nodeId,
      jobId: batch.jobId,
      shard: batch.shard,
      units,
      grants: [...batch.grants.values()],
    })
    batch.units = []
    batch.grants = new Map()
    batch.grantBytes = 0
    batch.outputBytes = 0
    this.#batches.set(name, batch)
  }

  #reportKept(report: KeptReport, owner: NodeId | undefined, now: Millis): void {
    const link = owner === undefined ? undefined : this.#links.get(owner)
    // The same answer under a later grant is the same report: it takes the place of the one before.
    this.#reports.get(report.reportId)?.link?.reports.delete(report.reportId)
    const open: OpenReport = { ...report, unsettled: new Set(report.units), taken: false, link, offeredAt: now }
    this.#reports.set(report.reportId, open)
    for (const unit of report.units) {
      const name = nameOf(report.jobId, unit)
      this.#waiting.delete(name)
      this.#reportsByUnit.set(name, open)
    }
    link?.reports.add(report.reportId)
    if (link?.state === 'open') this.#offer(open, link, now)
  }

  #offer(report: OpenReport, link: Link, now: Millis): void {
    report.offeredAt = now
    this.#effects.push({ type: 'offerReport', owner: link.endpoint.nodeId, reportId: report.reportId })
  }

  /** Only the owner that the report went to can say so: any other would make the producer lose its copy. */
  #unitSettled(owner: NodeId, jobId: JobId, unit: number): void {
    const report = this.#reportsByUnit.get(nameOf(jobId, unit))
    if (report === undefined || report.link?.endpoint.nodeId !== owner) return
    this.#forgetUnit(report, unit)
    report.unsettled.delete(unit)
    if (report.unsettled.size === 0) this.#drop(report)
  }

  #forgetUnit(report: OpenReport, unit: number): void {
    const name = nameOf(report.jobId, unit)
    if (this.#reportsByUnit.get(name) !== report) return
    this.#reportsByUnit.delete(name)
    this.#unfetched.delete(name)
  }

  #drop(report: OpenReport): void {
    this.#reports.delete(report.reportId)
    report.link?.reports.delete(report.reportId)
    for (const unit of report.unsettled) this.#forgetUnit(report, unit)
    this.#effects.push({ type: 'dropReport', reportId: report.reportId })
  }

  #reportRefused(owner: NodeId, reportId: Digest, reason: string, now: Millis): void {
    const report = this.#reports.get(reportId)
    if (report?.link === undefined || report.link.endpoint.nodeId !== owner) return
    // Not knowing a job is no word on the report: another owner may.
    if (reason !== 'unknownJob') {
      this.#drop(report)
      return
    }
    report.link.reports.delete(reportId)
    report.link = undefined
    this.#seek(report.jobId, report.shard, now)
  }

  // -------------------------------------------------------------------------------------------------------------- time

  #tend(now: Millis): void {
    let wakeAt = Number.POSITIVE_INFINITY
    for (const [name, batch] of this.#batches) {
      if (batch.units.length === 0) this.#batches.delete(name)
      else if (now >= batch.since + REPORT_WAIT_MS || this.#held.size === 0) this.#flush(name, batch)
      else wakeAt = Math.min(wakeAt, batch.since + REPORT_WAIT_MS)
    }
    this.#tendLinks(now)
    this.#seekOwners(now)
    if (!this.#draining) this.#connectCandidates(now)
    this.#sendWants()
    for (const link of this.#links.values())
      if (link.state !== 'connecting')
        wakeAt = Math.min(wakeAt, link.state === 'waiting' ? link.retryAt : link.heartbeatAt)
    if (this.#reports.size > 0 || this.#seeking.size > 0) wakeAt = Math.min(wakeAt, now + 1_000)
    this.#wakeAt = Number.isFinite(wakeAt) ? wakeAt : undefined
    if (this.#draining && !this.#finished && this.#isDone(now)) {
      this.#finished = true
      this.#effects.push({ type: 'finished' })
    }
  }

  /**
   * Nothing is left that an open link could still take: what is settled later is in the journal, and offered at the next
   * start. Outputs too large to travel beside reports are in memory only, so their owners get a while to fetch them.
   */
  #isDone(now: Millis): boolean {
    if (this.#held.size > 0 || this.#keeping > 0 || this.#batches.size > 0) return false
    this.#emptyAt ??= now
    const waitsForFetch = this.#unfetched.size > 0 && now - this.#emptyAt < DRAIN_OUTPUTS_MS
    for (const { link, taken } of this.#reports.values())
      if (link?.state === 'open' && (!taken || waitsForFetch)) return false
    return true
  }

  #tendLinks(now: Millis): void {
    for (const [owner, link] of this.#links) {
      const needed = link.held > 0 || link.reports.size > 0
      if (link.state === 'waiting') {
        if (link.retryAt > now) continue
        if (!needed && (this.#draining || now - link.usefulAt > IDLE_LINK_MS)) {
          this.#links.delete(owner)
          continue
        }
        link.state = 'connecting'
        this.#effects.push({ type: 'openLink', owner: link.endpoint })
      } else if (link.state === 'open') {
        if (!needed && now - link.usefulAt > IDLE_LINK_MS && this.#candidates.size > 0) {
          this.#links.delete(owner)
          this.#effects.push({ type: 'closeLink', owner, reason: 'idle' })
          continue
        }
        if (now >= link.heartbeatAt) {
          link.heartbeatAt = now + HEARTBEAT_MS
          this.#effects.push({ type: 'sendHeartbeat', owner })
        }
      }
    }
  }

  /** Owners of reports that nobody takes at the moment are looked for by shard. */
  #seekOwners(now: Millis): void {
    for (const [name, since] of this.#seeking) if (now - since >= LOST_OWNER_MS) this.#seeking.delete(name)
    for (const report of this.#reports.values()) {
      const { link } = report
      if (link?.state === 'open') {
        if (now - report.offeredAt >= REOFFER_MS) this.#offer(report, link, now)
        continue
      }
      if (link === undefined || now - link.lostAt >= LOST_OWNER_MS) this.#seek(report.jobId, report.shard, now)
    }
  }

  #seek(jobId: JobId, shard: number, now: Millis): void {
    const name = `${jobId}/${shard}`
    if ((this.#seeking.get(name) ?? Number.NEGATIVE_INFINITY) > now - LOST_OWNER_MS) return
    this.#seeking.set(name, now)
    if (this.#seeking.size > CANDIDATES_MAX) this.#seeking.delete(this.#seeking.keys().next().value!)
    this.#effects.push({ type: 'findOwners', jobId, shard })
  }

  #connectCandidates(now: Millis): void {
    while (this.#links.size < LINKS_MAX && this.#candidates.size > 0) {
      const all = [...this.#candidates.values()]
      const { endpoint } = all[this.#random.int(all.length)]!
      this.#connect(endpoint, now)
    }
  }

  /** Instances that are wanted in hand. */
  get #roomInAll(): number {
    return Math.min(this.#capacity.instances, this.#limits.instancesMax ?? Number.POSITIVE_INFINITY)
  }

  /** Shares the room there is between the open links. */
  #sendWants(): void {
    const open = [...this.#links.values()].filter(({ state }) => state === 'open')
    if (open.length === 0) return
    const isClosed = this.#draining || this.#outputsFull
    const room = isClosed ? 0 : Math.max(0, this.#roomInAll - this.#held.size)
    const share = Math.ceil(room / open.length)
    for (const link of open) {
      const wanted = isClosed ? 0 : link.held + share
      // A little less or more is not worth a message, unless its owner has nothing left to fill or the worker is full.
      const isSmall = Math.abs(wanted - link.wanted) < link.wanted / 4 && share > 0 && link.held < link.wanted
      if (wanted === link.wanted || isSmall) continue
      link.wanted = wanted
      this.#effects.push({ type: 'sendWant', owner: link.endpoint.nodeId, instances: wanted })
    }
  }
}

function nameOf(jobId: JobId, unit: number): string {
  return `${jobId}/${unit}`
}

function unitOf(name: string): number {
  return Number(name.slice(name.indexOf('/') + 1))
}
