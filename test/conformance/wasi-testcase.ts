import { admit, WASI_MODULE } from '../../sandbox/admission/index.js'
import { FUEL_EXPORT, GRID_MODULE, MEMORY_EXPORT, REFUEL_IMPORT, START_EXPORT } from '../../sandbox/contract.js'
import { engine, type Global, type Memory } from '../../sandbox/engine.js'
import { FuelTank } from '../../sandbox/fuel-tank.js'
import { Area } from '../../sandbox/wasi/area.js'
import { FixedBytes } from '../../sandbox/wasi/byte-store.js'
import { ERRNO, refuse } from '../../sandbox/wasi/errno.js'
import { WasiHost } from '../../sandbox/wasi/host.js'
import { openFolder } from '../../sandbox/wasi/layout.js'
import { NODES_MAX } from '../../sandbox/wasi/limits.js'
import type { FolderNode } from '../../sandbox/wasi/node.js'
import { RIGHT, STREAM_RIGHTS } from '../../sandbox/wasi/rights.js'
import { Stop } from '../../sandbox/wasi/stop.js'

/** What the suite says of a program (`doc/specification.md` there); absent fields have its defaults. */
export interface TestSpecification {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Folders beside the program, the older way: opened under their own names. */
  readonly dirs?: readonly string[]
  /** Folder beside the program that is its `/`. */
  readonly root?: string
  readonly exit_code?: number
  readonly stdout?: string
  readonly stderr?: string
}

const BYTES_MAX = 2 ** 26

/**
 * Admits and runs one program of the suite: the host as programs get it, but with the one writable folder of files that the suite asks for
 * in place of `/in`, `/out` and `/tmp`. Gives what went wrong.
 */
export function runConformanceTest(
  bytes: Uint8Array,
  specification: TestSpecification,
  files: ReadonlyMap<string, Uint8Array> | undefined,
): string | undefined {
  const tank = new FuelTank(0n, undefined)
  const host = new WasiHost({
    args: ['test.wasm', ...(specification.args ?? [])],
    environment: new Map(Object.entries(specification.env ?? {})),
    seed: 0n,
    unit: 0,
    spend: tank.spend,
  })
  const output = openStreams(host)
  if (files !== undefined) openFolder(host, specification.dirs?.[0] ?? '/', writableFolder(host, files))
  const exitCode = run(bytes, host, tank)
  if (typeof exitCode === 'string') return `${exitCode}; stderr: ${output.stderr}`
  const { exit_code = 0, stdout, stderr } = specification
  if (exitCode !== exit_code) return `exit code ${exitCode} instead of ${exit_code}; stderr: ${output.stderr}`
  if (stdout !== undefined && output.stdout !== stdout) return `stdout is ${JSON.stringify(output.stdout)}`
  if (stderr !== undefined && output.stderr !== stderr) return `stderr is ${JSON.stringify(output.stderr)}`
  return undefined
}

function run(bytes: Uint8Array, host: WasiHost, tank: FuelTank): number | string {
  try {
    const admitted = admit(bytes, { memoryBytes: BYTES_MAX }).bytes
    const { exports } = new engine.Instance(new engine.Module(admitted), {
      [WASI_MODULE]: host.imports,
      [GRID_MODULE]: { [REFUEL_IMPORT]: tank.refuel },
    })
    host.attach(exports[MEMORY_EXPORT] as Memory)
    tank.attach(exports[FUEL_EXPORT] as Global)
    const start = exports[START_EXPORT] as () => void
    start()
    return 0
  } catch (error) {
    if (error instanceof Stop && error.reason.type === 'exit') return error.reason.exitCode
    return String(error)
  }
}

function openStreams(host: WasiHost): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  const common = { inherited: 0, flags: 0 }
  const rights = STREAM_RIGHTS | RIGHT.fdWrite
  host.descriptors.add({
    ...common,
    type: 'input',
    rights: STREAM_RIGHTS | RIGHT.fdRead,
    bytes: new FixedBytes(new Uint8Array(0)),
    position: 0,
  })
  for (const name of ['stdout', 'stderr'] as const)
    host.descriptors.add({
      ...common,
      type: 'output',
      rights,
      write(parts) {
        for (const part of parts) output[name] += new TextDecoder().decode(part)
      },
    })
  return output
}

/** A folder as the program would have made it, so that it can be written to. */
function writableFolder(host: WasiHost, files: ReadonlyMap<string, Uint8Array>): FolderNode {
  const area = new Area({
    readOnly: false,
    packed: false,
    filesMax: NODES_MAX,
    bytesMax: BYTES_MAX,
    onFull: () => refuse(ERRNO.nospc),
  })
  const root = host.tree.rootFolder(area)
  for (const [path, content] of files) {
    const parts = path.split('/')
    const name = parts.pop() as string
    let folder = root
    for (const part of parts) {
      const existing = folder.entries.get(part)
      folder = existing?.type === root.type ? (existing as FolderNode) : host.tree.createFolder({ folder, name: part })
    }
    host.tree.write(host.tree.createFile({ folder, name }), [content], content.length, 0)
  }
  return root
}
