import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryContent } from '../../client/content/content.js'
import { runLocal } from '../../client/replay/run-local.js'
import type { UnitAnswer } from '../../client/results/answer.js'
import { buildJob } from '../../client/submit/job-builder.js'
import type { PublicKey } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { toHex } from '../../runtime/hex.js'
import { systemRandom } from '../../runtime/random.js'
import { admit } from '../../sandbox/index.js'
import type { Compute } from '../../worker/compute/supervise.js'
import type { SandboxCase } from './cases.js'

/** What came of one case. */
export interface CheckedCase {
  readonly name: string
  readonly passed: boolean
  readonly says: string
  readonly wallMs: number
}

/** Stands for a key where none is needed: what is built for this machine alone is never signed. */
const NOBODY = '0'.repeat(64) as PublicKey
const MEMORY_BYTES = 64 * 2 ** 20
/** No case may take longer, whatever goes wrong. Unit: ms. */
const WALL_MS = 20_000

/** Runs each case as a unit of a job on the compute process, one after another. */
export async function* checkSandbox(
  cases: readonly SandboxCase[],
  compute: Compute,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<CheckedCase, void, undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'manyhands-sandbox-'))
  try {
    for (const [index, tried] of cases.entries()) {
      const startedAt = clock.now()
      const { name } = tried
      try {
        const problem = refusalProblem(tried)
        const answer = await run(tried, join(folder, `${index}.wasm`), compute, clock, signal)
        const wrong = problem ?? problemOf(tried, answer)
        const wallMs = clock.now() - startedAt
        yield { name, passed: wrong === undefined, says: wrong ?? tried.says(answer), wallMs }
      } catch (error) {
        if (signal.aborted) return
        yield { name, passed: false, says: toGridError(error).message, wallMs: clock.now() - startedAt }
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A module that has to be refused is, with the expected reason; any other is admitted. */
function refusalProblem({ module, refused, limits }: SandboxCase): string | undefined {
  try {
    admit(module(), { memoryBytes: limits?.memoryBytes ?? MEMORY_BYTES })
  } catch (error) {
    const { message } = toGridError(error)
    if (refused === undefined) return `refused: ${message}`
    return refused.test(message) ? undefined : `refused for another reason: ${message}`
  }
  return refused === undefined ? undefined : 'admission took it'
}

async function run(
  { module, limits }: SandboxCase,
  path: string,
  compute: Compute,
  clock: Clock,
  signal: AbortSignal,
): Promise<UnitAnswer> {
  const bytes = module()
  await writeFile(path, bytes, { mode: 0o600 })
  const built = await buildJob(
    {
      task: { type: 'upload', content: memoryContent(bytes), label: 'a program of the check' },
      source: { type: 'count', count: 1 },
      limits: { memoryBytes: MEMORY_BYTES, wallMs: WALL_MS, ...limits },
    },
    { sha256, random: systemRandom, nowMs: clock.wallMs(), network: 'main', submitter: NOBODY, peers: 0 },
  )
  for await (const answer of runLocal({ built, compute, sha256, modulePath: path, signal })) return answer
  throw new Error('no answer')
}

function problemOf({ outcome, stdout }: SandboxCase, answer: UnitAnswer): string | undefined {
  if (answer.outcome !== outcome) {
    const code = answer.outcome === 'exit' ? ` with code ${answer.output?.exitCode}` : ''
    return `ended in '${answer.outcome}'${code}, not in '${outcome}'`
  }
  const printed = toHex(answer.output?.stdout ?? new Uint8Array(0))
  if (stdout !== undefined && printed !== stdout) return `printed ${printed.slice(0, 80)}, not ${stdout}`
  return undefined
}
