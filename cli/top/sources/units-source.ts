import { askWhy } from '../../../client/explain/explain.js'
import { type ListedUnit, listUnits } from '../../../client/follow/units.js'
import type { UnitAnswer } from '../../../client/results/answer.js'
import { ResultsReader } from '../../../client/results/results.js'
import type { GridClient, KnownJob } from '../../../client/session/session.js'
import { formatDuration } from '../../../job/quantity.js'
import { unitCount } from '../../../job/units/unit-source.js'
import type { ShowReply } from '../../../proto/job-messages.js'
import type { JobId } from '../../../proto/model.js'
import { type Clock, type Millis, pause } from '../../../runtime/clock.js'
import { toGridError } from '../../../runtime/errors.js'
import { type TopEvent, UNITS_PAGE, type UnitDetail, type UnitsQuery } from '../core/messages.js'

interface UnitsSourceContext {
  readonly client: GridClient
  readonly clock: Clock
  readonly signal: AbortSignal
  emit(event: TopEvent): void
}

/** The same units are listed again no more often than this. Unit: ms. */
const AGAIN_MS: Millis = 2_000
/** What a home said of a job's shards is used for so long. Unit: ms. */
const SHOWN_MS: Millis = 10_000
/** Bytes of what a unit wrote that are shown. */
const TEXT_BYTES_MAX = 16_384
/** Events of the past that are shown. */
const HISTORY_MAX = 20

/** Units of the job on the screen, one page at a time. */
export class UnitsSource {
  readonly #c: UnitsSourceContext
  #job: KnownJob | undefined
  #shown: { readonly reply: ShowReply; readonly at: Millis } | undefined
  #wanted: UnitsQuery | undefined
  #running: { readonly query: UnitsQuery; readonly stop: AbortController } | undefined
  #opening: AbortController | undefined

  constructor(context: UnitsSourceContext) {
    this.#c = context
  }

  /** Lists a page; the one asked for last wins. */
  list(query: UnitsQuery): void {
    this.#wanted = query
    if (this.#running === undefined) void this.#run()
    else if (!isSame(this.#running.query, query)) this.#running.stop.abort()
  }

  /** Fetches what is proved of a unit; the one asked for last wins. */
  open(jobId: JobId, unit: number): void {
    this.#opening?.abort()
    const stop = this.#stopper()
    this.#opening = stop
    this.#detail(jobId, unit, stop.signal).then(
      (detail) => {
        if (!stop.signal.aborted) this.#c.emit({ type: 'unitOpened', jobId, unit, detail })
      },
      (error: unknown) => {
        const detail = { answer: undefined, note: toGridError(error).message, history: [] }
        if (!stop.signal.aborted) this.#c.emit({ type: 'unitOpened', jobId, unit, detail })
      },
    )
  }

  async #run(): Promise<void> {
    const { signal, emit, clock } = this.#c
    let last: { readonly query: UnitsQuery; readonly at: Millis } | undefined
    while (this.#wanted !== undefined && !signal.aborted) {
      const query = this.#wanted
      this.#wanted = undefined
      const stop = this.#stopper()
      this.#running = { query, stop }
      if (last !== undefined && isSame(last.query, query))
        await pause(clock, Math.max(0, last.at + AGAIN_MS - clock.now()), stop.signal)
      try {
        if (!stop.signal.aborted) emit({ type: 'unitsListed', query, ...(await this.#page(query, stop.signal)) })
      } catch (error) {
        if (!stop.signal.aborted) emit({ type: 'unitsTroubled', query, reason: toGridError(error).message })
      }
      last = { query, at: clock.now() }
      stop.abort()
    }
    this.#running = undefined
  }

  async #page(
    { jobId, state, fromUnit }: UnitsQuery,
    signal: AbortSignal,
  ): Promise<{ readonly units: readonly ListedUnit[]; readonly isLast: boolean }> {
    const { client } = this.#c
    const job = await this.#known(jobId)
    const shown = await this.#show(jobId)
    const found: ListedUnit[] = []
    const total = unitCount(job.spec)
    if (fromUnit >= total) return { units: [], isLast: true }
    for await (const unit of listUnits(client, job, {
      units: [{ first: fromUnit, count: total - fromUnit }],
      limit: UNITS_PAGE + 1,
      shown,
      signal,
      ...(state === undefined ? {} : { states: [state] }),
    })) {
      found.push(unit)
    }
    return { units: found.slice(0, UNITS_PAGE), isLast: found.length <= UNITS_PAGE }
  }

  async #known(jobId: JobId): Promise<KnownJob> {
    if (this.#job?.jobId !== jobId) {
      this.#shown = undefined
      this.#job = await this.#c.client.job(jobId)
    }
    return this.#job
  }

  async #show(jobId: JobId): Promise<ShowReply> {
    const { client, clock } = this.#c
    if (this.#shown === undefined || clock.now() - this.#shown.at > SHOWN_MS)
      this.#shown = { reply: await client.show(jobId, true), at: clock.now() }
    return this.#shown.reply
  }

  /** What can be proved of a unit, and beside it what its owners say: without the one the other is of use, too. */
  async #detail(jobId: JobId, unit: number, signal: AbortSignal): Promise<UnitDetail> {
    const [proved, history] = await Promise.all([
      this.#proved(jobId, unit, signal),
      this.#history(jobId, unit, signal).catch(() => []),
    ])
    return { ...proved, history }
  }

  async #history(jobId: JobId, unit: number, signal: AbortSignal): Promise<readonly string[]> {
    const words = { job: jobId.slice(0, 12), flags: '' }
    const { unit: explained } = await askWhy(this.#c.client, jobId, words, { unit, signal })
    if (explained === undefined) return []
    const past = explained.timeline.slice(-HISTORY_MAX).reverse()
    return [...explained.lines, ...past.map(({ agoMs, text }) => `${formatDuration(agoMs)} ago ${text}`)]
  }

  async #proved(jobId: JobId, unit: number, signal: AbortSignal): Promise<Omit<UnitDetail, 'history'>> {
    const reader = new ResultsReader(this.#c.client, await this.#known(jobId), {
      units: [{ first: unit, count: 1 }],
      order: 'settled',
      signal,
    })
    for await (const answer of reader) return { answer: answerOf(answer), note: '' }
    const { missing } = reader.summary
    return { answer: undefined, note: MISSING[missing[0]?.reason ?? 'open'] }
  }

  /** Aborts by itself when the dashboard ends. */
  #stopper(): AbortController {
    const stop = new AbortController()
    const { signal } = this.#c
    const onAbort = () => stop.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    stop.signal.addEventListener('abort', () => signal.removeEventListener('abort', onAbort), { once: true })
    return stop
  }
}

const MISSING = {
  open: 'it has no settled result yet',
  disputed: 'its answers contradict each other; more opinions are asked for',
  unproved: 'an owner says that it is settled, and cannot prove it',
  bytes: 'its result is proved, but nobody gave the bytes',
  unreachable: 'no owner of its shard answered',
} as const

function isSame(a: UnitsQuery, b: UnitsQuery): boolean {
  return a.jobId === b.jobId && a.state === b.state && a.fromUnit === b.fromUnit
}

function answerOf({ state, outcome, output, digest, outputBytes, fuel, donors, grantors, reason }: UnitAnswer) {
  const text = (bytes: Uint8Array | undefined) =>
    bytes === undefined ? '' : new TextDecoder().decode(bytes.subarray(0, TEXT_BYTES_MAX)).trimEnd()
  return {
    state,
    outcome,
    exitCode: output?.exitCode ?? 0,
    digest,
    outputBytes,
    fuel,
    donors,
    grantors,
    reason,
    stderr: text(output?.stderr),
    stderrBytes: output?.stderrLength ?? 0,
    stdout: text(output?.stdout),
    stdoutBytes: output?.stdout.length ?? 0,
  }
}
