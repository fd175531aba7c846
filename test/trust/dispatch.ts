import type { Millis } from '../../runtime/clock.js'
import type { Held, Volunteer } from './volunteer.js'

/** A unit as the grid sees it at the end. */
export type Accepted = number | undefined

/**
 * The side of a grid that hands out instances and judges answers: our owners, or a scheduler as others have it. Messages
 * to and from volunteers take {@link ONE_WAY_MS} in here.
 */
export interface Dispatch {
  joined(volunteer: Volunteer): void
  /** Its streams broke. */
  left(volunteer: Volunteer): void
  /** What it holds, or may hold, has changed. */
  wants(volunteer: Volunteer): void
  reported(volunteer: Volunteer, held: Held, answer: number, durationMs: Millis): void
  /** It lives; `running` moves. */
  beat(volunteer: Volunteer, running: Held | undefined): void
  /** Units with a verdict. */
  readonly decided: number
  /** Units that no further volunteer is asked for although they have none: too many have differed. */
  readonly givenUp: number
  /** Instances granted so far, and of them to liars. */
  readonly granted: number
  readonly grantedToLiars: number
  /** The answer accepted for a unit. */
  accepted(unit: number): Accepted
  /** Throws when what it keeps does not hold together. */
  check(): void
}
