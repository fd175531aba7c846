import { digestOutput } from '../../job/facts/digest.js'
import { unitInvocation } from '../../job/spec/program.js'
import { unitOutputCodec } from '../../proto/codec/facts.js'
import { compareFileNames, fileNamesProblem } from '../../proto/file-name.js'
import { OUTPUT_FILES_MAX } from '../../proto/limits.js'
import type { JobSpec, Outcome, UnitOutput } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import type { Module } from '../../sandbox/engine.js'
import { FixedBytes, type ProgramEnd, runProgram, type StoredBytes } from '../../sandbox/index.js'
import { failureEnd, hostEnd } from './execute.js'
import type { UnitEnd } from './messages.js'

/** `argv[0]` of every program: the name of the file that was submitted stays with its author. */
export const PROGRAM_NAME = 'program'

/** What a unit that flooded its output keeps of it, to show with what. Unit: bytes. */
const FLOOD_KEPT_BYTES = 4 * 1024

/** A module job ready to run units. */
export interface PreparedModuleJob {
  readonly spec: JobSpec
  /** Admitted and compiled. */
  readonly module: Module
  /** Shared inputs by name. */
  readonly files: ReadonlyMap<string, StoredBytes>
  readonly environment: ReadonlyMap<string, string>
}

/** Makes a module job ready once for all its units. */
export function prepareModuleJob(
  spec: JobSpec,
  module: Module,
  files: ReadonlyMap<string, StoredBytes>,
): PreparedModuleJob {
  return { spec, module, files, environment: new Map(spec.environment) }
}

/**
 * Runs one unit of a module job to its end and never throws. Everything it answers is the same on every machine, `host`
 * aside: the engine's own words about a trap go to `onTrouble` at most. `onFuel` is told now and then what was used so far.
 */
export function executeModuleUnit(
  job: PreparedModuleJob,
  unit: number,
  items: readonly Uint8Array[],
  onFuel: (used: bigint) => void,
  onTrouble: (reason: string) => void,
): UnitEnd {
  const { spec, module, environment } = job
  try {
    const { args, stdin, files: own } = unitInvocation(spec, unit, items)
    const files = own.length === 0 ? job.files : withOwn(job.files, own)
    if (files === undefined) return failureEnd(spec, 'trap', 'an input file of the unit hides one of the job\n', 0n)
    const { fuel, outputBytes, stderrBytes, memoryBytes } = spec.limits
    const end = runProgram(
      module,
      { name: PROGRAM_NAME, args, environment, stdin, files, seed: spec.seed, unit },
      { fuel, outputBytes, stderrBytes, memoryBytes },
      onFuel,
    )
    if (end.outcome === 'host') {
      onTrouble(end.trap?.message ?? 'the sandbox could not run the unit')
      return hostEnd()
    }
    return finish(spec, end)
  } catch (error) {
    // Arguments that cannot be made from the items: on every machine alike.
    return failureEnd(spec, 'trap', `${error instanceof Error ? error.message : String(error)}\n`, 0n)
  }
}

/** Files of the job with those of a unit; undefined when they cannot stand in one folder. */
function withOwn(
  shared: ReadonlyMap<string, StoredBytes>,
  own: readonly { readonly name: string; readonly bytes: Uint8Array }[],
): ReadonlyMap<string, StoredBytes> | undefined {
  const files = new Map([...shared, ...own.map(({ name, bytes }) => [name, new FixedBytes(bytes)] as const)])
  if (files.size < shared.size + own.length) return undefined
  return fileNamesProblem([...files.keys()].sort(compareFileNames)) === undefined ? files : undefined
}

function finish(spec: JobSpec, end: ProgramEnd): UnitEnd {
  const { stderr, stderrLength } = end
  const kept = { stderr: stderr.subarray(0, spec.limits.stderrBytes), stderrLength }
  // How far past its limit a unit was stopped is no matter of the unit (`job/facts/facts.ts`).
  const fuel = end.outcome === 'fuel' ? spec.limits.fuel : end.fuel
  if (end.outcome === 'output' || end.files.size > OUTPUT_FILES_MAX) {
    const stdout = end.stdout.subarray(0, FLOOD_KEPT_BYTES)
    return packed({ outcome: 'output', exitCode: 0, stdout, ...kept, files: [] }, fuel)
  }
  const files = [...end.files].map(([name, bytes]) => ({ name, bytes }))
  files.sort((a, b) => compareFileNames(a.name, b.name))
  const exitCode = end.outcome === 'exit' ? end.exitCode | 0 : 0
  const outcome: Outcome =
    end.outcome === 'exit' && (exitCode === 0 || spec.okExit.includes(exitCode)) ? 'done' : end.outcome
  return packed({ outcome, exitCode, stdout: end.stdout, ...kept, files }, fuel)
}

function packed(output: UnitOutput, fuel: bigint): UnitEnd {
  return { outcome: output.outcome, digest: digestOutput(sha256, output), output: unitOutputCodec.encode(output), fuel }
}
