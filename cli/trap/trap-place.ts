import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serialize } from 'node:v8'
import type { UnitInvocation } from '../../job/spec/program.js'
import type { JobSpec } from '../../proto/model.js'
import { printable } from '../../proto/printable.js'
import type { Clock } from '../../runtime/clock.js'
import { launches, thisMachine } from '../../worker/compute/launch.js'
import type { TrapAnswer, TrapQuestion } from './trap-child.js'

/** Where and why a program crashed, for people: it depends on the engine and is in no digest. */
export interface TrapPlace {
  /** What the engine calls it: `unreachable`, `divide by zero`. */
  readonly message: string
  /** Index in the module as it was submitted. */
  readonly functionIndex: number | undefined
  /** From the module's name section, as it stands there: text of a stranger. */
  readonly functionName: string | undefined
  /** Names of those that had called it, the innermost first; none without names. */
  readonly callers: readonly string[]
}

/** Characters of a name that are shown. */
const NAME_SHOWN = 200
const CALLER_SHOWN = 60

/** `unreachable in 'abort' (function 17), called by 'fail', 'parse', 'main'`. */
export function trapText({ message, functionName, functionIndex, callers }: TrapPlace): string {
  const index = functionIndex === undefined ? '' : `function ${functionIndex}`
  const place = functionName === undefined ? index : `'${functionName.slice(0, NAME_SHOWN)}' (${index})`
  const by = callers
    .map((name) => `'${name.length > CALLER_SHOWN ? `${name.slice(0, CALLER_SHOWN)}...` : name}'`)
    .join(', ')
  return printable(`${message}${place === '' ? '' : ` in ${place}`}${by === '' ? '' : `, called by ${by}`}`)
}

interface TrapSearch {
  readonly spec: JobSpec
  readonly modulePath: string
  readonly inputPaths: readonly { readonly name: string; readonly path: string }[]
  readonly unit: number
  readonly invocation: UnitInvocation
  readonly clock: Clock
  readonly signal?: AbortSignal
}

/** Module and inputs together, above which the place is not looked for: they are copied once more. Unit: bytes. */
const INPUT_BYTES_MAX = 512 * 2 ** 20
/** Time for starting, admission and compilation, on top of the time that the unit is allowed. Unit: ms. */
const START_MS = 20_000
const ANSWER_BYTES_MAX = 64 * 1024
/** Longest wait of a timer. Unit: ms. */
const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * Runs a unit once more, in a process of its own without environment, to see where it crashes. Undefined when it does not
 * crash there, or the answer cannot be had: a convenience, never an error. Ends within the unit's time limit and 20 s.
 */
export async function findTrap(search: TrapSearch): Promise<TrapPlace | undefined> {
  try {
    const question = await questionOf(search)
    return question === undefined ? undefined : await ask(question, search)
  } catch {
    return undefined
  }
}

async function questionOf(search: TrapSearch): Promise<TrapQuestion | undefined> {
  const { spec, modulePath, inputPaths, unit, invocation } = search
  let bytes = 0
  for (const path of [modulePath, ...inputPaths.map((input) => input.path)]) bytes += (await stat(path)).size
  if (bytes > INPUT_BYTES_MAX) return undefined
  const files = new Map<string, Uint8Array>()
  for (const { name, path } of inputPaths) files.set(name, new Uint8Array(await readFile(path)))
  for (const { name, bytes: content } of invocation.files) files.set(name, content)
  return {
    module: new Uint8Array(await readFile(modulePath)),
    args: invocation.args,
    stdin: invocation.stdin,
    environment: invocation.environment,
    seed: spec.seed,
    unit,
    files,
    limits: spec.limits,
  }
}

/** Asks a process started as restricted as the platform allows: what it refuses shows when the process fails. */
async function ask(question: TrapQuestion, search: TrapSearch): Promise<TrapPlace | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-trap-'))
  const program = fileURLToPath(new URL('./trap-child.js', import.meta.url))
  try {
    for (const { command, args } of launches({ ...thisMachine(folder, 1, false), program })) {
      const bytes = await converse(command, args, folder, serialize(question), search)
      if (bytes !== undefined) return answerOf(bytes)
      if (search.signal?.aborted) return undefined
    }
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What the process says before it ends, nothing when its time was up; undefined when it did not come up. */
function converse(
  command: string,
  args: readonly string[],
  folder: string,
  question: Uint8Array,
  { spec, clock, signal }: TrapSearch,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    // Windows starts nothing without it.
    const { SystemRoot } = process.env
    const env = SystemRoot === undefined ? {} : { SystemRoot }
    const child = spawn(command, args, { cwd: folder, env, stdio: ['pipe', 'pipe', 'ignore'] })
    let isStopped = false
    const stop = () => {
      isStopped = true
      child.kill('SIGKILL')
    }
    const timer = clock.setTimer(Math.min(TIMER_MS_MAX, spec.limits.wallMs + START_MS), stop)
    signal?.addEventListener('abort', stop, { once: true })
    const parts: Buffer[] = []
    let length = 0
    child.stdout.on('data', (part: Buffer) => {
      length += part.length
      if (length > ANSWER_BYTES_MAX) stop()
      else parts.push(part)
    })
    child.stdin.on('error', () => {})
    const end = (answer: Buffer | undefined) => {
      timer.cancel()
      signal?.removeEventListener('abort', stop)
      resolve(answer)
    }
    child.on('error', () => end(undefined))
    child.on('close', (code) => {
      if (isStopped) end(Buffer.alloc(0))
      else end(code === 0 ? Buffer.concat(parts) : undefined)
    })
    child.stdin.end(question)
  })
}

/** The process has run a program of a stranger: what it says is checked. */
function answerOf(bytes: Buffer): TrapPlace | undefined {
  if (bytes.length === 0) return undefined
  const { message, functionIndex, functionName, callers } = JSON.parse(bytes.toString('utf8')) as Partial<TrapAnswer>
  if (typeof message !== 'string') return undefined
  return {
    message,
    functionIndex: Number.isSafeInteger(functionIndex) ? functionIndex : undefined,
    functionName: typeof functionName === 'string' ? functionName : undefined,
    callers: Array.isArray(callers) ? callers.flatMap(({ name }) => (typeof name === 'string' ? [name] : [])) : [],
  }
}
