import type { AuditFindings } from '../../client/replay/audit.js'
import { describeAudit, describeConvictions } from '../../client/replay/audit-text.js'
import type { KnownJob } from '../../client/session/session.js'
import { mayRule } from '../../client/submit/orders.js'
import { AUDIT_SHARES, type AuditShares } from '../../job/audit/audit.js'
import { formatDuration, parseDuration } from '../../job/quantity.js'
import { count, formatSelection, mergeRanges } from '../../job/units/selection.js'
import { unitCount } from '../../job/units/unit-source.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, loadOwnTasks, sameNetworkFlags } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { JobAudit } from '../jobs/job-audit.js'
import { resolveJob, shortId } from '../jobs/job-view.js'
import { flagValue } from '../settings/flags.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'

/** `manyhands verify`: units of a job again, drawn at random and where answers differ. */
export function defineVerify(commands: CommandTable): void {
  commands
    .add('verify <job>', 'compute some units of a job again here, and say what the results are worth', verify)
    .option('--sample <n>', 'units drawn at random: a share such as 5%, or a number (default 0.5%, at least one)')
    .option('--disputed <n>', 'units that answers differ on, at most: a share or a number (default 1%)')
    .option('--for <time>', 'compute for this long at most: 10m, 2h')
    .addHelpText(
      'after',
      [
        '',
        'Reads what all owners of the job have, computes units that contradicting answers were given for and units drawn at',
        'random, and compares. Of your own job (or one that names this key with --judge) the outcome is ruled: keys that shared a',
        'false answer are out for the job, their votes are void, and what leaned on them is computed again.',
        '',
        's replays without a false one say, at 95 %, that at most 3/s of the results are wrong: 300 for 1 %. The exit code is 0',
        'when all was as the results say, 5 when something was false or stays disputed.',
        '',
        'Examples:',
        '  manyhands verify last',
        '  manyhands verify 3fa9 --sample 300',
        '  manyhands verify 3fa9 --sample 2% --for 30m --json',
      ].join('\n'),
    )
}

async function verify(
  context: CommandContext,
  [text]: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const replayMs = flagValue('--for', options.for, parseDuration)
  await loadOwnTasks(context)
  return withConnection(context, async (connection) => {
    const job = await connection.client.job(await resolveJob(connection, text!))
    const shares: AuditShares = {
      sampled: flagValue('--sample', options.sample, (text) => readShare(text, job)) ?? AUDIT_SHARES.sampled,
      disputed: flagValue('--disputed', options.disputed, (text) => readShare(text, job)) ?? AUDIT_SHARES.disputed,
    }
    const audit = new JobAudit(context, connection, job, { shares, ...(replayMs === undefined ? {} : { replayMs }) })
    const startedAt = context.clock.now()
    try {
      const findings = await audit.finish(false)
      return tell(context, job, findings, mayRule(connection.client, job), context.clock.now() - startedAt)
    } finally {
      await audit.close()
    }
  })
}

/** A share of the units: `5%` or a number of them. */
function readShare(text: string, { spec }: KnownJob): number {
  const match = /^([0-9]{1,8}(?:\.[0-9]{1,6})?)(%?)$/.exec(text)
  const units = spec.selection.length === 0 ? unitCount(spec) : count(spec.selection)
  const share = match === null ? Number.NaN : match[2] === '%' ? Number(match[1]) / 100 : Number(match[1]) / units
  if (!(share >= 0) || (match![2] === '%' && share > 1) || (match![2] === '' && match![1]!.includes('.')))
    throw new GridError('invalid', `'${text}' is no share of the units`, { hint: 'write 5%, or a number of units' })
  return Math.min(1, share)
}

function tell(
  context: CommandContext,
  { jobId }: KnownJob,
  findings: AuditFindings,
  isJudge: boolean,
  tookMs: number,
): ExitCode {
  const { output } = context
  const { units, settled, wrong } = findings
  const id = shortId(jobId)
  const isFalse = wrong.length > 0
  const code = isFalse ? EXIT.disputed : settled < units ? EXIT.failed : EXIT.ok
  const wrongUnits = formatSelection(mergeRanges(wrong.map((unit) => ({ first: unit, count: 1 }))))
  const convictions = describeConvictions(findings)
  const lines = [
    `job ${id}: ${settled} of ${plural(units, 'unit')} settled, by facts of all owners checked here`,
    describeAudit(findings),
    ...(isFalse ? [`false results: ${wrongUnits}`] : []),
    ...(convictions === '' ? [] : [convictions]),
    ...(isJudge || !isFalse ? [] : ['nothing was ruled: this is not your job, and it names other judges']),
    ...(isJudge && isFalse && settled < units
      ? [
          `what leaned on false answers is computed again; wait for it: manyhands wait ${id}${sameNetworkFlags(context)}`,
        ]
      : []),
    `took ${formatDuration(tookMs)}`,
  ]
  output.answer(lines.join('\n'), { jobId, ...findings, tookMs: Math.round(tookMs), exitCode: code })
  return code
}
