/** The contract of a built-in task. Pure: no I/O and no `node:` module, so that a task runs on any thread, a browser's too. */

/** What cuts a job into units (`--count`, `--array`, `--range`, `--lines`, `--csv`, `--files`, `--records`). */
export type SourceKind = 'count' | 'array' | 'range' | 'lines' | 'csv' | 'files' | 'records'

/** What one unit sees. Everything a result may depend on is here and nowhere else. */
export interface UnitInput {
  /** Index of the unit, from 0. Integer below `unitCount`. */
  readonly unit: number
  /** Units of the whole job; the same for each of them, also when only some are computed. */
  readonly unitCount: number
  /** Arguments after placeholders were filled in: `['0', '1000000']` for the template `{start} {end}`. */
  readonly args: readonly string[]
  /** Lines or records that no placeholder used; empty when the source gives none. Not to be written to. */
  readonly stdin: Uint8Array
  /** Shared inputs (`--in F[=NAME]`) by name. Threads may hand the same arrays to many units. Not to be written to. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** The job's environment (`--env K=V`), never the host's. */
  readonly environment: ReadonlyMap<string, string>
  /** The job's seed (`--seed`), default 0: the only source of randomness, together with `unit`. */
  readonly seed: bigint
  /**
   * Adds documented steps of work: an integer >= 0 that depends on the unit's input alone, never on time, caches or the
   * machine. Throws {@link FuelExhausted} when the job's limit is passed; do not catch it. Call it close to the work it
   * stands for and a few times a second at least, as it also lets the host report progress.
   */
  burn(steps: number | bigint): void
}

/** What a unit answers: the same bytes on every machine. */
export interface TaskOutput {
  /** 0 is success, 2 a usage error (see {@link usageError}). */
  readonly exitCode: number
  readonly stdout: Uint8Array
  /** Shown to people when the unit failed. Successful units leave it out. */
  readonly stderr?: string
  /** Output files by name, `a/b.txt`; relative, no `..`. */
  readonly files?: ReadonlyMap<string, Uint8Array>
}

/** What {@link Task.check} may look at. */
export interface CheckInput {
  /** Arguments of one unit, expanded. */
  readonly args: readonly string[]
  /** Names of the shared inputs. */
  readonly fileNames: readonly string[]
}

/** An accepted output; they come in unit order. Units that failed are left out. */
export interface AcceptedOutput {
  readonly unit: number
  readonly stdout: Uint8Array
}

/** What {@link Task.reduce} knows of the job. */
interface ReducedJob {
  readonly unitCount: number
  /** The argument template, placeholders not filled in. */
  readonly args: readonly string[]
}

/** What `results` shows: `stdout` is printed, `files` go to the folder of `-o DIR`. */
export interface Reduced {
  readonly stdout: Uint8Array | string
  readonly files?: ReadonlyMap<string, Uint8Array>
}

/** A program that volunteers have installed, found by name and version in `registry.ts`. */
export interface Task {
  /** Lower-case letters, digits and `-`; starts with a letter; at most 63 characters. */
  readonly name: string
  /** Positive integer. A change of any output byte or of fuel is a new version: workers of both must never vote together. */
  readonly version: number
  /** One line for `manyhands tasks`. */
  readonly summary: string
  /** Example command lines and options, as lines of text. */
  readonly usage: string
  /** Template used when the submitter gives no arguments: `['{start}', '{end}']`. */
  readonly defaultArguments: readonly string[]
  /** Sources that make sense; `submit` refuses others. */
  readonly sources: readonly SourceKind[]
  /** What is wrong with the arguments of a unit and what to do about it, or undefined. Called by `submit` for unit 0 and by `execute`. */
  check?(input: CheckInput): string | undefined
  /** Computes one unit. Must not keep state that changes an answer; what is costly to set up may be cached between units. */
  execute(input: UnitInput): TaskOutput | Promise<TaskOutput>
  /**
   * Makes the result of the accepted outputs; absent: they are concatenated in unit order. Takes them one by one and
   * keeps only what the result needs. Runs at the submitter; throws for an output it cannot read.
   */
  reduce?(outputs: AsyncIterable<AcceptedOutput>, job: ReducedJob): Promise<Reduced>
}

/** A unit used more steps than its job allows. A deterministic end: every honest worker meets it at the same step. */
export class FuelExhausted extends Error {
  /** The job's limit, in steps. */
  readonly limit: bigint

  constructor(limit: bigint) {
    super(`fuel limit of ${limit} steps passed`)
    this.name = 'FuelExhausted'
    this.limit = limit
  }
}

/** Exit code of a unit whose arguments or input a task refuses. */
const USAGE_EXIT_CODE = 2

/** The answer to arguments or input that cannot be used: exit code 2, the message on stderr. */
export function usageError(message: string): TaskOutput {
  return { exitCode: USAGE_EXIT_CODE, stdout: new Uint8Array(0), stderr: `${message}\n` }
}

/** The answer of a unit that succeeded with `text` as its stdout. */
export function textOutput(text: string): TaskOutput {
  return { exitCode: 0, stdout: new TextEncoder().encode(text) }
}
