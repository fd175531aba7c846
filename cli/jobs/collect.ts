import { watchJob } from '../../client/follow/watch.js'
import type { ResultsSummary, UnitAnswer } from '../../client/results/answer.js'
import { FamilyReader } from '../../client/results/family.js'
import { type ResultsOptions, ResultsReader } from '../../client/results/results.js'
import type { KnownJob } from '../../client/session/session.js'
import { mayRule, sealJob } from '../../client/submit/orders.js'
import type { JobId } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { type CommandContext, sameNetworkFlags } from '../context.js'
import type { Connection } from '../grid/connect.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { withGridCrashes } from '../trap/crashes.js'
import {
  type AnswerOptions,
  concludeResults,
  filesText,
  openFolder,
  resultFields,
  showAnswers,
  taskOf,
} from './answers.js'
import { exitOf, Follower } from './following.js'
import { AUDIT_MS, JobAudit } from './job-audit.js'
import { shortId } from './job-view.js'

/** For telling the owners that the results have been fetched: worth a moment, not more. Unit: ms. */
const SEAL_MS = 3_000

/** Answers of a job and of its retries, with what came of them. */
interface Reading {
  readonly answers: AsyncIterable<UnitAnswer>
  summary(): ResultsSummary
}

/** Reads a job together with its retries: each unit from the youngest of them that has it. */
export function readAnswers(
  { client }: Connection,
  job: KnownJob,
  retries: readonly KnownJob[],
  options: ResultsOptions,
): Reading {
  if (retries.length === 0) {
    const reader = new ResultsReader(client, job, options)
    return { answers: reader, summary: () => reader.summary }
  }
  const family = new FamilyReader(client, job, retries, options)
  async function* answers(): AsyncGenerator<UnitAnswer, void, undefined> {
    for await (const { answer } of family) yield answer
  }
  return { answers: answers(), summary: () => family.summary }
}

interface CollectOptions extends AnswerOptions {
  /** Wait for what is not settled yet. */
  readonly follow: boolean
  /** Only these units. */
  readonly units?: ResultsOptions['units']
  /**
   * Compute some units again here first, and rule on them; and those that crashed, to see where. Of one's own jobs only:
   * nobody else may rule.
   */
  readonly audit: boolean
}

/**
 * Fetches the results of a job, proves them here and shows them; with `follow`, once it has ended. Some units are computed again
 * here before anything is shown: what others have made of a job is worth that much. Files of `-o` are written as units settle,
 * and again where they were false. Ctrl-C detaches. Gives the exit code that the outcome stands for.
 */
export async function collect(
  context: CommandContext,
  connection: Connection,
  job: KnownJob,
  retries: readonly KnownJob[],
  options: CollectOptions,
): Promise<ExitCode> {
  const audited = options.audit ? [job, ...retries].filter((one) => mayRule(connection.client, one)) : []
  if (audited.length === 0) return (await show(context, connection, job, retries, options, [])).code
  const { interrupts } = context
  const audits = audited.map((one) => {
    const units = options.units === undefined ? {} : { units: options.units }
    return new JobAudit(context, connection, one, { replayMs: AUDIT_MS / audited.length, ...units })
  })
  const follower = new Follower(context)
  try {
    let shown: Shows | undefined
    if (options.follow) {
      const ended = new AbortController()
      const along = Promise.all(audits.map((audit) => audit.along(ended.signal)))
      try {
        if (options.folder === undefined) {
          for await (const look of watchJob(connection.client, job.jobId, { signal: interrupts.first }))
            follower.look(look)
        } else shown = await show(context, connection, job, retries, options, undefined)
      } finally {
        ended.abort()
        await along
      }
    }
    follower.stop()
    for (const audit of audits) await audit.finish(options.follow)
    const isFalse = audits.some(({ findings }) => findings.wrong.length > 0)
    if (shown === undefined || isFalse || context.output.json) {
      const [first, ...others] = [job, ...retries].map(
        (one) => audits.find((audit) => audit.job.jobId === one.jobId)?.job ?? one,
      )
      shown = await show(context, connection, first!, others, { ...options, follow: false }, audits)
    } else {
      for (const audit of audits) audit.tell()
      if (shown.isWhole) await seal(connection, job)
    }
    const isRepaired = audits.every(({ findings }) => findings.settled >= findings.units)
    if (isFalse && !isRepaired) return EXIT.disputed
    const { last } = follower
    return shown.code === EXIT.ok && last !== undefined && !isFalse ? exitOf(last) : shown.code
  } catch (error) {
    if (interrupts.first.aborted) return follower.detach(job.jobId)
    throw toGridError(error)
  } finally {
    follower.stop()
    for (const audit of audits) await audit.close()
  }
}

interface Shows {
  readonly code: ExitCode
  /** All units of the job are there. */
  readonly isWhole: boolean
}

/** Fetches and shows; with `follow`, as units settle. `audits` undefined: not finished, so that nothing is told of them nor sealed. */
async function show(
  context: CommandContext,
  connection: Connection,
  job: KnownJob,
  retries: readonly KnownJob[],
  options: CollectOptions,
  audits: readonly JobAudit[] | undefined,
): Promise<Shows> {
  const { interrupts, output } = context
  const folder = await openFolder(job, options)
  const task = options.raw ? undefined : taskOf(job.spec)
  const follower = options.follow ? new Follower(context) : undefined
  const order = folder !== undefined && task?.reduce === undefined ? 'settled' : 'unit'
  const reading = readAnswers(connection, job, retries, {
    order,
    follow: options.follow,
    pins: connection.pins,
    signal: interrupts.first,
    ...(options.units === undefined ? {} : { units: options.units }),
    // A task that puts outputs together needs their bytes, on disk already or not.
    ...(folder === undefined || task?.reduce !== undefined ? {} : { skip: (unit, digest) => folder.has(unit, digest) }),
    onProgress: (progress) => follower?.look(progress),
    onProblem: ({ type, owner, reason }) => {
      if (type !== 'unreachable') follower?.say(`owner ${owner.split('#')[0]}: ${reason}`)
    },
  })
  try {
    const answers = followed(reading.answers, follower)
    const shown = await withGridCrashes(
      context,
      connection.client,
      () => (options.audit ? [job, ...retries] : []),
      (crashes) => showAnswers(context, job.spec, crashes.told(answers), folder, options),
    )
    follower?.stop()
    const summary = reading.summary()
    const code = concludeResults(context, summary)
    for (const audit of audits ?? []) audit.tell()
    if (shown.firstFailed !== undefined) {
      const flags = sameNetworkFlags(context)
      output.note(`  run it here:  manyhands replay ${shortId(job.jobId)} ${shown.firstFailed}${flags}`)
    }
    const isWhole = summary.missingCount === 0 && options.units === undefined
    if (isWhole && audits !== undefined) await seal(connection, job)
    if (output.json && audits !== undefined) {
      const { missing, problems, overturned, ...counts } = summary
      output.value({
        jobId: job.jobId,
        ...resultFields(shown.result),
        files: shown.files,
        ...(options.folder === undefined ? {} : { folder: options.folder }),
        ...counts,
        missing,
        overturned,
        problems,
        audit: audits.length === 0 ? null : audits.map(({ job: { jobId }, findings }) => ({ jobId, ...findings })),
        exitCode: code,
      })
    } else if (folder !== undefined && options.folder !== undefined) output.note(filesText(folder, options.folder))
    const last = follower?.last
    return { code: code === EXIT.ok && last !== undefined ? exitOf(last) : code, isWhole }
  } catch (error) {
    if (interrupts.first.aborted) return { code: follower?.detach(job.jobId) ?? EXIT.interrupted, isWhole: false }
    throw toGridError(error)
  } finally {
    follower?.stop()
  }
}

/** `answers`, each told to the follower. */
async function* followed(
  answers: AsyncIterable<UnitAnswer>,
  follower: Follower | undefined,
): AsyncGenerator<UnitAnswer, void, undefined> {
  for await (const answer of answers) {
    follower?.answered(answer.state)
    yield answer
  }
}

/** Tells the owners of one's own job that its results have been fetched. It may be lost: they then keep the bytes longer. */
async function seal({ client }: Connection, { jobId, spec, view }: KnownJob): Promise<void> {
  if (spec.submitter !== client.parts.signer.publicKey || view.sealed || spec.isPublic) return
  await sealJob(client, jobId, { deadlineMs: SEAL_MS }).catch((error: unknown) => {
    client.parts.logger.debug('job not sealed', { jobId, reason: toGridError(error).message })
  })
}

/** The retries of a job that this machine knows of and their homes still do, oldest first. */
export async function retriesOf({ list, client }: Connection, jobId: JobId): Promise<readonly KnownJob[]> {
  const known: KnownJob[] = []
  for (const child of await list.childrenOf(jobId)) {
    try {
      known.push(await client.job(child))
    } catch (error) {
      if (!(error instanceof GridError) || (error.code !== 'notFound' && error.code !== 'expired')) throw error
    }
  }
  return known
}
