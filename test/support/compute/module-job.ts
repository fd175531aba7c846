import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blobOf } from '../../../job/blob.js'
import { unitOutputCodec } from '../../../proto/codec/facts.js'
import type { JobId, UnitOutput } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { type Logger, silentLogger } from '../../../runtime/logger.js'
import { PROFILE } from '../../../sandbox/index.js'
import type { ComputeResult } from '../../../worker/compute/compute.js'
import { type ComputeOptions, type ComputeProcess, startCompute } from '../../../worker/compute/supervise.js'
import { ComputeBench, computeSpec, type SpecChanges } from './compute.js'

/** What became of a unit, with its output read. */
export interface ModuleResult extends ComputeResult {
  readonly says: UnitOutput | undefined
}

/** A compute process as a volunteer has it, without tasks of its own, that runs units of modules. */
export class ModuleBench extends ComputeBench {
  readonly #folder: string
  #jobs = 0

  constructor(compute: ComputeProcess) {
    super(compute)
    this.#folder = mkdtempSync(join(tmpdir(), 'manyhands-modules-'))
  }

  /** Opens a job of `count` units of a module, with files of its own, and queues them. */
  start(
    module: Uint8Array,
    count = 1,
    changes: SpecChanges = {},
    files: Readonly<Record<string, Uint8Array>> = {},
  ): JobId {
    const jobId = `a${(++this.#jobs).toString(16).padStart(63, '0')}` as JobId
    const { blob } = blobOf(sha256, module)
    const spec = computeSpec('', count, { profile: PROFILE, task: { type: 'module', module: blob }, ...changes })
    const inputs = Object.entries(files).map(([name, bytes]) => ({ name, path: this.file(name, bytes) }))
    this.compute.openJob({ jobId, spec, inputs, modulePath: this.file(`${blob.digest}.wasm`, module) })
    this.compute.run({ jobId, units: Array.from({ length: count }, (_, unit) => ({ unit, items: [] })) })
    return jobId
  }

  /** Runs one unit of a module and closes the job. */
  async one(
    module: Uint8Array,
    changes: SpecChanges = {},
    files: Readonly<Record<string, Uint8Array>> = {},
  ): Promise<ModuleResult> {
    const jobId = this.start(module, 1, changes, files)
    const [result] = await this.collect(jobId, 1, 60_000)
    this.compute.closeJob(jobId)
    return { ...result!, says: readOutput(result!) }
  }

  /** A file outside the reach of the compute process. */
  file(name: string, bytes: Uint8Array): string {
    const path = join(this.#folder, name)
    writeFileSync(path, bytes, { mode: 0o600 })
    return path
  }

  /** Resident memory of the compute process. Linux. Unit: MiB. */
  residentMib(): number {
    const status = readFileSync(`/proc/${this.compute.pid}/status`, 'latin1')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  }

  /** Removes the files of all jobs; the compute process has read those of running units. */
  removeFiles(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await this.compute.close()
    this.removeFiles()
  }
}

function readOutput({ outcome, output }: ComputeResult): UnitOutput | undefined {
  return outcome === 'host' || outcome === 'wall' ? undefined : unitOutputCodec.decode(output)
}

/** A compute process of `threads` threads for modules. */
export function moduleBench(
  threads: number,
  options: Partial<Pick<ComputeOptions, 'contentBytesMax' | 'clock'>> & { readonly logger?: Logger } = {},
): ModuleBench {
  return new ModuleBench(
    startCompute({ threads, lowPriority: false, clock: systemClock, logger: silentLogger, ...options }),
  )
}
