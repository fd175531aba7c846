import { DEPTH_EXPORT, FUEL_EXPORT, GRID_MODULE, REFUEL_IMPORT } from '../../../sandbox/contract.js'
import { engine, type Global, type Memory, type ModuleInstance } from '../../../sandbox/engine.js'

/** How a program ended that had no host but the fuel. */
export interface AdmittedRun {
  /** What it threw, or undefined. */
  readonly error: unknown
  /** Fuel given in all, minus what is left. */
  readonly fuel: bigint
  readonly depth: number
  /** The first bytes of its memory. */
  readonly memory: DataView
  /** How often it asked for more. */
  readonly asked: number
}

/** Runs `_start` of an instrumented module. Past `limit` asking for more throws; `portion` is what it gets each time; `host` gives functions of WASI. */
export function runAdmitted(
  bytes: Uint8Array,
  options: {
    portion?: bigint
    limit?: bigint
    host?: (fuel: () => Global) => Readonly<Record<string, (...args: number[]) => unknown>>
  } = {},
): AdmittedRun {
  const { portion = 1n << 40n, limit = 1n << 62n, host = () => ({}) } = options
  let given = portion < limit ? portion : limit
  let asked = 0
  const refuel = (remaining: bigint): bigint => {
    asked++
    const used = given - remaining
    if (used > limit) throw new Error('out of fuel')
    const next = limit - used < portion ? limit - used : portion
    given = used + next
    return next
  }
  const instance: ModuleInstance = new engine.Instance(new engine.Module(bytes), {
    [GRID_MODULE]: { [REFUEL_IMPORT]: refuel },
    wasi_snapshot_preview1: host(() => instance.exports[FUEL_EXPORT] as Global),
  })
  const { exports } = instance
  const fuel = exports[FUEL_EXPORT] as Global
  fuel.value = given
  let error: unknown
  try {
    ;(exports._start as () => void)()
  } catch (thrown) {
    error = thrown
  }
  return {
    error,
    fuel: given - BigInt(fuel.value),
    depth: Number((exports[DEPTH_EXPORT] as Global).value),
    memory: new DataView((exports.memory as Memory).buffer),
    asked,
  }
}
