import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invocation } from '../../client/replay/built-units.js'
import { fetchMaterial, type ReplayMaterial } from '../../client/replay/replay-material.js'
import type { UnitAnswer } from '../../client/results/answer.js'
import type { GridClient, KnownJob } from '../../client/session/session.js'
import { contains } from '../../job/units/selection.js'
import { fetchedFile } from '../../process/fetched-file.js'
import type { JobId, JobSpec } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { CommandContext } from '../context.js'
import { findTrap, trapText } from './trap-place.js'

/** Units of a command that are run again to see where they crashed: the others most often crash there, too. */
const CRASHES_MAX = 3
/** Time for one; after one that takes longer no other is looked for. Unit: ms. */
const SEARCH_MS: Millis = 20_000
/** Program and shared inputs of a job, above which they are not fetched for this alone. Unit: bytes. */
const FETCHED_BYTES_MAX = 64 * 2 ** 20

/** What a unit was run from. */
type Material = Pick<ReplayMaterial, 'built' | 'inputPaths'> & { readonly modulePath?: string | undefined }
type MaterialOf = (unit: number) => Promise<Material | undefined>

/**
 * Says of units that crashed where they did, in their reason: `the program crashed: unreachable in 'parse' (function 17)`.
 * Donors agree on the crash alone, as engines word its place differently; so a unit is run once more, here, for that. Every
 * command that shows failed units says it through this.
 */
export class Crashes {
  readonly #context: CommandContext
  readonly #materialOf: MaterialOf
  readonly #stop = new AbortController()
  readonly #onInterrupt = () => this.#stop.abort()
  #looked = 0

  constructor(context: CommandContext, materialOf: MaterialOf) {
    this.#context = context
    this.#materialOf = materialOf
    context.interrupts.first.addEventListener('abort', this.#onInterrupt, { once: true })
  }

  /** Aborts when the time is up. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** `answers`, the first that crashed with the place. */
  async *told(answers: AsyncIterable<UnitAnswer>): AsyncGenerator<UnitAnswer, void, undefined> {
    for await (const answer of answers) yield await this.tell(answer)
  }

  /**
   * `answer`, with the place if it crashed. Never rejects: what cannot be had is left out. `materialOf`: where the answer is not
   * of the jobs that this was made for.
   */
  async tell(answer: UnitAnswer, materialOf = this.#materialOf): Promise<UnitAnswer> {
    if (answer.outcome !== 'trap' || this.#looked >= CRASHES_MAX || this.#stop.signal.aborted) return answer
    this.#looked++
    const { clock } = this.#context
    const timer = clock.setTimer(SEARCH_MS, () => this.#stop.abort())
    try {
      const material = await materialOf(answer.unit)
      if (material?.modulePath === undefined) return answer
      const { built, modulePath, inputPaths } = material
      const trap = await findTrap({
        spec: built.spec,
        modulePath,
        inputPaths,
        unit: answer.unit,
        invocation: await invocation(built, answer.unit),
        clock,
        signal: this.#stop.signal,
      })
      return trap === undefined ? answer : { ...answer, reason: `${answer.reason}: ${trapText(trap)}` }
    } catch {
      return answer
    } finally {
      timer.cancel()
    }
  }

  /** Safe to call twice. */
  close(): void {
    this.#stop.abort()
    this.#context.interrupts.first.removeEventListener('abort', this.#onInterrupt)
  }
}

/**
 * The same for units of one's own jobs on the grid, each from the youngest of `jobsOf` that has it. Others' programs run here
 * only where that is asked for (`replay`). Calls `use` and then cleans up.
 */
export async function withGridCrashes<T>(
  context: CommandContext,
  client: GridClient,
  jobs: () => readonly Pick<KnownJob, 'jobId' | 'spec'>[],
  use: (crashes: Crashes) => Promise<T>,
): Promise<T> {
  const fetched = new Map<JobId, Promise<Material>>()
  let folder: string | undefined
  const crashes = new Crashes(context, async (unit) => {
    const all = jobs()
    const job = all.toReversed().find(({ spec }) => contains(spec.selection, unit)) ?? all[0]
    if (job === undefined || !isFetched(job.spec) || job.spec.submitter !== client.parts.signer.publicKey) return
    folder ??= await mkdtemp(join(tmpdir(), 'manyhands-crash-'))
    let material = fetched.get(job.jobId)
    if (material === undefined) {
      const createFile: Parameters<typeof fetchMaterial>[2]['createFile'] = (blob) => fetchedFile(folder!, blob)
      material = fetchMaterial(client, job, { createFile, signal: crashes.signal })
      fetched.set(job.jobId, material)
    }
    return material
  })
  try {
    return await use(crashes)
  } finally {
    crashes.close()
    await Promise.allSettled(fetched.values())
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}

/** Whether a job is a program whose files are small enough to be fetched for this. */
function isFetched({ task, inputs }: JobSpec): boolean {
  if (task.type !== 'module') return false
  return inputs.reduce((sum, { blob }) => sum + blob.size, task.module.size) <= FETCHED_BYTES_MAX
}
