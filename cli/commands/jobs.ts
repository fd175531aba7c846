import { jobEnd } from '../../client/follow/job-end.js'
import type { ListedJob } from '../../client/submit/job-list.js'
import { readJobRecords } from '../../client/submit/job-records.js'
import { formatDuration } from '../../job/quantity.js'
import type { JobId, Summary } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { countsText, shortId, sourceText, taskText } from '../jobs/job-view.js'
import { EXIT } from '../terminal/exit-codes.js'
import { table } from '../terminal/output.js'

/** Jobs shown without `--all`, newest first. */
const SHOWN = 20
/** Homes asked at a time, and how long one may take: `jobs` is over in a moment even when some are gone. */
const ASKED_AT_ONCE = 16
const ASK_MS = 2_500

interface Row {
  readonly jobId: JobId
  readonly name: string
  readonly task: string
  readonly state: string
  readonly units: number
  readonly counts: string
  /** Units by state and the like; null where nobody answered. For `--json`. */
  readonly summary: Summary | null
  readonly ageMs: number | undefined
  readonly waiting: string
}

/** `manyhands jobs`: what was submitted with this key. */
export function defineJobs(commands: CommandTable): void {
  commands
    .add('jobs', 'list your jobs, newest first', async (context, _, options) =>
      withConnection(context, async (connection) => {
        const listed = new Map((await connection.list.all()).map((job) => [job.jobId, job]))
        const { overlay, sha256, signer } = connection.client.parts
        const elsewhere = await readJobRecords(overlay, sha256, signer.publicKey).catch(() => [])
        const ids = [...new Set([...listed.keys(), ...elsewhere])]
        const shown = options.all === true ? ids : ids.slice(0, SHOWN)
        const rows: Row[] = []
        for (let at = 0; at < shown.length; at += ASKED_AT_ONCE) {
          const batch = shown.slice(at, at + ASKED_AT_ONCE)
          rows.push(...(await Promise.all(batch.map((jobId) => rowOf(connection, jobId, listed.get(jobId))))))
        }
        const { output } = context
        if (rows.length === 0)
          output.note('no jobs yet; a first one: manyhands submit primes --range 0..10^8:10^6 --wait')
        output.answer(
          rows.length === 0
            ? ''
            : table(
                ['JOB', 'STATE', 'UNITS', 'OF THEM', 'AGE', 'TASK', 'NAME'],
                rows.map((row) => [
                  shortId(row.jobId),
                  row.waiting === '' ? row.state : `${row.state}: ${row.waiting}`,
                  row.units,
                  row.counts,
                  row.ageMs === undefined ? '' : formatDuration(row.ageMs),
                  row.task,
                  row.name,
                ]),
                output.width,
              ),
          { jobs: rows },
        )
        if (ids.length > shown.length) output.note(`... and ${ids.length - shown.length} older ones; --all lists them`)
        return EXIT.ok
      }),
    )
    .option('--all', `all jobs, not the newest ${SHOWN}`)
    .addHelpText('after', '\nExamples:\n  manyhands jobs\n  manyhands jobs --all --json')
}

async function rowOf({ client }: Connection, jobId: JobId, listed: ListedJob | undefined): Promise<Row> {
  const { clock } = client.parts
  try {
    const reply = await client.show(jobId, false, { deadlineMs: ASK_MS })
    const job = client.checkShown(jobId, reply)
    const end = jobEnd(job, reply.summary, clock.wallMs())
    return {
      jobId,
      name: job.spec.name,
      task: listed?.task || `${taskText(job.spec.task)} ${sourceText(job.spec.source)}`,
      state: end ?? (reply.firstGrantAgeMs === undefined ? 'waiting' : 'running'),
      units: reply.summary.units,
      counts: countsText(reply.summary),
      summary: reply.summary,
      ageMs: reply.ageMs,
      waiting: end === undefined ? reply.waiting : '',
    }
  } catch (error) {
    const failure = error instanceof GridError ? error : toGridError(error)
    return {
      jobId,
      name: listed?.name ?? '',
      task: listed?.task ?? '',
      state: failure.code === 'notFound' ? 'gone' : 'unreachable',
      units: listed?.units ?? 0,
      counts: '',
      summary: null,
      ageMs: listed === undefined ? undefined : Math.max(0, clock.wallMs() - listed.createdAtMs),
      waiting: '',
    }
  }
}
