import { runLocal } from '../../client/replay/run-local.js'
import type { ResultsSummary, UnitAnswer } from '../../client/results/answer.js'
import { formatDuration } from '../../job/quantity.js'
import { jobIdOf } from '../../job/spec/spec.js'
import { count } from '../../job/units/selection.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import type { CommandTable } from '../command-table.js'
import { addJobFlags, describeJob } from '../job-options/job-flags.js'
import { filesText, openFolder, resultFields, showAnswers } from '../jobs/answers.js'
import { draftJob, localCrashes, localFiles, startLocalCompute } from '../jobs/job-draft.js'
import { EXIT } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'
import { startProgress } from '../terminal/progress.js'

/** `manyhands run-local`: the same job on this machine alone, as the reference. */
export function defineRunLocal(commands: CommandTable): void {
  const command = commands
    .add(
      'run-local [task]',
      'compute a job on this machine alone: the reference answer',
      async (context, [task], options) => {
        if (/^0+%?$/.test(String(options.cpus ?? '')))
          throw new GridError('invalid', '--cpus 0 computes nothing', {
            hint: 'give one thread or more, such as --cpus 1',
          })
        const draft = await draftJob(context, await describeJob(task, context.passed, options))
        const { built, files } = draft
        const { output, clock, interrupts } = context
        const { spec } = built
        const jobId = jobIdOf(sha256, jobSpecCodec.encode(spec))
        const answerOptions = {
          folder: options.output as string | undefined,
          layout: options.layout as string | undefined,
          stderr: options.stderr === true,
          raw: false,
        }
        const units = spec.selection.length === 0 ? built.units : count(spec.selection)
        const progress = startProgress(output, clock)
        const compute = startLocalCompute(context, spec.limits.memoryBytes)
        const startedAt = clock.now()
        let done = 0
        let fuel = 0n
        const crashes = localCrashes(context, draft)
        async function* watched(): AsyncGenerator<UnitAnswer, void, undefined> {
          const run = { built, compute, sha256, ...localFiles(draft), signal: interrupts.first }
          for await (const answer of crashes.told(runLocal(run))) {
            fuel += answer.fuel
            progress.show({ done: ++done, total: units, text: '' })
            yield answer
          }
        }
        try {
          const folder = await openFolder({ jobId, spec }, answerOptions)
          const shown = await showAnswers(context, spec, watched(), folder, answerOptions)
          progress.stop()
          const wallMs = clock.now() - startedAt
          output.note(
            `${plural(done, 'unit')} in ${formatDuration(wallMs)} on ${plural(compute.threads, 'thread')}, ${shown.failed} failed, fuel ${fuel}`,
          )
          if (folder !== undefined && answerOptions.folder !== undefined)
            output.note(filesText(folder, answerOptions.folder))
          if (output.json) {
            const summary: Pick<ResultsSummary, 'units' | 'done' | 'failed'> = {
              units,
              done: done - shown.failed,
              failed: shown.failed,
            }
            output.value({
              ...resultFields(shown.result),
              files: shown.files,
              ...summary,
              fuel,
              wallMs: Math.round(wallMs),
            })
          }
          return shown.failed > 0 ? EXIT.failed : EXIT.ok
        } catch (error) {
          if (!interrupts.first.aborted) throw error instanceof GridError ? error : toGridError(error)
          output.note(`interrupted after ${done} of ${plural(units, 'unit')}`)
          return EXIT.interrupted
        } finally {
          progress.stop()
          crashes.close()
          await compute.close()
          await files.close()
        }
      },
    )
    .option('--from <job.toml>', 'take options from a job file; flags given here win')
    .option('-o, --output <dir>', 'write files to this folder, and manifest.json')
    .option('--layout <pattern>', "names of files in it: 'f_{i:06}.png'")
    .option('--stderr', 'keep standard error, too')
    .option('--cpus <n>', 'threads: a number or a share such as 50%; all by default')
  addJobFlags(command).addHelpText(
    'after',
    [
      '',
      'Takes the options of submit and gives the same bytes as the grid.',
      '',
      'Examples:',
      '  manyhands run-local primes --range 0..10^8:10^6',
      '  manyhands run-local mandelbrot --count 16 -o picture -- --zoom 400',
      '  manyhands run-local ./geng.wasm --count 64 -- -u 9 {i}/{n}',
    ].join('\n'),
  )
}
