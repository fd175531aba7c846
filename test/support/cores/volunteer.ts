import * as assert from 'uvu/assert'
import type { SessionId } from '../../../coordinator/owner/core/messages.js'
import type { Vote } from '../../../job/facts/votes.js'
import type { AgeClass, Digest, Grant, JobId, NodeId, Outcome, PublicKey } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import type { OwnerGrid, OwnerNode } from './owner-grid.js'

/** Wall clock when a grid begins; jobs are made a little earlier. */
export const WALL_MS = 1_000_000

/** The key of a volunteer of that name. */
export const keyOf = (name: string) => sha256(utf8(`key ${name}`)) as string as PublicKey
/** A node id made from a name. */
export const nodeOf = (name: string) => sha256(utf8(`node ${name}`)).slice(0, 40) as NodeId
/** What those who answer alike agree on. */
export const answerDigest = (answer: string, unit: number): Digest => sha256(utf8(`${answer} ${unit}`))

const NO_DIGEST = '0'.repeat(64) as Digest

/** What a test says of a volunteer beside its name. */
export interface VolunteerOptions {
  readonly slots?: number
  readonly want?: number
  readonly donor?: string
  readonly host?: string
  readonly nodeId?: NodeId
  /** Known to owners before the job was made, unless this is false. */
  readonly older?: boolean
  readonly tasks?: readonly string[]
  readonly memoryBytes?: number
  /** How the volunteer shares time between submitters. */
  readonly weights?: ReadonlyMap<PublicKey, number>
}

/** One granted instance in a volunteer's hands. */
export interface InHand {
  readonly jobId: JobId
  readonly unit: number
  readonly opinion: number
  readonly age: AgeClass
  readonly owner: OwnerNode
  readonly grant: Grant
  readonly at: number
}

interface AnswerOptions {
  readonly outcome?: Outcome
  readonly wallMs?: number
  /** Whether the output bytes come along. */
  readonly small?: boolean
  /** How many there are of a large one. */
  readonly bytes?: number
  readonly jobId?: JobId
}

/** A volunteer as owners see it: a key with streams, grants in hand, and answers on demand. */
export class Volunteer {
  readonly name: string
  readonly key: PublicKey
  readonly donor: PublicKey
  readonly options: VolunteerOptions
  readonly sessions = new Map<OwnerNode, SessionId>()
  readonly hand = new Map<string, InHand>()
  readonly granted: InHand[] = []
  readonly agreed: number[] = []
  readonly disagreed: number[] = []
  readonly withdrawn: number[] = []
  idle = ''
  /** Says nothing by itself when false. */
  heartbeats = true
  bootId = 'boot 1'
  readonly #grid: OwnerGrid

  constructor(grid: OwnerGrid, name: string, options: VolunteerOptions) {
    this.#grid = grid
    this.name = name
    this.key = keyOf(name)
    this.donor = keyOf(options.donor ?? name)
    this.options = options
  }

  get nodeId(): NodeId {
    return this.options.nodeId ?? nodeOf(this.name)
  }

  /** Units of a job in hand, ascending. */
  units(jobId: JobId = this.#grid.jobId): number[] {
    return [...this.hand.values()]
      .filter((held) => held.jobId === jobId)
      .map(({ unit }) => unit)
      .sort((a, b) => a - b)
  }

  /** Opens streams to all owners, or one, with the tickets it is told to show. */
  connect(
    changes: { tickets?: readonly Grant[]; bootId?: string; to?: OwnerNode; want?: number; host?: string } = {},
  ): SessionId {
    if (changes.bootId !== undefined && changes.bootId !== this.bootId) this.bootId = changes.bootId
    let session = 0
    for (const owner of changes.to === undefined ? this.#grid.owners : [changes.to]) {
      if (!owner.isUp) continue
      session = this.#grid.nextSession++
      const { options } = this
      this.sessions.set(owner, session)
      owner.volunteers.set(session, this)
      this.#grid.handle(owner, {
        type: 'sessionOpened',
        session,
        hello: {
          worker: this.key,
          donor: this.donor,
          nodeId: this.nodeId,
          host: changes.host ?? options.host ?? '127.0.0.1',
          bootId: changes.bootId ?? this.bootId,
          slots: options.slots ?? 1,
          tasks: new Set(options.tasks ?? ['primes@1']),
          profile: 1,
          memoryBytes: options.memoryBytes ?? 2 ** 30,
          onlyJob: undefined,
          ...(options.weights && { weights: options.weights }),
          firstSeenMs: options.older === false ? WALL_MS : 0,
          tickets: changes.tickets ?? this.tickets(),
        },
      })
      const want = changes.want ?? options.want ?? options.slots ?? 1
      if (want > 0) this.want(want, owner)
    }
    return session
  }

  /** Grants with units in hand. */
  tickets(): Grant[] {
    const grants = new Map<Grant, InHand[]>()
    for (const held of this.hand.values()) grants.set(held.grant, [...(grants.get(held.grant) ?? []), held])
    return [...grants].map(([grant, held]) => ({
      ...grant,
      runs: held.map(({ unit, opinion }) => ({ first: unit, count: 1, opinion })),
    }))
  }

  want(instances: number, owner: OwnerNode = this.#grid.owner, busy = false): void {
    const session = this.sessions.get(owner)
    if (session !== undefined) this.#grid.handle(owner, { type: 'wantChanged', session, instances, busy })
  }

  /** The streams break, or one of them. */
  leave(from?: OwnerNode): void {
    for (const [owner, session] of [...this.sessions]) {
      if (from !== undefined && owner !== from) continue
      this.sessions.delete(owner)
      owner.volunteers.delete(session)
      if (owner.isUp) this.#grid.handle(owner, { type: 'sessionClosed', session })
    }
  }

  progress(fuel: bigint, units = this.units()): void {
    for (const [owner, session] of this.sessions)
      this.#grid.handle(owner, {
        type: 'progressMade',
        session,
        running: units.map((unit) => ({ jobId: this.#grid.jobId, unit, fuel })),
      })
  }

  handBack(units: readonly number[]): void {
    const { jobId } = this.#grid
    for (const [owner, session] of this.sessions) {
      const own = units.filter((unit) => this.hand.get(`${jobId}/${unit}`)?.owner === owner)
      for (const unit of own) this.hand.delete(`${jobId}/${unit}`)
      if (own.length > 0)
        this.#grid.handle(owner, { type: 'unitsHandedBack', session, jobId, shard: 0, units: own, reason: '' })
    }
  }

  /** Reports units it was granted at some time, in one report for each grantor. Whatever it has in hand when none are named. */
  answer(units: readonly number[] = this.units(), answer = 'right', options: AnswerOptions = {}): void {
    const jobId = options.jobId ?? this.#grid.jobId
    const byOwner = new Map<OwnerNode | undefined, number[]>()
    for (const unit of units) {
      const owner = this.granted.findLast((one) => one.jobId === jobId && one.unit === unit)?.owner
      byOwner.set(owner, [...(byOwner.get(owner) ?? []), unit])
    }
    for (const group of byOwner.values()) this.#report(group, answer, options)
  }

  #report(units: readonly number[], answer: string, options: AnswerOptions): void {
    const jobId = options.jobId ?? this.#grid.jobId
    const { outcome = 'done', wallMs = units.length * 1_000, small = true, bytes = 10_000 } = options
    const isBare = outcome === 'host' || outcome === 'wall'
    const reportId = this.#grid.nextDigest()
    const factId = this.#grid.nextDigest()
    const votes: Vote[] = []
    let to: OwnerNode | undefined
    for (const unit of [...units].sort((a, b) => a - b)) {
      const held = this.granted.findLast((instance) => instance.jobId === jobId && instance.unit === unit)
      assert.ok(held, `${this.name} was never granted unit ${unit}`)
      to ??= this.sessions.has(held.owner) ? held.owner : undefined
      this.hand.delete(`${jobId}/${unit}`)
      votes.push({
        unit,
        donor: this.donor,
        worker: this.key,
        grantor: held.owner.nodeId,
        age: held.age,
        outcome,
        digest: isBare ? NO_DIGEST : answerDigest(outcome === 'done' ? answer : `${outcome} ${answer}`, unit),
        reportId,
        factId,
        outputBytes: small ? 100 : bytes,
        fuel: 100n,
      })
    }
    to ??= [...this.sessions.keys()][0]
    if (to === undefined) return
    this.#grid.keep(
      {
        factId,
        report: {
          jobId,
          shard: 0,
          worker: this.key,
          donor: this.donor,
          donorSignature: new Uint8Array(0),
          results: [],
        },
        votes,
      },
      { to, session: this.sessions.get(to), wallMs, stored: small && !isBare },
    )
  }
}
