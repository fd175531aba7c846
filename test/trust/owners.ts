import { outstandingMessages } from '../../coordinator/exchange/outstanding.js'
import type { GrantDraft, OwnerEffect, OwnerEvent, SessionId } from '../../coordinator/owner/core/messages.js'
import { Owner } from '../../coordinator/owner/core/owner.js'
import type { UnitRecord } from '../../coordinator/owner/core/unit-record.js'
import { dismissesAnother } from '../../job/audit/ruling-orders.js'
import { applyOrders, type KnownOrder } from '../../job/facts/orders.js'
import type { Vote } from '../../job/facts/votes.js'
import { specDefaults } from '../../job/spec/spec.js'
import { shardList, shardUnits } from '../../job/units/shard.js'
import type { Judgement } from '../../job/verdict/judgement.js'
import type { JobId, JobSpec, NodeId, Policy, PublicKey, Ruling, Signed, UnitRange } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import type { SeededRandom } from '../simulation/world/random.js'
import type { Accepted, Dispatch } from './dispatch.js'
import { answerOf, JobFacts, keyOf, nodeIdOfKey } from './facts.js'
import type { Bench } from './judge.js'
import { ONE_WAY_MS, RING } from './scene.js'
import type { Timeline } from './timeline.js'
import type { Held, Volunteer } from './volunteer.js'

/** Wall clock when a run begins; the job is made then. */
const WALL_MS = 1_700_000_000_000
const DAY_MS = 24 * 3_600_000
/** What was just granted is told co-owners after this long, everything that is out this often (`coordinator/exchange/`). */
const NEWS_MS: Millis = 200
const TELL_MS: Millis = 2_000
const BELIEVED_MS: Millis = 8_000
const SHARD_UNITS = 16_384

/** A stream between a volunteer and one owner, as both see it. */
interface Link {
  readonly owner: OwnerNode
  readonly session: SessionId
  readonly volunteer: Volunteer
  readonly stay: number
  held: number
  wanted: number
}

interface OwnerNode {
  readonly index: number
  readonly key: PublicKey
  readonly nodeId: NodeId
  readonly core: Owner
  readonly links: Map<SessionId, Link>
  wakeAt: Millis
}

/** An instance that came with a grant. */
interface GrantedUnit extends Held {
  readonly grant: Signed
}

export interface OwnersParts {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly units: number
  readonly owners: number
  readonly policy: Policy
  /** Votes that the first owner forges on each unit. */
  readonly forgedVotes: number
  /** Told of a key that rulings have put out. */
  readonly convicted: (volunteer: Volunteer) => void
}

/**
 * The owners of one job as they are: `coordinator/owner/core/` decides, `job/` checks and judges. Of the drivers stands here what
 * they do with time: facts reach every owner, what is out is told and told again, volunteers' wants are shared between
 * links as `worker/core/` does it.
 */
export class Owners implements Dispatch, Bench {
  readonly #p: OwnersParts
  readonly #facts: JobFacts
  readonly #owners: readonly OwnerNode[]
  readonly #links = new Map<Volunteer, readonly Link[]>()
  readonly #keys = new Map<Volunteer, PublicKey>()
  readonly #byKey = new Map<PublicKey, Volunteer>()
  readonly #orders: KnownOrder[] = []
  /** Keys put out by rulings. */
  #convicted: ReadonlySet<PublicKey> = new Set()
  /** Units on which votes were forged. */
  readonly #forged = new Set<number>()
  #sessions = 0
  granted = 0
  grantedToLiars = 0

  constructor(parts: OwnersParts) {
    this.#p = parts
    const { random, owners: count } = parts
    this.#facts = new JobFacts(sha256(utf8('trust')) as string as JobId, specOf(parts.units, count, parts.policy))
    this.#owners = Array.from({ length: count }, (_, index) => {
      const key = keyOf(`owner ${index}`)
      const core = new Owner({
        self: nodeIdOfKey(key),
        random: random.split(`owner ${index}`),
        wallMs: () => WALL_MS + parts.timeline.now,
        rank: (owner, jobId, shard, block) => sha256(utf8(`${owner} ${jobId} ${shard} ${block}`)),
      })
      return { index, key, nodeId: nodeIdOfKey(key), core, links: new Map(), wakeAt: Number.POSITIVE_INFINITY }
    })
    for (const owner of this.#owners) {
      this.#open(owner)
      if (count > 1) this.#tellOutstanding(owner)
    }
  }

  #open(owner: OwnerNode): void {
    const { jobId, spec } = this.#facts
    this.#handle(owner, { type: 'jobOpened', jobId, spec, orders: [] })
    const shards = shardList(spec)
    for (let i = 0; i < shards.length; i++) {
      const shard = shards.at(i)!
      const ranges: readonly UnitRange[] = shardUnits(spec, shard)
      this.#handle(owner, { type: 'shardOpened', jobId, shard, ranges, restarted: false })
      const owners = this.#owners.map(({ nodeId }) => nodeId)
      if (owners.length > 1) this.#handle(owner, { type: 'ownersChanged', jobId, shard, owners })
    }
  }

  // -------------------------------------------------------------------------------------------------- from volunteers

  joined(volunteer: Volunteer): void {
    const { stay } = volunteer
    const worker = this.#keyOf(volunteer)
    const links = this.#owners.map((owner) => {
      const link: Link = { owner, session: ++this.#sessions, volunteer, stay, held: 0, wanted: 0 }
      this.#toOwner(owner, () => {
        owner.links.set(link.session, link)
        this.#handle(owner, {
          type: 'sessionOpened',
          session: link.session,
          hello: {
            worker,
            donor: worker,
            nodeId: nodeIdOfKey(worker),
            host: '127.0.0.1',
            bootId: `stay ${stay}`,
            slots: 1,
            tasks: new Set(['primes@1']),
            profile: 1,
            memoryBytes: 2 ** 32,
            onlyJob: undefined,
            firstSeenMs: volunteer.isYounger ? WALL_MS + 1 : WALL_MS - DAY_MS,
            tickets: [],
          },
        })
      })
      return link
    })
    this.#links.set(volunteer, links)
    this.wants(volunteer)
  }

  #keyOf(volunteer: Volunteer): PublicKey {
    const known = this.#keys.get(volunteer)
    if (known !== undefined) return known
    const key = keyOf(volunteer.name)
    this.#keys.set(volunteer, key)
    this.#byKey.set(key, volunteer)
    return key
  }

  left(volunteer: Volunteer): void {
    for (const { owner, session } of this.#links.get(volunteer) ?? []) {
      this.#toOwner(owner, () => {
        owner.links.delete(session)
        this.#handle(owner, { type: 'sessionClosed', session })
      })
    }
    this.#links.delete(volunteer)
  }

  /** Shares the room there is between the links, and says so where it matters. */
  wants(volunteer: Volunteer): void {
    const links = this.#links.get(volunteer) ?? []
    const share = Math.ceil(volunteer.room / links.length)
    for (const link of links) {
      const wanted = link.held + share
      const isSmall = Math.abs(wanted - link.wanted) < link.wanted / 4 && share > 0 && link.held < link.wanted
      if (wanted === link.wanted || isSmall) continue
      link.wanted = wanted
      this.#toOwner(link.owner, () =>
        this.#handle(link.owner, {
          type: 'wantChanged',
          session: link.session,
          instances: wanted,
          busy: wanted === 0,
        }),
      )
    }
  }

  beat(volunteer: Volunteer, running: Held | undefined): void {
    const { jobId } = this.#facts
    const fuel = BigInt(Math.round(this.#p.timeline.now))
    const units = running === undefined ? [] : [{ jobId, unit: running.unit, fuel }]
    for (const { owner, session } of this.#links.get(volunteer) ?? [])
      this.#toOwner(owner, () => this.#handle(owner, { type: 'progressMade', session, running: units }))
  }

  /** To the grantor; on disk at its co-owners first, then there. */
  reported(volunteer: Volunteer, held: Held, answer: number, durationMs: Millis): void {
    const { timeline } = this.#p
    const link = this.#links.get(volunteer)![held.from]!
    link.held--
    const report = this.#facts.report(this.#keyOf(volunteer), held.unit, answer, (held as GrantedUnit).grant)
    const stored = new Set([held.unit])
    const wallMs = durationMs
    for (const owner of this.#owners) {
      const isGrantor = owner === link.owner
      const session = isGrantor ? link.session : undefined
      timeline.after(isGrantor ? 3 * ONE_WAY_MS : 2 * ONE_WAY_MS, () =>
        this.#handle(owner, { type: 'reportKept', session, report, stored, wallMs, live: isGrantor }),
      )
    }
  }

  #toOwner(_owner: OwnerNode, action: () => void): void {
    this.#p.timeline.after(ONE_WAY_MS, action)
  }

  // ------------------------------------------------------------------------------------------------------ from owners

  #handle(owner: OwnerNode, event: OwnerEvent): void {
    const { timeline } = this.#p
    for (const effect of owner.core.handle(event, timeline.now)) this.#perform(owner, effect)
    const wakeAt = owner.core.nextWakeup() ?? Number.POSITIVE_INFINITY
    if (wakeAt >= owner.wakeAt) return
    owner.wakeAt = wakeAt
    timeline.at(wakeAt, () => {
      if (owner.wakeAt !== wakeAt) return
      owner.wakeAt = Number.POSITIVE_INFINITY
      this.#handle(owner, { type: 'woke' })
    })
  }

  #perform(owner: OwnerNode, effect: OwnerEffect): void {
    switch (effect.type) {
      case 'sendGrant':
        this.#sendGrant(owner, effect)
        break
      case 'sendWithdraw':
        for (const unit of effect.units) this.#toVolunteer(owner, effect.session, (link) => withdraw(link, unit))
        break
      case 'sendSettled':
      case 'sendNoWork':
      case 'unitsDecided':
      case 'shardChanged':
      case 'dropFacts':
        break
      case 'fetchOutput':
      case 'pingSession':
      case 'closeSession':
      case 'askOthers':
      case 'seekGrantor':
        throw new Error(`an owner would ${effect.type}, which no volunteer here gives cause for`)
      default:
        effect satisfies never
    }
  }

  #toVolunteer(owner: OwnerNode, session: SessionId, action: (link: Link) => void): void {
    const link = owner.links.get(session)
    if (link === undefined) return
    this.#p.timeline.after(ONE_WAY_MS, () => {
      action(link)
      if (link.volunteer.stay === link.stay) this.wants(link.volunteer)
    })
  }

  #sendGrant(owner: OwnerNode, { session, grant: draft }: Extract<OwnerEffect, { type: 'sendGrant' }>): void {
    const grant = this.#facts.grant(draft, owner.key)
    const isHonest = this.#byKey.get(draft.worker)!.isHonest
    for (const { first, count } of draft.runs) {
      this.granted += count
      if (!isHonest) this.grantedToLiars += count
      for (let unit = first; unit < first + count; unit++) {
        const held: GrantedUnit = { unit, from: owner.index, grant }
        this.#toVolunteer(owner, session, (link) => {
          if (link.volunteer.granted(held, link.stay)) link.held++
        })
      }
    }
    const { jobId, shard, worker, runs } = draft
    if (this.#p.forgedVotes > 0) this.#p.timeline.after(NEWS_MS, () => this.#forge(draft))
    for (const other of this.#owners) {
      if (other === owner) continue
      this.#p.timeline.after(NEWS_MS, () =>
        this.#handle(other, {
          type: 'otherGranted',
          grantor: owner.nodeId,
          jobId,
          shard,
          worker,
          runs,
          durationMs: BELIEVED_MS,
        }),
      )
    }
  }

  /** Every two seconds an owner tells the others all that it has out. */
  #tellOutstanding(owner: OwnerNode): void {
    this.#p.timeline.after(TELL_MS, () => {
      for (const grants of outstandingMessages(owner.core.outstanding(), () => true)) {
        for (const { jobId, shard, worker, runs, believedMs, kept } of grants)
          for (const other of this.#owners) {
            if (other === owner) continue
            this.#handle(other, {
              type: 'otherGranted',
              grantor: owner.nodeId,
              jobId,
              shard,
              worker,
              runs,
              durationMs: believedMs,
              isKept: kept,
            })
          }
      }
      this.#tellOutstanding(owner)
    })
  }

  /** The lying owner makes up workers that say what the ring says, of units that are being computed. */
  #forge({ jobId, shard, runs, durationMs }: GrantDraft): void {
    const [liar] = this.#owners
    for (const { first, count } of runs) {
      for (let unit = first; unit < first + count; unit++) {
        if (this.#forged.has(unit)) continue
        this.#forged.add(unit)
        for (let vote = 0; vote < this.#p.forgedVotes; vote++) {
          const worker = keyOf(`made up ${unit} ${vote}`)
          const own = [{ first: unit, count: 1, opinion: 0 }]
          const grant = this.#facts.grant({ jobId, shard, worker, age: 'older', runs: own, durationMs }, liar!.key)
          const report = this.#facts.report(worker, unit, RING, grant)
          const stored = new Set([unit])
          for (const owner of this.#owners)
            this.#handle(owner, { type: 'reportKept', session: undefined, report, stored, wallMs: 0, live: false })
        }
      }
    }
  }

  // ---------------------------------------------------------------------------------------------------------- rulings

  seen(unit: number): { readonly judgement: Judgement; readonly votes: readonly Vote[] } | undefined {
    const record = this.#record(unit)
    return record?.judgement === undefined ? undefined : { judgement: record.judgement, votes: record.votes }
  }

  dismisses(rulings: readonly Ruling[]): boolean {
    return dismissesAnother(this.#facts.spec, this.#orders, rulings)
  }

  rule(rulings: readonly Ruling[]): void {
    const { timeline } = this.#p
    this.#orders.push(this.#facts.rulings(rulings, this.#orders.length + 1, WALL_MS + timeline.now))
    const orders = [...this.#orders]
    const { jobId, spec } = this.#facts
    for (const owner of this.#owners)
      this.#toOwner(owner, () => this.#handle(owner, { type: 'ordersChanged', jobId, orders }))
    const convicted = applyOrders(spec, orders).rulings?.convicted ?? new Set()
    for (const key of convicted) {
      const volunteer = this.#byKey.get(key)
      if (!this.#convicted.has(key) && volunteer !== undefined) this.#p.convicted(volunteer)
    }
    this.#convicted = convicted
  }

  get outNow(): number {
    const { rulings } = applyOrders(this.#facts.spec, this.#orders)
    return (rulings?.convicted.size ?? 0) + (rulings?.dismissed.size ?? 0)
  }

  get isOver(): boolean {
    const { decided } = this
    return decided === this.#p.units || decided + this.givenUp === this.#p.units
  }

  /** Honest keys that rulings have put out. */
  get honestOut(): number {
    return [...this.#convicted].filter((key) => this.#byKey.get(key)?.isHonest).length
  }

  // ---------------------------------------------------------------------------------------------------------- results

  get decided(): number {
    let decided = 0
    for (const { shards } of this.#owners.at(-1)!.core.jobs())
      for (const shard of shards.values()) decided += shard.settledCount + shard.failedCount
    return decided
  }

  get givenUp(): number {
    let givenUp = 0
    for (const { shards } of this.#owners.at(-1)!.core.jobs()) {
      for (const shard of shards.values()) {
        if (shard.disputedCount === 0) continue
        for (const { state, judgement, held } of shard.records())
          if (state === 'disputed' && judgement?.state === 'disputed' && judgement.wanted + held.length === 0) givenUp++
      }
    }
    return givenUp
  }

  accepted(unit: number): Accepted {
    const judgement = this.#record(unit)?.judgement
    return judgement?.state === 'accepted' ? answerOf(judgement.digest) : undefined
  }

  /** A unit as the last owner sees it, which does not lie. */
  #record(unit: number): UnitRecord | undefined {
    const { jobId, spec } = this.#facts
    return this.#owners
      .at(-1)!
      .core.shard(jobId, Math.floor(unit / spec.shardUnits))
      ?.record(unit)
  }

  check(): void {
    for (const { core } of this.#owners) core.checkInvariants()
  }
}

function withdraw(link: Link, unit: number): void {
  if (link.volunteer.withdrawn(unit, link.owner.index, link.stay)) link.held--
}

function specOf(units: number, owners: number, policy: Policy): JobSpec {
  return {
    ...specDefaults,
    network: 'trust',
    submitter: keyOf('submitter'),
    nonce: '00'.repeat(16),
    createdAtMs: WALL_MS,
    expiresAtMs: WALL_MS + 365 * DAY_MS,
    name: 'trust',
    task: { type: 'builtin', name: 'primes', version: 1 },
    source: { type: 'count', count: units },
    policy,
    requires: policy.type === 'confidence' ? ['confidence'] : [],
    minGrantors: Math.min(2, owners),
    shardUnits: SHARD_UNITS,
  }
}
