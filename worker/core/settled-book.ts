import type { JobId, PublicKey } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { type UnitPage, UnitSet } from './unit-set.js'

/** Rows kept; past it jobs of the oldest days are added up, then their submitters. Totals never change. */
export const ROWS_MAX = 20_000
/** What is left of them then, so that it does not happen at every unit. */
const ROWS_LEFT = 15_000
/** Pieces of 1,024 units remembered as counted: 8 MiB. Past it the job longest without news is forgotten. */
export const PAGES_MAX = 65_536
/**
 * A job whose units have not been settled for so long is over, as jobs live 30 days and facts a day more: that a unit of it
 * was counted need not be known any longer. Unit: ms.
 */
const JOB_OVER_MS: Millis = 100 * 24 * 3_600_000
const DAY_MS: Millis = 24 * 3_600_000

/** A day of the calendar in UTC, counted from 1970-01-01. UTC, so that the days of several machines add up. */
export type Day = number

/** The day that an instant, in ms since 1970, falls on. */
export function dayOf(atMs: number): Day {
  return Math.floor(atMs / DAY_MS)
}

/** The job that units were of; the name is the submitter's own and as hostile as any text. */
export interface SettledJob {
  readonly jobId: JobId
  readonly jobName: string
  readonly submitter: PublicKey
}

/** One unit that an owner has called settled: what it took. */
export interface SettledCost {
  readonly unit: number
  readonly fuel: bigint
  readonly computeMs: Millis
}

/** Units of one job that became settled, each counted here for the first time. */
export interface SettledEntry extends SettledJob {
  readonly day: Day
  readonly agreed: readonly number[]
  readonly disagreed: readonly number[]
  /** Fuel and time of the agreed ones together. */
  readonly fuel: bigint
  readonly computeMs: Millis
}

/** What was given on one day to one job. `jobId`, then `submitter` are empty where old rows were added up. */
export interface SettledRow {
  readonly day: Day
  readonly jobId: JobId | ''
  readonly jobName: string
  readonly submitter: PublicKey | ''
  /** Units of which others said the same, and those of which they did not. */
  readonly agreed: number
  readonly disagreed: number
  /** Fuel and computing time of the agreed units. */
  readonly fuel: bigint
  readonly computeMs: Millis
}

/** Units counted of a job that may still go on. */
interface CountedUnits {
  readonly jobId: JobId
  /** When the last of them was. */
  readonly day: Day
  readonly pages: readonly UnitPage[]
}

/** All that a book holds. */
export interface SettledBookContent {
  readonly rows: readonly SettledRow[]
  readonly counted: readonly CountedUnits[]
}

interface Counted {
  day: Day
  readonly units: UnitSet
}

/**
 * What a worker gave: sums by day, job and submitter, and which units are in them, so that none is counted twice. Both are
 * bounded, and the totals are exact for ever.
 */
export class SettledBook {
  readonly #rows = new Map<string, SettledRow>()
  /** By job, the one with the oldest news first. */
  readonly #counted = new Map<JobId, Counted>()
  #pages = 0

  constructor({ rows, counted }: SettledBookContent = { rows: [], counted: [] }) {
    for (const row of rows) this.#rows.set(nameOf(row), row)
    for (const { jobId, day, pages } of counted) {
      const units = UnitSet.of(pages)
      this.#counted.set(jobId, { day, units })
      this.#pages += units.pageCount
    }
  }

  /** Whether the unit was counted; forgotten of jobs that are long over. */
  has(jobId: JobId, unit: number): boolean {
    return this.#counted.get(jobId)?.units.has(unit) === true
  }

  /** The part of these units that is not in the book yet, as an entry to be kept; undefined when all of them are. */
  unseen(
    { jobId, jobName, submitter }: SettledJob,
    agreed: readonly SettledCost[],
    disagreed: readonly SettledCost[],
    day: Day,
  ): SettledEntry | undefined {
    const counted = this.#counted.get(jobId)?.units
    const seen = new Set<number>()
    const isNew = ({ unit }: SettledCost) => {
      if (counted?.has(unit) === true || seen.has(unit)) return false
      seen.add(unit)
      return true
    }
    const right = agreed.filter(isNew)
    const wrong = disagreed.filter(isNew)
    if (seen.size === 0) return undefined
    return {
      day,
      jobId,
      jobName,
      submitter,
      agreed: right.map(({ unit }) => unit),
      disagreed: wrong.map(({ unit }) => unit),
      fuel: right.reduce((sum, { fuel }) => sum + fuel, 0n),
      computeMs: right.reduce((sum, { computeMs }) => sum + computeMs, 0),
    }
  }

  /** Counts an entry that {@link unseen} gave, now or in an earlier life. */
  add({ agreed, disagreed, ...entry }: SettledEntry): void {
    const { jobId, day } = entry
    const counted = this.#counted.get(jobId) ?? { day, units: new UnitSet() }
    this.#counted.delete(jobId)
    this.#counted.set(jobId, counted)
    counted.day = Math.max(counted.day, day)
    const before = counted.units.pageCount
    for (const unit of agreed) counted.units.add(unit)
    for (const unit of disagreed) counted.units.add(unit)
    this.#pages += counted.units.pageCount - before
    this.#addRow({ ...entry, agreed: agreed.length, disagreed: disagreed.length })
    this.#forgetCounted(day)
    if (this.#rows.size > ROWS_MAX) this.#fold()
  }

  /** Oldest day first. */
  rows(): SettledRow[] {
    return [...this.#rows.values()].sort((a, b) => a.day - b.day || (a.jobId < b.jobId ? -1 : 1))
  }

  content(): SettledBookContent {
    const counted = [...this.#counted].map(([jobId, { day, units }]) => ({ jobId, day, pages: units.pages() }))
    return { rows: this.rows(), counted }
  }

  #addRow(row: SettledRow): void {
    const name = nameOf(row)
    const known = this.#rows.get(name)
    this.#rows.set(name, known === undefined ? row : sumOf(known, row))
  }

  #forgetCounted(today: Day): void {
    for (const [jobId, { day, units }] of this.#counted) {
      const isOver = (today - day) * DAY_MS > JOB_OVER_MS
      // The one just added to is the last: it stays whatever it takes.
      if ((!isOver && this.#pages <= PAGES_MAX) || this.#counted.size === 1) return
      this.#counted.delete(jobId)
      this.#pages -= units.pageCount
    }
  }

  /** Adds rows of the oldest days up: first the jobs of each submitter, then the submitters. */
  #fold(): void {
    for (const fold of [
      (row: SettledRow): SettledRow => ({ ...row, jobId: '', jobName: '' }),
      (row: SettledRow): SettledRow => ({ ...row, jobId: '', jobName: '', submitter: '' }),
    ]) {
      for (const row of this.rows()) {
        if (this.#rows.size <= ROWS_LEFT) return
        this.#rows.delete(nameOf(row))
        this.#addRow(fold(row))
      }
    }
  }
}

/** Two rows of one name together. */
function sumOf(a: SettledRow, b: SettledRow): SettledRow {
  return {
    ...a,
    jobName: a.jobName || b.jobName,
    agreed: a.agreed + b.agreed,
    disagreed: a.disagreed + b.disagreed,
    fuel: a.fuel + b.fuel,
    computeMs: a.computeMs + b.computeMs,
  }
}

function nameOf({ day, jobId, submitter }: SettledRow): string {
  return `${day} ${jobId} ${submitter}`
}
