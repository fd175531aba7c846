import { WASI_MODULE } from './admission/wasi-imports.js'
import {
  DEPTH_EXPORT,
  FUEL_EXPORT,
  GRID_MODULE,
  MEMORY_EXPORT,
  REFUEL_IMPORT,
  START_EXPORT,
  STARVED_EXPORT,
} from './contract.js'
import { type Exports, engine, type Global, type Memory, type Module, type ModuleInstance } from './engine.js'
import { FuelTank } from './fuel-tank.js'
import type { StoredBytes } from './wasi/byte-store.js'
import { WasiHost } from './wasi/host.js'
import { type LayoutOutput, openLayout } from './wasi/layout.js'
import { Stop, type StopReason } from './wasi/stop.js'

/** Bounds on one run, from the spec of its job. */
export interface ProgramLimits {
  /** Fuel; 0n is unlimited. */
  readonly fuel: bigint
  /** Bytes of standard output and `/out` together. */
  readonly outputBytes: number
  /** Bytes of standard error that are kept. */
  readonly stderrBytes: number
  /** Bytes of the program's memory, and again of its files in `/tmp`. The module was admitted with the same limit. */
  readonly memoryBytes: number
}

/** All that a run depends on, besides module and limits. */
export interface ProgramInput {
  /** The program's own name, its first argument. */
  readonly name: string
  readonly args: readonly string[]
  readonly environment: ReadonlyMap<string, string>
  readonly stdin: Uint8Array
  /** Files of `/in` by name, read where they are. What throws while it is read ends the run as `host`. */
  readonly files: ReadonlyMap<string, StoredBytes>
  /** The job's seed and the unit's index: what random bytes are made of. */
  readonly seed: bigint
  readonly unit: number
}

/**
 * How a program ended. All but `host` are the same on every machine: `exit` (also by returning), `trap`, `fuel` (limit
 * passed), `memory` (it needs more than the limit to start), `output` (limit passed), `depth` (out of stack). `host`: this
 * machine could not run it, for want of memory or stack, or the module was not admitted.
 */
export type ProgramOutcome = 'exit' | 'trap' | 'fuel' | 'memory' | 'output' | 'depth' | 'host'

/** Why a program did not end by itself, for people: wording and index depend on the engine. */
export interface Trap {
  readonly message: string
  /** Index in the admitted module of the function that trapped, where the engine tells. */
  readonly functionIndex: number | undefined
  /** Of those that had called it, the innermost first, as far as the engine tells. */
  readonly callers: readonly number[]
}

/** What a run gave. */
export interface ProgramEnd {
  readonly outcome: ProgramOutcome
  /** What the program gave `proc_exit`, as a signed 32-bit integer; 0 if it returned or did not come to its end. */
  readonly exitCode: number
  readonly stdout: Uint8Array
  /** The first `stderrBytes` of standard error. */
  readonly stderr: Uint8Array
  /** Bytes of standard error in all. */
  readonly stderrLength: number
  /** Files of `/out` by name, ascending. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Fuel used; the limit itself after `fuel`. */
  readonly fuel: bigint
  readonly trap: Trap | undefined
}

/** Exports that the run works with. */
interface Program {
  readonly memory: Memory
  readonly fuel: Global
  readonly depth: Global
  readonly starved: Global
  readonly start: () => void
}

type End = Pick<ProgramEnd, 'outcome' | 'exitCode' | 'trap'>

const NOTHING = new Uint8Array(0)

/**
 * Runs an admitted program from start to end on this thread. Never throws and never waits. `onFuel` is called with the
 * fuel used so far, every few milliseconds while the program computes; it may end the thread, not the program.
 */
export function runProgram(
  module: Module,
  input: ProgramInput,
  limits: ProgramLimits,
  onFuel?: (used: bigint) => void,
): ProgramEnd {
  const tank = new FuelTank(limits.fuel, onFuel)
  let collect: (() => LayoutOutput) | undefined
  let end: End
  try {
    const host = new WasiHost({
      args: [input.name, ...input.args],
      environment: input.environment,
      seed: input.seed,
      unit: input.unit,
      spend: tank.spend,
    })
    collect = openLayout(host, { ...input, ...limits, temporaryBytes: limits.memoryBytes })
    end = runInstance(module, host, tank, limits)
  } catch (error) {
    end = hostEnd(error)
  }
  return finished(end, limits, collect, tank)
}

function runInstance(module: Module, host: WasiHost, tank: FuelTank, limits: ProgramLimits): End {
  let program: Program | undefined
  try {
    const instance: ModuleInstance = new engine.Instance(module, {
      [WASI_MODULE]: host.imports,
      [GRID_MODULE]: { [REFUEL_IMPORT]: tank.refuel },
    })
    program = programOf(instance.exports)
    if (program.memory.buffer.byteLength > limits.memoryBytes)
      return { outcome: 'memory', exitCode: 0, trap: undefined }
    host.attach(program.memory)
    tank.attach(program.fuel)
    program.start()
    return { outcome: 'exit', exitCode: 0, trap: undefined }
  } catch (error) {
    if (error instanceof Stop) return stopped(error.reason)
    // A trap is the program's own, at the same instruction everywhere. Anything else is this engine's: native stack, memory.
    if (!(error instanceof engine.RuntimeError)) return hostEnd(error)
    return { outcome: trapOutcome(program), exitCode: 0, trap: trapOf(error) }
  }
}

function stopped(reason: StopReason): End {
  return reason.type === 'exit'
    ? { outcome: 'exit', exitCode: reason.exitCode, trap: undefined }
    : { outcome: reason.type, exitCode: 0, trap: undefined }
}

/** A segment out of bounds traps before there is a program; it does so everywhere. */
function trapOutcome(program: Program | undefined): ProgramOutcome {
  if (program === undefined) return 'trap'
  if (program.starved.value !== 0) return 'host'
  return Number(program.depth.value) < 0 ? 'depth' : 'trap'
}

/** The exports of an admitted module; throws for any other. */
function programOf(exports: Exports): Program {
  const memory = exports[MEMORY_EXPORT]
  const fuel = exports[FUEL_EXPORT]
  const depth = exports[DEPTH_EXPORT]
  const starved = exports[STARVED_EXPORT]
  const start = exports[START_EXPORT]
  const isAdmitted =
    memory instanceof engine.Memory &&
    fuel instanceof engine.Global &&
    depth instanceof engine.Global &&
    starved instanceof engine.Global &&
    typeof start === 'function'
  if (!isAdmitted) throw new TypeError('the module was not admitted: it lacks exports')
  return { memory, fuel, depth, starved, start: start as () => void }
}

function hostEnd(error: unknown): End {
  return { outcome: 'host', exitCode: 0, trap: trapOf(error) }
}

/** V8 and JavaScriptCore: `wasm-function[12]`; SpiderMonkey: `wasm-function[12]:0x1f`. */
function trapOf(error: unknown): Trap {
  if (!(error instanceof Error)) return { message: String(error), functionIndex: undefined, callers: [] }
  const frames = [...(error.stack ?? '').matchAll(/wasm-function\[(\d{1,9})\]/g)]
  const [functionIndex, ...callers] = frames.map(([, index]) => Number(index))
  return { message: error.message.replace(/^WebAssembly\.\w+\(\): /, ''), functionIndex, callers }
}

function finished(
  end: End,
  limits: ProgramLimits,
  collect: (() => LayoutOutput) | undefined,
  tank: FuelTank,
): ProgramEnd {
  const used = tank.used
  const left: LayoutOutput = { stdout: NOTHING, stderr: NOTHING, stderrLength: 0, files: new Map() }
  // Fuel is checked at loops and calls: a program that ended between the limit and the next check has passed it all the same.
  const exhausted = end.outcome === 'fuel' || (end.outcome !== 'host' && limits.fuel !== 0n && used > limits.fuel)
  const ended: End & { fuel: bigint } = exhausted
    ? { outcome: 'fuel', exitCode: 0, trap: undefined, fuel: limits.fuel }
    : { ...end, fuel: used }
  try {
    return { ...ended, ...(collect === undefined ? left : collect()) }
  } catch (error) {
    return { ...hostEnd(error), ...left, fuel: used }
  }
}
