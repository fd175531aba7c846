import { execFile, execFileSync } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Piscina } from 'piscina'
import type { JobRequest } from '../client/index.js'
import { sha256 } from '../runtime/hash.js'
import { hashText, reversed, spinRounds } from './functions.js'
import { BENCH_NETWORK, BenchGrid, TASK_MODULE, withGrid } from './grid.js'
import { type JobRun, runJob } from './jobs.js'
import type { Measurement } from './measurement.js'
import { reconcile } from './reconcile.js'
import { sandboxSuites } from './sandbox.js'

const TINY_UNITS = 100_000
/** What one shard can hold. */
const SHARDED_UNITS = 16_384
const MEDIUM_UNITS = 600
const MEDIUM_MS = 50
const LARGE_UNITS = 200
const LARGE_BYTES = 2 ** 20
const IDLE_S = 60
const SHARD_OWNERS = 3
const LATENCY_RUNS = 3
const COMMAND = fileURLToPath(new URL('../cli/main.js', import.meta.url))

function piscinaOf(filename: string): Piscina {
  return new Piscina({ filename: fileURLToPath(new URL(filename, import.meta.url)), minThreads: 2, maxThreads: 2 })
}

function detailsOf(run: JobRun): Record<string, number> {
  return {
    units: run.units,
    prepareMs: Math.round(run.prepareMs),
    firstGrantMs: Math.round(run.firstGrantMs),
    runMs: Math.round(run.runMs),
    clientMiB: Math.round(run.clientBytes / 2 ** 20),
  }
}

/** 100,000 units that return the SHA-256 of their index. */
async function tiny(quorum: number, bar: number): Promise<Measurement> {
  const run = await hashes(quorum, 1)
  const value = unitsPerSecond(run)
  return { bench: `tiny-quorum-${quorum}`, value, unit: 'units/s', bar, ratio: value / bar, ...detailsOf(run) }
}

/** The same with one peer, and with three that each keep every fact. */
async function replicas(): Promise<Measurement> {
  const alone = unitsPerSecond(await hashes(1, 1))
  let wireBytes = 0
  const run = await hashes(1, SHARD_OWNERS, {}, (bytes) => {
    wireBytes = bytes
  })
  const value = unitsPerSecond(run)
  const bar = Math.max(4_000, 0.4 * alone)
  const wireBytesPerUnit = Math.round(wireBytes / run.units)
  return {
    bench: 'replicas',
    value,
    unit: 'units/s',
    bar,
    ratio: value / bar,
    alone,
    wireBytesPerUnit,
    ...detailsOf(run),
  }
}

/** Units of `tiny-quorum-1` in 1, 2 and 4 shards over four peers, three owners a shard; the slowest counts. */
async function shards(): Promise<Measurement> {
  const rates: number[] = []
  for (const many of [1, 2, 4]) {
    const changes = { source: { type: 'count', count: SHARDED_UNITS }, shardUnits: SHARDED_UNITS / many } as const
    rates.push(unitsPerSecond(await hashes(1, 4, changes)))
  }
  const [one, two, four] = rates as [number, number, number]
  const value = Math.min(...rates)
  return { bench: 'shards', value, unit: 'units/s', bar: 4_000, ratio: value / 4_000, one, two, four }
}

/** `wire` is told what passed between all processes during the job. Unit: bytes. */
function hashes(
  quorum: number,
  peers: number,
  changes: Partial<JobRequest> = {},
  wire?: (bytes: number) => void,
): Promise<JobRun> {
  return withGrid(async (grid, address) => {
    const client = await grid.client(address)
    const task = { type: 'builtin', name: 'bench-hash', version: 1 } as const
    const before = await grid.wireBytes()
    const run = await runJob(
      client,
      {
        task,
        args: ['{i}'],
        source: { type: 'count', count: TINY_UNITS },
        policy: { type: 'quorum', quorum },
        ...changes,
      },
      ({ unit, output }) => output !== undefined && sha256(output.stdout) === sha256(hashText(String(unit))),
    )
    wire?.((await grid.wireBytes()) - before)
    return run
  }, peers)
}

function unitsPerSecond(run: JobRun): number {
  return Math.round((1000 * run.units) / run.runMs)
}

/** 600 units of about 50 ms against raw Piscina with as many threads on the same function. */
async function medium(): Promise<Measurement> {
  const rounds = roundsFor(MEDIUM_MS)
  const pool = piscinaOf('./piscina-unit.js')
  await Promise.all([0, 1].map((index) => pool.run({ rounds, index }, { name: 'spin' })))
  const beganAt = performance.now()
  await Promise.all(Array.from({ length: MEDIUM_UNITS }, (_, index) => pool.run({ rounds, index }, { name: 'spin' })))
  const piscinaMs = performance.now() - beganAt
  await pool.destroy()
  const expected = new Map<number, string>()
  const run = await withGrid(async (grid, address) => {
    const client = await grid.client(address)
    const task = { type: 'builtin', name: 'bench-spin', version: 1 } as const
    return runJob(
      client,
      {
        task,
        args: [String(rounds), '{i}'],
        source: { type: 'count', count: MEDIUM_UNITS },
        policy: { type: 'quorum', quorum: 1 },
      },
      ({ unit, output }) => {
        expected.set(unit, new TextDecoder().decode(output?.stdout))
        return true
      },
    )
  })
  for (const [unit, text] of expected)
    if (text !== String(spinRounds(rounds, unit))) throw new Error(`unit ${unit} is wrong`)
  const value = run.runMs / piscinaMs
  return {
    bench: 'medium',
    value,
    unit: 'x raw Piscina',
    bar: 1.05,
    ratio: 1.05 / value,
    piscinaMs: Math.round(piscinaMs),
    ...detailsOf(run),
  }
}

function roundsFor(ms: number): number {
  const trial = 20_000_000
  spinRounds(trial, 1)
  const beganAt = performance.now()
  spinRounds(trial, 2)
  return Math.round((trial * ms) / (performance.now() - beganAt))
}

/** 200 units with 1 MiB in and 1 MiB out. Inputs are made as they are read, so that they are not in the client's memory. */
async function large(): Promise<Measurement> {
  const wanted = Array.from({ length: LARGE_UNITS }, (_, index) => sha256(reversed(noise(index))))
  const run = await withGrid(async (grid, address) => {
    const client = await grid.client(address)
    const files = wanted.map((_, index) => ({
      name: `f${String(index).padStart(4, '0')}`,
      content: { size: LARGE_BYTES, read: async (start: number, end: number) => noise(index).subarray(start, end) },
    }))
    const task = { type: 'builtin', name: 'bench-reverse', version: 1 } as const
    return runJob(
      client,
      { task, args: [], source: { type: 'files', files }, policy: { type: 'quorum', quorum: 1 } },
      ({ unit, output }) => output !== undefined && sha256(output.stdout) === wanted[unit],
    )
  })
  const value = Math.round((LARGE_UNITS * LARGE_BYTES + run.outputBytes) / run.runMs / 1000)
  return { bench: 'large', value, unit: 'MB/s', bar: 120, ratio: value / 120, ...detailsOf(run) }
}

/** 1 MiB that does not compress, the same every time. */
function noise(index: number): Uint8Array {
  const key = Buffer.alloc(16)
  key.writeUInt32LE(index)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(LARGE_BYTES))
}

/**
 * From starting the command to the first unit running, at workers that never had a job: its own start, the trial of the first
 * unit, joining and the spec on disk included.
 */
async function latency(): Promise<Measurement> {
  const values: number[] = []
  await withGrid(async (grid, address) => {
    const network = ['--network', BENCH_NETWORK.name, '--join', address]
    for (let run = 0; run < LATENCY_RUNS; run++) {
      const words = [
        COMMAND,
        'submit',
        'bench-clock',
        '--count',
        '2',
        '--quorum',
        '1',
        '--wait',
        '--no-audit',
        ...network,
      ]
      const env = {
        ...process.env,
        MANYHANDS_TASKS: TASK_MODULE,
        MANYHANDS_DATA: join(grid.folder, `submitter-${run}`),
      }
      const beganAt = process.hrtime.bigint()
      const { stdout } = await promisify(execFile)(process.execPath, words, { env })
      const ranAt = stdout.trim().split('\n').map(BigInt)
      values.push(Math.round(Number(ranAt.reduce((a, b) => (a < b ? a : b)) - beganAt) / 1e6))
    }
  })
  // The first finds workers that never had a job; the others show what is due to that.
  const [value = 0, ...later] = values
  return {
    bench: 'latency',
    value,
    unit: 'ms',
    bar: 1000,
    ratio: 1000 / value,
    laterMs: Math.min(...later),
  }
}

/** Memory and processor time of a peer without a worker after a minute with nothing to do. */
async function idle(): Promise<Measurement> {
  const grid = new BenchGrid()
  try {
    await grid.peer()
    const [pid] = grid.pids
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    const before = processorSeconds(pid!)
    await new Promise((resolve) => setTimeout(resolve, IDLE_S * 1000))
    const percent = (100 * (processorSeconds(pid!) - before)) / IDLE_S
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const mib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
    return {
      bench: 'idle',
      value: Math.round(mib),
      unit: 'MiB',
      bar: 90,
      ratio: 90 / mib,
      percentOfCore: Math.round(percent * 100) / 100,
    }
  } finally {
    await grid.stop()
  }
}

function processorSeconds(pid: number): number {
  const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK']).toString())
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Every benchmark by name. */
export const suites: Readonly<Record<string, () => Promise<Measurement>>> = {
  'tiny-quorum-1': () => tiny(1, 10_000),
  'tiny-quorum-2': () => tiny(2, 4_000),
  replicas,
  shards,
  reconcile,
  medium,
  large,
  latency,
  idle,
  ...sandboxSuites,
}
