import { formatBytes } from '../job/quantity.js'
import type { DeclineWord } from '../proto/explain-messages.js'
import type { JobId, JobSpec, PublicKey } from '../proto/model.js'
import type { DeclinedJob } from '../proto/work-messages.js'
import type { WorkNews } from './dependencies.js'
import { accepts, type Preferences } from './preferences/core/preferences.js'

/** Work that the volunteer does not want, remembered in case that changes. */
const PASSED_OVER_MAX = 256
/** Jobs that owners are told of as not wanted; so many fit into a message. */
const DECLINED_MAX = 64
/** Reasons given for it at a time. */
const REASONS_MAX = 3

/** The work that a volunteer's preferences decline: what owners are told of it, and what the volunteer is. */
export class DeclinedWork {
  readonly #preferences: () => Preferences
  readonly #passedOver = new Map<string, WorkNews>()
  readonly #declined = new Map<JobId, DeclinedJob>()

  constructor(preferences: () => Preferences) {
    this.#preferences = preferences
  }

  /** Weighs a job by its spec. All that are declined now; undefined: no change. */
  judge(jobId: JobId, { submitter, limits }: JobSpec): readonly DeclinedJob[] | undefined {
    const reason = this.#reasonFor(submitter, limits.memoryBytes)
    if (this.#declined.get(jobId)?.reason === reason) return undefined
    this.#declined.delete(jobId)
    if (reason !== undefined) this.#declined.set(jobId, { jobId, reason })
    if (this.#declined.size > DECLINED_MAX) this.#declined.delete(this.#declined.keys().next().value!)
    return [...this.#declined.values()]
  }

  /** Weighs work by what the board says of it. Why it is not wanted; undefined: it is. */
  look(news: WorkNews): DeclineWord | undefined {
    const { owner, jobId, ready, submitter, memoryBytes = 0, hasTask = true } = news
    const name = `${owner.nodeId}/${jobId}`
    const declined = hasTask ? this.#reasonFor(submitter, memoryBytes) : 'task'
    if (declined !== undefined && ready > 0) {
      this.#passedOver.set(name, news)
      if (this.#passedOver.size > PASSED_OVER_MAX) this.#passedOver.delete(this.#passedOver.keys().next().value!)
    } else this.#passedOver.delete(name)
    return declined
  }

  /** Work that was not wanted when it was last heard of. */
  get passedOver(): readonly WorkNews[] {
    return [...this.#passedOver.values()]
  }

  /** Why work is passed over, in words for the volunteer, each once. `nameOf` gives the name the volunteer knows a key by. */
  reasons(nameOf: (key: PublicKey) => string | undefined): string[] {
    const reasons = new Set<string>()
    for (const { submitter, memoryBytes = 0 } of this.#passedOver.values()) {
      const why = this.#reasonFor(submitter, memoryBytes)
      if (submitter !== undefined && (why === 'refuse' || why === 'accept')) {
        const name = nameOf(submitter) ?? submitter.slice(0, 12)
        reasons.add(`there is work of ${name}, for whom nothing is computed here (${why})`)
      } else if (why === 'memory') {
        const [asked, given] = [memoryBytes, this.#preferences().memoryBytes].map(formatBytes)
        reasons.add(`there is work that may take ${asked} a unit, and ${given} are offered (memory)`)
      }
    }
    return [...reasons].slice(0, REASONS_MAX)
  }

  #reasonFor(submitter: PublicKey | undefined, memoryBytes: number): DeclineWord | undefined {
    const preferences = this.#preferences()
    if (submitter !== undefined && !accepts(preferences, submitter))
      return preferences.refuse.has(submitter) ? 'refuse' : 'accept'
    return memoryBytes > preferences.memoryBytes ? 'memory' : undefined
  }
}
