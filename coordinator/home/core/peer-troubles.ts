import { EXPLAIN_MAX, type TroubleWord } from '../../../proto/explain-messages.js'
import type { JobId, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { ErrorCode } from '../../../runtime/errors.js'

/** Peers that are remembered of one job, and jobs. */
const PEERS_MAX = EXPLAIN_MAX.troubles / 2
const JOBS_MAX = 1_024

/** A refusal of a peer that should keep a job, or a shard of it. */
interface Trouble {
  readonly nodeId: NodeId
  readonly address: string
  readonly what: TroubleWord
  readonly code: ErrorCode
  readonly reason: string
  /** Of the first refusal in a row. */
  readonly since: Millis
}

/** Who refused what of each job, until it takes it; soft state, for whoever asks why. */
export class PeerTroubles {
  readonly #jobs = new Map<JobId, Map<string, Trouble>>()

  note(jobId: JobId, trouble: Omit<Trouble, 'since'>, now: Millis): void {
    let troubles = this.#jobs.get(jobId)
    if (troubles === undefined) {
      troubles = new Map()
      this.#jobs.set(jobId, troubles)
      if (this.#jobs.size > JOBS_MAX) this.#jobs.delete(this.#jobs.keys().next().value!)
    }
    const name = `${trouble.what} ${trouble.nodeId}`
    const known = troubles.get(name)
    const since = known?.code === trouble.code ? known.since : now
    troubles.delete(name)
    troubles.set(name, { ...trouble, since })
    if (troubles.size > PEERS_MAX) troubles.delete(troubles.keys().next().value!)
  }

  /** The peer has taken it. */
  clear(jobId: JobId, nodeId: NodeId, what: TroubleWord): void {
    const troubles = this.#jobs.get(jobId)
    if (troubles?.delete(`${what} ${nodeId}`) === true && troubles.size === 0) this.#jobs.delete(jobId)
  }

  forget(jobId: JobId): void {
    this.#jobs.delete(jobId)
  }

  of(jobId: JobId): readonly Trouble[] {
    return [...(this.#jobs.get(jobId)?.values() ?? [])]
  }
}
