import { type JobProgress, watchJob } from '../../../client/follow/watch.js'
import type { GridClient } from '../../../client/session/session.js'
import type { JobList, ListedJob } from '../../../client/submit/job-list.js'
import { readJobRecords } from '../../../client/submit/job-records.js'
import type { JobId } from '../../../proto/model.js'
import { type Clock, type Millis, pause } from '../../../runtime/clock.js'
import { toGridError } from '../../../runtime/errors.js'
import { policyText, sourceText, taskText } from '../../jobs/job-view.js'
import type { JobLook, TopEvent } from '../core/messages.js'

interface JobsSourceContext {
  readonly client: GridClient
  readonly list: Pick<JobList, 'all'>
  /** Jobs of others that are to be shown, too. */
  readonly named: readonly JobId[]
  readonly clock: Clock
  readonly signal: AbortSignal
  emit(event: TopEvent): void
}

/** Jobs shown; older ones are left out. */
const SHOWN_MAX = 200
/** Jobs watched at a time: a home serves 64 streams of one key, and the commands of its submitter want some, too. */
const WATCHED_MAX = 40
/** A job that nobody answered for is asked for again. Unit: ms. */
const AGAIN_MS: Millis = 15_000
const ASK_MS: Millis = 10_000

/** The jobs of this submitter, each watched for as long as it goes on. */
export class JobsSource {
  readonly #c: JobsSourceContext
  readonly #followed = new Map<JobId, Promise<void>>()
  #elsewhere: readonly JobId[] = []
  #free = WATCHED_MAX
  readonly #waiting: (() => void)[] = []

  constructor(context: JobsSourceContext) {
    this.#c = context
  }

  /** Looks at the list of jobs on this machine and, the first time, at that in the network. */
  async refresh(withNetwork: boolean): Promise<void> {
    const { client, list, named, emit, signal } = this.#c
    if (withNetwork) {
      // What this machine knows is shown while the network is asked.
      if ((await list.all().catch(() => [])).length > 0) await this.refresh(false)
      const { overlay, sha256, signer } = client.parts
      this.#elsewhere = await readJobRecords(overlay, sha256, signer.publicKey).catch(() => this.#elsewhere)
    }
    const listed = new Map((await list.all().catch(() => [])).map((job) => [job.jobId, job]))
    if (signal.aborted) return
    const ids = [...new Set([...named, ...listed.keys(), ...this.#elsewhere])].slice(0, SHOWN_MAX)
    emit({ type: 'jobsListed', jobs: ids.map((jobId) => rowOf(jobId, listed.get(jobId))) })
    for (const jobId of ids) if (!this.#followed.has(jobId)) this.#followed.set(jobId, this.#follow(jobId))
  }

  /** Resolves when every watch has ended; to be called once the signal has aborted. */
  async closed(): Promise<void> {
    for (const next of this.#waiting.splice(0)) next()
    await Promise.all(this.#followed.values())
  }

  async #follow(jobId: JobId): Promise<void> {
    const { client, signal, emit, clock } = this.#c
    while (!signal.aborted) {
      await this.#slot()
      try {
        if (signal.aborted) return
        const looks = watchJob(client, jobId, {
          signal,
          deadlineMs: ASK_MS,
          onLost: ({ message }) => emit({ type: 'jobTroubled', jobId, reason: `its home went away: ${message}` }),
        })
        for await (const look of looks) emit({ type: 'jobLooked', jobId, look: lookOf(look) })
        return
      } catch (error) {
        if (signal.aborted) return
        const { code, message } = toGridError(error)
        emit({ type: 'jobTroubled', jobId, reason: code === 'notFound' ? 'gone' : message })
        if (code === 'notFound' || code === 'corrupt') return
      } finally {
        this.#free++
        this.#waiting.shift()?.()
      }
      await pause(clock, AGAIN_MS, signal)
    }
  }

  async #slot(): Promise<void> {
    while (this.#free <= 0 && !this.#c.signal.aborted) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#free--
  }
}

function rowOf(jobId: JobId, listed: ListedJob | undefined) {
  return { jobId, name: listed?.name ?? '', task: listed?.task ?? '', units: listed?.units ?? 0 }
}

/** A look as the dashboard keeps it. */
function lookOf({ job, summary, waiting, ageMs, firstGrantAgeMs, unitsPerSecond, eta, end }: JobProgress): JobLook {
  const { spec } = job
  return {
    name: spec.name,
    task: `${taskText(spec.task)} ${sourceText(spec.source)}`,
    summary,
    waiting,
    ageMs,
    isGranted: firstGrantAgeMs !== undefined,
    unitsPerSecond,
    eta,
    end,
    checkedBy: policyText(spec.policy),
  }
}
