import { reportFacts } from '../../client/content/wasm-file.js'
import { firstUnit, invocation, lastUnit } from '../../client/replay/built-units.js'
import { formatBytes, formatDuration } from '../../job/quantity.js'
import { count } from '../../job/units/selection.js'
import { selectedShards } from '../../job/units/shard.js'
import type { Policy } from '../../proto/model.js'
import { type CommandContext, shellWord } from '../context.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { clean, facts, plural } from '../terminal/output.js'
import { type JobDraft, type Trial, tryFirstUnit } from './job-draft.js'
import { specFacts } from './job-view.js'

/** Characters of a unit's standard input that are shown. */
const STDIN_SHOWN = 60

/** How the trial of a unit went, in one line. */
export function trialText({ answer, unitMs, fuel }: Trial, unit: number): string {
  if (answer === undefined)
    return `unit ${unit} takes longer than ${formatDuration(unitMs)} here: its trial was stopped at fuel ${fuel}`
  const output = answer.outputBytes
  return `tried unit ${unit} here: done in ${formatDuration(unitMs)}, ${formatBytes(output)} of output, fuel ${fuel}`
}

/** One unit as it would be run. */
interface Sample {
  readonly unit: number
  /** Placeholders filled in. */
  readonly args: readonly string[]
  readonly stdinBytes: number
  /** The start of standard input. */
  readonly stdin: string
  /** Names of the files of its own that it sees below `/in`. */
  readonly files: readonly string[]
}

/** `submit --dry-run`: what would be submitted, and what is to be expected of it. Asks nobody. */
export async function dryRun(context: CommandContext, draft: JobDraft, trial: boolean): Promise<ExitCode> {
  const { built, runnable } = draft
  const { spec } = built
  const units = spec.selection.length === 0 ? built.units : count(spec.selection)
  const trialed = trial ? await tryFirstUnit(context, draft) : undefined
  if (context.interrupts.first.aborted) return EXIT.interrupted
  const samples = await samplesOf(draft, units)
  const shards = selectedShards(spec).length
  const blobs = built.blobs.map(({ label, blob }) => ({ label, bytes: blob.size }))
  const estimate = estimateOf(draft, units, trialed)
  const text = [
    'nothing was submitted',
    facts([
      ...(runnable.type === 'module' ? reportFacts(runnable.file) : []),
      ...specFacts(spec),
      ['units', `${units}${units === built.units ? '' : ` of ${built.units}`}`],
      ['shards', `${shards} of ${spec.shardUnits} units`],
      ['instances', spec.policy.type === 'none' ? units : `${units * leastDonors(spec.policy)} or more`],
      [
        'upload',
        blobs.length === 0 ? 'nothing' : blobs.map(({ label, bytes }) => `${label}: ${formatBytes(bytes)}`).join(', '),
      ],
      ['trial', trialed === undefined ? '' : trialText(trialed, firstUnit(built))],
      ['estimate', estimate?.text ?? ''],
    ]),
    '',
    ...samples.map(({ unit, args, stdinBytes, stdin, files }) =>
      facts([
        [`unit ${unit}`, [runnable.name, ...args.map(shellWord)].join(' ')],
        ['  stdin', stdinBytes === 0 ? '' : `${formatBytes(stdinBytes)}: ${stdin}`],
        ['  files', files.join(' ')],
      ]),
    ),
  ].join('\n')
  context.output.answer(text, {
    dryRun: true,
    task: runnable.name,
    ...(runnable.type === 'module' ? { admission: runnable.file.report } : {}),
    units,
    shards,
    shardUnits: spec.shardUnits,
    policy: spec.policy,
    limits: spec.limits,
    upload: blobs,
    samples,
    trial:
      trialed === undefined
        ? null
        : {
            unitMs: Math.round(trialed.unitMs),
            finished: trialed.answer !== undefined,
            fuel: trialed.fuel,
            outputBytes: trialed.answer?.outputBytes ?? null,
          },
    estimate:
      estimate === undefined
        ? null
        : { threadMs: Math.round(estimate.threadMs), fuel: estimate.fuel, atLeast: estimate.atLeast },
  })
  return EXIT.ok
}

/** First, second and last unit. */
async function samplesOf({ built }: JobDraft, units: number): Promise<readonly Sample[]> {
  const second = units > 2 ? [secondUnit(built.spec.selection)] : []
  const shown = [...new Set([firstUnit(built), ...second, lastUnit(built)])]
  const samples: Sample[] = []
  for (const unit of shown) {
    const { args, stdin, files } = await invocation(built, unit)
    samples.push({
      unit,
      args,
      stdinBytes: stdin.length,
      stdin: previewOf(stdin),
      files: files.map(({ name }) => name),
    })
  }
  return samples
}

/** The start of bytes as text, line ends made visible. */
function previewOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 4 * STDIN_SHOWN))
  const cut = [...text].slice(0, STDIN_SHOWN).join('')
  const isCut = cut.length < text.length || bytes.length > 4 * STDIN_SHOWN
  return clean(cut.replaceAll('\r', '\\r').replaceAll('\n', '\\n').replaceAll('\t', '\\t')) + (isCut ? '...' : '')
}

function secondUnit(selection: JobDraft['built']['spec']['selection']): number {
  const [first, next] = selection
  if (first === undefined) return 1
  return first.count > 1 ? first.first + 1 : (next?.first ?? first.first)
}

/** Fewest donors that settle a unit. */
function leastDonors(policy: Policy): number {
  return policy.type === 'quorum' ? policy.quorum : 1
}

/** What the whole job costs if every unit is like the one that was tried, at least if that was stopped; undefined without a trial. */
function estimateOf({ built }: JobDraft, units: number, trial: Trial | undefined) {
  if (trial === undefined) return undefined
  const atLeast = trial.answer === undefined
  const { policy } = built.spec
  const copies = leastDonors(policy)
  const threadMs = trial.unitMs * units * copies
  const fuel = trial.fuel * BigInt(units)
  const opinions = copies === 1 ? '' : ` (${copies} donors a unit)`
  const more = atLeast ? 'more than ' : ''
  const text = `${more}${formatDuration(threadMs)} of one thread${opinions}, ${more}fuel ${fuel} for ${plural(units, 'unit')} like the one tried`
  return { threadMs, fuel, atLeast, text }
}
