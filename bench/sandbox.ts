import { admit, engine, runProgram } from '../sandbox/index.js'
import { withGrid } from './grid.js'
import { type JobRun, runJob } from './jobs.js'
import type { Measurement } from './measurement.js'
import { noopProgram } from './noop-program.js'
import { asPlainModule, asProcess, asUnit, type BenchProgram, compile, manyModules } from './sandbox-programs.js'

/** Runs of each kind, in turn; the best counts. The first ones are V8's baseline code. */
const ROUNDS = 5
const ADMISSION_ROUNDS = 7
const ADMISSION_BAR = 20
const NOOP_UNITS = 10_000
/**
 * What a no-op unit in the sandbox may cost, in no-op units of a built-in task. An instance with its memory alone takes some
 * 40 us to make and to give back, so that Piscina by itself does 2.6 times as many calls without one.
 */
const NOOP_BAR = 3

/** Longest time a program may take in units of the plain module's, by what it spends its time on. */
const CLASSES: Readonly<Record<string, { readonly bar: number; readonly programs: readonly BenchProgram[] }>> = {
  integer: {
    bar: 1.2,
    programs: [
      { name: 'queens', args: ['14'] },
      { name: 'lucas', args: ['7001'] },
      { name: 'sort', args: ['150000'], native: 'other' },
    ],
  },
  float: {
    bar: 1.65,
    programs: [
      { name: 'nbody', args: ['3000000'] },
      { name: 'mandelbrot', args: ['800'] },
      { name: 'matmul', args: ['700'] },
      { name: 'fft', args: ['17', '30'], native: 'other' },
    ],
  },
  interpreter: { bar: 1.4, programs: [{ name: 'interpreter', args: ['80000000'] }] },
}

/** MB of modules that the admission pass reads in a second, V8 warm. */
async function admission(): Promise<Measurement> {
  const modules = manyModules()
  const bytes = modules.reduce((sum, { length }) => sum + length, 0)
  const options = { memoryBytes: 256 * 2 ** 20 }
  let admittedBytes = 0
  const times: number[] = []
  for (let round = 0; round < ADMISSION_ROUNDS; round++) {
    admittedBytes = 0
    times.push(
      timed(() => {
        for (const module of modules) admittedBytes += admit(module, options).bytes.length
      }),
    )
  }
  const value = Math.round(bytes / Math.min(...times) / 100) / 10
  return {
    bench: 'sandbox-admission',
    value,
    unit: 'MB/s',
    bar: ADMISSION_BAR,
    ratio: value / ADMISSION_BAR,
    modules: modules.length,
    bytes,
    admittedBytes,
    firstRoundMs: Math.round(times[0]!),
    bestRoundMs: Math.round(Math.min(...times)),
  }
}

/** The slowest program of a class as a unit, against the same module without the pass in the same engine; and native. Processor time. */
async function speed(name: string): Promise<Measurement> {
  const { bar, programs } = CLASSES[name]!
  const details: Record<string, string> = {}
  let worst = 0
  for (const program of programs) {
    const compiled = compile(program)
    const ways = { unit: asUnit(compiled), plain: asPlainModule(compiled), native: asProcess(compiled) }
    const best = { unit: Infinity, plain: Infinity, native: Infinity }
    const answers = new Set<string>()
    for (let round = 0; round < ROUNDS; round++)
      for (const way of ['unit', 'plain', 'native'] as const) {
        const run = ways[way]?.()
        if (run === undefined) continue
        best[way] = Math.min(best[way], run.ms)
        if (way !== 'native' || program.native !== 'other') answers.add(run.output)
      }
    if (answers.size !== 1) throw new Error(`${program.name} has ${answers.size} different answers`)
    worst = Math.max(worst, best.unit / best.plain)
    const against = ways.native === undefined ? 'no gcc' : `${(best.unit / best.native).toFixed(2)} x native`
    details[program.name] = `${(best.unit / best.plain).toFixed(2)} x plain (${Math.round(best.plain)} ms), ${against}`
  }
  const value = Math.round(worst * 100) / 100
  return { bench: `sandbox-${name}`, value, unit: 'x plain module', bar, ratio: bar / worst, ...details }
}

/** No-op units of a program through the whole grid, against no-op units of a built-in task. */
async function units(): Promise<Measurement> {
  const builtIn = await noops({ type: 'builtin', name: 'bench-hash', version: 1 }, () => true)
  const module = new engine.Module(admit(noopProgram, { memoryBytes: 2 ** 20 }).bytes)
  const upload = {
    type: 'upload',
    label: 'noop.wasm',
    content: { size: noopProgram.length, read: async (start: number, end: number) => noopProgram.slice(start, end) },
  } as const
  const program = await noops(upload, (unit, stdout) => {
    const { stdout: expected } = runProgram(
      module,
      { name: 'program', args: [], environment: new Map(), stdin: new Uint8Array(0), files: new Map(), seed: 0n, unit },
      { fuel: 0n, memoryBytes: 2 ** 20, outputBytes: 2 ** 10, stderrBytes: 2 ** 10 },
    )
    return Buffer.compare(stdout, expected) === 0
  })
  const value = Math.round((100 * program.runMs) / builtIn.runMs) / 100
  return {
    bench: 'sandbox-units',
    value,
    unit: 'x built-in units',
    bar: NOOP_BAR,
    ratio: NOOP_BAR / value,
    units: NOOP_UNITS,
    unitsPerSecond: Math.round((1000 * NOOP_UNITS) / program.runMs),
    builtInUnitsPerSecond: Math.round((1000 * NOOP_UNITS) / builtIn.runMs),
    firstGrantMs: Math.round(program.firstGrantMs),
  }
}

function noops(
  task: Parameters<typeof runJob>[1]['task'],
  check: (unit: number, stdout: Uint8Array) => boolean,
): Promise<JobRun> {
  return withGrid(async (grid, address) => {
    const client = await grid.client(address)
    return runJob(
      client,
      { task, args: ['{i}'], source: { type: 'count', count: NOOP_UNITS }, policy: { type: 'quorum', quorum: 1 } },
      ({ unit, output }) => output !== undefined && check(unit, output.stdout),
    )
  })
}

function timed(work: () => unknown): number {
  const beganAt = performance.now()
  work()
  return performance.now() - beganAt
}

/** Benchmarks of the sandbox by name. All but `sandbox-units` need clang-19 with WASI's C library. */
export const sandboxSuites: Readonly<Record<string, () => Promise<Measurement>>> = {
  'sandbox-admission': admission,
  'sandbox-integer': () => speed('integer'),
  'sandbox-float': () => speed('float'),
  'sandbox-interpreter': () => speed('interpreter'),
  'sandbox-units': units,
}
