import { nodeFolder } from '../../client/output/node-folder.js'
import { ResultFolder } from '../../client/output/result-folder.js'
import { describeEvidence, type ResultsSummary, type UnitAnswer } from '../../client/results/answer.js'
import { OutputSum } from '../../client/results/output-sum.js'
import { reduceAnswers } from '../../client/results/reduce.js'
import type { KnownJob } from '../../client/session/session.js'
import { jobIdOf } from '../../job/spec/spec.js'
import { formatSelection } from '../../job/units/selection.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { JobSpec } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { findTask } from '../../tasks/registry.js'
import type { Task } from '../../tasks/task.js'
import type { CommandContext } from '../context.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { clean, plural } from '../terminal/output.js'

/** Failed units told about one by one; the rest are counted. */
const FAILURES_SHOWN = 10
/** Standard error of a failed unit that is shown. Unit: bytes. */
const STDERR_SHOWN = 1_000
/** Result that `--json` can carry in its one value. Unit: bytes. */
const JSON_RESULT_BYTES_MAX = 64 * 2 ** 20

/** How answers are to be shown. */
export interface AnswerOptions {
  /** `-o`: the folder for files. */
  readonly folder: string | undefined
  readonly layout: string | undefined
  /** Write or print standard error, too. */
  readonly stderr: boolean
  /** Outputs as they are, not put together by the task. */
  readonly raw: boolean
  /** Numbers in the outputs added up. */
  readonly sum?: boolean
}

/** What was shown, for the line that sums it up. */
export interface Shown {
  readonly failed: number
  /** The first unit that failed. */
  readonly firstFailed: number | undefined
  readonly files: readonly string[]
  /** The result, where `--json` asked for it. */
  readonly result: Uint8Array | undefined
}

/** The folder of `-o`, opened; undefined without one. */
export function openFolder(
  job: Pick<KnownJob, 'jobId' | 'spec'>,
  { folder, layout, stderr }: AnswerOptions,
): Promise<ResultFolder> | undefined {
  if (folder === undefined) {
    if (layout !== undefined) throw new GridError('invalid', '--layout goes with -o DIR')
    return undefined
  }
  return ResultFolder.open(nodeFolder(folder), job, sha256, { stderr, ...(layout === undefined ? {} : { layout }) })
}

/** Refuses what `-o` and `--layout` say of a job that is yet to be submitted. Rejects with GridError. */
export async function checkFolder(spec: JobSpec, options: AnswerOptions): Promise<void> {
  const folder = await openFolder({ jobId: jobIdOf(sha256, jobSpecCodec.encode(spec)), spec }, options)
  await folder?.discard()
}

/** What became of the folder of `-o`. */
export function filesText({ filesWritten, unitsSkipped }: ResultFolder, folder: string): string {
  const there = unitsSkipped === 0 ? '' : `, results of ${plural(unitsSkipped, 'unit')} were there already`
  return `${plural(filesWritten, 'file')} written to ${folder}${there}`
}

/** The task that puts the outputs of a job together, where it is installed here. */
export function taskOf({ task }: JobSpec): Task | undefined {
  return task.type === 'builtin' ? findTask(task.name, task.version) : undefined
}

/**
 * Shows answers, which come in unit order unless they only go into a folder: files into the folder, the result on stdout
 * (or kept for `--json`), failures on stderr. The folder is closed whatever happens.
 */
export async function showAnswers(
  { output }: CommandContext,
  spec: JobSpec,
  answers: AsyncIterable<UnitAnswer>,
  folder: ResultFolder | undefined,
  options: AnswerOptions,
): Promise<Shown> {
  let failed = 0
  let firstFailed: number | undefined
  const kept: Uint8Array[] = []
  let keptBytes = 0
  const write = async (bytes: Uint8Array) => {
    if (!output.json) return output.bytes(bytes)
    keptBytes += bytes.length
    if (keptBytes > JSON_RESULT_BYTES_MAX) {
      throw new GridError('quota', 'the result is too large for --json', { hint: 'write it to a folder with -o DIR' })
    }
    kept.push(bytes.slice())
    return undefined
  }
  async function* seen(): AsyncGenerator<UnitAnswer, void, undefined> {
    for await (const answer of answers) {
      await folder?.add(answer)
      if (answer.state === 'failed') firstFailed ??= answer.unit
      if (answer.state === 'failed' && ++failed <= FAILURES_SHOWN) output.note(failureText(answer))
      else if (options.stderr && folder === undefined && answer.output !== undefined) {
        const text = textOf(answer.output.stderr, STDERR_SHOWN)
        if (text !== '') output.note(`unit ${answer.unit} stderr: ${text}`)
      }
      yield answer
    }
  }
  const task = options.raw ? undefined : taskOf(spec)
  let files: readonly string[] = []
  try {
    if (options.sum === true) {
      const sum = new OutputSum()
      for await (const { unit, state, output: written } of seen())
        if (state === 'done' && written !== undefined) sum.add(unit, written.stdout)
      await write(new TextEncoder().encode(sum.text() === '' ? '' : `${sum.text()}\n`))
    } else if (folder !== undefined && task?.reduce === undefined) {
      for await (const _ of seen()) {
        // Written by the generator; nothing goes to stdout.
      }
    } else {
      const reduced = await reduceAnswers(seen(), task, spec, { write })
      files = [...reduced.files.keys()]
      if (folder !== undefined) await folder.addResult(reduced.files)
      else if (files.length > 0) output.note(`the result has files (${clean(files.join(', '))}): -o DIR writes them`)
    }
  } finally {
    await folder?.close()
  }
  if (failed > FAILURES_SHOWN) output.note(`... and ${plural(failed - FAILURES_SHOWN, 'more failed unit')}`)
  return {
    failed,
    firstFailed,
    files,
    result: output.json && folder === undefined ? joined(kept, keptBytes) : undefined,
  }
}

/** One failed unit: why, and what it wrote to standard error. */
export function failureText({ unit, reason, output }: UnitAnswer): string {
  const stderr = output === undefined ? '' : textOf(output.stderr, STDERR_SHOWN)
  return `unit ${unit} failed: ${reason}${stderr === '' ? '' : `\n${clean(stderr).replace(/^/gm, '    ')}`}`
}

/** Bytes as text for people: the first of them, cleaned. */
function textOf(bytes: Uint8Array, bytesMax: number): string {
  return clean(new TextDecoder().decode(bytes.subarray(0, bytesMax)).trimEnd())
}

/** A result as a field of JSON: text where it is UTF-8, else base64. */
export function resultFields(bytes: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  if (bytes === undefined) return {}
  try {
    return { result: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { resultBase64: Buffer.from(bytes).toString('base64') }
  }
}

const MISSING_TEXT = {
  open: 'not settled yet',
  disputed: 'disputed: donors disagree',
  unproved: 'settled by an owner that cannot prove it',
  bytes: 'proved, but nobody has the bytes',
  unreachable: 'their owners do not answer',
} as const

/** Says what was proved, what is missing and what was overturned, and gives the exit code for it. */
export function concludeResults({ output }: CommandContext, summary: ResultsSummary): ExitCode {
  output.note(describeEvidence(summary))
  for (const { reason, count, units } of summary.missing) {
    const ranges = formatSelection(units)
    output.warn(
      `${plural(count, 'unit')} missing, ${MISSING_TEXT[reason]}: ${ranges.length > 200 ? `${ranges.slice(0, 200)}...` : ranges}`,
    )
  }
  for (const { unit, pinned, now } of summary.overturned.slice(0, FAILURES_SHOWN)) {
    output.warn(
      `unit ${unit} was overturned: fetched before as ${pinned.slice(0, 12)}, now ${now?.slice(0, 12) ?? 'without a result'}`,
    )
  }
  for (const { owner, reason, type } of summary.problems.slice(0, FAILURES_SHOWN)) {
    if (type !== 'unreachable') output.warn(`owner ${owner.split('#')[0]}: ${clean(reason)}`)
  }
  const isDisputed = summary.overturned.length > 0 || summary.missing.some(({ reason }) => reason === 'disputed')
  if (isDisputed) return EXIT.disputed
  return summary.failed > 0 || summary.missingCount > 0 ? EXIT.failed : EXIT.ok
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
