import { mergeRanges } from '../../job/units/selection.js'
import { SELECTION_RANGES_MAX } from '../../proto/limits.js'
import type { UnitRange } from '../../proto/model.js'
import type { MissingReason, MissingUnits, OverturnedUnit, ResultsSummary, UnitAnswer } from './answer.js'
import type { Problem } from './shard-results.js'

/** Problems and overturned units that are kept one by one. */
const PROBLEMS_KEPT = 100
const OVERTURNED_KEPT = 10_000
const REASONS: readonly MissingReason[] = ['open', 'disputed', 'unproved', 'bytes', 'unreachable']

/** Adds up what comes of reading results, in bounded memory. */
export class ResultsTally {
  readonly #units: number
  #proved = 0
  #failed = 0
  #donorsMin = 0
  #donorsMax = 0
  #grantorsMin = 0
  #outputBytes = 0
  #skipped = 0
  #reports = 0
  #voidFacts = 0
  #problemCount = 0
  readonly #problems: Problem[] = []
  readonly #overturned = new Map<number, OverturnedUnit>()
  readonly #missing = new Map<MissingReason, { count: number; ranges: UnitRange[] }>()

  constructor(units: number) {
    this.#units = units
  }

  answered(answer: UnitAnswer): void {
    const donors = answer.donors.length
    const grantors = answer.grantors.length
    this.#donorsMin = this.#proved === 0 ? donors : Math.min(this.#donorsMin, donors)
    this.#grantorsMin = this.#proved === 0 ? grantors : Math.min(this.#grantorsMin, grantors)
    this.#donorsMax = Math.max(this.#donorsMax, donors)
    this.#proved++
    if (answer.state === 'failed') this.#failed++
    if (answer.output === undefined) this.#skipped++
    else this.#outputBytes += answer.outputBytes
  }

  missing(reason: MissingReason, unit: number): void {
    const entry = this.#missing.get(reason) ?? { count: 0, ranges: [] }
    this.#missing.set(reason, entry)
    entry.count++
    const last = entry.ranges.at(-1)
    if (last && last.first + last.count === unit)
      entry.ranges[entry.ranges.length - 1] = { ...last, count: last.count + 1 }
    else if (entry.ranges.length < SELECTION_RANGES_MAX) entry.ranges.push({ first: unit, count: 1 })
  }

  problem(problem: Problem): void {
    this.#problemCount++
    if (this.#problems.length < PROBLEMS_KEPT) this.#problems.push(problem)
  }

  overturned(unit: OverturnedUnit): void {
    if (this.#overturned.size < OVERTURNED_KEPT || this.#overturned.has(unit.unit))
      this.#overturned.set(unit.unit, unit)
  }

  facts(reports: number, voidFacts: number): void {
    this.#reports += reports
    this.#voidFacts += voidFacts
  }

  summary(): ResultsSummary {
    const missing: MissingUnits[] = []
    for (const reason of REASONS) {
      const entry = this.#missing.get(reason)
      if (entry) missing.push({ reason, count: entry.count, units: mergeRanges(entry.ranges) })
    }
    return {
      units: this.#units,
      proved: this.#proved,
      donorsMin: this.#donorsMin,
      donorsMax: this.#donorsMax,
      grantorsMin: this.#grantorsMin,
      done: this.#proved - this.#failed,
      failed: this.#failed,
      missing,
      missingCount: missing.reduce((sum, { count }) => sum + count, 0),
      overturned: [...this.#overturned.values()].sort((a, b) => a.unit - b.unit),
      reports: this.#reports,
      voidFacts: this.#voidFacts,
      outputBytes: this.#outputBytes,
      skipped: this.#skipped,
      problems: this.#problems,
      problemCount: this.#problemCount,
    }
  }
}

/** Those of several readers, each of other units, as one. */
export function mergeSummaries(parts: readonly ResultsSummary[]): ResultsSummary {
  const proved = parts.filter((part) => part.proved > 0)
  const sum = (pick: (part: ResultsSummary) => number) => parts.reduce((total, part) => total + pick(part), 0)
  const least = (pick: (part: ResultsSummary) => number) => (proved.length === 0 ? 0 : Math.min(...proved.map(pick)))
  const reasons = [...new Set(parts.flatMap(({ missing }) => missing.map(({ reason }) => reason)))]
  return {
    units: sum(({ units }) => units),
    proved: sum((part) => part.proved),
    donorsMin: least(({ donorsMin }) => donorsMin),
    donorsMax: Math.max(...proved.map(({ donorsMax }) => donorsMax), 0),
    grantorsMin: least(({ grantorsMin }) => grantorsMin),
    done: sum(({ done }) => done),
    failed: sum(({ failed }) => failed),
    missing: reasons.map((reason) => {
      const of = parts.flatMap(({ missing }) => missing.filter((entry) => entry.reason === reason))
      return {
        reason,
        count: of.reduce((total, { count }) => total + count, 0),
        units: mergeRanges(of.flatMap(({ units }) => units)),
      }
    }),
    missingCount: sum(({ missingCount }) => missingCount),
    overturned: parts.flatMap(({ overturned }) => overturned),
    reports: sum(({ reports }) => reports),
    voidFacts: sum(({ voidFacts }) => voidFacts),
    outputBytes: sum(({ outputBytes }) => outputBytes),
    skipped: sum(({ skipped }) => skipped),
    problems: parts.flatMap(({ problems }) => problems).slice(0, PROBLEMS_KEPT),
    problemCount: sum(({ problemCount }) => problemCount),
  }
}
