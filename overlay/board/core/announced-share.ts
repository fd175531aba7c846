import type { JobId, PublicKey } from '../../../proto/model.js'

/** What is announced, as far as sharing the room goes. */
export interface AnnouncedJob {
  readonly jobId: JobId
  readonly submitter: PublicKey
}

/**
 * Which of the announced jobs makes room for one more of `submitter`, where there is none left: the last one of the submitter
 * with most, provided that it still has as many as `submitter` afterwards. Undefined: none, the new one has to wait. So many
 * jobs of one submitter never keep the first one of another from being known.
 */
export function makesRoom(announced: Iterable<AnnouncedJob>, submitter: PublicKey): JobId | undefined {
  const counts = new Map<PublicKey, { count: number; last: JobId }>()
  for (const job of announced) {
    const before = counts.get(job.submitter)
    if (before === undefined) counts.set(job.submitter, { count: 1, last: job.jobId })
    else {
      before.count++
      before.last = job.jobId
    }
  }
  let most: { count: number; last: JobId } | undefined
  for (const each of counts.values()) if (most === undefined || each.count > most.count) most = each
  const own = counts.get(submitter)?.count ?? 0
  return most !== undefined && most.count > own + 1 ? most.last : undefined
}
