import type { Millis } from '../../../runtime/clock.js'

/** A part of each day, from a minute of it (0 to 1,439) to another (1 to 1,440), which is the next day's if it is not later. */
export interface DayPart {
  readonly from: number
  readonly to: number
}

/** When something is allowed. */
export interface Schedule {
  /** Empty: all day. */
  readonly hours: readonly DayPart[]
  /** Days of the week, 0 for Sunday; empty: all. A part that passes midnight belongs to the day on which it begins. */
  readonly days: ReadonlySet<number>
}

/** The clock on the wall. */
export interface LocalTime {
  /** 0 for Sunday. */
  readonly day: number
  /** Minutes since midnight as a clock shows them, 0 to 1,439. */
  readonly minute: number
}

/** Every hour of every day. */
export const ALWAYS: Schedule = { hours: [], days: new Set() }

const DAY_MINUTES = 1_440
const MINUTE_MS = 60_000
/** Steps in which the days ahead are looked at: clocks are not changed by less. */
const STEP_MINUTES = 30
/** Days after which a schedule has been through all it has. */
const LOOK_AHEAD_DAYS = 9

/** Whether the schedule allows this time of day. */
export function isWithin({ hours, days }: Schedule, { day, minute }: LocalTime): boolean {
  const isDay = (one: number) => days.size === 0 || days.has(one)
  if (hours.length === 0) return isDay(day)
  return hours.some(({ from, to }) => {
    if (from < to) return isDay(day) && minute >= from && minute < to
    return (isDay(day) && minute >= from) || (isDay((day + 6) % 7) && minute < to)
  })
}

/**
 * When the schedule next changes its mind after `nowMs`; undefined: within nine days it does not. Both on the wall clock, to
 * the minute. `localAt` says what a clock on the wall shows, so that hours that are skipped or repeated when clocks change
 * (daylight saving time) are as a person at the machine sees them.
 */
export function nextChange(
  schedule: Schedule,
  nowMs: Millis,
  localAt: (wallMs: Millis) => LocalTime,
): Millis | undefined {
  if (schedule.hours.length === 0 && schedule.days.size === 0) return undefined
  const isAllowed = (wallMs: Millis) => isWithin(schedule, localAt(wallMs))
  const before = isAllowed(nowMs)
  const edges = [0, ...schedule.hours.flatMap(({ from, to }) => [from, to % DAY_MINUTES])]
  const endMs = nowMs + LOOK_AHEAD_DAYS * DAY_MINUTES * MINUTE_MS
  // From the beginning of a minute on, from edge to edge.
  let known = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
  while (known < endMs) {
    const { minute } = localAt(known)
    const ahead = Math.min(...edges.map((edge) => (edge - minute + DAY_MINUTES - 1) % DAY_MINUTES)) + 1
    const next = known + Math.min(ahead, STEP_MINUTES) * MINUTE_MS
    if (isAllowed(next) !== before) return firstChange(known, next, before, isAllowed)
    known = next
  }
  return undefined
}

/** The first minute after `known` that is not as `before`, where `changed` is one: a clock that was put forward hides edges. */
function firstChange(known: Millis, changed: Millis, before: boolean, isAllowed: (wallMs: Millis) => boolean): Millis {
  let low = known / MINUTE_MS
  let high = changed / MINUTE_MS
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (isAllowed(middle * MINUTE_MS) === before) low = middle
    else high = middle
  }
  return high * MINUTE_MS
}
