import * as assert from 'uvu/assert'
import type { CheckedReport, OwnerEffect, OwnerEvent, SessionId } from '../../../coordinator/owner/core/messages.js'
import { Owner } from '../../../coordinator/owner/core/owner.js'
import type { UnitRecord } from '../../../coordinator/owner/core/unit-record.js'
import type { KnownOrder } from '../../../job/facts/orders.js'
import type { Vote } from '../../../job/facts/votes.js'
import type { Digest, Grant, JobId, JobSpec, NodeId, OrderBody, PublicKey, Summary } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { specWith } from '../../unit/job/fixture.js'
import { seededRandom } from '../seeded-random.js'
import { EffectLog } from './effect-log.js'
import { answerDigest, keyOf, nodeOf, Volunteer, type VolunteerOptions, WALL_MS } from './volunteer.js'

const HEARTBEAT_MS = 5_000
/** Owners tell one another this often what they have out, and believe it for so long. */
const OUTSTANDING_MS = 1_000
const BELIEF_MS = 3_000

/** An owner of the grid: a core, and who is connected to it. */
export interface OwnerNode {
  readonly nodeId: NodeId
  core: Owner
  readonly volunteers: Map<SessionId, Volunteer>
  isUp: boolean
}

interface GridOptions {
  readonly owners?: number
  readonly seed?: number
  readonly units?: number
  readonly spec?: Partial<JobSpec>
  /** Owners look up who signed grants: they find one another, and nobody else. */
  readonly seeksGrantors?: boolean
}

/**
 * Owners' cores and volunteers without a network: events go in, effects come out, time is a number. Each fact reaches all
 * owners at once. Grants, settlements, withdrawals and reasons for idling go to the volunteers by themselves; a test reads
 * everything else from `log`.
 */
export class OwnerGrid {
  now = 0
  wallAhead = 0
  readonly owners: OwnerNode[] = []
  readonly log = new EffectLog<OwnerEffect>()
  readonly jobId: JobId
  readonly facts: { readonly checked: CheckedReport; readonly stored: boolean }[] = []
  readonly specs = new Map<JobId, JobSpec>()
  nextSession = 1
  readonly #volunteers: Volunteer[] = []
  readonly #seed: number
  readonly #seeksGrantors: boolean
  #orders: KnownOrder[] = []
  readonly #sought: { readonly owner: OwnerNode; readonly nodeId: NodeId }[] = []
  #digests = 0
  #heartbeatAt = HEARTBEAT_MS
  #tellAt = OUTSTANDING_MS

  constructor({ owners = 1, seed = 1, units = 10, spec = {}, seeksGrantors = false }: GridOptions = {}) {
    this.#seed = seed
    this.#seeksGrantors = seeksGrantors
    this.log.ignore('shardChanged', 'unitsDecided')
    for (let i = 0; i < owners; i++) {
      const nodeId = nodeOf(`owner ${i}`)
      this.owners.push({ nodeId, core: this.#newCore(nodeId), volunteers: new Map(), isUp: true })
    }
    this.jobId = this.submit('job', units, spec)
  }

  get owner(): OwnerNode {
    return this.owners[0]!
  }

  #newCore(nodeId: NodeId): Owner {
    return new Owner({
      self: nodeId,
      random: seededRandom(this.#seed),
      seeksGrantors: this.#seeksGrantors,
      wallMs: () => WALL_MS + this.now + this.wallAhead,
      rank: (owner, jobId, shard, block) => sha256(utf8(`${owner} ${jobId} ${shard} ${block}`)),
    })
  }

  nextDigest(): Digest {
    return sha256(utf8(`digest ${++this.#digests}`))
  }

  /** Opens a job of one shard with so many units at every owner. */
  submit(name: string, units: number, changes: Partial<JobSpec> = {}): JobId {
    const jobId = sha256(utf8(`job ${name}`)) as string as JobId
    const spec = specWith({
      name,
      createdAtMs: WALL_MS - 1_000,
      expiresAtMs: WALL_MS + 100 * 24 * 3_600_000,
      source: { type: 'count', count: units },
      shardUnits: 16_384,
      ...changes,
    })
    this.specs.set(jobId, spec)
    for (const owner of this.owners) this.#openAt(owner, jobId, false)
    return jobId
  }

  #openAt(owner: OwnerNode, jobId: JobId, restarted: boolean): void {
    const spec = this.specs.get(jobId)!
    const units = spec.source.type === 'count' ? spec.source.count : 0
    this.handle(owner, { type: 'jobOpened', jobId, spec, orders: this.#orders })
    this.handle(owner, { type: 'shardOpened', jobId, shard: 0, ranges: [{ first: 0, count: units }], restarted })
    const owners = this.owners.map(({ nodeId }) => nodeId)
    if (owners.length > 1) this.handle(owner, { type: 'ownersChanged', jobId, shard: 0, owners })
  }

  join(name: string, options: VolunteerOptions = {}): Volunteer {
    const volunteer = new Volunteer(this, name, options)
    this.#volunteers.push(volunteer)
    volunteer.connect()
    return volunteer
  }

  order(body: OrderBody): void {
    const seq = this.#orders.length + 1
    this.#orders = [
      ...this.#orders,
      { id: this.nextDigest(), order: { jobId: this.jobId, seq, createdAtMs: WALL_MS, body } },
    ]
    for (const owner of this.owners)
      if (owner.isUp) this.handle(owner, { type: 'ordersChanged', jobId: this.jobId, orders: this.#orders })
  }

  /** An owner dies without a word; its volunteers' streams to it break. */
  kill(owner: OwnerNode): void {
    owner.isUp = false
    for (const volunteer of this.#volunteers) volunteer.leave(owner)
  }

  /** An owner comes back with the facts it had on disk, and nothing else. Volunteers connect by themselves. */
  restart(owner: OwnerNode): void {
    if (owner.isUp) this.kill(owner)
    owner.isUp = true
    owner.core = this.#newCore(owner.nodeId)
    for (const jobId of this.specs.keys()) this.#openAt(owner, jobId, true)
    for (const { checked, stored } of this.facts) this.#keepAt(owner, checked, stored, undefined, 0, false, true)
  }

  handle(owner: OwnerNode, event: OwnerEvent): void {
    if (!owner.isUp) return
    const effects = owner.core.handle(event, this.now)
    owner.core.checkInvariants()
    for (const effect of effects) this.#perform(owner, effect)
  }

  #perform(owner: OwnerNode, effect: OwnerEffect): void {
    switch (effect.type) {
      case 'sendGrant':
        this.#grant(owner, owner.volunteers.get(effect.session), effect.grant)
        break
      case 'sendSettled': {
        const volunteer = owner.volunteers.get(effect.session)
        volunteer?.agreed.push(...effect.agreed)
        volunteer?.disagreed.push(...effect.disagreed)
        break
      }
      case 'sendWithdraw': {
        const volunteer = owner.volunteers.get(effect.session)
        if (volunteer === undefined) break
        for (const [name, held] of volunteer.hand) {
          if (held.jobId !== effect.jobId || (!effect.wholeJob && !effect.units.includes(held.unit))) continue
          volunteer.hand.delete(name)
          volunteer.withdrawn.push(held.unit)
        }
        break
      }
      case 'sendNoWork': {
        const volunteer = owner.volunteers.get(effect.session)
        if (volunteer !== undefined) volunteer.idle = effect.reason
        break
      }
      case 'seekGrantor':
        this.#sought.push({ owner, nodeId: effect.nodeId })
        break
      default:
        this.log.push([effect])
    }
  }

  /** Ends the lookups that owners have begun. */
  #endLookups(): void {
    for (const { owner, nodeId } of this.#sought.splice(0)) {
      const isOwner = this.owners.some((other) => other.nodeId === nodeId)
      this.handle(owner, isOwner ? { type: 'grantorsMet', nodeIds: [nodeId] } : { type: 'grantorMissing', nodeId })
    }
  }

  #grant(
    owner: OwnerNode,
    volunteer: Volunteer | undefined,
    draft: Omit<Grant, 'grantor' | 'grantorIdNonce' | 'nonce'>,
  ) {
    assert.ok(volunteer, 'grants go to open streams')
    assert.is(draft.worker, volunteer.key, 'a grant names the key it is sent to')
    const grant: Grant = {
      ...draft,
      grantor: owner.nodeId as string as PublicKey,
      grantorIdNonce: new Uint8Array(0),
      nonce: '00'.repeat(8),
    }
    for (const { first, count, opinion } of grant.runs) {
      for (let unit = first; unit < first + count; unit++) {
        const state = this.record(unit, owner, grant.jobId)?.state
        assert.ok(state !== 'settled' && state !== 'failed', `unit ${unit} is ${state} and was granted again`)
        const held = { jobId: grant.jobId, unit, opinion, age: grant.age, owner, grant, at: this.now }
        volunteer.hand.set(`${grant.jobId}/${unit}`, held)
        volunteer.granted.push(held)
      }
    }
    for (const other of this.owners) {
      if (other === owner) continue
      const { jobId, shard, worker, runs } = grant
      const durationMs = BELIEF_MS
      this.handle(other, { type: 'otherGranted', grantor: owner.nodeId, jobId, shard, worker, runs, durationMs })
    }
  }

  /** Soft state: each owner repeats what it still has out, or keeps for somebody. */
  #tellOutstanding(): void {
    if (this.owners.length === 1) return
    for (const owner of this.owners) {
      if (!owner.isUp) continue
      for (const { shard, record, worker, opinion, isKept = false } of [...owner.core.outstanding()])
        for (const other of this.owners)
          if (other !== owner)
            this.handle(other, {
              type: 'otherGranted',
              grantor: owner.nodeId,
              jobId: shard.jobId,
              shard: shard.shard,
              worker: worker.key,
              runs: [{ first: record.unit, count: 1, opinion }],
              durationMs: BELIEF_MS,
              isKept,
            })
    }
  }

  /** An owner makes up a volunteer that it granted a unit, and the volunteer's wrong answer; or somebody makes up the owner, too. */
  forge(liar: OwnerNode | string, name: string, unit: number, answer = 'forged'): void {
    const { jobId } = this
    const isMadeUp = typeof liar === 'string'
    const key = keyOf(name)
    const factId = this.nextDigest()
    const vote: Vote = {
      unit,
      donor: key,
      worker: key,
      grantor: isMadeUp ? nodeOf(liar) : liar.nodeId,
      age: 'older',
      outcome: 'done',
      digest: answerDigest(answer, unit),
      reportId: this.nextDigest(),
      factId,
      outputBytes: 100,
      fuel: 100n,
    }
    const report = { jobId, shard: 0, worker: key, donor: key, donorSignature: new Uint8Array(0), results: [] }
    const checked = { factId, report, votes: [vote] }
    this.keep(checked, { to: isMadeUp ? this.owner : liar, session: undefined, wallMs: 1_000, stored: true })
  }

  /** A report is on the disks of all owners. */
  keep(
    checked: CheckedReport,
    { to, session, wallMs, stored }: { to: OwnerNode; session: SessionId | undefined; wallMs: number; stored: boolean },
  ): void {
    this.facts.push({ checked, stored })
    this.#keepAt(to, checked, stored, session, wallMs, true)
    for (const other of this.owners) if (other !== to) this.#keepAt(other, checked, stored, undefined, 0, false)
  }

  #keepAt(
    owner: OwnerNode,
    checked: CheckedReport,
    stored: boolean,
    session: SessionId | undefined,
    wallMs: number,
    live: boolean,
    fromStore = false,
  ): void {
    const kept = new Set(stored ? checked.votes.map(({ unit }) => unit) : [])
    this.handle(owner, { type: 'reportKept', session, report: checked, stored: kept, wallMs, live, fromStore })
  }

  /** Lets time pass: owners wake when they asked to, volunteers say every 5 s that they are there. */
  advance(ms: number): void {
    const until = this.now + ms
    for (;;) {
      this.#endLookups()
      const wakes = this.owners
        .filter(({ isUp }) => isUp)
        .map(({ core }) => core.nextWakeup() ?? Number.POSITIVE_INFINITY)
      const next = Math.min(this.#heartbeatAt, this.#tellAt, ...wakes)
      if (next > until) break
      this.now = Math.max(this.now, next)
      if (this.now >= this.#tellAt) {
        this.#tellAt = this.now + OUTSTANDING_MS
        this.#tellOutstanding()
      }
      if (this.now >= this.#heartbeatAt) {
        this.#heartbeatAt = this.now + HEARTBEAT_MS
        for (const volunteer of this.#volunteers)
          if (volunteer.heartbeats)
            for (const [owner, session] of volunteer.sessions) this.handle(owner, { type: 'sessionHeard', session })
      }
      for (const owner of this.owners)
        if ((owner.core.nextWakeup() ?? Number.POSITIVE_INFINITY) <= this.now) this.handle(owner, { type: 'woke' })
    }
    this.now = until
  }

  record(unit: number, owner = this.owner, jobId = this.jobId): UnitRecord | undefined {
    return owner.core.shard(jobId, 0)?.record(unit)
  }

  summary(jobId = this.jobId, owner = this.owner): Summary {
    return owner.core.report(jobId, 0)!.summary
  }

  waiting(jobId = this.jobId): string {
    return this.owner.core.report(jobId, 0)!.waiting
  }

  isFinished(jobId = this.jobId, owner = this.owner): boolean {
    return owner.core.shard(jobId, 0)!.finished
  }

  /** To be called at the end of each test: nothing unread, nothing out of order. */
  finish(): void {
    for (const { core } of this.owners) core.checkInvariants()
    this.log.done()
  }
}
