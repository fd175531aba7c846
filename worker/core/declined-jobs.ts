import type { DeclineWord } from '../../proto/explain-messages.js'
import type { JobId, NodeId } from '../../proto/model.js'
import type { DeclinedJob } from '../../proto/work-messages.js'

/** Owners of declined jobs that are remembered, and jobs of each. */
const OWNERS_MAX = 256
const JOBS_MAX = 64

const NOTHING: OwnersDeclined = { version: 0, jobs: new Map() }

interface OwnersDeclined {
  version: number
  readonly jobs: Map<JobId, DeclineWord>
}

/** Jobs that this worker takes nothing of by its volunteer's wish, by the owner that offered them: it is to know why. */
export class DeclinedJobs {
  readonly #owners = new Map<NodeId, OwnersDeclined>()

  /** An owner offers work of the job; `reason` undefined: it is welcome. */
  offered(owner: NodeId, jobId: JobId, reason: DeclineWord | undefined): void {
    let known = this.#owners.get(owner)
    if (known?.jobs.get(jobId) === reason) return
    if (known === undefined) {
      known = { version: 0, jobs: new Map() }
      this.#owners.set(owner, known)
      if (this.#owners.size > OWNERS_MAX) this.#owners.delete(this.#owners.keys().next().value!)
    }
    known.version++
    if (reason === undefined) known.jobs.delete(jobId)
    else known.jobs.set(jobId, reason)
    if (known.jobs.size > JOBS_MAX) known.jobs.delete(known.jobs.keys().next().value!)
  }

  /** Rises with every change of {@link of}; 0: there was never anything to say. */
  version(owner: NodeId): number {
    return (this.#owners.get(owner) ?? NOTHING).version
  }

  of(owner: NodeId): DeclinedJob[] {
    return [...(this.#owners.get(owner) ?? NOTHING).jobs].map(([jobId, reason]) => ({ jobId, reason }))
  }
}
