import type { ShardStatus, ShowReply } from '../../proto/job-messages.js'
import { methods } from '../../proto/methods.js'
import type { JobId, NodeId, Signed, Summary } from '../../proto/model.js'
import { BoundedQueue } from '../../runtime/bounded-queue.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { jitter } from '../../runtime/jitter.js'
import { stopOfMany } from '../../runtime/stop.js'
import type { Endpoint } from '../../runtime/transport.js'
import { aborted, checkCounts, type GridClient, type KnownJob } from '../session/session.js'
import { Stall, tellsMore } from './core/stall.js'
import { endHolds, type JobEnd, jobEnd } from './job-end.js'
import { type Pace, PaceMeter } from './pace.js'

/** One look at a job. The counts are what its home says; only `results` proves anything. `end` is no lone peer's word: {@link endHolds}. */
export interface JobProgress extends Pace {
  readonly job: KnownJob
  readonly summary: Summary
  readonly shards: readonly ShardStatus[]
  /** Why nothing moves; empty when it does. */
  readonly waiting: string
  readonly ageMs: Millis
  readonly firstGrantAgeMs: Millis | undefined
  /** Homes that have the spec on disk, as far as this one knows, and how many make it durable; `wanted` 0: it does not say. */
  readonly holders: number
  readonly wanted: number
  readonly end: JobEnd | undefined
}

/** What is watched of a job, and what is done while its home is gone. */
export interface WatchOptions {
  readonly withShards?: boolean
  readonly signal?: AbortSignal
  /** How long to look for the home of a job that was never seen. Default 15 s. */
  readonly deadlineMs?: Millis
  /** Told that the home went away, and that it is looked for anew, for as long as it takes. */
  readonly onLost?: (reason: GridError) => void
}

const RETRY_MS = 250
const RETRY_MAX_MS = 10_000
/** A home says something every few seconds, or another one is asked: a half-open connection says nothing. Unit: ms. */
const SILENCE_MS = 20_000
/** Homes and guards asked about a job that stands still, of each kind, and the deadline of each. Unit of the second: ms. */
const OTHERS_ASKED = 3
const OTHER_ASK_MS = 3_000
/** Looks queued for a slow reader; newer ones replace none, the home is held back. */
const QUEUED_LOOKS = 2

/**
 * Looks at a job again and again as it changes, until it has ended; the last look has `end`. Goes on at another peer of the
 * home when one goes away. Throws GridError: as {@link GridClient.askAny} for a job that was never seen, `closed` when aborted.
 */
export async function* watchJob(
  client: GridClient,
  jobId: JobId,
  options: WatchOptions = {},
): AsyncGenerator<JobProgress, void, undefined> {
  const { signal, withShards = false, deadlineMs, onLost } = options
  const { clock, random, transport } = client.parts
  const reader = new ShowReader(client, jobId)
  let from: Endpoint | undefined
  const first = await client.show(jobId, withShards, {
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(signal ? { signal } : {}),
    onFrom: (home) => {
      from = home
    },
  })
  /** Peers that said that the job had ended, which others denied. */
  const doubted = new Set<NodeId>()
  /** Whether a look is to be believed. */
  const holds = async ({ job, summary, end }: JobProgress, { nodeId }: Endpoint) => {
    if (end === undefined || (await endHolds(client, { job, summary, end, from: nodeId }, signal))) return true
    doubted.add(nodeId)
    return false
  }
  let progress = reader.read(first)
  if (await holds(progress, from!)) yield progress
  else progress = { ...progress, end: undefined }
  const stall = new Stall()
  let ahead: Endpoint | undefined
  for (let attempt = 0; progress.end === undefined; attempt++) {
    let failure = new GridError('closed', 'the home ended the watch')
    const homes = await client.homes(jobId).catch((): readonly Endpoint[] => [])
    // What the homes deny, guards may know.
    const guards = attempt > 0 ? await client.guards(jobId) : []
    const asked = [...(ahead === undefined ? [] : [ahead]), ...homes, ...guards]
    ahead = undefined
    for (const home of doubtedLast(asked, doubted)) {
      const looks = new BoundedQueue<ShowReply>(QUEUED_LOOKS)
      const stop = new AbortController()
      const onAbort = () => stop.abort()
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) stop.abort()
      const stream = transport.open(home, methods.watch, stop.signal)
      consume(
        stream,
        { clock, idleMs: SILENCE_MS, until: 'close' },
        async (reply) => void (await looks.push(reply, 1)),
      ).then(
        () => looks.end(),
        (error: unknown) => looks.end(error),
      )
      stream.send({ jobId, withShards })
      stream.end()
      try {
        for await (const reply of looks) {
          const look = reader.read(reply)
          if (!(await holds(look, home))) {
            failure = new GridError('corrupt', 'a home says that the job has ended, and others deny it')
            break
          }
          progress = look
          attempt = 0
          yield progress
          if (progress.end !== undefined) return
          if (!stall.looked(progress.summary, clock.now())) continue
          ahead = await otherAhead(client, jobId, progress.summary, new Set([...doubted, home.nodeId]))
          if (ahead !== undefined) break
        }
      } catch (error) {
        failure = toGridError(error)
      } finally {
        stop.abort()
        signal?.removeEventListener('abort', onAbort)
      }
      if (signal?.aborted) throw aborted()
      if (ahead !== undefined) break
    }
    if (signal?.aborted) throw aborted()
    if (ahead !== undefined) continue
    onLost?.(failure)
    await pause(clock, jitter(random, Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(attempt, 10)), 0.3), signal)
    if (signal?.aborted) throw aborted()
  }
}

function doubtedLast(peers: readonly Endpoint[], doubted: ReadonlySet<NodeId>): readonly Endpoint[] {
  if (doubted.size === 0) return peers
  const isDoubted = ({ nodeId }: Endpoint) => doubted.has(nodeId)
  return [...peers.filter((peer) => !isDoubted(peer)), ...peers.filter(isDoubted)]
}

/** Another home or a guard, none of `except`, by which the job is further than `summary` says. */
async function otherAhead(
  client: GridClient,
  jobId: JobId,
  summary: Summary,
  except: ReadonlySet<NodeId>,
): Promise<Endpoint | undefined> {
  const { transport, random } = client.parts
  const homes = await client.homes(jobId).catch((): readonly Endpoint[] => [])
  for (const peers of [await client.guards(jobId), homes]) {
    const others = peers.filter(({ nodeId }) => !except.has(nodeId))
    const from = random.int(Math.max(1, others.length))
    for (let i = 0; i < Math.min(OTHERS_ASKED, others.length); i++) {
      const other = others[(from + i) % others.length]!
      try {
        const request = { jobId, withShards: false }
        const reply = await transport.call(other, methods.show, request, { deadlineMs: OTHER_ASK_MS })
        client.checkReply(jobId, reply)
        if (tellsMore(reply.summary, summary)) return other
      } catch {
        // It does not have the job, or is not there: another one may.
      }
    }
  }
  return undefined
}

/** Replies of a home as progress; the spec is checked once, each order once. */
class ShowReader {
  readonly #client: GridClient
  readonly #jobId: JobId
  readonly #pace = new PaceMeter()
  #job: KnownJob | undefined
  #orders: readonly Signed[] = []

  constructor(client: GridClient, jobId: JobId) {
    this.#client = client
    this.#jobId = jobId
  }

  read(reply: ShowReply): JobProgress {
    const { clock } = this.#client.parts
    if (this.#job === undefined || !sameOrders(this.#orders, reply.orders)) {
      this.#job = this.#client.checkShown(this.#jobId, reply)
      this.#orders = reply.orders
    }
    const { summary, shards, waiting, ageMs, firstGrantAgeMs, holders, wanted } = reply
    checkCounts(this.#job, summary)
    return {
      job: this.#job,
      summary,
      shards,
      waiting,
      ageMs,
      firstGrantAgeMs,
      holders: holders.length,
      wanted,
      ...this.#pace.add(clock.now(), summary.settled + summary.failed, summary.units, firstGrantAgeMs),
      end: jobEnd(this.#job, summary, clock.wallMs()),
    }
  }
}

function sameOrders(a: readonly Signed[], b: readonly Signed[]): boolean {
  return a.length === b.length && a.every(({ bytes }, i) => sameBytes(bytes, b[i]!.bytes))
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** How long to wait for a job, and whom to tell meanwhile. */
export interface WaitOptions extends Pick<WatchOptions, 'signal' | 'deadlineMs' | 'onLost'> {
  /** Undefined: wait for ever. */
  readonly timeoutMs?: Millis
  readonly onProgress?: (progress: JobProgress) => void
}

/** How a wait for one job went; `progress` is the last look, if there was any. */
export interface WaitedJob {
  readonly jobId: JobId
  readonly end: JobEnd | 'timeout' | GridError
  readonly progress: JobProgress | undefined
}

/** Jobs waited for at once. */
const WAIT_MAX = 64

/** Waits until all jobs have ended or time is up; one answer a job, in order. Rejects with `closed` when aborted. */
export async function waitJobs(
  client: GridClient,
  jobIds: readonly JobId[],
  { timeoutMs, signal, onProgress, ...rest }: WaitOptions = {},
): Promise<readonly WaitedJob[]> {
  if (jobIds.length > WAIT_MAX) throw new GridError('invalid', `at most ${WAIT_MAX} jobs can be waited for at once`)
  const { clock } = client.parts
  const stop = stopOfMany()
  const onAbort = () => stop.abort()
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) stop.abort()
  const timer = timeoutMs === undefined ? undefined : clock.setTimer(timeoutMs, onAbort)
  const waitOne = async (jobId: JobId): Promise<WaitedJob> => {
    let progress: JobProgress | undefined
    try {
      for await (progress of watchJob(client, jobId, { ...rest, signal: stop.signal })) onProgress?.(progress)
      return { jobId, end: progress?.end ?? 'finished', progress }
    } catch (error) {
      return { jobId, end: stop.signal.aborted ? 'timeout' : toGridError(error), progress }
    }
  }
  try {
    const waited = await Promise.all(jobIds.map(waitOne))
    if (signal?.aborted) throw aborted()
    return waited
  } finally {
    timer?.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
