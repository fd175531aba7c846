import type { RestraintWord } from '../../proto/explain-messages.js'
import type { JobId } from '../../proto/model.js'
import type { DeclinedJob, JobWant } from '../../proto/work-messages.js'
import type { Millis } from '../../runtime/clock.js'
import type { Capacity } from './capacity.js'
import type { DeclinedJobs } from './declined-jobs.js'
import type { Link, Links } from './links.js'
import type { WorkerEffect } from './messages.js'
import type { Shares } from './shares.js'
import type { WorkInHand } from './work-in-hand.js'

/** Grants may answer a want that was sent so long ago: owner, worker or the way between them may be slow. */
const ASKED_MS = 30_000

/** What owners are told besides how much is wanted. */
export interface Stance {
  readonly restraint: RestraintWord | undefined
  readonly declined: readonly DeclinedJob[]
}

/** What owners take for granted until they are told otherwise. */
export const NO_STANCE: Stance = { restraint: undefined, declined: [] }

export function isDeclined({ declined }: Stance, jobId: JobId): boolean {
  return declined.some((one) => one.jobId === jobId)
}

/** What a worker takes at the moment. */
export interface Appetite {
  /** Instances it may hold beyond those in hand. */
  readonly room: number
  /** It takes nothing, whatever room there is. */
  readonly isClosed: boolean
  /** All that the volunteer allows is computed. */
  readonly isLast: boolean
  /** Another object each time it changes. */
  readonly stance: Stance
  readonly restraint: RestraintWord | undefined
}

interface WantsParts {
  readonly links: Links
  readonly work: WorkInHand
  readonly capacity: Capacity
  readonly shares: Shares
  readonly offers: DeclinedJobs
  readonly effects: WorkerEffect[]
}

/** Tells the owners how much they may send. */
export class Wants {
  readonly #links: Links
  readonly #work: WorkInHand
  readonly #capacity: Capacity
  readonly #shares: Shares
  readonly #offers: DeclinedJobs
  readonly #effects: WorkerEffect[]

  constructor({ links, work, capacity, shares, offers, effects }: WantsParts) {
    this.#links = links
    this.#work = work
    this.#capacity = capacity
    this.#shares = shares
    this.#offers = offers
    this.#effects = effects
  }

  /** The part of what may be held that is free, 0 to 1: units in hand of each job fill their part of what may be held of it. */
  get #free(): number {
    let free = 1
    for (const [jobId, held] of this.#work.byJob) free -= held / this.#capacity.of(jobId)
    return Math.max(0, free)
  }

  /** Shares the room there is between the open links, and tells those to whom it makes a difference. */
  tell({ room, isClosed, isLast, stance, restraint }: Appetite, now: Millis): void {
    const open = this.#links.open()
    if (open.length === 0) return
    const free = this.#free
    /** Of what may be held of one job alone. */
    const shareOf = (instances: number) => Math.ceil(Math.min(room, ceilOf(free * instances)) / open.length)
    const share = shareOf(this.#capacity.most)
    const jobs = [...this.#capacity.jobs].map((jobId) => {
      // What is in hand of it stays: nothing new until the others have caught up.
      const isAhead = this.#shares.isAhead(jobId, now)
      return { jobId, isAhead, share: shareOf(this.#capacity.of(jobId)) }
    })
    const ofNew = Math.ceil(this.#capacity.ofNew / open.length)
    for (const link of open) {
      const wanted = isClosed ? 0 : link.held + share
      // What an owner has sent beyond what there is room for was not asked for, though it counts as wanted now.
      const asked = Math.min(wanted, this.#capacity.most)
      if (asked >= link.asked.most || now - link.asked.at > ASKED_MS) link.asked = { most: asked, at: now }
      const wants = jobs.map(({ jobId, isAhead, share }) => ({
        jobId,
        instances: isAhead ? 0 : (link.heldOf.get(jobId) ?? 0) + share,
      }))
      // A little less or more is not worth a message, unless its owner has nothing left to fill or the worker is full.
      const isSmall = share > 0 && isNear(wanted, link.wanted, link.held)
      const areSmall = isClosed || areNear(wants, link)
      // Full with the work of other owners, which still may draw it; or taking nothing more.
      const busy = wanted === 0 && !isClosed && !isLast
      const isTold = link.told === stance || (link.told === undefined && stance === NO_STANCE)
      const owner = link.endpoint.nodeId
      const version = this.#offers.version(owner)
      const isSame = isTold && version === link.declined && areSmall && (isClosed || ofNew === link.wantedOfNew)
      if (isSame && ((wanted === link.wanted && busy === link.busy) || isSmall)) continue
      link.wanted = wanted
      link.wantedOf = new Map(wants.map(({ jobId, instances }) => [jobId, instances]))
      link.wantedOfNew = ofNew
      link.told = stance
      link.busy = busy
      link.declined = version
      const offered = this.#offers.of(owner).filter(({ jobId }) => !isDeclined(stance, jobId))
      const declined = [...stance.declined, ...offered]
      this.#effects.push({
        type: 'sendWant',
        owner,
        instances: wanted,
        busy,
        jobs: wants,
        ofNew,
        ...(restraint && { restraint }),
        ...(declined.length > 0 && { declined }),
      })
    }
  }
}

/** Rounded up, where it is not a whole number but for the last bits of a sum of shares. */
function ceilOf(instances: number): number {
  return Math.ceil(instances - 1e-6)
}

/** Whether `wanted` differs little from what was told, and there is still something to fill. */
function isNear(wanted: number, told: number, held: number): boolean {
  return Math.abs(wanted - told) < told / 4 && held < told
}

function areNear(wants: readonly JobWant[], { wantedOf, heldOf }: Link): boolean {
  return wants.every(({ jobId, instances }) => {
    const told = wantedOf.get(jobId)
    return told === instances || (told !== undefined && isNear(instances, told, heldOf.get(jobId) ?? 0))
  })
}
