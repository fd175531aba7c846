import { buildJob, type JobRequest, ResultsReader, submitJob, type UnitAnswer } from '../client/index.js'
import type { GridProcess } from '../process/compose.js'
import { sha256 } from '../runtime/hash.js'
import { systemRandom } from '../runtime/random.js'
import { BENCH_NETWORK } from './grid.js'

/** What one job took, seen by its submitter. Times in ms. */
export interface JobRun {
  /** Building and uploading, before the spec was sent. */
  readonly prepareMs: number
  /** From sending the spec to the first grant. */
  readonly firstGrantMs: number
  /** From the first grant to the last result that the client has verified. */
  readonly runMs: number
  readonly units: number
  readonly outputBytes: number
  /** Most memory of this process while results came in. Unit: bytes. */
  readonly clientBytes: number
}

/** Submits a job, follows its results as they settle, checks every one with `check`, and times it. */
export async function runJob(
  client: GridProcess,
  request: JobRequest,
  check: (answer: UnitAnswer) => boolean,
): Promise<JobRun> {
  const began = performance.now()
  const built = await buildJob(request, {
    sha256,
    random: systemRandom,
    nowMs: Date.now(),
    network: BENCH_NETWORK.name,
    submitter: client.identity.publicKey,
    peers: 1,
  })
  const grid = client.client()
  const { jobId } = await submitJob(grid, built)
  const submittedAt = performance.now()
  const seen = new Set<number>()
  let outputBytes = 0
  let clientBytes = 0
  let firstGrantMs: number | undefined
  const reader = new ResultsReader(grid, await grid.job(jobId), {
    order: 'settled',
    follow: true,
    onProgress: ({ firstGrantAgeMs }) => {
      firstGrantMs ??= firstGrantAgeMs
    },
  })
  for await (const answer of reader) {
    if (answer.state !== 'done') throw new Error(`unit ${answer.unit} failed: ${answer.reason}`)
    if (!check(answer) || seen.has(answer.unit)) throw new Error(`unit ${answer.unit} is wrong`)
    seen.add(answer.unit)
    outputBytes += answer.output?.stdout.length ?? 0
    if (seen.size % 64 === 0) clientBytes = Math.max(clientBytes, process.memoryUsage.rss())
  }
  const endedAt = performance.now()
  if (seen.size !== built.units) throw new Error(`${seen.size} of ${built.units} results came`)
  return {
    prepareMs: submittedAt - began,
    firstGrantMs: firstGrantMs ?? 0,
    runMs: endedAt - submittedAt - (firstGrantMs ?? 0),
    units: built.units,
    outputBytes,
    clientBytes,
  }
}
