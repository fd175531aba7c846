import type { Digest, Grant, JobId, NodeId, Signed } from '../../proto/model.js'
import { assert } from '../../runtime/errors.js'
import type { Link } from './links.js'
import type { WorkerEffect, WorkerEvent } from './messages.js'
import { unitName, unitOf } from './unit-name.js'

/** Instances in hand at most, whatever owners send: what is above goes back. */
const HELD_MAX = 65_536

/** A grant with units in hand. */
export interface HeldGrant {
  readonly id: Digest
  readonly grant: Grant
  readonly signed: Signed
  readonly link: Link
  /** Its units that are in hand still; at 0 it is forgotten. */
  left: number
}

/**
 * The units a worker was granted and has not computed, each under the one grant that it came by. A unit enters once,
 * whoever grants it again, and leaves by being computed, given back or withdrawn. There are never more than a bound of
 * them. What is to be done goes to the end of `effects`.
 */
export class WorkInHand {
  readonly #effects: WorkerEffect[]
  readonly #held = new Map<string, HeldGrant>()
  readonly #grants = new Map<Digest, HeldGrant>()
  readonly #byJob = new Map<JobId, number>()

  constructor(effects: WorkerEffect[]) {
    this.#effects = effects
  }

  /** Instances in hand. */
  get count(): number {
    return this.#held.size
  }

  /** Instances in hand of each job that has any. */
  get byJob(): ReadonlyMap<JobId, number> {
    return this.#byJob
  }

  /** Signed grants with units still in hand, `most` at most. */
  tickets(most: number): Signed[] {
    const tickets: Signed[] = []
    for (const { signed } of this.#grants.values()) {
      if (tickets.length >= most) break
      tickets.push(signed)
    }
    return tickets
  }

  /**
   * Takes the units of a grant in hand, except those that are or that `isAnswered`, up to `most` of one link; the rest
   * goes back to its owner.
   * @returns what is held by it now and the units that are new; undefined: none
   */
  take(
    link: Link,
    { owner, grant, signed, grantId }: Extract<WorkerEvent, { type: 'granted' }>,
    most: number,
    isAnswered: (jobId: JobId, unit: number) => boolean,
  ): { readonly held: HeldGrant; readonly units: readonly number[] } | undefined {
    const held: HeldGrant = { id: grantId, grant, signed, link, left: 0 }
    const { jobId, shard } = grant
    const units: number[] = []
    const surplus: number[] = []
    for (const run of grant.runs) {
      for (let unit = run.first; unit < run.first + run.count; unit++) {
        const name = unitName(jobId, unit)
        if (this.#held.has(name) || isAnswered(jobId, unit)) continue
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
      const reason = 'more instances than were asked for'
      this.#effects.push({ type: 'sendHandBack', owner, jobId, shard, units: surplus, reason })
    }
    if (held.left === 0) return undefined
    this.#grants.set(grantId, held)
    link.held += held.left
    count(link.heldOf, jobId, held.left)
    count(this.#byJob, jobId, held.left)
    return { held, units }
  }

  /** Takes a unit out of hand. @returns what it was held by; undefined: it is not in hand */
  release(jobId: JobId, unit: number): HeldGrant | undefined {
    const name = unitName(jobId, unit)
    const held = this.#held.get(name)
    if (held === undefined) return undefined
    this.#held.delete(name)
    held.link.held--
    count(held.link.heldOf, jobId, -1)
    count(this.#byJob, jobId, -1)
    if (--held.left === 0) this.#grants.delete(held.id)
    return held
  }

  /** Stops the units of some grants, and tells the owners that can be told. */
  giveBack(which: (held: HeldGrant) => boolean, reason: string): void {
    const byGrant = new Map<HeldGrant, number[]>()
    for (const [name, held] of this.#held) {
      if (!which(held)) continue
      const units = byGrant.get(held) ?? []
      units.push(unitOf(name))
      byGrant.set(held, units)
    }
    for (const [{ grant, link }, units] of byGrant) {
      const { jobId, shard } = grant
      for (const unit of units) this.release(jobId, unit)
      this.#effects.push({ type: 'abort', jobId, units })
      if (link.state === 'open')
        this.#effects.push({ type: 'sendHandBack', owner: link.endpoint.nodeId, jobId, shard, units, reason })
    }
  }

  /** Stops units that their owner no longer wants. Those of other owners stay, whatever `owner` says of them. */
  withdraw(owner: NodeId, jobId: JobId, units: readonly number[], wholeJob: boolean): void {
    const gone: number[] = []
    if (wholeJob) {
      for (const [name, { grant, link }] of this.#held)
        if (grant.jobId === jobId && link.endpoint.nodeId === owner) gone.push(unitOf(name))
    } else {
      for (const unit of units)
        if (this.#held.get(unitName(jobId, unit))?.link.endpoint.nodeId === owner) gone.push(unit)
    }
    for (const unit of gone) this.release(jobId, unit)
    if (gone.length > 0) this.#effects.push({ type: 'abort', jobId, units: gone })
  }

  checkInvariants(links: Iterable<Link>): void {
    const held = new Map<Link, number>()
    const byJob = new Map<JobId, number>()
    for (const { link, grant } of this.#held.values()) {
      held.set(link, (held.get(link) ?? 0) + 1)
      count(byJob, grant.jobId, 1)
    }
    for (const link of links) {
      assert(link.held === (held.get(link) ?? 0), 'instances are counted by link')
      const sum = [...link.heldOf.values()].reduce((all, some) => all + some, 0)
      assert(sum === link.held, 'instances of a link are counted by job')
    }
    assert(byJob.size === this.#byJob.size, 'jobs without instances are forgotten')
    for (const [jobId, some] of byJob) assert(this.#byJob.get(jobId) === some, 'instances are counted by job')
    for (const grant of this.#grants.values()) assert(grant.left > 0, 'a grant without units is forgotten')
    assert(this.#held.size <= HELD_MAX, 'instances in hand are bounded')
  }
}

function count(counts: Map<JobId, number>, jobId: JobId, by: number): void {
  const left = (counts.get(jobId) ?? 0) + by
  if (left > 0) counts.set(jobId, left)
  else counts.delete(jobId)
}
