import type { KnownJob } from '../../client/session/session.js'
import { parseSelection } from '../../job/units/selection.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, loadOwnTasks, sameNetworkFlags } from '../context.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { failureText } from '../jobs/answers.js'
import { collect, readAnswers, retriesOf } from '../jobs/collect.js'
import { checkUnit, resolveJob, shortId } from '../jobs/job-view.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'
import { type Crashes, withGridCrashes } from '../trap/crashes.js'

/** `manyhands results`: what came of a job, proved on this machine. */
export function defineResults(commands: CommandTable): void {
  commands
    .add(
      'results <job>',
      'fetch the results of a job, checking every signature and digest here',
      async (context, [text], options) => {
        const units = options.units === undefined ? undefined : parseSelection(String(options.units))
        if (options.failed === true && options.output !== undefined) {
          throw new GridError('invalid', '--failed and -o do not go together', {
            hint: '-o DIR keeps what failed units wrote below DIR/failed anyway',
          })
        }
        if (options.sum === true && (options.failed === true || options.output !== undefined || options.raw === true)) {
          throw new GridError('invalid', '--sum prints one result: it goes without -o, --raw and --failed')
        }
        await loadOwnTasks(context)
        return withConnection(context, async (connection) => {
          const jobId = await resolveJob(connection, text!)
          const job = await connection.client.job(jobId)
          for (const { first } of units ?? []) checkUnit(job.spec, first)
          if (job.view.removed)
            throw new GridError('expired', 'the job was removed by its submitter, and its results with it')
          const retries = await retriesOf(connection, jobId)
          if (options.failed === true)
            return withGridCrashes(
              context,
              connection.client,
              () => (options.audit === false ? [] : [job, ...retries]),
              (crashes) => showFailed(context, connection, job, retries, units, crashes),
            )
          return collect(context, connection, job, retries, {
            follow: false,
            audit: options.audit !== false,
            raw: options.raw === true || units !== undefined,
            folder: options.output as string | undefined,
            layout: options.layout as string | undefined,
            stderr: options.stderr === true,
            sum: options.sum === true,
            ...(units === undefined ? {} : { units }),
          })
        })
      },
    )
    .option(
      '-o, --output <dir>',
      'write a file or folder for each unit into this folder, and manifest.json with the proof; skips what is there',
    )
    .option('--layout <pattern>', "names of files in it: 'f_{i:06}.png'")
    .option('--units <sel>', 'only these units, as they are: 0-9,17')
    .option('--raw', 'outputs one after another, not put together by the task')
    .option('--sum', 'numbers in the outputs added up, in place of outputs that are the same but for them')
    .option('--failed', 'only the units that failed, with reason and standard error')
    .option('--stderr', 'standard error of units that are done, too')
    .option('--no-audit', 'do not compute any unit of your own job again here')
    .addHelpText(
      'after',
      [
        '',
        'With -o: 000007.out is what unit 7 wrote on standard output; of a unit that left files in /out there is a folder 000007,',
        'with standard output as stdout. --layout names them otherwise: {i}, {unit}, {rep}, {start}, {end}, {name}.',
        '',
        'Without -o: the result, put together by the task where it can, else outputs in unit order. Results of retries are',
        'included. When units are missing or failed, they are listed on standard error and the exit code is 1.',
        'Of your own jobs, some units are computed again here first (manyhands verify --help): for a minute at most.',
        '',
        'Examples:',
        '  manyhands results last',
        '  manyhands results 3fa9 -o frames --layout "f_{i:06}.png"',
        '  manyhands results 3fa9 --sum',
        '  manyhands results 3fa9 --failed',
      ].join('\n'),
    )
}

async function showFailed(
  context: CommandContext,
  connection: Connection,
  job: KnownJob,
  retries: readonly KnownJob[],
  units: ReturnType<typeof parseSelection> | undefined,
  crashes: Crashes,
): Promise<ExitCode> {
  const { output, interrupts } = context
  const reading = readAnswers(connection, job, retries, {
    signal: interrupts.first,
    ...(units === undefined ? {} : { units }),
  })
  let failed = 0
  let firstFailed = 0
  for await (const answer of crashes.told(reading.answers)) {
    if (answer.state !== 'failed') continue
    if (failed++ === 0) firstFailed = answer.unit
    if (output.json) {
      const { unit, outcome, reason, fuel, donors, output: written } = answer
      const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)
      output.value({
        unit,
        outcome,
        reason,
        exitCode: written?.exitCode ?? null,
        fuel,
        donors,
        stdout: text(written?.stdout),
        stderr: text(written?.stderr),
      })
    } else {
      output.line(failureText(answer))
    }
  }
  if (failed === 0) {
    const { missingCount } = reading.summary()
    output.note(
      missingCount === 0 ? 'no unit failed' : `no unit failed so far; ${plural(missingCount, 'unit')} not settled yet`,
    )
  } else {
    const id = shortId(job.jobId)
    const flags = sameNetworkFlags(context)
    output.note(
      [
        `  run one here:  manyhands replay ${id} ${firstFailed}${flags}`,
        `  try again:     manyhands retry ${id} --failed${flags}`,
      ].join('\n'),
    )
  }
  return failed === 0 ? EXIT.ok : EXIT.failed
}
