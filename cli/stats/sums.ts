import type { JobId, PublicKey } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { Day, SettledRow } from '../../worker/ledger.js'

/** What rows are added up by. */
export const GROUPINGS = ['day', 'job', 'submitter'] as const
/** One of {@link GROUPINGS}. */
export type Grouping = (typeof GROUPINGS)[number]

/** Units, fuel and time of several rows together. */
export interface Sum {
  readonly agreed: number
  readonly disagreed: number
  readonly fuel: bigint
  readonly computeMs: Millis
  /** Jobs that are told apart; those of rows that were added up before are not among them. */
  readonly jobs: number
  readonly firstDay: Day
  readonly lastDay: Day
}

/** A sum, with what its rows have in common. */
export interface Group extends Sum {
  /** With the grouping `day`. */
  readonly day?: Day
  /** With `job`; empty: jobs of long ago, added up. */
  readonly jobId?: JobId | ''
  readonly jobName?: string
  /** With `submitter` and `job`; empty: not known any more. */
  readonly submitter?: PublicKey | ''
}

/** The sum of `rows`; undefined when there are none. */
export function sumRows(rows: readonly SettledRow[]): Sum | undefined {
  const [first] = rows
  if (first === undefined) return undefined
  const sum = { agreed: 0, disagreed: 0, fuel: 0n, computeMs: 0, firstDay: first.day, lastDay: first.day }
  const jobs = new Set<string>()
  for (const row of rows) {
    sum.agreed += row.agreed
    sum.disagreed += row.disagreed
    sum.fuel += row.fuel
    sum.computeMs += row.computeMs
    sum.firstDay = Math.min(sum.firstDay, row.day)
    sum.lastDay = Math.max(sum.lastDay, row.day)
    if (row.jobId !== '') jobs.add(row.jobId)
  }
  return { ...sum, jobs: jobs.size }
}

/** Rows added up: days in order, jobs and submitters by what they were given, most computing time first. */
export function groupRows(rows: readonly SettledRow[], by: Grouping): Group[] {
  const lists = new Map<string, SettledRow[]>()
  for (const row of rows) {
    const name = by === 'day' ? `${row.day}` : by === 'job' ? `${row.jobId} ${row.submitter}` : row.submitter
    const list = lists.get(name)
    if (list === undefined) lists.set(name, [row])
    else list.push(row)
  }
  const groups = [...lists.values()].map((list): Group => {
    const { day, jobId, submitter } = list[0]!
    const jobName = list.find((row) => row.jobName !== '')?.jobName ?? ''
    const common = by === 'day' ? { day } : by === 'job' ? { jobId, jobName, submitter } : { submitter }
    return { ...common, ...sumRows(list)! }
  })
  return by === 'day'
    ? groups.sort((a, b) => a.firstDay - b.firstDay)
    : groups.sort((a, b) => b.computeMs - a.computeMs || b.agreed - a.agreed)
}

/** A day as `2026-11-23`. */
export function dayText(day: Day): string {
  return new Date(day * 86_400_000).toISOString().slice(0, 10)
}

const SCALES = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']

/** A count of any size in four digits at most: `950`, `12.3 k`, `4.56 M`; 1,000 to the step. */
export function scaledText(value: bigint): string {
  let scale = 0
  // 999.95 would round to "1000" in the smaller unit; whole numbers need no rounding.
  let thousandths = value * 1_000n
  while (thousandths >= (scale === 0 ? 1_000_000n : 999_500n) && scale < SCALES.length - 1) {
    thousandths = (thousandths + 500n) / 1_000n
    scale++
  }
  const number = Number(thousandths) / 1_000
  if (scale === 0) return String(number)
  return `${number.toFixed(number < 9.995 ? 2 : number < 99.95 ? 1 : 0)} ${SCALES[scale]}`
}
