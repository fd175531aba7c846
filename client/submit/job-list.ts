import type { JobId } from '../../proto/model.js'
import type { Disk } from '../../runtime/disk.js'
import { GridError } from '../../runtime/errors.js'

/** A job as this machine remembers it. */
export interface ListedJob {
  readonly jobId: JobId
  readonly name: string
  /** Task with its source for people: `primes --range 0..10^9:10^7`. */
  readonly task: string
  readonly createdAtMs: number
  readonly units: number
  readonly parent: JobId | undefined
}

/** Jobs remembered; the oldest leave first. */
const JOBS_MAX = 10_000
const FILE = 'jobs.json'
/** Hex digits that a prefix of an id must have at least. */
const PREFIX_DIGITS_MIN = 4

/** The part of a disk that the list needs. */
export interface ListStorage extends Pick<Disk, 'read' | 'write'> {
  /** Runs `change` while no other process changes `file`. Absent: there is no other. */
  readonly alone?: <T>(file: string, change: () => Promise<T>) => Promise<T>
}

/** The jobs submitted from this machine, newest first, in `jobs.json`. */
export class JobList {
  readonly #storage: ListStorage
  #writing: Promise<void> = Promise.resolve()

  constructor(storage: ListStorage) {
    this.#storage = storage
  }

  /** Newest first. A damaged file reads as empty: it is a convenience, the network has the jobs. */
  async all(): Promise<readonly ListedJob[]> {
    const bytes = await this.#storage.read(FILE)
    if (bytes === undefined) return []
    try {
      const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes))
      return isObject(parsed) && Array.isArray(parsed.jobs) ? parsed.jobs.flatMap(readEntry) : []
    } catch {
      return []
    }
  }

  /** Adds a job, or replaces what is known of it. On disk when it resolves. */
  add(job: ListedJob): Promise<void> {
    return this.#change((jobs) => [job, ...jobs.filter(({ jobId }) => jobId !== job.jobId)].slice(0, JOBS_MAX))
  }

  remove(jobId: JobId): Promise<void> {
    return this.#change((jobs) => jobs.filter((job) => job.jobId !== jobId))
  }

  /** Jobs that retry `jobId` or one of its retries, oldest first. */
  async childrenOf(jobId: JobId): Promise<readonly JobId[]> {
    const family = new Set<JobId>([jobId])
    const children: JobId[] = []
    for (const job of (await this.all()).toReversed()) {
      if (job.parent === undefined || !family.has(job.parent)) continue
      family.add(job.jobId)
      children.push(job.jobId)
    }
    return children
  }

  /**
   * The id that a person meant: a whole one, a unique prefix of 4 digits or more of a job listed here or in `others`, or
   * `last`. Throws GridError `invalid` for text that is none or means several, `notFound` when it means none.
   */
  async resolve(text: string, others: readonly JobId[] = []): Promise<JobId> {
    const digits = text.trim().toLowerCase()
    if (/^[0-9a-f]{64}$/.test(digits)) return digits as JobId
    const jobs = await this.all()
    if (digits === 'last') {
      const last = jobs[0]
      if (last === undefined) throw new GridError('notFound', 'no job was submitted from this machine yet')
      return last.jobId
    }
    if (!/^[0-9a-f]+$/.test(digits) || digits.length < PREFIX_DIGITS_MIN || digits.length > 64) {
      throw new GridError('invalid', `'${text.slice(0, 80)}' is no job id`, {
        hint: `write the id, at least ${PREFIX_DIGITS_MIN} of its first digits, or 'last'`,
      })
    }
    const known = new Set([...jobs.map(({ jobId }) => jobId), ...others])
    const matches = [...known].filter((jobId) => jobId.startsWith(digits))
    if (matches.length > 1) {
      throw new GridError('invalid', `'${digits}' stands for ${matches.length} jobs`, {
        hint: `write more digits: ${matches
          .slice(0, 3)
          .map((id) => id.slice(0, digits.length + 4))
          .join(', ')}`,
      })
    }
    const [match] = matches
    if (match === undefined) {
      throw new GridError('notFound', `no job known here begins with '${digits}'`, { hint: 'write the whole id' })
    }
    return match
  }

  #change(change: (jobs: readonly ListedJob[]) => readonly ListedJob[]): Promise<void> {
    const { alone = (_, action) => action() } = this.#storage
    const done = this.#writing.then(() =>
      alone(FILE, async () => {
        const jobs = change(await this.all())
        await this.#storage.write(FILE, new TextEncoder().encode(`${JSON.stringify({ v: 1, jobs }, undefined, 1)}\n`))
      }),
    )
    this.#writing = done.catch(() => {})
    return done
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function readEntry(entry: unknown): ListedJob[] {
  if (!isObject(entry) || typeof entry.jobId !== 'string' || !/^[0-9a-f]{64}$/.test(entry.jobId)) return []
  const { name, task, createdAtMs, units, parent } = entry
  return [
    {
      jobId: entry.jobId as JobId,
      name: typeof name === 'string' ? name : '',
      task: typeof task === 'string' ? task : '',
      createdAtMs: typeof createdAtMs === 'number' ? createdAtMs : 0,
      units: typeof units === 'number' ? units : 0,
      parent: typeof parent === 'string' && /^[0-9a-f]{64}$/.test(parent) ? (parent as JobId) : undefined,
    },
  ]
}
