import type { SignatureVerifier } from '../../job/facts/signature.js'
import { checkSpec, jobIdOf } from '../../job/spec/spec.js'
import { hostGroup, isLoopback } from '../../overlay/address.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { JobId, JobSpec, PublicKey, Signed } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { BookedJob, RememberedGrants } from './booked-job.js'

/** Checks of keys for everything a job brings along, specs included. */
export interface SpecVerifier extends SignatureVerifier {
  verify(tag: string, publicKey: PublicKey, signed: Signed): boolean
}

/** What a peer needs to know to book a job. */
interface BookContext {
  readonly sha256: Sha256
  readonly verifier: SpecVerifier
  readonly network: string
  readonly wallMs: () => number
}

/** What a book has room for: jobs and {@link countedBytes} of their specs, in all and of one submitter. */
interface BookRoom {
  readonly jobsMax: number
  readonly jobsPerSubmitterMax: number
  readonly specBytesMax: number
  readonly specBytesPerSubmitterMax: number
}

/** Whose request a job came with, as far as the room that it takes goes. */
interface Bringer {
  readonly host: string
  /** What one address may hold, in parts of what is left free: {@link SUBMITTED_SHARE} or {@link PASSED_ON_SHARE}. */
  readonly share: number
}

/**
 * One address holds at most this many times what is still free: a half, and three quarters, of a book that nobody else uses. A
 * book is so never filled by few addresses, and no limit is wasted while there is room (dynamic thresholds, Choudhury and Hahne
 * 1998). Peers pass on what many addresses have submitted to them; what one of these may hold there leaves room for the others here.
 */
export const SUBMITTED_SHARE = 1
/** The same for one peer that passes jobs on; see {@link SUBMITTED_SHARE}. */
export const PASSED_ON_SHARE = 3

/** Every job this peer holds, as home or as owner of a shard. */
export class JobBook {
  readonly #context: BookContext
  readonly #jobs = new Map<JobId, BookedJob>()
  readonly #remembered = new RememberedGrants()

  constructor(context: BookContext) {
    this.#context = context
  }

  get(jobId: JobId): BookedJob | undefined {
    return this.#jobs.get(jobId)
  }

  /** @throws GridError `notFound` */
  need(jobId: JobId): BookedJob {
    const job = this.#jobs.get(jobId)
    if (job === undefined)
      throw new GridError('notFound', `job ${jobId.slice(0, 8)} is not known here`, { fields: { jobId } })
    return job
  }

  all(): IterableIterator<BookedJob> {
    return this.#jobs.values()
  }

  get size(): number {
    return this.#jobs.size
  }

  forget(jobId: JobId): void {
    this.#jobs.delete(jobId)
  }

  /** Whether `publicKey` signed. */
  verifies(tag: string, publicKey: PublicKey, signed: Signed): boolean {
    return this.#context.verifier.verify(tag, publicKey, signed)
  }

  /** @throws GridError `quota` naming the limit that one job more, brought by `bringer`, would pass */
  checkRoom(job: BookedJob, room: BookRoom, bringer: Bringer): void {
    if (this.#jobs.has(job.jobId)) return
    const { jobsMax, jobsPerSubmitterMax, specBytesMax, specBytesPerSubmitterMax } = room
    const from = countedAddress(bringer.host)
    const all = { jobs: 0, bytes: job.countedBytes }
    const submitter = { ...all }
    const address = { ...all }
    for (const { spec, countedBytes: bytes, broughtFrom } of this.#jobs.values()) {
      count(all, bytes)
      if (spec.submitter === job.spec.submitter) count(submitter, bytes)
      if (from !== '' && broughtFrom === from) count(address, bytes)
    }
    const most = (what: string) => new GridError('quota', `this peer keeps at most ${what}`)
    if (all.jobs >= jobsMax) throw most(`${jobsMax} jobs`)
    if (submitter.jobs >= jobsPerSubmitterMax) throw most(`${jobsPerSubmitterMax} jobs of one submitter`)
    if (all.bytes > specBytesMax) throw most(`${specBytesMax} bytes of specs`)
    if (submitter.bytes > specBytesPerSubmitterMax)
      throw most(`${specBytesPerSubmitterMax} bytes of specs of one submitter`)
    if (from === '') return
    const { share } = bringer
    if (address.jobs >= share * (jobsMax - all.jobs))
      throw most(`${share} times as many jobs of one address as it has room for`)
    if (address.bytes > share * (specBytesMax - all.bytes))
      throw most(`${share} times as many bytes of specs of one address as it has room for`)
  }

  /** Books a job from our own disk: it was checked when it came, and may have expired since. */
  restore(signed: Signed): BookedJob {
    const jobId = jobIdOf(this.#context.sha256, signed.bytes)
    const job = this.#jobs.get(jobId) ?? this.#made(jobId, signed, jobSpecCodec.decode(signed.bytes))
    this.#jobs.set(jobId, job)
    return job
  }

  /** Books a job that {@link read} gave, unless it is booked by now: what is booked counts. */
  keep(job: BookedJob, bringer: Bringer): BookedJob {
    const known = this.#jobs.get(job.jobId)
    if (known !== undefined) return known
    job.broughtFrom = countedAddress(bringer.host)
    this.#jobs.set(job.jobId, job)
    return job
  }

  /**
   * Checks a signed spec without booking it; for a job that has expired only by `unexpired`: orders that come with it may have
   * extended it.
   * @throws GridError `invalid`, `forbidden`, `expired` or `unsupported`, saying what is wrong
   */
  read(signed: Signed, life: 'unexpired' | 'orExpired' = 'unexpired'): BookedJob {
    const { sha256, verifier, network, wallMs } = this.#context
    const jobId = jobIdOf(sha256, signed.bytes)
    const known = this.#jobs.get(jobId)
    if (known !== undefined) return known
    const spec = jobSpecCodec.decode(signed.bytes)
    if (!verifier.verify('spec', spec.submitter, signed))
      throw new GridError('forbidden', 'the spec is not signed by its submitter')
    const nowMs = life === 'unexpired' ? wallMs() : Math.min(wallMs(), spec.expiresAtMs - 1)
    const problem = checkSpec(spec, { nowMs, network })
    if (problem !== undefined) throw new GridError('invalid', problem)
    return this.#made(jobId, signed, spec)
  }

  #made(jobId: JobId, signed: Signed, spec: JobSpec): BookedJob {
    const { sha256, verifier } = this.#context
    return new BookedJob(jobId, signed, spec, sha256, verifier, this.#remembered)
  }
}

/** An address as limits count it (IPv6 by its /64); empty for this machine itself, which is exempt. */
export function countedAddress(host: string): string {
  return isLoopback(host) ? '' : hostGroup(host)
}

function count(sum: { jobs: number; bytes: number }, bytes: number): void {
  sum.jobs++
  sum.bytes += bytes
}
