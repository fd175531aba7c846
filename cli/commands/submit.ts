import { watchJob } from '../../client/follow/watch.js'
import { firstUnit } from '../../client/replay/built-units.js'
import { submitJob } from '../../client/submit/submit.js'
import { count } from '../../job/units/selection.js'
import { CHUNK_BYTES } from '../../proto/limits.js'
import type { JobId } from '../../proto/model.js'
import { pause } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, sameNetworkFlags, shellWord, workerFlags } from '../context.js'
import { type Connection, connect } from '../grid/connect.js'
import { addJobFlags, describeJob } from '../job-options/job-flags.js'
import { type AnswerOptions, checkFolder } from '../jobs/answers.js'
import { collect } from '../jobs/collect.js'
import { dryRun, trialText } from '../jobs/dry-run.js'
import { draftJob, finishJob, type JobDraft, tryFirstUnit } from '../jobs/job-draft.js'
import { durabilityText, policyText, shortId, waitingAdvice } from '../jobs/job-view.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'
import { startProgress } from '../terminal/progress.js'

/** Time in which it shows whether anybody begins; then it is said why nobody does. Unit: ms. */
const BEGIN_MS = 2_500

/** `manyhands submit`: a job for the grid. */
export function defineSubmit(commands: CommandTable): void {
  const command = commands
    .add('submit [task]', 'submit a job to the grid', (context, [task], options) => submit(context, task, options))
    .option('--from <job.toml>', 'take options from a job file; flags given here win')
    .option('--wait', 'wait for the result and print it')
    .option('-o, --output <dir>', 'with --wait: write files to this folder, and manifest.json')
    .option('--layout <pattern>', "names of files in it: 'f_{i:06}.png'")
    .option('--stderr', 'with --wait: keep standard error, too')
    .option('--schema', 'print the JSON Schema of a job file, for editors, and stop')
    .option('--dry-run', 'show what would be submitted, and stop')
    .option('--no-audit', 'with --wait: do not compute any unit again here')
    .option('--no-trial', 'do not compute the first unit here first')
  addJobFlags(command).addHelpText(
    'after',
    [
      '',
      'Words after -- are the arguments of each unit. Placeholders: {} the item, {i} its number from 0, {n} how many,',
      '{start} {end} of a range, {line}, {COLUMN}, {path} {name} {stem} of a file, {rep}; {i:06} pads; {{ is a brace.',
      'Lines and records that no placeholder shows go to standard input.',
      '',
      'TASK is the name of a task (manyhands tasks), or the file of a program compiled to wasm32-wasi: ./prog.wasm. Such a',
      'program sees its arguments, standard input, the files of --in below /in, and writes to standard output and /out.',
      '',
      'The job id is printed alone on standard output (with --wait: the result), everything else on standard error.',
      'Owners see all inputs and outputs, volunteers those of their units.',
      '',
      'Examples:',
      '  manyhands submit primes --range 0..10^9:10^7 --wait',
      '  manyhands submit mersenne --array 4000-5000 --quorum 3 --name gimps',
      '  manyhands submit align --records queries.fasta --sep fasta --in database.fasta=db --wait -- --top 3',
      '  manyhands submit mandelbrot --count 64 --wait -o picture -- --zoom 400 --x -0.7453 --y 0.1127',
      '  manyhands submit ./geng.wasm --count 64 --wait -- -u 10 {i}/{n}',
      '  manyhands submit --from job.toml --dry-run',
      '  manyhands submit --schema > job.schema.json',
    ].join('\n'),
  )
}

async function submit(
  context: CommandContext,
  taskName: string | undefined,
  options: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  if (options.schema === true) {
    const { jobSchemaText } = await import('../job-options/job-schema.js')
    context.output.line(jobSchemaText())
    return EXIT.ok
  }
  const waits = options.wait === true
  const answers: AnswerOptions = {
    folder: options.output as string | undefined,
    layout: options.layout as string | undefined,
    stderr: options.stderr === true,
    raw: false,
  }
  if (!waits && (answers.folder !== undefined || answers.layout !== undefined || answers.stderr)) {
    throw new GridError('invalid', '-o, --layout and --stderr go with --wait', {
      hint: "without it, fetch the results later: 'manyhands results JOB -o DIR'",
    })
  }
  const draft = await draftJob(context, await describeJob(taskName, context.passed, options))
  try {
    if (options.dryRun === true) return await dryRun(context, draft, options.trial !== false)
    await checkFolder(draft.built.spec, answers)
    return await send(context, draft, {
      trial: options.trial !== false,
      waits,
      answers,
      audit: options.audit !== false,
    })
  } finally {
    await draft.files.close()
  }
}

interface SendOptions {
  readonly trial: boolean
  readonly waits: boolean
  readonly answers: AnswerOptions
  readonly audit: boolean
}

async function send(context: CommandContext, draft: JobDraft, options: SendOptions): Promise<ExitCode> {
  const { output } = context
  // Both at once: finding peers is waiting, the trial is work.
  const [trialed, connected] = await Promise.allSettled([
    options.trial ? tryFirstUnit(context, draft) : Promise.resolve(undefined),
    connect(context),
  ])
  if (connected.status === 'rejected') throw connected.reason
  const connection = connected.value
  try {
    if (trialed.status === 'rejected') throw trialed.reason
    if (context.interrupts.first.aborted) return EXIT.interrupted
    if (trialed.value !== undefined) output.note(trialText(trialed.value, firstUnit(draft.built)))
    const { overlay, signer } = connection.client.parts
    const built = finishJob(draft.built, {
      submitter: signer.publicKey,
      peers: await overlay.estimatePeers(),
      shardOwners: await connection.client.ownersHere(),
      unitMs: trialed.value?.unitMs ?? 0,
    })
    const upload = startProgress(output, context.clock)
    let uploading = ''
    let sentAs: JobId | undefined
    const submitted = await submitJob(connection.client, built, {
      list: connection.list,
      summary: draft.summary,
      signal: context.interrupts.first,
      onSending: (jobId) => {
        sentAs = jobId
      },
      onUpload: ({ label, doneBytes, totalBytes }) => {
        uploading = doneBytes < totalBytes ? label : ''
        // What is gone in one piece needs no bar, least of all each file of a folder.
        if (totalBytes > CHUNK_BYTES) upload.show({ done: doneBytes, total: totalBytes, text: `uploading ${label}` })
      },
    })
      .catch((error: unknown) => {
        if (uploading !== '') throw resumable(toGridError(error), uploading)
        throw sentAs === undefined ? error : perhapsSent(context, sentAs, toGridError(error))
      })
      .finally(() => upload.stop())
    const { jobId, holders, wanted } = submitted
    const units = built.spec.selection.length === 0 ? built.units : count(built.spec.selection)
    output.note(
      `job ${shortId(jobId)}: ${plural(units, 'unit')}, ${policyText(built.spec.policy)}; ${durabilityText(holders.length, wanted)}`,
    )
    if (!options.waits) {
      if (output.json) output.value({ jobId, units, holders, wanted })
      else output.line(jobId)
      await explainStart(context, connection, jobId)
      output.note(nextCommands(jobId, sameNetworkFlags(context)))
      return EXIT.ok
    }
    try {
      const job = await connection.client.job(jobId)
      return await collect(context, connection, job, [], { follow: true, audit: options.audit, ...options.answers })
    } catch (error) {
      throw goesOn(context, jobId, toGridError(error), options.answers)
    }
  } finally {
    await connection.close()
  }
}

/** A spec whose answer never came may have arrived. */
function perhapsSent(context: CommandContext, jobId: JobId, error: GridError): GridError {
  if (error.code !== 'closed' && error.code !== 'timeout') return error
  const flags = sameNetworkFlags(context)
  return new GridError(error.code, `no peer has said yet that it has job ${shortId(jobId)}: ${error.message}`, {
    cause: error,
    fields: error.fields,
    hint: `one may have it all the same: manyhands show ${jobId}${flags}\nto stop it: manyhands cancel ${jobId}${flags}`,
  })
}

/** Whoever failed to wait for a job that the grid has need not submit it again. */
function goesOn(context: CommandContext, jobId: JobId, error: GridError, { folder }: AnswerOptions): GridError {
  const into = folder === undefined ? '' : ` -o ${shellWord(folder)}`
  return new GridError(error.code, error.message, {
    cause: error,
    fields: error.fields,
    hint: `the job goes on; its result: manyhands results ${shortId(jobId)}${into}${sameNetworkFlags(context)}`,
  })
}

/** An upload that broke off goes on where it stopped, when the same content is submitted again. */
function resumable(error: GridError, label: string): GridError {
  if (!error.retryable || error.hint !== undefined) return error
  return new GridError(error.code, `${label} was not uploaded: ${error.message}`, {
    cause: error,
    fields: error.fields,
    hint: 'run the same command again: the upload goes on where it stopped',
  })
}

/** Waits a moment for the job to begin; if it does not, says why and what to do. Silent for scripts. */
async function explainStart(context: CommandContext, { client }: Connection, jobId: JobId): Promise<void> {
  const { output, clock, interrupts } = context
  if (output.quiet || output.json) return
  const stop = new AbortController()
  const timer = pause(clock, BEGIN_MS, interrupts.first).then(() => stop.abort())
  let waiting = ''
  try {
    for await (const look of watchJob(client, jobId, { signal: stop.signal })) {
      waiting = look.waiting
      if (look.end !== undefined || (look.firstGrantAgeMs !== undefined && waiting === '')) return
    }
  } catch {
    // Aborted after the moment, or out of reach: the job is submitted either way.
  } finally {
    stop.abort()
    void timer
  }
  if (waiting === '') return
  const advice = waitingAdvice(waiting, workerFlags(context))
  output.note(advice === '' ? waiting : `${waiting}; ${advice}`)
}

function nextCommands(jobId: JobId, flags: string): string {
  const id = shortId(jobId)
  return [`  watch it:    manyhands watch ${id}${flags}`, `  its result:  manyhands results ${id}${flags}`].join('\n')
}
