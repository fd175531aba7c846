import { FuelMeter } from '../../../tasks/fuel.js'
import type { Reduced, Task } from '../../../tasks/task.js'

/** What a unit of a task answered. */
export interface UnitRun {
  readonly exitCode: number
  readonly bytes: Uint8Array
  readonly text: string
  readonly stderr: string
  readonly fuel: bigint
}

/** What a test may say about a unit; the rest is empty. */
export interface UnitSetup {
  readonly stdin?: string | Uint8Array
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  readonly fuelLimit?: bigint
  readonly unit?: number
  readonly unitCount?: number
}

const encoder = new TextEncoder()
const toBytes = (content: string | Uint8Array) => (typeof content === 'string' ? encoder.encode(content) : content)

/** Runs one unit of `task` with a fuel meter. Rejects with FuelExhausted past `fuelLimit`. */
export async function runUnit(task: Task, args: readonly string[], setup: UnitSetup = {}): Promise<UnitRun> {
  const meter = new FuelMeter(setup.fuelLimit)
  const output = await task.execute({
    unit: setup.unit ?? 0,
    unitCount: setup.unitCount ?? 1,
    args,
    stdin: toBytes(setup.stdin ?? ''),
    files: new Map(Object.entries(setup.files ?? {}).map(([name, content]) => [name, toBytes(content)])),
    environment: new Map(),
    seed: 0n,
    burn: meter.burn,
  })
  const text = new TextDecoder().decode(output.stdout)
  return { exitCode: output.exitCode, bytes: output.stdout, text, stderr: output.stderr ?? '', fuel: meter.used }
}

/** Reduces outputs given in unit order; undefined stands for a unit without an accepted output. */
export async function reduceOutputs(
  task: Task,
  outputs: readonly (string | Uint8Array | undefined)[],
  args: readonly string[] = [],
): Promise<Reduced & { readonly text: string }> {
  async function* accepted() {
    for (const [unit, stdout] of outputs.entries()) if (stdout !== undefined) yield { unit, stdout: toBytes(stdout) }
  }
  const reduced = await task.reduce!(accepted(), { unitCount: outputs.length, args })
  return {
    ...reduced,
    text: typeof reduced.stdout === 'string' ? reduced.stdout : new TextDecoder().decode(reduced.stdout),
  }
}

/** The one-line message with which a unit refused its arguments; fails when it did not. */
export async function refusal(task: Task, args: readonly string[], setup: UnitSetup = {}): Promise<string> {
  const run = await runUnit(task, args, setup)
  if (run.exitCode !== 2 || run.text !== '')
    throw new Error(`not refused: exit code ${run.exitCode}, stdout '${run.text}'`)
  if (!/^[^\n]+\n$/.test(run.stderr)) throw new Error(`not one line: '${run.stderr}'`)
  return run.stderr.trimEnd()
}
