import type { JobProgress } from '../client/follow/watch.js'
import type { ResultsSummary, UnitAnswer } from '../client/results/answer.js'
import { ResultsReader } from '../client/results/results.js'
import type { Pins } from '../client/session/pins.js'
import type { GridClient, KnownJob } from '../client/session/session.js'
import { parseSelection } from '../job/units/selection.js'
import type { OutputFile, UnitRange } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'
import { linkedSignal } from './signals.js'

/** How results are read. */
export interface ResultsOptions {
  /** `settled`: each as soon as it is proved here. `unit`: ascending, each once all before it are decided. Default `settled`. */
  readonly order?: 'settled' | 'unit'
  /** Wait for what is not settled yet, until the job has ended. `false`: what there is now. Default true. */
  readonly follow?: boolean
  /** Only these units: `0-9,20` or ranges. Default: all of the job. */
  readonly units?: string | readonly UnitRange[]
  /** Told of each look at the job while following. */
  readonly onProgress?: (progress: JobProgress) => void
  readonly signal?: AbortSignal
}

/** The result of one unit, proved here: signatures, grants, quorum and the digest of every byte. */
export interface UnitResult extends Omit<UnitAnswer, 'output' | 'outputBytes' | 'wallMs'> {
  readonly exitCode: number
  readonly stdout: Uint8Array
  /** Its first 64 KiB, or what the job's limits say. */
  readonly stderr: Uint8Array
  /** Files that the program wrote below `/out`, sorted by name. Names are a stranger's: never join them to a path unchecked. */
  readonly files: readonly OutputFile[]
  /** Standard output as text. */
  text(): string
}

/**
 * Results of a job, to be iterated once. {@link summary} adds up what was seen so far; after the iteration it says what is
 * missing and why. Iterating throws GridError `forbidden` when results are not for this key, `closed` when aborted. Whoever leaves
 * the loop early stops the reading.
 */
export class Results implements AsyncIterable<UnitResult> {
  readonly #reader: ResultsReader
  readonly #link: ReturnType<typeof linkedSignal>
  #isTaken = false

  /** Use `GridJob.results`. */
  constructor(
    client: GridClient,
    job: KnownJob,
    pins: Pins,
    closing: AbortSignal,
    { order = 'settled', follow = true, units, onProgress, signal }: ResultsOptions,
  ) {
    this.#link = linkedSignal(closing, signal)
    const chosen = typeof units === 'string' ? parseSelection(units) : units
    this.#reader = new ResultsReader(client, job, {
      order,
      follow,
      pins,
      signal: this.#link.signal,
      ...(chosen ? { units: chosen } : {}),
      ...(onProgress ? { onProgress } : {}),
    })
  }

  get summary(): ResultsSummary {
    return this.#reader.summary
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<UnitResult, void, undefined> {
    for await (const answer of this.answers()) yield resultOf(answer)
  }

  /** The same as the rest of the client has them. */
  async *answers(): AsyncGenerator<UnitAnswer, void, undefined> {
    if (this.#isTaken) throw new GridError('invalid', 'results are iterated once: ask the job for new ones')
    this.#isTaken = true
    try {
      yield* this.#reader
    } finally {
      this.#link.release()
    }
  }
}

function resultOf({ output, outputBytes: _, wallMs: __, ...answer }: UnitAnswer): UnitResult {
  const none = new Uint8Array(0)
  const stdout = output?.stdout ?? none
  return {
    ...answer,
    exitCode: output?.exitCode ?? 0,
    stdout,
    stderr: output?.stderr ?? none,
    files: output?.files ?? [],
    text: () => new TextDecoder().decode(stdout),
  }
}
