import type { PreferenceValue, PreferRequest, Restraint } from '../../proto/admin-messages.js'
import { RESTRAINTS, type RestraintWord } from '../../proto/explain-messages.js'
import type { PublicKey } from '../../proto/model.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { PreferenceBook } from './book.js'
import { type Conditions, type Decision, decide, NOTHING_KNOWN } from './core/decision.js'
import type { Preferences } from './core/preferences.js'
import type { LocalTime } from './core/schedule.js'
import type { Sensors } from './sensors/sensors.js'

export type { Decision } from './core/decision.js'

/** How often file, machine and clock are looked at: what changes is felt within this time. */
const LOOK_MS: Millis = 2_000

type StoppedBy = Decision['stoppedBy']

/** What a governor steers. */
interface Governed {
  /**
   * Nothing may be computed, for this reason; undefined: it may go on, for this share of the time. `stoppedBy` others: the
   * compute process stands still already, and is left so.
   */
  restrain(reason: string | undefined, share: number, word: RestraintWord | undefined, stoppedBy: StoppedBy): void
  /** What the volunteer wants has changed. */
  prefer(preferences: Preferences): void
  /** All that was asked for is done. `atOnce`: give back what is in hand. Called once. */
  finish(reason: string, atOnce: boolean): void
  /** Process id of a compute process that somebody else has stopped. */
  readonly stoppedPid?: number | undefined
  /** Units computed since the start. */
  readonly computed: number
}

interface GovernorParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly worker: Governed
  /** What holds without a book. */
  readonly preferences: Preferences
  /** Undefined: nothing can be said at run time, and nothing is looked at. */
  readonly book: PreferenceBook | undefined
  readonly sensors: Sensors | undefined
  /** What a clock on the wall shows. */
  readonly localAt: (wallMs: Millis) => LocalTime
}

/** Holds a worker to what its volunteer wants, now and whenever that, or the machine, changes. */
export class Governor {
  readonly #parts: GovernorParts
  readonly #alarm: Alarm
  readonly #startedMs: Millis
  /** When `for` was said, and what was computed when `units` was: what is said at run time counts from then on. */
  #forFromMs: Millis
  #unitsFrom = 0
  #conditions: Conditions = NOTHING_KNOWN
  #pausedUntilMs: Millis | undefined
  #decision: Decision
  #applied: Preferences
  #isDone = false
  #looking = false
  #trouble = ''
  #closed = false

  constructor(parts: GovernorParts) {
    this.#parts = parts
    this.#alarm = new Alarm(parts.clock, () => this.#onAlarm())
    this.#startedMs = parts.clock.wallMs()
    this.#forFromMs = this.#startedMs
    this.#applied = this.preferences
    this.#decision = this.#decide(false)
  }

  /** What the volunteer wants. */
  get preferences(): Preferences {
    return this.#parts.book?.preferences ?? this.#parts.preferences
  }

  /** What holds now. */
  get decision(): Decision {
    return this.#decision
  }

  /** Whether the volunteer said so, other reasons aside. */
  get isPaused(): boolean {
    return this.#pausedUntilMs !== undefined && this.#pausedUntilMs > this.#parts.clock.wallMs()
  }

  /** Begins to look. The first look is over when it resolves: nothing is computed that should not be. */
  start(): Promise<void> | undefined {
    if (this.#parts.book !== undefined) return this.#look()
    this.#apply()
    return undefined
  }

  /** Stops all computing at once. `forMs` 0: until {@link resume}. */
  pause(forMs: Millis): void {
    this.#pausedUntilMs = forMs === 0 ? Number.POSITIVE_INFINITY : this.#parts.clock.wallMs() + forMs
    this.#apply()
  }

  /** Undoes {@link pause}; other reasons stand. */
  resume(): void {
    this.#pausedUntilMs = undefined
    this.#apply()
  }

  /** Says something at run time. Rejects with GridError, and then nothing has changed. */
  async set(values: PreferRequest['values']): Promise<readonly PreferenceValue[]> {
    const { book } = this.#parts
    if (book === undefined) throw new GridError('unsupported', 'this process takes no preferences')
    book.set(values)
    const { clock, worker } = this.#parts
    for (const { name, value } of values) {
      if (name === 'units') this.#unitsFrom = value.trim() === '' ? 0 : worker.computed
      if (name === 'for') this.#forFromMs = value.trim() === '' ? this.#startedMs : clock.wallMs()
    }
    await this.#look()
    // Even if a look was under way.
    this.#apply()
    return book.values()
  }

  /** Each preference with what holds and where it was said. */
  values(): readonly PreferenceValue[] {
    return this.#parts.book?.values() ?? []
  }

  /** The name that the configuration gives a key. */
  nameOf(key: PublicKey): string | undefined {
    return this.#parts.book?.nameOf(key)
  }

  /** To be called when units were computed: the volunteer may have wanted no more. */
  onComputed(): void {
    const { unitsMax } = this.preferences
    if (unitsMax !== undefined && this.#computed >= unitsMax) this.#apply()
  }

  /** Units computed since the wish for so many was said. */
  get #computed(): number {
    return this.#parts.worker.computed - this.#unitsFrom
  }

  close(): void {
    this.#closed = true
    this.#alarm.close()
  }

  #onAlarm(): void {
    if (this.#parts.book === undefined) this.#apply()
    else void this.#look()
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#closed) return
    this.#looking = true
    const { book, sensors, logger } = this.#parts
    try {
      if (book?.reread()) logger.info('preferences read again')
      this.#trouble = ''
    } catch (error) {
      // What was read before holds. Said once, not every two seconds.
      const { message } = toGridError(error)
      if (message !== this.#trouble) logger.warn('preferences of the file not taken', { error: message })
      this.#trouble = message
    }
    const { batteryMin, temperatureMax, whenIdleMs, pauseFor } = this.preferences
    try {
      const conditions = await sensors?.read({
        battery: batteryMin !== 0,
        temperature: temperatureMax !== undefined,
        idle: whenIdleMs !== undefined,
        programs: pauseFor,
      })
      this.#conditions = conditions ?? NOTHING_KNOWN
    } catch (error) {
      // What was seen before holds until the next look.
      logger.warn('the machine does not tell how it is', { error: toGridError(error).message })
    } finally {
      this.#looking = false
      this.#apply()
    }
  }

  #decide(wasHot: boolean): Decision {
    const { clock, worker, localAt } = this.#parts
    const course = {
      pausedUntilMs: this.#pausedUntilMs,
      startedMs: this.#forFromMs,
      computed: this.#computed,
      wasHot,
    }
    const conditions = { ...this.#conditions, stoppedPid: worker.stoppedPid }
    return decide(this.preferences, course, conditions, clock.wallMs(), localAt)
  }

  #apply(): void {
    if (this.#closed) return
    const { clock, worker, logger, book } = this.#parts
    const before = this.#decision
    this.#decision = this.#decide(before.isHot)
    const { share, restraints, stoppedBy, nextMs, done } = this.#decision
    if (this.#applied !== this.preferences) {
      this.#applied = this.preferences
      worker.prefer(this.preferences)
    }
    const reasons = restraints.map(({ reason }) => reason)
    if (reasons[0] !== before.restraints[0]?.reason) {
      if (reasons.length > 0) logger.info('computing restrained', { reasons: reasons.join('; ') })
      else logger.info('computing no longer restrained')
    }
    worker.restrain(reasons[0], share, wordOf(restraints[0]), stoppedBy)
    if (done !== undefined && !this.#isDone) {
      this.#isDone = true
      worker.finish(done, this.preferences.unitsMax !== undefined && this.#computed >= this.preferences.unitsMax)
    }
    const now = clock.now()
    if (nextMs !== undefined) this.#alarm.set(now + Math.max(0, nextMs - clock.wallMs()))
    if (book !== undefined) this.#alarm.set(now + LOOK_MS)
  }
}

/** A restraint as owners are told of it. */
function wordOf(restraint: Restraint | undefined): RestraintWord | undefined {
  if (restraint === undefined) return undefined
  return RESTRAINTS.find((word) => word === restraint.preference) ?? 'other'
}
