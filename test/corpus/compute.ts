import { digestOutput } from '../../job/facts/digest.js'
import { compareFileNames } from '../../proto/file-name.js'
import type { Digest, Outcome, UnitOutput } from '../../proto/model.js'
import { toHex, utf8 } from '../../runtime/hex.js'
import { instrument } from '../../sandbox/admission/instrument.js'
import { engine } from '../../sandbox/engine.js'
import { type ProgramEnd, runProgram } from '../../sandbox/run.js'
import { FixedBytes } from '../../sandbox/wasi/byte-store.js'
import { type CorpusUnit, nanPrograms, STDERR_BYTES } from './units.js'

/** What one engine answers to one unit. Plain JSON, since it crosses processes and browsers. */
export interface Row {
  readonly unit: string
  /** Whether NaN bits were made canonical; units of other rows were admitted as always. */
  readonly nanPass: boolean
  readonly outcome: Outcome
  readonly exitCode: number
  readonly digest: string
  /** Decimal. */
  readonly fuel: string
  /** SHA-256 of the module as the compiler wrote it. */
  readonly module: string
  readonly ms: number
}

/** All rows of one engine. */
export interface EngineAnswer {
  /** What the engine calls itself. */
  readonly engine: string
  readonly rows: readonly Row[]
}

/**
 * Computes `units` in the engine that this runs in: a Node of any version or a browser's worker, so no `node:` module
 * is within reach from here. Programs that make NaNs run once more without the NaN pass.
 */
export async function computeUnits(
  units: readonly CorpusUnit[],
  load: (program: string) => Promise<Uint8Array>,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const unit of units) {
    const bytes = await load(unit.program)
    const module = await sha256(bytes)
    for (const nanPass of nanPrograms.has(unit.program) ? [true, false] : [true])
      rows.push({ ...(await computeUnit(unit, bytes, nanPass)), module })
  }
  return rows
}

async function computeUnit(unit: CorpusUnit, bytes: Uint8Array, nanPass: boolean): Promise<Omit<Row, 'module'>> {
  const beganAt = performance.now()
  const { bytes: admitted } = instrument(bytes, { memoryBytes: unit.memoryBytes, nan: nanPass ? 'escape' : 'none' })
  const end = runCorpusUnit(unit, admitted)
  const output = outputOf(end)
  const parts: Uint8Array[] = []
  digestOutput((...all) => {
    parts.push(...all)
    return '' as Digest
  }, output)
  return {
    unit: unit.name,
    nanPass,
    outcome: output.outcome,
    exitCode: output.exitCode,
    digest: await sha256(...parts),
    // Where a unit ran out is no matter of the unit: it used its limit.
    fuel: String(end.outcome === 'fuel' ? unit.fuel : end.fuel),
    ms: Math.round(performance.now() - beganAt),
  }
}

/** Runs an admitted module as the unit says. */
function runCorpusUnit(unit: CorpusUnit, admitted: Uint8Array): ProgramEnd {
  return runProgram(
    new engine.Module(admitted),
    {
      name: 'program',
      args: unit.args,
      environment: new Map(Object.entries(unit.environment)),
      stdin: utf8(unit.stdin),
      files: new Map(Object.entries(unit.files).map(([name, text]) => [name, new FixedBytes(utf8(text))])),
      seed: unit.seed,
      unit: unit.unit,
    },
    {
      fuel: unit.fuel,
      memoryBytes: unit.memoryBytes,
      outputBytes: unit.outputBytes,
      stderrBytes: STDERR_BYTES,
    },
  )
}

/** Stdout that is kept of a unit that flooded its output, as workers do. Unit: bytes. */
const FLOOD_KEPT_BYTES = 4 * 1024

/** The answer that redundant workers compare, from how a program ended: the same that a worker makes of it. */
function outputOf(end: ProgramEnd): UnitOutput {
  if (end.outcome === 'output') {
    const { stderr, stderrLength } = end
    return {
      outcome: 'output',
      exitCode: 0,
      stdout: end.stdout.subarray(0, FLOOD_KEPT_BYTES),
      stderr,
      stderrLength,
      files: [],
    }
  }
  return {
    outcome: end.outcome === 'exit' && end.exitCode === 0 ? 'done' : end.outcome,
    exitCode: end.exitCode,
    stdout: end.stdout,
    stderr: end.stderr,
    stderrLength: end.stderrLength,
    files: [...end.files].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => compareFileNames(a.name, b.name)),
  }
}

async function sha256(...parts: readonly Uint8Array[]): Promise<string> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', all)))
}
