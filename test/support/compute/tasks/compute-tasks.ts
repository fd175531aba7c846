/** Small tasks that end in every way a unit can end: loaded by compute threads as a module of the machine's own. */
import { createHash } from 'node:crypto'
import { type Task, type TaskOutput, textOutput, type UnitInput } from '../../../../tasks/task.js'

function task(name: string, execute: (input: UnitInput) => TaskOutput | Promise<TaskOutput>): Task {
  return { name, version: 1, summary: '', usage: '', defaultArguments: [], sources: ['count'], execute }
}

/** Works for about `ms`, burning one step a round. */
function spin(ms: number, input: UnitInput): void {
  for (const end = performance.now() + ms; performance.now() < end; ) input.burn(1)
}

/** The arguments of a unit as numbers. */
function numbers(input: UnitInput): number[] {
  return input.args.map(Number)
}

export const tasks: readonly Task[] = [
  task('hash', ({ unit }) => textOutput(createHash('sha256').update(String(unit)).digest('hex'))),
  task('echo', ({ stdin }) => ({ exitCode: 0, stdout: stdin })),
  task('process', () => textOutput(JSON.stringify({ env: process.env, cwd: process.cwd() }))),
  task('seen', ({ unit, unitCount, args, seed, environment, files }) =>
    textOutput(
      JSON.stringify([
        unit,
        unitCount,
        args,
        String(seed),
        [...environment],
        [...files].map(([k, v]) => [k, v.length]),
      ]),
    ),
  ),
  /** Args: ms. */
  task('spin', (input) => {
    spin(numbers(input)[0] ?? 0, input)
    return textOutput(`${input.unit}`)
  }),
  /** Args: steps. */
  task('burn', (input) => {
    for (let i = 0; i < (numbers(input)[0] ?? 0); i++) input.burn(1)
    return textOutput('burnt')
  }),
  task('swallow', (input) => {
    try {
      input.burn(10n ** 9n)
    } catch {
      // What a task must not do.
    }
    return textOutput('as if nothing had happened')
  }),
  task('throw', ({ unit }) => {
    throw new Error(`unit ${unit} is not to my taste`)
  }),
  task('reject', async ({ unit }) => {
    if (unit % 2 === 0) throw new Error('later')
    return textOutput('later')
  }),
  /** Args: bytes. */
  task('flood', (input) => ({ exitCode: 0, stdout: new Uint8Array(numbers(input)[0] ?? 0) })),
  task('complain', () => ({ exitCode: 3, stdout: new Uint8Array(0), stderr: 'x'.repeat(1000) })),
  task('hoard', () => {
    const kept: unknown[] = []
    for (;;) kept.push({ values: Array.from({ length: 1000 }, (_, i) => i + 0.5) })
  }),
  /** Args: index of the unit that ends its thread. */
  task('exit', (input) => {
    if (input.unit === numbers(input)[0]) process.exit(7)
    return textOutput('stayed')
  }),
  /** Args: index of the unit that ends the whole process. */
  task('abort', (input) => {
    if (input.unit === numbers(input)[0]) process.kill(process.pid, 'SIGKILL')
    return textOutput('stayed')
  }),
  /** Args: index of the unit that never ends. */
  task('loop', (input) => {
    if (input.unit === numbers(input)[0]) for (;;) input.burn(1)
    return textOutput('ended')
  }),
]
