import { clipRanges, mergeRanges } from '../../job/units/selection.js'
import { unitCount } from '../../job/units/unit-source.js'
import type { JobId, UnitRange } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { GridClient, KnownJob } from '../session/session.js'
import type { ResultsSummary, UnitAnswer } from './answer.js'
import { type ResultsOptions, ResultsReader } from './results.js'
import { mergeSummaries } from './tally.js'

/** Retries of one job that are read together with it. */
const FAMILY_MAX = 64

/** An answer with the job it comes from: the one asked for, or a retry of it. */
export interface FamilyAnswer {
  readonly jobId: JobId
  readonly answer: UnitAnswer
}

/**
 * The results of a job with those of its retries: each unit from the youngest retry that selects it. `retries` ascend by
 * age, oldest first; each must name the job, or one before it, as its parent.
 */
export class FamilyReader implements AsyncIterable<FamilyAnswer> {
  readonly #members: readonly { readonly jobId: JobId; readonly reader: ResultsReader }[]
  readonly #ordered: boolean

  /** Throws GridError `invalid` for jobs that are no retries, or more than 64. */
  constructor(client: GridClient, job: KnownJob, retries: readonly KnownJob[], options: ResultsOptions = {}) {
    if (retries.length > FAMILY_MAX)
      throw new GridError('invalid', `at most ${FAMILY_MAX} retries are read with their job`)
    const seen = new Set<JobId>([job.jobId])
    for (const { jobId, spec } of retries) {
      if (spec.parent === undefined || !seen.has(spec.parent))
        throw new GridError('invalid', `${jobId.slice(0, 8)} is no retry of this job`)
      seen.add(jobId)
    }
    this.#ordered = options.order !== 'settled'
    let free: readonly UnitRange[] = options.units
      ? mergeRanges(options.units)
      : [{ first: 0, count: unitCount(job.spec) }]
    const members: { jobId: JobId; reader: ResultsReader }[] = []
    for (const member of [...retries.toReversed(), job]) {
      const { selection } = member.spec
      const own =
        selection.length === 0 ? free : selection.flatMap(({ first, count }) => clipRanges(free, first, first + count))
      free = without(free, own)
      members.push({ jobId: member.jobId, reader: new ResultsReader(client, member, { ...options, units: own }) })
    }
    this.#members = members
  }

  /** What came of reading so far, of all the jobs together. */
  get summary(): ResultsSummary {
    return mergeSummaries(this.#members.map(({ reader }) => reader.summary))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FamilyAnswer, void, undefined> {
    if (!this.#ordered) {
      for (const { jobId, reader } of this.#members) for await (const answer of reader) yield { jobId, answer }
      return
    }
    const sources = this.#members.map(({ jobId, reader }) => ({ jobId, answers: reader[Symbol.asyncIterator]() }))
    try {
      const heads = await Promise.all(sources.map(({ answers }) => answers.next()))
      for (;;) {
        let least = -1
        heads.forEach((head, i) => {
          if (head.done) return
          const other = least < 0 ? undefined : heads[least]!
          if (other === undefined || (!other.done && head.value.unit < other.value.unit)) least = i
        })
        const head = heads[least]
        if (head === undefined || head.done) return
        yield { jobId: sources[least]!.jobId, answer: head.value }
        heads[least] = await sources[least]!.answers.next()
      }
    } finally {
      await Promise.allSettled(sources.map(({ answers }) => answers.return()))
    }
  }
}

/** The parts of `ranges` that are not in `taken`; both ascend and are disjoint. */
function without(ranges: readonly UnitRange[], taken: readonly UnitRange[]): UnitRange[] {
  const left: UnitRange[] = []
  for (const { first, count } of ranges) {
    let from = first
    for (const cut of clipRanges(taken, first, first + count)) {
      if (cut.first > from) left.push({ first: from, count: cut.first - from })
      from = cut.first + cut.count
    }
    if (from < first + count) left.push({ first: from, count: first + count - from })
  }
  return left
}
