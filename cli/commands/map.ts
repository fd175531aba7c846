import { memoryContent } from '../../client/content/content.js'
import type { UnitAnswer } from '../../client/results/answer.js'
import { ResultsReader } from '../../client/results/results.js'
import { type BuiltJob, buildJob } from '../../client/submit/job-builder.js'
import { cancelJob } from '../../client/submit/orders.js'
import { submitJob } from '../../client/submit/submit.js'
import { specDefaults } from '../../job/spec/spec.js'
import type { JobId, Policy } from '../../proto/model.js'
import { BoundedQueue } from '../../runtime/bounded-queue.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { stopOfMany } from '../../runtime/stop.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { addJobFlags, givenFlags } from '../job-options/job-flags.js'
import type { JobOptionName } from '../job-options/job-option-table.js'
import { readJobOptions } from '../job-options/job-options.js'
import { type LineBatch, lineBatches } from '../job-options/line-batches.js'
import { failureText, resultFields } from '../jobs/answers.js'
import { defaultArguments, findRunnable, taskRequest } from '../jobs/runnable.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { plural } from '../terminal/output.js'
import { Crashes } from '../trap/crashes.js'

/** Jobs of the series that are under way at once; reading pauses beyond it. */
const JOBS_AT_ONCE = 8
/** How long the jobs under way are cancelled, all at a time, when nobody wants them any more. Unit: ms. */
const CANCEL_MS = 2_000

const MAP_FLAGS: readonly JobOptionName[] = [
  'env',
  'seed',
  'quorum',
  'verify',
  'max-errors',
  'max-instances',
  'memory',
  'wall',
  'fuel',
  'output-limit',
  'ok-exit',
  'name',
  'label',
  'priority',
]

/** `manyhands map`: a Unix filter whose loop body runs on other machines. */
export function defineMap(commands: CommandTable): void {
  const command = commands
    .add(
      'map <task>',
      'compute a unit per line of standard input, outputs in the order of the lines',
      (context, [task], options) => map(context, task!, options),
    )
    .option('--unordered', 'outputs as they come')
  addJobFlags(command, MAP_FLAGS).addHelpText(
    'after',
    [
      '',
      'Lines go out as a series of jobs of up to 1,024 lines or one second each. A line that fails says so on standard error,',
      'and the exit code is 1. With --json: one value a line of input.',
      '',
      'Examples:',
      "  seq 4000 4300 | manyhands map mersenne -- '{line}'",
      '  generate | manyhands map mersenne --unordered --json',
      '  seq 1000 | manyhands map ./prog.wasm',
    ].join('\n'),
  )
}

async function map(
  context: CommandContext,
  taskName: string,
  options: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const { request } = readJobOptions(givenFlags(options))
  const memoryBytes = request.limits?.memoryBytes ?? specDefaults.limits.memoryBytes
  const runnable = await findRunnable(context, taskName, memoryBytes)
  if (runnable.type === 'builtin' && !runnable.task.sources.includes('lines')) {
    const { name, sources } = runnable.task
    throw new GridError('invalid', `${name} does not work line by line`, {
      hint: `it takes ${sources.map((source) => `--${source}`).join(', ')}: use submit`,
    })
  }
  const unordered = options.unordered === true
  const { output, clock, interrupts, settings, passed } = context
  const quorum = settings.quorum.value
  const policy: Policy | undefined = quorum === undefined ? undefined : { type: 'quorum', quorum }
  return withConnection(context, async (connection) => {
    const { client } = connection
    const peers = await client.parts.overlay.estimatePeers()
    const shardOwners = await client.ownersHere()
    const underWay = new Set<JobId>()
    const stop = stopOfMany()
    const { signal } = stop
    interrupts.first.addEventListener('abort', () => stop.abort(), { once: true })
    let cancelled: Promise<void> | undefined
    const cancelAll = () => {
      stop.abort()
      cancelled ??= Promise.allSettled(
        [...underWay].map((jobId) => cancelJob(client, jobId, { deadlineMs: CANCEL_MS })),
      ).then(() => {})
      return cancelled
    }
    const forget = interrupts.beforeLeaving(cancelAll)
    const start = async ({ bytes, firstLine }: LineBatch): Promise<RunningBatch> => {
      const built = await buildJob(
        {
          ...request,
          task: taskRequest(runnable),
          source: { type: 'lines', content: memoryContent(bytes), label: `lines from ${firstLine + 1}` },
          args: passed ?? defaultArguments(runnable),
        },
        {
          sha256,
          random: client.parts.random,
          nowMs: clock.wallMs(),
          network: client.parts.network.name,
          submitter: client.parts.signer.publicKey,
          peers,
          shardOwners,
          ...(policy === undefined ? {} : { defaults: { policy } }),
        },
      )
      const { jobId, signed } = await submitJob(client, built, {
        list: connection.list,
        summary: `map ${runnable.name}`,
        signal,
        onSending: (jobId) => underWay.add(jobId),
      })
      const job = client.checkShown(jobId, { spec: signed, orders: [] })
      const reader = new ResultsReader(client, job, {
        follow: true,
        order: unordered ? 'settled' : 'unit',
        signal,
      })
      return { jobId, reader, firstLine, units: built.units, built }
    }
    const modulePath = runnable.type === 'module' ? runnable.file.path : undefined
    const crashes = new Crashes(context, async () => undefined)
    const tell = (answer: UnitAnswer, built: BuiltJob) =>
      crashes.tell(answer, async () => ({ built, modulePath, inputPaths: [] }))
    try {
      const failed = await printSeries(
        context,
        { start, done: (jobId) => underWay.delete(jobId) },
        unordered,
        tell,
        signal,
      )
      if (failed > 0) output.note(`${plural(failed, 'line')} failed`)
      return failed > 0 ? EXIT.failed : EXIT.ok
    } catch (error) {
      await cancelAll()
      if (!interrupts.first.aborted) throw toGridError(error)
      output.note('interrupted; the jobs under way were cancelled')
      return EXIT.interrupted
    } finally {
      forget()
      crashes.close()
    }
  })
}

interface Series {
  readonly start: (batch: LineBatch) => Promise<RunningBatch>
  /** All of a job is printed. */
  readonly done: (jobId: JobId) => void
}

interface RunningBatch {
  readonly jobId: JobId
  readonly reader: ResultsReader
  readonly firstLine: number
  readonly units: number
  readonly built: BuiltJob
}

/** Starts jobs as lines come, and prints their outputs. Gives the number of lines that failed or have no result. */
async function printSeries(
  context: CommandContext,
  { start, done }: Series,
  unordered: boolean,
  tell: (answer: UnitAnswer, built: BuiltJob) => Promise<UnitAnswer>,
  signal: AbortSignal,
): Promise<number> {
  const { stdin, clock } = context
  let failed = 0
  const drain = async ({ jobId, reader, firstLine, built }: RunningBatch) => {
    for await (const answer of reader) {
      if (answer.state === 'failed') failed++
      await printLine(context, await tell(answer, built), firstLine)
    }
    const { missing } = reader.summary
    for (const { reason, count } of missing) {
      failed += count
      context.output.warn(`${plural(count, 'line')} without a result (${reason})`)
    }
    done(jobId)
  }
  const queue = new BoundedQueue<Promise<RunningBatch>>(JOBS_AT_ONCE - 1)
  const reading = (async () => {
    for await (const batch of lineBatches(stdin, clock, signal)) {
      const running = start(batch)
      running.catch(() => {})
      if (!(await queue.push(running, 1))) return
    }
  })().then(
    () => queue.end(),
    (error: unknown) => queue.end(error),
  )
  if (unordered) {
    const lanes = Array.from({ length: JOBS_AT_ONCE }, async () => {
      for (let running = await queue.next(); running !== undefined; running = await queue.next())
        await drain(await running)
    })
    await Promise.all(lanes).finally(() => queue.stop())
  } else {
    for await (const running of queue) await drain(await running)
  }
  if (signal.aborted) throw new GridError('closed', 'interrupted')
  await reading
  return failed
}

async function printLine({ output }: CommandContext, answer: UnitAnswer, firstLine: number): Promise<void> {
  const line = firstLine + answer.unit + 1
  const stdout = answer.output?.stdout ?? new Uint8Array(0)
  if (output.json) {
    output.value({
      line,
      state: answer.state,
      ...resultFields(stdout),
      ...(answer.reason === '' ? {} : { reason: answer.reason }),
    })
  } else if (answer.state === 'done') {
    await output.bytes(stdout)
  } else {
    output.warn(`line ${line}: ${failureText(answer)}`)
  }
}
