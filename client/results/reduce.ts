import { unitCount } from '../../job/units/unit-source.js'
import type { JobSpec } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { utf8 } from '../../runtime/hex.js'
import type { AcceptedOutput, Task } from '../../tasks/task.js'
import type { UnitAnswer } from './answer.js'

/** Where the result of a job is written. */
export interface ByteSink {
  /** Resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void> | void
}

/** What was made of a job's answers, and of how many. */
export interface ReducedAnswers {
  /** Files of the result, by name; a task's own, hence trusted no more than any output name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Whether a task made the result; else outputs were passed on one after another. */
  readonly byTask: boolean
  readonly done: number
  readonly failed: number
}

/**
 * Makes the result of a job from its answers, which come in unit order: what the task's `reduce` makes of them, or their
 * standard outputs one after another as they come, nothing kept. Failed units are left out. Rejects with GridError `corrupt`
 * when the task cannot read an output, with what `answers` or `sink` throw otherwise.
 */
export async function reduceAnswers(
  answers: AsyncIterable<UnitAnswer>,
  task: Task | undefined,
  spec: JobSpec,
  sink: ByteSink,
): Promise<ReducedAnswers> {
  let done = 0
  let failed = 0
  let sourceFailed = false
  async function* accepted(): AsyncGenerator<AcceptedOutput, void, undefined> {
    try {
      for await (const { state, unit, output } of answers) {
        if (state === 'failed') failed++
        else {
          done++
          if (output) yield { unit, stdout: output.stdout }
        }
      }
    } catch (error) {
      sourceFailed = true
      throw error
    }
  }
  if (task?.reduce === undefined) {
    for await (const { stdout } of accepted()) if (stdout.length > 0) await sink.write(stdout)
    return { files: new Map(), byTask: false, done, failed }
  }
  let reduced: Awaited<ReturnType<NonNullable<Task['reduce']>>>
  try {
    reduced = await task.reduce(accepted(), { unitCount: unitCount(spec), args: spec.args })
  } catch (error) {
    if (sourceFailed) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new GridError('corrupt', `the outputs cannot be put together: ${reason}`, {
      cause: error,
      hint: 'fetch them one by one with -o DIR',
    })
  }
  const stdout = typeof reduced.stdout === 'string' ? utf8(reduced.stdout) : reduced.stdout
  if (stdout.length > 0) await sink.write(stdout)
  return { files: reduced.files ?? new Map(), byTask: true, done, failed }
}
