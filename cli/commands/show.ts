import { watchJob } from '../../client/follow/watch.js'
import { formatDuration } from '../../job/quantity.js'
import type { CommandTable } from '../command-table.js'
import { workerFlags } from '../context.js'
import { withConnection } from '../grid/connect.js'
import {
  countsText,
  durabilityText,
  paceText,
  progressFields,
  resolveJob,
  shortId,
  specFacts,
  specFields,
  stateText,
  waitingAdvice,
} from '../jobs/job-view.js'
import { EXIT } from '../terminal/exit-codes.js'
import { facts, plural, table } from '../terminal/output.js'

/** Shards listed for people; JSON has them all. */
const SHARDS_SHOWN = 20

/** `manyhands show`: one job, and why it waits. */
export function defineShow(commands: CommandTable): void {
  commands
    .add('show <job>', 'show a job: what it is, how far, why it waits', async (context, [text]) =>
      withConnection(context, async (connection) => {
        const jobId = await resolveJob(connection, text!)
        for await (const look of watchJob(connection.client, jobId, { withShards: true })) {
          const { summary, waiting, ageMs, firstGrantAgeMs, holders, wanted, job, shards } = look
          const isIdle = look.end === undefined && summary.leased === 0
          const why = isIdle && waiting === '' ? `ask why: manyhands explain ${shortId(jobId)}` : ''
          const advice = waitingAdvice(waiting, workerFlags(context)) || why
          const lines = [
            facts([
              ['job', jobId],
              ...specFacts(job.spec),
              ['submitted', `${formatDuration(ageMs)} ago`],
              ['stored', wanted === 0 ? '' : durabilityText(holders, wanted)],
              [
                'first granted',
                firstGrantAgeMs === undefined ? 'not yet' : `${formatDuration(firstGrantAgeMs)} after that`,
              ],
              ['expires', new Date(job.view.expiresAtMs).toISOString()],
              ['state', stateText(look)],
              ['units', `${summary.units}: ${countsText(summary)}`],
              [
                'instances',
                `${summary.granted} granted, ${summary.answered} answered, ${summary.disagreeing} disagreeing, ${summary.leased} being computed`,
              ],
              ['workers', `${summary.workers} of ${plural(summary.donors, 'donor')}`],
              ['pace', look.end === undefined ? paceText({ ...look, waiting: '' }) : ''],
              ['waits', waiting],
              ['do', advice],
            ]),
          ]
          if (shards.length > 1 || shards.some((shard) => shard.waiting !== '')) {
            const rows = shards
              .slice(0, SHARDS_SHOWN)
              .map((shard) => [
                shard.shard,
                shard.ownerAddress || shard.owner.slice(0, 12),
                countsText(shard.summary),
                shard.waiting,
              ])
            lines.push('', table(['SHARD', 'OWNER', 'UNITS', 'WAITS'], rows))
            if (shards.length > SHARDS_SHOWN)
              lines.push(`... and ${shards.length - SHARDS_SHOWN} more; --json lists them all`)
          }
          context.output.answer(lines.join('\n'), { ...progressFields(look), spec: specFields(job.spec), advice })
          return EXIT.ok
        }
        return EXIT.ok
      }),
    )
    .addHelpText('after', '\nExamples:\n  manyhands show last\n  manyhands show 3fa9 --json')
}
