import { checkReportFact } from '../../job/facts/facts.js'
import type { Vote } from '../../job/facts/votes.js'
import { type Answered, hasAnswer } from '../../job/verdict/judgement.js'
import { reportFactCodec } from '../../proto/codec/facts.js'
import type { ResultsReply, ResultsRequest, SettledUnit } from '../../proto/job-messages.js'
import { INLINE_OUTPUT_BYTES_MAX, RESULTS_BYTES_MAX, RESULTS_FACTS_MAX, RESULTS_UNITS_MAX } from '../../proto/limits.js'
import type { ReportFact } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Caller, MessageStream } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { JobBook } from '../jobs/job-book.js'
import type { OutputFiles } from '../output-files.js'
import type { Shard } from '../owner/core/shard.js'
import { isDecided, type UnitRecord } from '../owner/core/unit-record.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { Store } from '../store/store.js'

/** Facts read at a time, and bytes of one message before it is sent. */
const FACTS_PAGE = 64
const MESSAGE_BYTES = RESULTS_BYTES_MAX / 4

/** What results are served from. */
export interface ResultsContext {
  readonly clock: Clock
  readonly owner: OwnerDriver
  readonly book: JobBook
  readonly store: Store
  readonly outputs: OutputFiles
  /** Reads a shard back that has left memory. @throws GridError `notFound` */
  readonly shard: (job: BookedJob, shard: number) => Promise<Shard>
}

/**
 * One reader's way through one shard. Facts go out in the order in which they were written; a unit follows once all facts it
 * leans on are out.
 */
export class ResultsStream {
  readonly #c: ResultsContext
  readonly #job: BookedJob
  readonly #shard: Shard
  readonly #request: ResultsRequest
  readonly #stream: MessageStream<unknown, ResultsReply>
  readonly #signal: AbortSignal
  /** Votes already sent, for telling when a unit can follow. */
  readonly #sent = new Set<string>()
  readonly #done = new Set<number>()
  /** Units decided whose facts are not all out yet. */
  readonly #due = new Set<number>()
  #row = 0

  constructor(
    context: ResultsContext,
    job: BookedJob,
    shard: Shard,
    request: ResultsRequest,
    stream: MessageStream<unknown, ResultsReply>,
    signal: AbortSignal,
  ) {
    this.#c = context
    this.#job = job
    this.#shard = shard
    this.#request = request
    this.#stream = stream
    this.#signal = signal
  }

  async run(): Promise<void> {
    const { owner } = this.#c
    const { jobId, shard } = this.#request
    let wake: (() => void) | undefined
    let news = false
    const stop = owner.listen(jobId, shard, {
      decided: (units) => {
        for (const unit of units) if (this.#wants(unit)) this.#due.add(unit)
        news = true
        wake?.()
      },
      closed: () => this.#stream.cancel(new GridError('expired', 'the shard is not kept here any more')),
    })
    this.#signal.addEventListener('abort', () => wake?.())
    try {
      for (const record of this.#shard.records())
        if (settledResult(record) !== undefined && this.#wants(record.unit)) this.#due.add(record.unit)
      while (!this.#signal.aborted) {
        news = false
        const finished = this.#shard.finished || this.#shard.job.view.cancelled
        const isShown = finished || isNamed(this.#job, this.#stream.caller)
        if (isShown) await this.#pump()
        if ((this.#due.size === 0 || !isShown) && (finished || !this.#request.follow)) {
          this.#stream.send({ facts: [], settled: [], done: finished })
          this.#stream.end()
          return
        }
        if (isShown && this.#due.size > 0 && !this.#request.follow)
          throw new GridError('internal', 'a decided unit leans on facts that are not on disk')
        if (!news) await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      stop()
    }
  }

  get #isByConfidence(): boolean {
    return this.#shard.rules.policy.type === 'confidence'
  }

  #wants(unit: number): boolean {
    if (this.#done.has(unit)) return false
    const { units } = this.#request
    return units.length === 0 || units.some(({ first, count }) => unit >= first && unit < first + count)
  }

  /** Sends everything that can go out now. */
  async #pump(): Promise<void> {
    for (;;) {
      const page = await this.#c.store.facts(this.#job.jobId, this.#shard.shard, this.#row, FACTS_PAGE)
      const facts: ReportFact[] = []
      let bytes = 0
      for (const { row, fact } of page) {
        this.#row = row
        const decoded = reportFactCodec.decode(fact)
        const checked = checkReportFact(decoded, this.#job.trustingContext())
        if (
          !checked.ok ||
          // Who is to be believed shows on other units of the shard.
          (!this.#isByConfidence &&
            !checked.votes.some(
              ({ unit }) => this.#request.units.length === 0 || this.#wants(unit) || this.#due.has(unit),
            ))
        )
          continue
        facts.push(decoded)
        bytes += fact.length
        for (const vote of checked.votes) this.#sent.add(voteName(vote))
        if (facts.length < RESULTS_FACTS_MAX && bytes < MESSAGE_BYTES) continue
        await this.#send(facts.splice(0), [])
        bytes = 0
      }
      const isAll = page.length < FACTS_PAGE
      if (isAll || !this.#isByConfidence) await this.#sendSettled(facts)
      else if (facts.length > 0) await this.#send(facts, [])
      if (isAll || this.#signal.aborted) return
    }
  }

  /** Sends units that are settled, behind the last of the facts they lean on. */
  async #sendSettled(facts: readonly ReportFact[]): Promise<void> {
    const ready: { unit: number; result: Answered }[] = []
    for (const unit of this.#due) {
      const result = settledResult(this.#shard.record(unit))
      if (result === undefined) {
        this.#due.delete(unit)
        continue
      }
      if (result.agreeing.every((vote) => this.#sent.has(voteName(vote)))) ready.push({ unit, result })
    }
    let unsent = facts
    for (let at = 0; at < ready.length && !this.#signal.aborted; at += RESULTS_UNITS_MAX) {
      await this.#sendUnits(unsent, ready.slice(at, at + RESULTS_UNITS_MAX))
      unsent = []
    }
    if (unsent.length > 0) await this.#send(unsent, [])
  }

  async #sendUnits(facts: readonly ReportFact[], units: readonly { unit: number; result: Answered }[]): Promise<void> {
    const small = this.#request.withOutputs
      ? await readSmall(this.#c, this.#shard, units)
      : new Map<number, Uint8Array>()
    let unsent = facts
    let settled: SettledUnit[] = []
    let bytes = 0
    for (const { unit, result } of units) {
      this.#due.delete(unit)
      this.#done.add(unit)
      const output = small.get(unit)
      settled.push({
        unit,
        digest: result.digest,
        outcome: result.outcome,
        output,
        outputBytes: output?.length ?? result.outputBytes,
      })
      bytes += 64 + (output?.length ?? 0)
      if (bytes < MESSAGE_BYTES) continue
      await this.#send(unsent, settled)
      unsent = []
      settled = []
      bytes = 0
    }
    if (settled.length > 0) await this.#send(unsent, settled)
  }

  async #send(facts: readonly ReportFact[], settled: readonly SettledUnit[]): Promise<void> {
    if (!this.#stream.send({ facts, settled, done: false })) await this.#stream.drained()
  }
}

/** Small outputs of settled units, from whichever agreeing fact brought them. */
export async function readSmall(
  context: ResultsContext,
  shard: Shard,
  units: readonly { unit: number; result: Answered }[],
): Promise<Map<number, Uint8Array>> {
  const found = new Map<number, Uint8Array>()
  let left = units.filter(({ result }) => result.outputBytes <= INLINE_OUTPUT_BYTES_MAX)
  for (let opinion = 0; left.length > 0; opinion++) {
    const wanted = left.flatMap(({ unit, result }) => {
      const vote: Vote | undefined = result.agreeing[opinion]
      const factIds = vote === undefined ? [] : context.owner.factsOf(shard.jobId, shard.shard, vote.reportId)
      return factIds.map((factId) => ({ unit, factId }))
    })
    if (wanted.length === 0) break
    for (const [unit, bytes] of await context.store.outputs(shard.jobId, shard.shard, wanted)) found.set(unit, bytes)
    left = left.filter(({ unit, result }) => !found.has(unit) && opinion + 1 < result.agreeing.length)
  }
  return found
}

/** What is settled of a unit; undefined: nothing yet. */
export function settledResult(record: UnitRecord | undefined): Answered | undefined {
  if (record === undefined || !isDecided(record.state)) return undefined
  const { judgement } = record
  return hasAnswer(judgement) ? judgement : undefined
}

/** A vote as the facts give it: one report may stand in two facts with grants of different owners. */
function voteName({ reportId, grantor }: Vote): string {
  return `${reportId} ${grantor}`
}

/** Whether the submitter trusts the caller with answers to units that are still open. */
export function isNamed({ spec }: BookedJob, { publicKey }: Caller): boolean {
  return publicKey === spec.submitter || spec.readers.includes(publicKey) || spec.judges.includes(publicKey)
}
