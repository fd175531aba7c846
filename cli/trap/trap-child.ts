/** Runs one unit and says where it crashed. Gets a {@link TrapQuestion} on standard input, gives a {@link TrapAnswer} as JSON, or nothing. */
import { deserialize } from 'node:v8'
import type { Limits } from '../../proto/model.js'
import { admit, engine, FixedBytes, functionNames, runProgram, submittedFunction } from '../../sandbox/index.js'
import { boundCompilation } from '../../worker/compute/bound-compilation.js'
import { PROGRAM_NAME } from '../../worker/compute/execute-module.js'

/** A unit with everything it sees. */
export interface TrapQuestion {
  /** As submitted; admitted here. */
  readonly module: Uint8Array
  readonly args: readonly string[]
  readonly stdin: Uint8Array
  readonly environment: readonly (readonly [string, string])[]
  readonly seed: bigint
  readonly unit: number
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly limits: Limits
}

/** A function of the module as it was submitted. */
interface NamedFunction {
  readonly index: number
  readonly name: string | undefined
}

/** Where it crashed. */
export interface TrapAnswer {
  readonly message: string
  readonly functionIndex: number | undefined
  readonly functionName: string | undefined
  /** The innermost first. */
  readonly callers: readonly NamedFunction[]
}

/** Callers that are named. */
const CALLERS_MAX = 6

boundCompilation()
const parts: Buffer[] = []
for await (const part of process.stdin) parts.push(part as Buffer)
const { module, limits, environment, files, ...input } = deserialize(Buffer.concat(parts)) as TrapQuestion
const admitted = admit(module, { memoryBytes: limits.memoryBytes })
const { trap } = runProgram(
  new engine.Module(admitted.bytes),
  {
    ...input,
    name: PROGRAM_NAME,
    environment: new Map(environment),
    files: new Map([...files].map(([name, bytes]) => [name, new FixedBytes(bytes)])),
  },
  limits,
)
if (trap !== undefined) {
  const names = functionNames(module)
  const ownOf = (index: number): NamedFunction[] => {
    const own = submittedFunction(admitted.report, index)
    return own === undefined ? [] : [{ index: own, name: names.get(own) }]
  }
  const { message, functionIndex } = trap
  const own = functionIndex === undefined ? undefined : ownOf(functionIndex)[0]
  const callers = trap.callers.flatMap(ownOf).slice(0, CALLERS_MAX)
  process.stdout.write(
    JSON.stringify({ message, functionIndex: own?.index, functionName: own?.name, callers } satisfies TrapAnswer),
  )
}
