import { clipRanges, count, mergeRanges } from '../../job/units/selection.js'
import { selectedShards, shardUnits } from '../../job/units/shard.js'
import type { Digest, Limits, NodeId, ReportFact, UnitOutput, UnitRange } from '../../proto/model.js'
import { BoundedQueue } from '../../runtime/bounded-queue.js'
import { toGridError } from '../../runtime/errors.js'
import { stopOfMany } from '../../runtime/stop.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { JobProgress } from '../follow/watch.js'
import { fetchOutput, openOutput } from '../session/outputs.js'
import type { Pins, ShardPins } from '../session/pins.js'
import { aborted, type GridClient, type KnownJob } from '../session/session.js'
import { failureReason, type ResultsSummary, type UnitAnswer } from './answer.js'
import { OrderBuffer } from './order-buffer.js'
import { ResultsMonitor } from './results-monitor.js'
import { type Problem, type ProvedUnit, ShardResults } from './shard-results.js'
import { ResultsTally } from './tally.js'

/** Which results are read, in which order, and how long. */
export interface ResultsOptions {
  /** `settled`: each as soon as it is proved. `unit`: ascending, each once all before it are decided. Default `unit`. */
  readonly order?: 'settled' | 'unit'
  /** Wait for what is not settled yet, until the job has ended. Default false: what there is now. */
  readonly follow?: boolean
  /** Only these units; default all selected by the spec. Ascending and disjoint. */
  readonly units?: readonly UnitRange[]
  /** Says that the output of a proved unit is at hand already: it is not fetched. */
  readonly skip?: (unit: number, digest: Digest) => boolean | Promise<boolean>
  /** Where fetched results are pinned, and compared with what was pinned before. */
  readonly pins?: Pins
  readonly signal?: AbortSignal
  /** Told of each look at the job while following. */
  readonly onProgress?: (progress: JobProgress) => void
  /** Told of owners that lie or do not answer, as it happens. */
  readonly onProblem?: (problem: Problem) => void
}

/** Shards read at a time; each holds the facts of its units. While following, idle streams cost little. */
const SHARDS_AT_ONCE = 3
const SHARDS_FOLLOWED = 16
/** Outputs fetched at a time, and bytes of outputs that may wait for a slow reader. */
const FETCHES_AT_ONCE = 4
const BUFFER_BYTES = 16 * 1024 * 1024
/** Bytes of small outputs that may wait for their turn in unit order; beyond it they are fetched again when it comes. */
const INLINE_BUFFER_BYTES = 32 * 1024 * 1024
/** What an answer costs besides its output. Unit: bytes. */
const ANSWER_BYTES = 1_024

/** An answer, or one whose bytes are on their way; undefined when they cannot be had. */
type Pending = { readonly answer: UnitAnswer } | { readonly coming: Promise<UnitAnswer | undefined> }

/** One shard being read. */
interface Run {
  readonly results: ShardResults
  readonly pins: ShardPins | undefined
  readonly fetches: Promise<void>[]
  readonly stop: AbortController
}

/**
 * The results of a job, each proved here: signatures, grants, quorum, and the digest of every output. Iterate it once;
 * {@link summary} holds when the iteration has ended, and adds up what was seen so far before. Iterating throws GridError
 * `forbidden` when results are not for this key, `closed` when aborted; what lies or is missing stands in the summary.
 */
export class ResultsReader implements AsyncIterable<UnitAnswer> {
  readonly #client: GridClient
  readonly #job: KnownJob
  readonly #options: ResultsOptions
  readonly #tally: ResultsTally
  readonly #units: readonly UnitRange[] | undefined
  readonly #out = new BoundedQueue<Pending>(BUFFER_BYTES)
  readonly #abort = stopOfMany()
  readonly #slots: (() => void)[] = []
  #fetching = 0
  #inlineBytes = 0

  constructor(client: GridClient, job: KnownJob, options: ResultsOptions = {}) {
    this.#client = client
    this.#job = job
    this.#options = options
    this.#units = options.units && mergeRanges(options.units)
    const shards = selectedShards(job.spec)
    this.#tally = new ResultsTally(shards.reduce((sum, shard) => sum + count(this.#unitsOf(shard)), 0))
  }

  get summary(): ResultsSummary {
    return this.#tally.summary()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<UnitAnswer, void, undefined> {
    const { signal } = this.#options
    const onAbort = () => this.#abort.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    const running = this.#run().then(
      () => this.#out.end(),
      (error: unknown) => this.#out.end(error),
    )
    try {
      for await (const pending of this.#out) {
        const answer = 'answer' in pending ? pending.answer : await pending.coming
        if (answer === undefined) continue
        this.#tally.answered(answer)
        yield answer
      }
      if (signal?.aborted) throw aborted()
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#abort.abort()
      this.#out.stop()
      await running
    }
  }

  #unitsOf(shard: number): readonly UnitRange[] {
    const { spec } = this.#job
    const selected = shardUnits(spec, shard)
    if (this.#units === undefined) return selected
    return selected.flatMap(({ first, count }) => clipRanges(this.#units!, first, first + count))
  }

  async #run(): Promise<void> {
    const { follow = false, order = 'unit', onProgress } = this.#options
    const { spec } = this.#job
    const shards = selectedShards(spec).filter((shard) => this.#unitsOf(shard).length > 0)
    const monitor = follow
      ? new ResultsMonitor(this.#client, this.#job.jobId, {
          // One shard that waits for held units must not keep those behind it from being read.
          withShards: order === 'settled' && shards.length > SHARDS_FOLLOWED,
          signal: this.#abort.signal,
          ...(onProgress ? { onProgress } : {}),
        })
      : undefined
    const atOnce = follow && order === 'settled' ? SHARDS_FOLLOWED : SHARDS_AT_ONCE
    try {
      if (order === 'unit') await this.#inOrder(shards, atOnce, monitor)
      else await this.#asSettled(shards, atOnce, monitor)
    } finally {
      monitor?.close()
    }
  }

  async #asSettled(shards: readonly number[], atOnce: number, monitor: ResultsMonitor | undefined): Promise<void> {
    let round = shards.map((shard) => ({ shard, units: this.#unitsOf(shard) }))
    for (;;) {
      const again: typeof round = []
      let next = 0
      const work = async () => {
        while (next < round.length && !this.#abort.signal.aborted) {
          const { shard, units } = round[next++]!
          const run = await this.#open(shard, units)
          await this.#read(run, monitor, async (batch) => {
            for (const unit of batch) if (!(await this.#hand(run, unit))) return false
            return true
          })
          // While the job goes on, what was left may settle yet: it is asked for again.
          const ended = monitor === undefined || monitor.ended
          if (!ended && run.results.left.size > 0) again.push({ shard, units: rangesOf(run.results.left) })
          await this.#finish(run, ended)
        }
      }
      await allOrFirstError(Array.from({ length: Math.min(atOnce, round.length) }, work), this.#abort)
      if (again.length === 0 || this.#abort.signal.aborted) return
      round = again.sort((a, b) => a.shard - b.shard)
      await monitor!.nextLook()
    }
  }

  /** Reads a few shards ahead, hands units over in order. */
  async #inOrder(shards: readonly number[], atOnce: number, monitor: ResultsMonitor | undefined): Promise<void> {
    const ahead: { readonly buffer: OrderBuffer; readonly run: Run; readonly reading: Promise<void> }[] = []
    let next = 0
    try {
      for (const shard of shards) {
        while (next < shards.length && ahead.length < atOnce)
          ahead.push(await this.#startOrdered(shards[next++]!, monitor))
        const { buffer, run, reading } = ahead.shift()!
        for (const { first, count } of this.#unitsOf(shard)) {
          for (let unit = first; unit < first + count; unit++) {
            const proved = await buffer.take(unit)
            if (proved === undefined) continue
            this.#inlineBytes -= proved.inline?.length ?? 0
            if (!(await this.#hand(run, proved))) return
          }
        }
        await reading
        await this.#finish(run, true)
      }
    } finally {
      for (const { reading } of ahead) reading.catch(() => {})
    }
  }

  async #startOrdered(shard: number, monitor: ResultsMonitor | undefined) {
    const run = await this.#open(shard, this.#unitsOf(shard))
    const buffer = new OrderBuffer()
    const reading = this.#read(run, monitor, async (batch) => {
      for (const unit of batch) {
        const isRoom = this.#inlineBytes < INLINE_BUFFER_BYTES
        if (isRoom) this.#inlineBytes += unit.inline?.length ?? 0
        buffer.put(isRoom ? unit : { ...unit, inline: undefined })
      }
      return !this.#out.stopped
    }).finally(() => buffer.close())
    reading.catch(() => {})
    return { buffer, run, reading }
  }

  async #open(shard: number, units: readonly UnitRange[]): Promise<Run> {
    const isWhole = this.#units === undefined && count(units) === count(shardUnits(this.#job.spec, shard))
    const results = new ShardResults(this.#client, this.#job, shard, units, isWhole)
    const pins = await this.#options.pins?.open(this.#job.jobId, shard)
    return { results, pins, fetches: [], stop: stopOfMany() }
  }

  async #read(
    run: Run,
    monitor: ResultsMonitor | undefined,
    emit: (batch: readonly ProvedUnit[]) => Promise<boolean>,
  ): Promise<void> {
    const release = monitor?.watch(run.results.shard, run.stop)
    try {
      await run.results.read({
        withOutputs: true,
        follow: monitor !== undefined,
        stop: run.stop.signal,
        signal: this.#abort.signal,
        emit,
        onProblem: (problem) => this.#problem(problem),
      })
    } finally {
      release?.()
    }
  }

  /** Notes what a shard leaves behind; `final`: nothing of it will be asked for again. */
  async #finish(run: Run, final: boolean): Promise<void> {
    const { results, pins } = run
    await Promise.allSettled(run.fetches)
    if (this.#abort.signal.aborted) return
    this.#tally.facts(results.reportCount, results.voidFacts)
    for (const { unit, digest } of results.overturned()) {
      this.#tally.overturned({ unit, pinned: pins?.get(unit) ?? digest, now: results.digestNow(unit) })
    }
    if (final) {
      for (const unit of [...results.left].sort((a, b) => a - b)) {
        const isDisputed = results.isDisputed(unit)
        const pinned = pins?.get(unit)
        if (isDisputed && pinned !== undefined) this.#tally.overturned({ unit, pinned, now: undefined })
        this.#tally.missing(isDisputed ? 'disputed' : results.reasonLeft(unit), unit)
      }
    }
    await pins?.save()
  }

  #problem(problem: Problem): void {
    this.#tally.problem(problem)
    this.#options.onProblem?.(problem)
  }

  /** Passes a proved unit on, with its bytes or a promise of them. False: nobody wants more. */
  async #hand(run: Run, proved: ProvedUnit): Promise<boolean> {
    const { evidence, inline, from } = proved
    const { unit, digest, outcome, outputBytes } = evidence
    const pinned = run.pins?.get(unit)
    if (pinned !== undefined && pinned !== digest) this.#tally.overturned({ unit, pinned, now: digest })
    const make = (output: UnitOutput | undefined) => {
      run.pins?.add(unit, digest)
      return answerOf(this.#job.spec.limits, evidence, output, run.results.facts)
    }
    if (this.#options.skip && (await this.#options.skip(unit, digest)))
      return this.#out.push({ answer: make(undefined) }, ANSWER_BYTES)
    // A unit that only ran out of time has no bytes, sent or not.
    const known = inline ?? (outcome === 'wall' ? new Uint8Array(0) : undefined)
    const output = known && openOutput(this.#client.parts.sha256, known, evidence)
    if (output !== undefined) return this.#out.push({ answer: make(output) }, ANSWER_BYTES + outputBytes)
    if (known !== undefined) this.#wrongBytes(run, unit, from)
    await this.#slot()
    const coming = this.#fetch(run, proved, make)
    // Without its value: a shard has far more outputs than fit in memory.
    run.fetches.push(coming.then(() => {}))
    return this.#out.push({ coming }, ANSWER_BYTES + outputBytes)
  }

  async #fetch(
    run: Run,
    { evidence, from }: ProvedUnit,
    make: (output: UnitOutput) => UnitAnswer,
  ): Promise<UnitAnswer | undefined> {
    const { unit, digest, outcome, outputBytes } = evidence
    const { shard } = run.results
    try {
      const output = await fetchOutput(this.#client, this.#job, { shard, unit, digest, outcome, outputBytes }, from, {
        signal: this.#abort.signal,
        onWrong: (owner) => this.#wrongBytes(run, unit, owner),
      })
      return make(output)
    } catch (error) {
      if (this.#abort.signal.aborted) return undefined
      const { code, message } = toGridError(error)
      if (code !== 'corrupt') this.#problem({ type: 'unreachable', shard, unit, owner: nameOf(from), reason: message })
      this.#tally.missing('bytes', unit)
      return undefined
    } finally {
      this.#fetching--
      this.#slots.shift()?.()
    }
  }

  #wrongBytes(run: Run, unit: number, owner: Endpoint): void {
    const reason = 'the bytes do not have the digest that the donors agreed on'
    this.#problem({ type: 'wrongBytes', shard: run.results.shard, unit, owner: nameOf(owner), reason })
  }

  /** Waits until one more output may be fetched, and takes the place. */
  async #slot(): Promise<void> {
    while (this.#fetching >= FETCHES_AT_ONCE) await new Promise<void>((resolve) => this.#slots.push(resolve))
    this.#fetching++
  }
}

function answerOf(
  limits: Limits,
  evidence: ProvedUnit['evidence'],
  output: UnitOutput | undefined,
  facts: ReadonlyMap<Digest, readonly ReportFact[]>,
): UnitAnswer {
  const { unit, outcome, digest, outputBytes, fuel, agreeing } = evidence
  const grantors = new Set<NodeId>(agreeing.map(({ grantor }) => grantor))
  return {
    unit,
    state: outcome === 'done' ? 'done' : 'failed',
    outcome,
    digest,
    output,
    outputBytes,
    fuel,
    donors: agreeing.map(({ donor }) => donor),
    grantors: [...grantors],
    reports: agreeing.map(({ reportId }) => reportId),
    reason: failureReason({ outcome, exitCode: output?.exitCode ?? 0, fuel }, limits),
    proof: () => agreeing.flatMap(({ reportId }) => facts.get(reportId) ?? []),
  }
}

function nameOf({ address, nodeId }: Endpoint): string {
  return `${address}#${nodeId}`
}

function rangesOf(units: Iterable<number>): UnitRange[] {
  return mergeRanges([...units].map((unit) => ({ first: unit, count: 1 })))
}

/** Waits for all; on the first error the others are told to stop, and it is thrown once they have. */
async function allOrFirstError(tasks: readonly Promise<void>[], abort: AbortController): Promise<void> {
  for (const task of tasks) task.catch(() => abort.abort())
  const outcomes = await Promise.allSettled(tasks)
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  const telling = errors.find((error) => toGridError(error).code !== 'closed') ?? errors[0]
  if (telling !== undefined) throw telling
}
