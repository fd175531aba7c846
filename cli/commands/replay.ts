import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Replay, replayUnit } from '../../client/replay/replay.js'
import type { UnitAnswer } from '../../client/results/answer.js'
import type { KnownJob } from '../../client/session/session.js'
import { formatBytes, formatDuration } from '../../job/quantity.js'
import { contains } from '../../job/units/selection.js'
import { fetchedFile } from '../../process/fetched-file.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, loadOwnTasks } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { retriesOf } from '../jobs/collect.js'
import { startLocalCompute } from '../jobs/job-draft.js'
import { checkUnit, readUnit, resolveJob, shortId, taskText } from '../jobs/job-view.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { clean, facts, plural } from '../terminal/output.js'
import { startProgress } from '../terminal/progress.js'
import { findTrap, type TrapPlace, trapText } from '../trap/trap-place.js'

/** Standard error of the unit that is shown. Unit: bytes. */
const STDERR_SHOWN = 2_000
/** Blobs above this are shown while they come. Unit: bytes. */
const SHOWN_BYTES = 8 * 2 ** 20

type Replayed = Extract<Replay, { type: 'replayed' }>

/** `manyhands replay`: one unit of anybody's job again, on this machine. */
export function defineReplay(commands: CommandTable): void {
  commands
    .add('replay <job> <unit>', 'compute a unit again here, and compare with what donors agreed on', replay)
    .addHelpText(
      'after',
      [
        '',
        'Fetches the result with its signed reports and grants, checks them, fetches program and inputs by their digests, and',
        'runs the unit in the same sandbox as a worker. Says match or mismatch, who answered and who granted; of a program',
        'that crashes, also where, if it was compiled with names. The exit code is 0 for a match, 5 for a mismatch, 1 when',
        'it cannot be decided.',
        '',
        'Examples:',
        '  manyhands replay last 17',
        '  manyhands replay 3fa9 0 --json',
      ].join('\n'),
    )
}

async function replay(context: CommandContext, [text, unitText]: readonly string[]): Promise<ExitCode> {
  const unit = readUnit(unitText!)
  await loadOwnTasks(context)
  return withConnection(context, async (connection) => {
    const { client } = connection
    const jobId = await resolveJob(connection, text!)
    const asked = await client.job(jobId)
    checkUnit(asked.spec, unit)
    const retries = await retriesOf(connection, jobId)
    // As `results` reads it: a unit comes from the youngest retry that has it.
    const job = retries.toReversed().find(({ spec }) => contains(spec.selection, unit)) ?? asked
    const folder = await mkdtemp(join(tmpdir(), 'manyhands-replay-'))
    const progress = startProgress(context.output, context.clock)
    const compute = startLocalCompute(context, job.spec.limits.memoryBytes, 1)
    try {
      const replayed = await replayUnit(client, job, unit, {
        compute,
        createFile: (blob) => fetchedFile(folder, blob),
        signal: context.interrupts.first,
        onFetch: (label, done, total) => {
          if (total > SHOWN_BYTES) progress.show({ done, total, text: `fetching ${label}` })
        },
      })
      progress.stop()
      if (replayed.type === 'missing') throw missing(job, unit, replayed)
      const { modulePath, invocation, inputPaths, local } = replayed
      const trap =
        local.outcome === 'trap' && modulePath !== undefined
          ? await findTrap({ spec: job.spec, modulePath, inputPaths, unit, invocation, clock: context.clock })
          : undefined
      return tell(context, job, unit, replayed, trap)
    } finally {
      progress.stop()
      await compute.close()
      await rm(folder, { recursive: true, force: true })
    }
  })
}

/** Why there is nothing to compare with. */
function missing({ jobId }: KnownJob, unit: number, { summary }: Extract<Replay, { type: 'missing' }>): GridError {
  const reason = summary.missing[0]?.reason ?? 'open'
  const said = {
    open: 'is not settled yet',
    disputed: 'is disputed: its donors disagree',
    unproved: 'has a result that its owner cannot prove',
    bytes: 'is proved, but nobody has its output any more',
    unreachable: 'cannot be asked for: its owners do not answer',
  }[reason]
  return new GridError('unavailable', `unit ${unit} ${said}`, {
    hint: `see 'manyhands units ${shortId(jobId)} --units ${unit}'`,
  })
}

const VERDICT_TEXT = {
  match: 'match: this machine gives what the donors agreed on',
  mismatch: 'MISMATCH: this machine gives something else than the donors agreed on',
  undecided: 'undecided: nothing that could be compared',
} as const

function tell(
  { output }: CommandContext,
  { jobId, spec }: KnownJob,
  unit: number,
  { verdict, accepted, local, differences }: Replayed,
  trap: TrapPlace | undefined,
): ExitCode {
  const grants = accepted.proof().reduce((sum, fact) => sum + fact.grants.length, 0)
  const stderr = clean(new TextDecoder().decode(local.output?.stderr.subarray(0, STDERR_SHOWN)).trimEnd())
  const where = trap === undefined ? '' : trapText(trap)
  const text = [
    facts([
      ['unit', `${unit} of job ${shortId(jobId)}, ${taskText(spec.task)}`],
      ['accepted', answerText(accepted)],
      ['donors', accepted.donors.map((key) => key.slice(0, 16)).join(' ')],
      ['granted by', accepted.grantors.map((id) => id.slice(0, 16)).join(' ')],
      ['checked here', `signatures of ${plural(accepted.reports.length, 'report')} and ${plural(grants, 'grant')}`],
      ['here', `${answerText(local)}, in ${formatDuration(local.wallMs ?? 0)}`],
      ['crashed', where],
    ]),
    ...(stderr === '' || local.outcome === 'done' ? [] : ['stderr', stderr.replace(/^/gm, '    ')]),
    ...differences.map((difference) => `  ${clean(difference)}`),
    VERDICT_TEXT[verdict],
  ].join('\n')
  output.answer(text, {
    jobId,
    unit,
    verdict,
    accepted: fieldsOf(accepted),
    donors: accepted.donors,
    grantors: accepted.grantors,
    reports: accepted.reports,
    here: { ...fieldsOf(local), wallMs: Math.round(local.wallMs ?? 0) },
    differences,
    trap: trap ?? null,
    stderr: new TextDecoder().decode(local.output?.stderr),
  })
  return { match: EXIT.ok, mismatch: EXIT.disputed, undecided: EXIT.failed }[verdict]
}

function answerText({ state, reason, digest, outputBytes, fuel }: UnitAnswer): string {
  const what = state === 'done' ? 'done' : `failed, ${reason}`
  return `${what}; digest ${digest.slice(0, 16)}, ${formatBytes(outputBytes)}, fuel ${fuel}`
}

function fieldsOf({ state, outcome, digest, outputBytes, fuel, reason, output }: UnitAnswer) {
  return { state, outcome, digest, outputBytes, fuel, reason, exitCode: output?.exitCode ?? null }
}
