import { checkSpec, jobIdOf } from '../job/spec/spec.js'
import { jobSpecCodec } from '../proto/codec/spec.js'
import type { JobId, JobSpec, Signed } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'
import type { WorkerDependencies } from './dependencies.js'

/** Specs remembered, and how many are left after those of jobs that are not open were forgotten. */
const SPECS_MAX = 256
const SPECS_LEFT = 128

/** The specs that owners told of, each checked: what a worker knows of a job is what its submitter signed. */
export class KnownSpecs {
  readonly #d: Pick<WorkerDependencies, 'sha256' | 'verify' | 'network'>
  readonly #isOpen: (jobId: JobId) => boolean
  readonly #specs = new Map<JobId, JobSpec>()

  /** `isOpen`: a job that is being computed, whose spec is not forgotten. */
  constructor(
    dependencies: Pick<WorkerDependencies, 'sha256' | 'verify' | 'network'>,
    isOpen: (jobId: JobId) => boolean,
  ) {
    this.#d = dependencies
    this.#isOpen = isOpen
  }

  get(jobId: JobId): JobSpec | undefined {
    return this.#specs.get(jobId)
  }

  /** All that are remembered. */
  known(): readonly JobId[] {
    return [...this.#specs.keys()]
  }

  /** @throws GridError `forbidden` without the signature of its submitter, `invalid` for a spec that is none */
  learn(signed: Signed): void {
    const jobId = jobIdOf(this.#d.sha256, signed.bytes)
    if (this.#specs.has(jobId)) return
    const spec = jobSpecCodec.decode(signed.bytes)
    if (!this.#d.verify('spec', spec.submitter, signed))
      throw new GridError('forbidden', 'a spec without the signature of its submitter')
    const problem = checkSpec(spec, { network: this.#d.network })
    if (problem !== undefined) throw new GridError('invalid', problem)
    this.#specs.set(jobId, spec)
    if (this.#specs.size > SPECS_MAX) this.#forget()
  }

  #forget(): void {
    for (const jobId of this.#specs.keys()) {
      if (this.#specs.size <= SPECS_LEFT) return
      if (!this.#isOpen(jobId)) this.#specs.delete(jobId)
    }
  }
}
