import { digestOutput, ZERO_DIGEST } from '../../job/facts/digest.js'
import { unitInvocation } from '../../job/spec/program.js'
import { unitCount } from '../../job/units/unit-source.js'
import { unitOutputCodec } from '../../proto/codec/facts.js'
import { compareFileNames, fileNamesProblem } from '../../proto/file-name.js'
import type { JobSpec, Outcome, OutputFile, UnitOutput } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { FuelMeter } from '../../tasks/fuel.js'
import { FuelExhausted, type Task, type TaskOutput } from '../../tasks/task.js'
import type { UnitEnd } from './messages.js'

/** A job ready to run units. */
export interface PreparedJob {
  readonly spec: JobSpec
  readonly task: Task
  readonly unitCount: number
  /** Shared inputs by name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly environment: ReadonlyMap<string, string>
}

/** Makes a job ready once for all its units. */
export function prepareJob(spec: JobSpec, task: Task, files: ReadonlyMap<string, Uint8Array>): PreparedJob {
  return { spec, task, unitCount: unitCount(spec), files, environment: new Map(spec.environment) }
}

const NOTHING = new Uint8Array(0)
const HOST_END: UnitEnd = { outcome: 'host', digest: ZERO_DIGEST, output: NOTHING, fuel: 0n }

/**
 * Runs one unit of a built-in task to its end and never throws. Gives a promise only if the task does. `onBurn` is called
 * whenever the task burns fuel, with the meter. A task that throws ends in `trap`; one that goes on after its fuel is
 * used up ends in `fuel` all the same.
 */
export function executeUnit(
  job: PreparedJob,
  unit: number,
  items: readonly Uint8Array[],
  onBurn?: (used: () => bigint) => void,
): UnitEnd | Promise<UnitEnd> {
  const { spec } = job
  const limit = spec.limits.fuel === 0n ? undefined : spec.limits.fuel
  const used = () => meter.used
  const meter: FuelMeter = new FuelMeter(limit, onBurn && (() => onBurn(used)))
  const end = (answer: TaskOutput): UnitEnd => {
    if (limit !== undefined && meter.used > limit) return exhausted(spec)
    try {
      return finish(spec, answer, meter.used)
    } catch (error) {
      return failed(spec, error, meter)
    }
  }
  try {
    const { args, stdin, files } = unitInvocation(spec, unit, items)
    const answer = job.task.execute({
      unit,
      unitCount: job.unitCount,
      args,
      stdin,
      files:
        files.length === 0
          ? job.files
          : new Map([...job.files, ...files.map(({ name, bytes }) => [name, bytes] as const)]),
      environment: job.environment,
      seed: spec.seed,
      burn: meter.burn,
    })
    if (!(answer instanceof Promise)) return end(answer)
    return answer.then(end, (error: unknown) => failed(spec, error, meter))
  } catch (error) {
    return failed(spec, error, meter)
  }
}

/** The end of a unit for which this host is to blame: no vote. */
export function hostEnd(): UnitEnd {
  return HOST_END
}

/** The end of a unit that ran longer than its job allows. */
export function wallEnd(): UnitEnd {
  return { outcome: 'wall', digest: ZERO_DIGEST, output: NOTHING, fuel: 0n }
}

/**
 * The end of every unit of a module that the profile does not allow. The words are fixed, not those of the refusal: these
 * may become better without a new profile, and units must agree. `submit` and `--dry-run` say the reason.
 */
export function refusedEnd(spec: JobSpec): UnitEnd {
  return failureEnd(spec, 'trap', `the module is not one of sandbox profile ${spec.profile}\n`, 0n)
}

/** A deterministic failure with no more to say than its kind, and `stderr`. */
export function failureEnd(spec: JobSpec, outcome: Outcome, stderr: string, fuel: bigint): UnitEnd {
  return packed({ outcome, exitCode: 0, stdout: NOTHING, ...cutStderr(spec, stderr), files: [] }, fuel)
}

/** Ran out: says the limit itself, since how far past it the last step went is no matter of the unit (`job/facts/facts.ts`). */
function exhausted(spec: JobSpec): UnitEnd {
  return failureEnd(spec, 'fuel', '', spec.limits.fuel)
}

function failed(spec: JobSpec, error: unknown, meter: FuelMeter): UnitEnd {
  const isFuel = error instanceof FuelExhausted || (spec.limits.fuel !== 0n && meter.used > spec.limits.fuel)
  if (isFuel) return exhausted(spec)
  return failureEnd(
    spec,
    'trap',
    `${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n`,
    meter.used,
  )
}

function finish(spec: JobSpec, answer: TaskOutput, fuel: bigint): UnitEnd {
  const { exitCode, stdout } = answer
  if (!Number.isInteger(exitCode) || exitCode !== (exitCode | 0))
    throw new TypeError('the exit code is no 32-bit integer')
  if (!(stdout instanceof Uint8Array)) throw new TypeError('stdout is no Uint8Array')
  const files: OutputFile[] = []
  let outputBytes = stdout.length
  for (const [name, bytes] of answer.files ?? []) {
    outputBytes += bytes.length
    files.push({ name, bytes })
  }
  if (outputBytes > spec.limits.outputBytes) return failureEnd(spec, 'output', '', fuel)
  files.sort((a, b) => compareFileNames(a.name, b.name))
  const problem = fileNamesProblem(files.map((file) => file.name))
  if (problem !== undefined) throw new Error(`an output file has a name that ${problem}`)
  const outcome = exitCode === 0 || spec.okExit.includes(exitCode) ? 'done' : 'exit'
  return packed({ outcome, exitCode, stdout, ...cutStderr(spec, answer.stderr ?? ''), files }, fuel)
}

function cutStderr(spec: JobSpec, text: string): Pick<UnitOutput, 'stderr' | 'stderrLength'> {
  if (text === '') return { stderr: NOTHING, stderrLength: 0 }
  const bytes = utf8(text)
  return { stderr: bytes.subarray(0, spec.limits.stderrBytes), stderrLength: bytes.length }
}

function packed(output: UnitOutput, fuel: bigint): UnitEnd {
  return { outcome: output.outcome, digest: digestOutput(sha256, output), output: unitOutputCodec.encode(output), fuel }
}
