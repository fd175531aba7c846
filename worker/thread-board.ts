import type { ThreadState } from '../proto/admin-messages.js'
import type { JobId, JobSpec, TaskRef } from '../proto/model.js'
import type { Clock, Millis } from '../runtime/clock.js'
import type { UnitOnThread } from './compute/compute.js'

/** A unit that has ended is shown this long after it was seen running: tiny ones come and go between two looks. */
const SHOWN_MS = 2_000

interface Seen {
  readonly running: UnitOnThread
  readonly sinceMs: number
  seenAt: Millis
  ended: boolean
}

/** What each computing thread does, for people: the unit that it was last seen with. */
export class ThreadBoard {
  readonly #clock: Clock
  readonly #seen = new Map<number, Seen>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What the compute process tells of all its threads. */
  told(running: readonly UnitOnThread[]): void {
    const now = this.#clock.now()
    const busy = new Set(running.map(({ thread }) => thread))
    for (const thread of this.#seen.keys()) if (!busy.has(thread)) this.#seen.delete(thread)
    for (const one of running) {
      const before = this.#seen.get(one.thread)
      const isSame = before?.running.jobId === one.jobId && before.running.unit === one.unit
      const sinceMs = isSame ? before.sinceMs : this.#clock.wallMs() - one.ranMs
      this.#seen.set(one.thread, { running: one, sinceMs, seenAt: now, ended: false })
    }
  }

  /** Units that run no more, whatever became of them. */
  ended(units: Iterable<{ readonly jobId: JobId; readonly unit: number }>): void {
    const gone = new Set([...units].map(({ jobId, unit }) => `${jobId}/${unit}`))
    for (const seen of this.#seen.values())
      if (gone.has(`${seen.running.jobId}/${seen.running.unit}`)) seen.ended = true
  }

  /** Units that run, as far as it is known. */
  running(): readonly UnitOnThread[] {
    return [...this.#seen.values()].filter(({ ended }) => !ended).map(({ running }) => running)
  }

  /** All threads, from 0 on. */
  threads(count: number, specOf: (jobId: JobId) => JobSpec | undefined): ThreadState[] {
    const now = this.#clock.now()
    return Array.from({ length: count }, (_, thread) => {
      const seen = this.#seen.get(thread)
      const spec = seen === undefined ? undefined : specOf(seen.running.jobId)
      if (seen === undefined || spec === undefined || (seen.ended && now - seen.seenAt > SHOWN_MS))
        return { thread, unit: undefined }
      const { jobId, unit, fuel } = seen.running
      return {
        thread,
        unit: {
          jobId,
          jobName: spec.name,
          submitter: spec.submitter,
          unit,
          task: taskName(spec.task),
          sinceMs: Math.max(0, Math.round(seen.sinceMs)),
          fuel,
          fuelMax: spec.limits.fuel,
        },
      }
    })
  }
}

/** `primes@1`, or `module` with the first digits of its digest. */
function taskName(task: TaskRef): string {
  return task.type === 'builtin' ? `${task.name}@${task.version}` : `module ${task.module.digest.slice(0, 8)}`
}
