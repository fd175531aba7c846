import { fileURLToPath } from 'node:url'
import type { JobId, JobSpec, Key, PublicKey } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { silentLogger } from '../../../runtime/logger.js'
import type { Compute, ComputeResult } from '../../../worker/compute/compute.js'
import { type ComputeProcess, startCompute } from '../../../worker/compute/supervise.js'
import { eventually } from '../deadline.js'

/** The tasks of `tasks/compute-tasks.ts`, as compiled. */
const computeTasks: string = fileURLToPath(new URL('./tasks/compute-tasks.js', import.meta.url))

/** What a test may change of a job. */
export type SpecChanges = Partial<Omit<JobSpec, 'limits'>> & { readonly limits?: Partial<JobSpec['limits']> }

/** A job of `count` units for one of the test tasks. */
export function computeSpec(task: string, count: number, changes: SpecChanges = {}): JobSpec {
  const limits = { memoryBytes: 2 ** 28, outputBytes: 2 ** 24, stderrBytes: 65_536, wallMs: 3_600_000, fuel: 0n }
  return {
    format: 1,
    verdict: 1,
    profile: 0,
    requires: [],
    judges: [],
    network: 'test',
    submitter: '0'.repeat(64) as PublicKey,
    nonce: '0'.repeat(32),
    createdAtMs: 0,
    expiresAtMs: 1,
    name: '',
    labels: [],
    task: { type: 'builtin', name: task, version: 1 },
    source: { type: 'count', count },
    perUnit: 1,
    repeat: 1,
    selection: [],
    args: [],
    environment: [],
    seed: 0n,
    inputs: [],
    policy: { type: 'none' },
    maxErrors: 3,
    maxInstances: 10,
    delayBoundMs: 0,
    okExit: [],
    maxFails: { type: 'count', value: 0 },
    priority: 0,
    isPublic: false,
    readers: [],
    owners: [],
    workers: [],
    shardUnits: 64,
    minGrantors: 1,
    ownerRadius: 'f'.repeat(40) as Key,
    parent: undefined,
    ...changes,
    limits: { ...limits, ...changes.limits },
  }
}

let jobs = 0

/** A {@link Compute} with everything that came out of it. */
export class ComputeBench<C extends Compute = ComputeProcess> {
  readonly compute: C
  readonly results: ComputeResult[] = []

  constructor(compute: C) {
    this.compute = compute
    compute.onResults((results) => {
      this.results.push(...results)
    })
  }

  /** Opens a job and queues `units` of it (a number: from 0), each with `items`. */
  submit(spec: JobSpec, units: number | readonly number[], items: readonly Uint8Array[] = []): JobId {
    const jobId = (++jobs).toString(16).padStart(64, '0') as JobId
    this.compute.openJob({ jobId, spec, inputs: [] })
    const list = typeof units === 'number' ? Array.from({ length: units }, (_, unit) => unit) : units
    this.compute.run({ jobId, units: list.map((unit) => ({ unit, items })) })
    return jobId
  }

  /** Results of a job by unit, once there are `count`. */
  async collect(jobId: JobId, count: number, ms = 20_000): Promise<ComputeResult[]> {
    const mine = () => this.results.filter((result) => result.jobId === jobId)
    let seen = -1
    let enough = false
    await eventually(
      () => {
        if (seen !== this.results.length) enough = mine().length >= count
        seen = this.results.length
        return enough
      },
      ms,
      `${count} results`,
    )
    return mine().sort((a, b) => a.unit - b.unit)
  }
}

/** A compute process that knows the test tasks. */
export function computeBench(
  threads: number,
  options: { memoryBytes?: number; lowPriority?: boolean } = {},
): ComputeBench {
  const { lowPriority = false, ...rest } = options
  return new ComputeBench(
    startCompute({
      threads,
      lowPriority,
      taskModules: [computeTasks],
      clock: systemClock,
      logger: silentLogger,
      ...rest,
    }),
  )
}
