import { askEnd } from '../../client/follow/job-end.js'
import { listUnits } from '../../client/follow/units.js'
import { amendJob, cancelJob, type RetryChanges, releaseUnits, retryJobs } from '../../client/submit/orders.js'
import { submitJob } from '../../client/submit/submit.js'
import { count } from '../../job/units/selection.js'
import { PRIORITY_MAX, SELECTION_RANGES_MAX } from '../../proto/limits.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, sameNetworkFlags } from '../context.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { addJobFlags, givenFlags } from '../job-options/job-flags.js'
import { readJobOptions } from '../job-options/job-options.js'
import { countsText, resolveJob, shortId, taskText } from '../jobs/job-view.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'

/** What a retry may change. */
const RETRY_FLAGS = [
  'memory',
  'wall',
  'fuel',
  'output-limit',
  'ok-exit',
  'quorum',
  'verify',
  'max-errors',
  'priority',
  'name',
  'expires',
] as const

/** `manyhands cancel`, `manyhands priority` and `manyhands retry`: what a submitter may do with a job. */
export function defineControl(commands: CommandTable): void {
  commands
    .add('cancel <job>', 'stop a job for good; what is settled stays until it expires', async (context, [text]) =>
      withConnection(context, async (connection) => {
        const jobId = await resolveJob(connection, text!)
        const { client } = connection
        const { job, summary, end } = await askEnd(client, jobId)
        // Nothing would change: an order about it would only be one more to keep.
        if (end === 'finished' || end === 'expired' || job.view.cancelled) {
          const state = job.view.cancelled ? 'cancelled' : end
          const said = { finished: 'has finished already', cancelled: 'was cancelled before', expired: 'has expired' }
          context.output.answer(`${shortId(jobId)} ${said[state as keyof typeof said]}: ${countsText(summary)}`, {
            jobId,
            cancelled: job.view.cancelled,
            state,
            summary,
          })
          return EXIT.ok
        }
        const { holders, wanted } = await cancelJob(client, jobId)
        context.output.answer(`cancelled ${shortId(jobId)}`, { jobId, cancelled: true, holders, wanted })
        return EXIT.ok
      }),
    )
    .addHelpText('after', '\nExample:\n  manyhands cancel last')
  commands
    .add('priority <job> <priority>', 'put a job before or behind others of yours', async (context, [text, value]) => {
      const { priority = 0 } = readJobOptions(givenFlags({ priority: value })).request
      return withConnection(context, async (connection) => {
        const jobId = await resolveJob(connection, text!)
        const { holders, wanted, job } = await amendJob(connection.client, jobId, { priority })
        const before = job.view.priority
        context.output.answer(
          `${shortId(jobId)} has priority ${priority}${before === priority ? ' already' : `, ${before} before`}`,
          {
            jobId,
            priority,
            before,
            holders,
            wanted,
          },
        )
        return EXIT.ok
      })
    })
    .addHelpText(
      'after',
      [
        '',
        `From -${PRIORITY_MAX} to ${PRIORITY_MAX}; 0 unless submit --priority says otherwise. Workers are given your jobs in this order, the older`,
        'first of two that are equal; what they have in hand they finish. Other submitters have their share whatever you say.',
        '',
        'Examples:',
        '  manyhands priority last 10',
        '  manyhands priority 3fa9 -5',
      ].join('\n'),
    )
  const retry = commands
    .add('retry <job>', 'compute failed and held units again, as a new job', async (context, [text], options) => {
      if (options.held === true) return releaseHeld(context, text!)
      if (options.failed !== true) {
        throw new GridError('invalid', 'say what to retry', {
          hint: 'manyhands retry JOB --failed, with limits that are raised; or --held, for units that hosts failed',
        })
      }
      const { request } = readJobOptions(givenFlags(options))
      return withConnection(context, async (connection) => {
        const jobId = await resolveJob(connection, text!)
        // An unknown job is an error; one without failed units is not.
        await connection.client.job(jobId)
        const built = await retryJobs(connection.client, jobId, request as RetryChanges).catch((error: unknown) => {
          if (error instanceof GridError && error.code === 'notFound') return []
          throw error
        })
        return submitRetries(context, connection, built)
      })
    })
    .option('--failed', 'the units that failed, and those that are held')
    .option('--held', 'let units that hosts failed be computed again at once, within the same job')
  addJobFlags(retry, RETRY_FLAGS).addHelpText(
    'after',
    [
      '',
      'Prints the id of the new job. Results of the first job include those of its retries.',
      '',
      'Example:',
      '  manyhands retry last --failed --memory 1GiB --wall 4h',
    ].join('\n'),
  )
}

async function submitRetries(
  context: CommandContext,
  { client, list }: Connection,
  built: Awaited<ReturnType<typeof retryJobs>>,
): Promise<ExitCode> {
  const { output } = context
  if (built.length === 0) {
    output.note('no unit failed or is held: nothing to retry')
    if (output.json) output.value({ jobs: [] })
    return EXIT.ok
  }
  const jobs: { jobId: string; units: number }[] = []
  for (const child of built) {
    const units = count(child.spec.selection)
    const { jobId } = await submitJob(client, child, {
      list,
      summary: `${taskText(child.spec.task)} (retry of ${plural(units, 'unit')})`,
    })
    jobs.push({ jobId, units })
    if (!output.json) output.line(jobId)
    output.note(
      `job ${shortId(jobId)} retries ${plural(units, 'unit')}\n  watch it:  manyhands watch ${shortId(jobId)}${sameNetworkFlags(context)}`,
    )
  }
  if (output.json) output.value({ jobs })
  return EXIT.ok
}

/** Ends the rest of held units by an order of the submitter. */
async function releaseHeld(context: CommandContext, text: string): Promise<ExitCode> {
  return withConnection(context, async (connection) => {
    const { client } = connection
    const job = await client.job(await resolveJob(connection, text))
    const units: { first: number; count: number }[] = []
    for await (const { unit } of listUnits(client, job, { states: ['held'], limit: SELECTION_RANGES_MAX }))
      units.push({ first: unit, count: 1 })
    if (units.length > 0) await releaseUnits(client, job.jobId, units)
    context.output.answer(
      units.length === 0 ? 'no unit is held' : `${plural(units.length, 'unit')} of ${shortId(job.jobId)} released`,
      { jobId: job.jobId, released: units.length },
    )
    return EXIT.ok
  })
}
