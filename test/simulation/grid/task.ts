import { createHash } from 'node:crypto'
import { digestOutput } from '../../../job/facts/digest.js'
import { unitOutputCodec } from '../../../proto/codec/facts.js'
import type { Digest, UnitOutput } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { TaskRegistry } from '../../../tasks/registry.js'
import type { Task } from '../../../tasks/task.js'

/** Every so many units one answers with more than travels beside a report, and one exits with an error. */
const LARGE_EVERY = 16
const LARGE_BYTES = 9_000
const FAILING_EVERY = 31

/** What unit `unit` of a job with this `salt` answers on every honest machine. */
function answerOf(salt: string, unit: number): { readonly exitCode: number; readonly stdout: Uint8Array } {
  const line = createHash('sha256').update(`${salt} ${unit}`).digest('hex')
  if (unit % FAILING_EVERY === FAILING_EVERY - 1) return { exitCode: 3, stdout: utf8(line) }
  if (unit % LARGE_EVERY !== LARGE_EVERY - 1) return { exitCode: 0, stdout: utf8(line) }
  return { exitCode: 0, stdout: utf8(line.repeat(Math.ceil(LARGE_BYTES / line.length))) }
}

/** Hashes its arguments: salt and index of the unit. */
const hashTask: Task = {
  name: 'sim-hash',
  version: 1,
  summary: 'SHA-256 of a salt and the index of the unit',
  usage: 'submit sim-hash --count 100 -- SALT {i}',
  defaultArguments: ['salt', '{i}'],
  sources: ['count'],
  execute: ({ args, burn }) => {
    burn(1)
    return answerOf(args[0] ?? '', Number(args[1]))
  },
}

/** The tasks that every simulated worker has. */
export function gridTasks(): TaskRegistry {
  return new TaskRegistry([hashTask])
}

/** The task of simulated jobs, as a spec names it. */
export const GRID_TASK = { type: 'builtin', name: hashTask.name, version: hashTask.version } as const

/** The output that every honest worker gives for a unit, and its digest. */
export function rightOutput(
  salt: string,
  unit: number,
): { readonly outcome: 'done' | 'exit'; readonly digest: Digest } {
  const { exitCode, stdout } = answerOf(salt, unit)
  const outcome = exitCode === 0 ? 'done' : 'exit'
  return { outcome, digest: digestOf({ outcome, exitCode, stdout }) }
}

/** A well-formed output with another answer, as a liar gives it. */
export function wrongOutput(text: string): { readonly digest: Digest; readonly output: Uint8Array } {
  const output = { outcome: 'done', exitCode: 0, stdout: utf8(text), ...NO_MORE } as const
  return { digest: digestOutput(sha256, output), output: unitOutputCodec.encode(output) }
}

const NO_MORE = { stderr: new Uint8Array(0), stderrLength: 0, files: [] } as const

function digestOf(output: Pick<UnitOutput, 'outcome' | 'exitCode' | 'stdout'>): Digest {
  return digestOutput(sha256, { ...output, ...NO_MORE })
}
