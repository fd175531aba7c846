import type { Restraint } from '../../../proto/admin-messages.js'
import type { Millis } from '../../../runtime/clock.js'
import type { Preferences } from './preferences.js'
import { isWithin, type LocalTime, nextChange } from './schedule.js'

/** A machine that was too hot computes again once it is so much cooler. Unit: degrees Celsius. */
export const COOLER_BY = 5

/** What is known of the machine; undefined: it does not tell, or nobody asked. */
export interface Conditions {
  /** Charge in percent while it runs on battery; `mains`: it does not. */
  readonly battery: number | 'mains' | undefined
  /** Of the processor, in degrees Celsius. */
  readonly temperature: number | undefined
  /** Time since somebody used it. */
  readonly idleMs: Millis | undefined
  /** Which of the programs asked for run. */
  readonly running: readonly string[]
  /** Process id of the compute process, when somebody else has stopped it. */
  readonly stoppedPid?: number | undefined
}

/** Of a machine whose sensors have told nothing, or not yet. */
export const NOTHING_KNOWN: Conditions = { battery: undefined, temperature: undefined, idleMs: undefined, running: [] }

/** What the volunteer said and what happened since the process started. */
export interface Course {
  /** Nothing is to be computed until then, by the wall clock; infinite: until resumed; undefined: not paused. */
  readonly pausedUntilMs: Millis | undefined
  readonly startedMs: Millis
  readonly computed: number
  /** It was too hot when this was last decided. */
  readonly wasHot: boolean
}

/** What the worker may do now. */
export interface Decision {
  /** Threads that may compute. 0: the compute process is to stand still. */
  readonly threads: number
  /** Share of the time in which they may. Range: above 0, to 1. */
  readonly share: number
  /** Why it computes nothing, what the volunteer said first. */
  readonly restraints: readonly Restraint[]
  /** Who stops the compute process while there are restraints. What others have stopped is theirs to continue. */
  readonly stoppedBy: 'us' | 'others'
  /** It has done what it was asked for: finish what is in hand and stop. The reason; undefined: not yet. */
  readonly done: string | undefined
  readonly isHot: boolean
  /** When this changes without anything else happening, by the wall clock; undefined: never. */
  readonly nextMs: Millis | undefined
}

/** What a worker may do at the instant `nowMs` of the wall clock, by what its volunteer wants and how the machine is. */
export function decide(
  preferences: Preferences,
  course: Course,
  conditions: Conditions,
  nowMs: Millis,
  localAt: (wallMs: Millis) => LocalTime,
): Decision {
  const restraints: Restraint[] = []
  const changes: Millis[] = []
  /** `untilMs` undefined: unknown. */
  const restrain = (preference: string, reason: string, untilMs?: Millis) => {
    restraints.push({ preference, reason, untilMs: untilMs ?? 0 })
    if (untilMs !== undefined) changes.push(untilMs)
  }
  const { schedule, whenIdleMs, batteryMin, temperatureMax, forMs, unitsMax } = preferences
  const { pausedUntilMs, startedMs, computed, wasHot } = course
  const { battery, temperature, idleMs, running, stoppedPid } = conditions

  if (pausedUntilMs !== undefined && pausedUntilMs > nowMs)
    restrain('pause', 'paused', Number.isFinite(pausedUntilMs) ? pausedUntilMs : undefined)
  const change = nextChange(schedule, nowMs, localAt)
  if (!isWithin(schedule, localAt(nowMs))) restrain(...scheduleWords(preferences), change)
  else if (change !== undefined) changes.push(change)
  if (typeof battery === 'number' && (batteryMin === undefined || battery < batteryMin)) {
    restrain(
      'on-battery',
      batteryMin === undefined ? 'on battery' : `on battery, ${battery} % of ${batteryMin} % charged`,
    )
  }
  const isHot =
    temperatureMax !== undefined && temperature !== undefined && temperature > temperatureMax - (wasHot ? COOLER_BY : 0)
  if (isHot) restrain('max-temp', `${Math.round(temperature)} °C, more than ${temperatureMax} °C`)
  for (const program of running) restrain('pause-for', `${program} runs`)
  if (whenIdleMs !== undefined && idleMs !== undefined && idleMs < whenIdleMs) {
    restrain('when-idle', `in use ${ago(idleMs)}`, nowMs + whenIdleMs - idleMs)
  }
  if (preferences.threads === 0) restrain('cpus', 'no threads')
  const stoppedBy = stoppedPid === undefined || restraints.length > 0 ? 'us' : 'others'
  if (stoppedPid !== undefined)
    restrain('stopped', `the compute process was stopped from outside; 'kill -CONT ${stoppedPid}' lets it go on`)
  const endMs = forMs === undefined ? undefined : startedMs + forMs
  if (endMs !== undefined && endMs > nowMs) changes.push(endMs)
  const done =
    unitsMax !== undefined && computed >= unitsMax
      ? `${computed} units computed`
      : endMs !== undefined && nowMs >= endMs
        ? 'the time asked for is over'
        : undefined
  return {
    threads: restraints.length > 0 ? 0 : preferences.threads,
    share: preferences.share,
    restraints,
    stoppedBy,
    done,
    isHot,
    nextMs: changes.length === 0 ? undefined : Math.min(...changes),
  }
}

function scheduleWords({ schedule: { hours, days } }: Preferences): [preference: string, reason: string] {
  if (hours.length === 0) return ['days', `only on ${formatDays(days)}`]
  const when = hours.map(({ from, to }) => `${clock(from)}-${clock(to)}`).join(',')
  return ['hours', `outside ${when}${days.size === 0 ? '' : ` ${formatDays(days)}`}`]
}

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** `mon,tue,sun`: Monday first. */
function formatDays(days: ReadonlySet<number>): string {
  return [1, 2, 3, 4, 5, 6, 0]
    .filter((day) => days.has(day))
    .map((day) => DAYS[day])
    .join(',')
}

function clock(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}

function ago(ms: Millis): string {
  if (ms < 10_000) return 'just now'
  return ms < 120_000 ? `${Math.round(ms / 1_000)} s ago` : `${Math.round(ms / 60_000)} min ago`
}
