import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a container or a service manager leaves to this process; undefined: no limit, or none that is known. */
export interface ContainerLimits {
  /** Processors' worth of time, such as 1.5. */
  readonly cpus: number | undefined
  /** Unit: bytes. */
  readonly memoryBytes: number | undefined
}

/** Above this a limit of cgroup v1 means none: it writes the largest number of pages. Unit: bytes. */
const UNLIMITED_BYTES = 2 ** 60
/** Levels of groups looked at, from the own one up: a limit of any of them binds. */
const DEPTH_MAX = 64

/**
 * The limits of the control groups of this process, version 1 or 2 (Linux, Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/): the tightest on the way up from its own group. Node 20 itself knows of neither. `root` stands for `/`. Never throws;
 * no limits where there are no control groups.
 */
export function containerLimits(root = '/'): ContainerLimits {
  const paths = groupPaths(root)
  const base = join(root, 'sys/fs/cgroup')
  const unified = paths.get('')
  if (unified !== undefined && read(join(base, 'cgroup.controllers')) !== undefined) {
    return {
      cpus: tightest(base, unified, (folder) => quota(read(join(folder, 'cpu.max'))?.split(/\s+/))),
      memoryBytes: tightest(base, unified, (folder) => bytesOf(read(join(folder, 'memory.max')))),
    }
  }
  const cpu = paths.get('cpu')
  const memory = paths.get('memory')
  return {
    cpus:
      cpu === undefined
        ? undefined
        : tightest(join(base, 'cpu'), cpu, (folder) =>
            quota([read(join(folder, 'cpu.cfs_quota_us')), read(join(folder, 'cpu.cfs_period_us'))]),
          ),
    memoryBytes:
      memory === undefined
        ? undefined
        : tightest(join(base, 'memory'), memory, (folder) => bytesOf(read(join(folder, 'memory.limit_in_bytes')))),
  }
}

/** Path of the own group by controller; '' is the one hierarchy of version 2. */
function groupPaths(root: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const line of (read(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const [, controllers, path] = /^[0-9]+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) continue
    for (const controller of controllers.split(',')) paths.set(controller, path)
  }
  return paths
}

/** The least of a group and those above it. In a container the path may be that of the host, and only the top is there. */
function tightest(base: string, path: string, limitOf: (folder: string) => number | undefined): number | undefined {
  const names = path
    .split('/')
    .filter((name) => name !== '' && name !== '..')
    .slice(0, DEPTH_MAX)
  let least: number | undefined
  for (let depth = names.length; depth >= 0; depth--) {
    const limit = limitOf(join(base, ...names.slice(0, depth)))
    if (limit !== undefined && (least === undefined || limit < least)) least = limit
  }
  return least
}

function quota([time, period]: readonly (string | undefined)[] = []): number | undefined {
  const value = Number(time) / Number(period)
  return Number.isFinite(value) && value > 0 ? value : undefined
}

function bytesOf(text: string | undefined): number | undefined {
  const value = Number(text === undefined || text === '' ? Number.NaN : text)
  return Number.isFinite(value) && value > 0 && value < UNLIMITED_BYTES ? value : undefined
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
