import { jobEnd } from '../../client/follow/job-end.js'
import { extendInputs, releaseInputs } from '../../client/submit/job-inputs.js'
import { readJobRecords, removeJobRecord } from '../../client/submit/job-records.js'
import { amendJob, removeJob } from '../../client/submit/orders.js'
import { formatBytes, formatDuration, parseDuration } from '../../job/quantity.js'
import type { JobId } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { countsText, resolveJob, shortId } from '../jobs/job-view.js'
import { EXIT } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'

/** `manyhands extend` and `manyhands rm`: how long a job is kept. */
export function defineKeep(commands: CommandTable): void {
  commands
    .add('extend <job> <time>', 'keep a job, its inputs and results for longer', async (context, [text, time]) => {
      const byMs = parseDuration(time!)
      if (byMs === 0) throw new GridError('invalid', 'a job can only be extended', { hint: 'manyhands extend JOB 30d' })
      return withConnection(context, async (connection) => {
        const { client } = connection
        const { clock } = client.parts
        const jobId = await resolveJob(connection, text!)
        const { spec } = await client.job(jobId)
        const { holders, wanted, job } = await amendJob(client, jobId, { extendByMs: byMs })
        const { expiresAtMs } = (await client.job(jobId)).view
        // The order stands whatever becomes of the inputs: results that are there stay.
        const missing = await extendInputs(client, spec, expiresAtMs).then(
          () => undefined,
          (error: unknown) => toGridError(error),
        )
        const leftMs = Math.max(0, expiresAtMs - clock.wallMs())
        const isCapped = expiresAtMs < job.view.expiresAtMs + byMs
        context.output.answer(
          `${shortId(jobId)} is kept until ${new Date(expiresAtMs).toISOString().slice(0, 16).replace('T', ' ')} UTC, ${formatDuration(leftMs)} from now`,
          { jobId, expiresAtMs, leftMs, holders, wanted, inputsKept: missing === undefined, capped: isCapped },
        )
        if (isCapped) context.output.note('that is as far as an order reaches: 90 days from now')
        if (missing === undefined) return EXIT.ok
        context.output.warn(
          `its inputs may not be kept as long, so that units still open may not be computed: ${missing.message}`,
        )
        return EXIT.failed
      })
    })
    .addHelpText(
      'after',
      [
        '',
        'Adds to the time the job has left; a job that has just expired is brought back within a day. The owners of the job',
        'keep its facts and outputs, and the holders of its inputs keep these, 90 days from now at most.',
        '',
        'Examples:',
        '  manyhands extend last 30d',
        '  manyhands extend 3fa9 2w',
      ].join('\n'),
    )
  commands
    .add('rm <job...>', 'cancel jobs and forget them: inputs and outputs are dropped', async (context, texts) =>
      withConnection(context, async (connection) => {
        // All of them first: a slip in the last must not cost the others.
        const jobIds: JobId[] = []
        for (const text of texts) jobIds.push(await resolveJob(connection, text))
        for (const jobId of new Set(jobIds)) await remove(context, connection, jobId)
        return EXIT.ok
      }),
    )
    .addHelpText(
      'after',
      [
        '',
        'Cannot be undone. The owners drop reports and results at once, the holders of inputs what no other job of yours',
        'needs; who cannot be reached now drops them when the job would have expired. The files of results -o stay.',
        '',
        'Examples:',
        '  manyhands rm last',
        '  manyhands rm 3fa9 77c0',
      ].join('\n'),
    )
}

async function remove({ output, clock }: CommandContext, connection: Connection, jobId: JobId): Promise<void> {
  const { client, list, pins } = connection
  const { overlay, sha256, signer } = client.parts
  const forget = async () => {
    await list.remove(jobId)
    await pins.forget(jobId)
    await removeJobRecord(overlay, sha256, signer.publicKey, jobId)
  }
  const shown = await client.show(jobId, false).catch((error: unknown) => {
    const { code } = toGridError(error)
    if (code === 'notFound' || code === 'expired') return undefined
    throw error
  })
  if (shown === undefined) {
    await forget()
    output.answer(`${shortId(jobId)} is kept by nobody any more; forgotten`, { jobId, removed: false, forgotten: true })
    return
  }
  const job = client.checkShown(jobId, shown)
  const end = jobEnd(job, shown.summary, clock.wallMs())
  const { holders, wanted } = await removeJob(client, jobId)
  const listed = await readJobRecords(overlay, sha256, signer.publicKey).catch(() => [])
  const others = new Set([...(await list.all()).map((one) => one.jobId), ...listed])
  others.delete(jobId)
  const released = await releaseInputs(client, job.spec, [...others]).catch((error: unknown) => {
    output.note(`inputs are kept until the job would have expired: ${toGridError(error).message}`)
    return { blobs: 0, bytes: 0 }
  })
  await forget()
  const inputs =
    released.blobs === 0 ? '' : `; ${plural(released.blobs, 'input')} of ${formatBytes(released.bytes)} let go`
  const before = end === undefined ? `cancelled with ${countsText(shown.summary)}, and removed` : 'removed'
  output.answer(`${shortId(jobId)} ${before}${inputs}`, {
    jobId,
    removed: true,
    forgotten: true,
    holders,
    wanted,
    inputs: released.blobs,
    inputBytes: released.bytes,
  })
}
