import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BENCH_NETWORK, withGrid } from '../../bench/grid.js'
import {
  type BuiltJob,
  buildJob,
  type Content,
  type JobRequest,
  ResultsReader,
  runLocal,
  submitJob,
  type UnitAnswer,
} from '../../client/index.js'
import type { PublicKey } from '../../proto/model.js'
import { systemClock } from '../../runtime/clock.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { silentLogger } from '../../runtime/logger.js'
import { systemRandom } from '../../runtime/random.js'
import { startCompute } from '../../worker/compute/supervise.js'
import type { EngineAnswer, Row } from './compute.js'
import { type CorpusUnit, corpusUnits } from './units.js'

const NOBODY = '0'.repeat(64) as PublicKey

/** Computes every unit in the child process of this machine, as `run-local` does. */
export async function computeLocally(programs: string): Promise<EngineAnswer> {
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-corpus-'))
  const compute = startCompute({
    threads: 1,
    memoryBytes: 256 * 2 ** 20,
    taskModules: [],
    lowPriority: false,
    clock: systemClock,
    logger: silentLogger,
  })
  try {
    const rows: Row[] = []
    for (const [index, unit] of corpusUnits.entries()) {
      const beganAt = performance.now()
      const modulePath = join(programs, `${unit.program}.wasm`)
      const module = await readFile(modulePath)
      const built = await build(unit, module, NOBODY)
      const unitFolder = join(folder, String(index))
      mkdirSync(unitFolder)
      const inputPaths = Object.entries(unit.files).map(([name, text]) => ({
        name,
        path: join(unitFolder, name),
        text,
      }))
      for (const { path, text } of inputPaths) writeFileSync(path, text)
      for await (const answer of runLocal({ built, compute, sha256, inputPaths, modulePath }))
        rows.push(rowOf(unit, module, answer, beganAt))
    }
    return { engine: 'run-local', rows }
  } finally {
    await compute.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Computes every unit as a job of a grid of one peer and two workers, who have to agree on it. */
export function computeOnGrid(programs: string): Promise<EngineAnswer> {
  return withGrid(async (grid, address) => {
    const client = await grid.client(address)
    const session = client.client()
    const submitted = []
    for (const unit of corpusUnits) {
      const beganAt = performance.now()
      const module = await readFile(join(programs, `${unit.program}.wasm`))
      const built = await build(unit, module, client.identity.publicKey)
      submitted.push({ unit, module, beganAt, jobId: (await submitJob(session, built)).jobId })
    }
    const rows: Row[] = []
    for (const { unit, module, beganAt, jobId } of submitted) {
      const reader = new ResultsReader(session, await session.job(jobId), { order: 'settled', follow: true })
      for await (const answer of reader) rows.push(rowOf(unit, module, answer, beganAt))
    }
    return { engine: 'one peer, two workers that agree', rows }
  })
}

function build(unit: CorpusUnit, module: Uint8Array, submitter: PublicKey): Promise<BuiltJob> {
  return buildJob(requestOf(unit, module), {
    sha256,
    random: systemRandom,
    nowMs: Date.now(),
    network: BENCH_NETWORK.name,
    submitter,
    peers: 1,
  })
}

/** A job of the one unit: by its index, or of the lines that are its standard input. */
function requestOf(unit: CorpusUnit, module: Uint8Array): JobRequest {
  const { fuel, memoryBytes, outputBytes } = unit
  const lines = unit.stdin.split('\n').length - 1
  return {
    task: { type: 'upload', content: contentOf(module), label: `${unit.program}.wasm` },
    ...(lines > 0
      ? { source: { type: 'lines', content: contentOf(utf8(unit.stdin)) }, perUnit: lines }
      : { source: { type: 'count', count: unit.unit + 1 }, units: String(unit.unit) }),
    args: unit.args,
    environment: Object.entries(unit.environment),
    inputs: Object.entries(unit.files).map(([name, text]) => ({ name, content: contentOf(utf8(text)) })),
    seed: unit.seed,
    limits: { fuel, memoryBytes, outputBytes },
    policy: { type: 'quorum', quorum: 2 },
  }
}

function contentOf(bytes: Uint8Array): Content {
  return { size: bytes.length, read: async (start, end) => bytes.slice(start, end) }
}

function rowOf(unit: CorpusUnit, module: Uint8Array, answer: UnitAnswer, beganAt: number): Row {
  return {
    unit: unit.name,
    nanPass: true,
    outcome: answer.outcome,
    exitCode: answer.output?.exitCode ?? 0,
    digest: answer.digest,
    fuel: String(answer.fuel),
    module: sha256(module),
    ms: Math.round(performance.now() - beganAt),
  }
}
