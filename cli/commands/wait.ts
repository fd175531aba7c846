import { type WaitedJob, waitJobs } from '../../client/follow/watch.js'
import { parseDuration } from '../../job/quantity.js'
import type { JobId } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { withConnection } from '../grid/connect.js'
import { exitOf } from '../jobs/following.js'
import { countsText, paceText, progressFields, resolveJob, shortId, stateText } from '../jobs/job-view.js'
import { flagValue } from '../settings/flags.js'
import { EXIT, type ExitCode, exitCodeOf } from '../terminal/exit-codes.js'
import { startProgressBoard } from '../terminal/progress.js'

/** `manyhands wait`: for scripts, until jobs have ended. */
export function defineWait(commands: CommandTable): void {
  commands
    .add('wait <job...>', 'wait until jobs have ended', async (context, texts, options) => {
      const timeoutMs = flagValue('--timeout', options.timeout, parseDuration)
      return withConnection(context, async (connection) => {
        const { output, interrupts, clock } = context
        const jobIds: JobId[] = []
        for (const text of texts) {
          const jobId = await resolveJob(connection, text)
          if (!jobIds.includes(jobId)) jobIds.push(jobId)
        }
        const board = startProgressBoard(output, clock, jobIds.map(shortId))
        try {
          const waited = await waitJobs(connection.client, jobIds, {
            signal: interrupts.first,
            ...(timeoutMs === undefined ? {} : { timeoutMs }),
            onProgress: (look) => {
              const { settled, failed, units } = look.summary
              const text = look.end === undefined ? paceText(look) : stateText(look)
              board.show(shortId(look.job.jobId), { done: settled + failed, total: units, text })
            },
          })
          board.stop()
          for (const job of waited) {
            if (output.json) output.value(fieldsOf(job))
            else output.line(lineOf(job))
          }
          return worst(waited.map(codeOf))
        } catch (error) {
          if (!interrupts.first.aborted) throw toGridError(error)
          output.note('interrupted; the jobs go on')
          return EXIT.interrupted
        } finally {
          board.stop()
        }
      })
    })
    .option('--timeout <time>', 'give up after this long, with exit code 4: 10m, 2h')
    .addHelpText(
      'after',
      '\nThe exit code is that of the job that went worst.\n\nExamples:\n  manyhands wait last\n  manyhands wait 3fa9 c01d --timeout 2h',
    )
}

function lineOf({ jobId, end, progress }: WaitedJob): string {
  const counts = progress === undefined ? '' : `: ${countsText(progress.summary)}`
  if (end === 'timeout') return `${shortId(jobId)}  still running${counts}`
  if (end instanceof GridError) return `${shortId(jobId)}  ${end.message}`
  return `${shortId(jobId)}  ${progress === undefined ? end : stateText(progress)}${counts}`
}

function fieldsOf({ jobId, end, progress }: WaitedJob) {
  if (end instanceof GridError) return { jobId, state: 'error', error: { code: end.code, message: end.message } }
  return { ...(progress === undefined ? { jobId } : progressFields(progress)), state: end }
}

function codeOf({ end, progress }: WaitedJob): ExitCode {
  if (end === 'timeout') return EXIT.timeout
  if (end instanceof GridError) return exitCodeOf(end)
  return progress === undefined ? EXIT.ok : exitOf(progress)
}

/** What tells most about several ends, worst first. */
const WORST: readonly ExitCode[] = [
  EXIT.interrupted,
  EXIT.unreachable,
  EXIT.unknownJob,
  EXIT.disputed,
  EXIT.failed,
  EXIT.timeout,
]

function worst(codes: readonly ExitCode[]): ExitCode {
  return WORST.find((code) => codes.includes(code)) ?? EXIT.ok
}
