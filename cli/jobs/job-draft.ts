import { checkFirstUnit, firstUnit } from '../../client/replay/built-units.js'
import { type LocalRun, runLocal } from '../../client/replay/run-local.js'
import type { UnitAnswer } from '../../client/results/answer.js'
import { type BuiltJob, buildJob, minGrantorsOf, ownerRadius } from '../../client/submit/job-builder.js'
import { specDefaults } from '../../job/spec/spec.js'
import { chooseShardUnits } from '../../job/units/shard.js'
import { unitCount } from '../../job/units/unit-source.js'
import type { Policy, PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { silentLogger } from '../../runtime/logger.js'
import { systemRandom } from '../../runtime/random.js'
import { type ComputeProcess, startCompute } from '../../worker/compute/supervise.js'
import type { CommandContext } from '../context.js'
import { jobRequest, type OpenedFiles, openFiles } from '../job-options/file-content.js'
import type { DescribedJob } from '../job-options/job-flags.js'
import { readJobOptions } from '../job-options/job-options.js'
import { shareHere } from '../settings/machine.js'
import { startProgress } from '../terminal/progress.js'
import { Crashes } from '../trap/crashes.js'
import { checkSource, defaultArguments, findRunnable, type Runnable, taskRequest } from './runnable.js'

/** Longest trial of a first unit: enough for mistakes to show, not so long that one waits for it. Unit: ms. */
const TRIAL_MS = 10_000
/** Longest wait for the compute process that tries it: on a busy machine the start takes longer than the unit. Unit: ms. */
const TRIAL_START_MS = 60_000
/** Stands for a key where none is needed: what is built for this machine alone is never signed. */
const NOBODY = '0'.repeat(64) as PublicKey
/** Content above which reading it is shown. Unit: bytes. */
const SHOWN_BYTES = 64 * 2 ** 20

/** A job that was understood and checked, not yet anybody's. */
export interface JobDraft {
  readonly runnable: Runnable
  readonly built: BuiltJob
  /** Task and source for lists of jobs. */
  readonly summary: string
  readonly files: OpenedFiles
}

/**
 * Reads files, builds the job and checks it against its task, all on this machine: what is wrong shows before anybody is
 * asked. To be closed by {@link OpenedFiles.close}. Throws GridError `invalid`.
 */
export async function draftJob(context: CommandContext, described: DescribedJob): Promise<JobDraft> {
  if (described.task === undefined) {
    throw new GridError('invalid', 'no task is named', { hint: "such as 'primes'; 'manyhands tasks' lists them" })
  }
  const options = readJobOptions(described.given)
  const memoryBytes = options.request.limits?.memoryBytes ?? specDefaults.limits.memoryBytes
  const runnable = await findRunnable(context, described.task, memoryBytes)
  const { source } = options
  if (source === undefined) {
    throw new GridError('invalid', 'no source is given: what are the units?', { hint: sourceHint(runnable) })
  }
  checkSource(runnable, source.type)
  const files = await openFiles({ source, inputs: options.inputs }, context.stdin)
  try {
    const args = described.args ?? defaultArguments(runnable)
    const request = jobRequest(taskRequest(runnable), args, options, files)
    const quorum = context.settings.quorum.value
    const policy: Policy | undefined = quorum === undefined ? undefined : { type: 'quorum', quorum }
    const progress = startProgress(context.output, context.clock)
    const built = await buildJob(request, {
      sha256,
      random: systemRandom,
      nowMs: context.clock.wallMs(),
      network: context.settings.network.value,
      submitter: NOBODY,
      peers: 0,
      ...(policy === undefined ? {} : { defaults: { policy } }),
      onRead: (label, done, total) => {
        if (total > SHOWN_BYTES) progress.show({ done, total, text: `reading ${label}` })
      },
    }).finally(() => progress.stop())
    const summary = `${runnable.name} ${options.sourceText}`.trim()
    const draft: JobDraft = { runnable, built, files, summary }
    if (runnable.type === 'builtin') await checkFirstUnit(runnable.task, built, files.inputs)
    return draft
  } catch (error) {
    await files.close()
    throw error
  }
}

function sourceHint(runnable: Runnable): string {
  if (runnable.type === 'module') {
    const { shown } = runnable.file
    return `--count, --array, --range, --lines, --csv, --files or --records; for example:\nmanyhands submit ${shown} --count 100 -- {i} {n}`
  }
  const { name, sources, usage } = runnable.task
  return `${name} takes ${sources.map((kind) => `--${kind}`).join(', ')}; for example:\n${usage.split('\n')[0]}`
}

/** The job with what only the network can say: who submits it, how large the network is and how many owners its shards get, and how long a unit takes. */
export function finishJob(
  built: BuiltJob,
  {
    submitter,
    peers,
    shardOwners,
    unitMs,
  }: { submitter: PublicKey; peers: number; shardOwners: number; unitMs: number },
): BuiltJob {
  const { spec } = built
  const outputBytes = Math.min(spec.limits.outputBytes, 16 * 1024)
  const shardUnits = unitMs > 0 ? chooseShardUnits({ units: unitCount(spec), outputBytes, unitMs }) : spec.shardUnits
  return {
    ...built,
    spec: {
      ...spec,
      submitter,
      shardUnits,
      ownerRadius: ownerRadius(peers),
      minGrantors: minGrantorsOf(spec.policy, spec.owners.length > 0 ? 1 : shardOwners),
    },
  }
}

/** Threads on this machine for a command of its own, not for donating. To be closed. */
export function startLocalCompute(context: CommandContext, memoryBytes: number, threads?: number): ComputeProcess {
  return startCompute({
    threads: threads ?? Math.max(1, shareHere(context, '100%').threads),
    memoryBytes: Math.max(memoryBytes, 256 * 2 ** 20),
    taskModules: context.settings.tasks.value,
    lowPriority: false,
    clock: context.clock,
    logger: silentLogger,
  })
}

/** Where the files of a job are on this machine, as computing here wants them. */
export function localFiles({
  files,
  runnable,
}: JobDraft): Pick<LocalRun, 'modulePath'> & Required<Pick<LocalRun, 'inputPaths'>> {
  return {
    inputPaths: files.inputPaths,
    ...(runnable.type === 'module' ? { modulePath: runnable.file.path } : {}),
  }
}

/** How the trial went. */
export interface Trial {
  /** Undefined: it took too long to wait for. */
  readonly answer: UnitAnswer | undefined
  readonly unitMs: number
  /** Used by the unit, or by the time when it was stopped. */
  readonly fuel: bigint
}

/**
 * Computes the first unit here, for at most ten seconds once the compute process runs. Throws GridError `invalid` when it
 * fails, with what it wrote to standard error.
 */
export async function tryFirstUnit(context: CommandContext, draft: JobDraft): Promise<Trial> {
  const { clock } = context
  const { built } = draft
  const unit = firstUnit(built)
  const stop = new AbortController()
  const onInterrupt = () => stop.abort()
  context.interrupts.first.addEventListener('abort', onInterrupt, { once: true })
  let timer = clock.setTimer(TRIAL_START_MS, () => stop.abort())
  const compute = startLocalCompute(context, built.spec.limits.memoryBytes, 1)
  let startedAt = clock.now()
  void compute.restrictions().then((restrictions) => {
    // Undefined: closed before it ran.
    if (restrictions === undefined) return
    timer.cancel()
    startedAt = clock.now()
    timer = clock.setTimer(TRIAL_MS, () => stop.abort())
  })
  let fuel = 0n
  compute.onProgress((running) => {
    fuel = running[0]?.fuel ?? fuel
  })
  try {
    const run = {
      built,
      compute,
      sha256,
      ...localFiles(draft),
      units: [{ first: unit, count: 1 }],
      signal: stop.signal,
    }
    for await (const answer of runLocal(run)) {
      if (answer.state === 'failed') throw await trialFailure(context, draft, answer)
      return { answer, unitMs: answer.wallMs ?? clock.now() - startedAt, fuel: answer.fuel }
    }
    return { answer: undefined, unitMs: 0, fuel }
  } catch (error) {
    if (!stop.signal.aborted) throw error
    return { answer: undefined, unitMs: TRIAL_MS, fuel }
  } finally {
    timer.cancel()
    context.interrupts.first.removeEventListener('abort', onInterrupt)
    await compute.close()
  }
}

/** Says where units of a program crashed that ran here. */
export function localCrashes(context: CommandContext, draft: JobDraft): Crashes {
  return new Crashes(context, async () => ({ ...localFiles(draft), built: draft.built }))
}

async function trialFailure(context: CommandContext, draft: JobDraft, answer: UnitAnswer): Promise<GridError> {
  const crashes = localCrashes(context, draft)
  const { unit, reason, output } = await crashes.tell(answer).finally(() => crashes.close())
  const stderr = output === undefined ? '' : new TextDecoder().decode(output.stderr.subarray(0, 2_000)).trim()
  return new GridError('invalid', `unit ${unit} fails when tried here: ${reason}`, {
    hint: [...(stderr === '' ? [] : [stderr]), 'nothing was submitted; --no-trial skips this trial'].join('\n'),
  })
}
