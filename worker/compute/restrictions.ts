import { readFileSync } from 'node:fs'
import type { Restriction } from './launch.js'
import type { ChildFacts } from './messages.js'

/** What the operating system and Node keep from the compute process, as seen from outside and by the process itself. */
export interface Restrictions {
  /** Always so: no variables of the host's environment, and an empty folder of its own. */
  readonly environment: 'empty'
  readonly folder: 'own, empty'
  /** Node's permission model is on: no file but the program's can be read, none written, nothing started. */
  readonly permissionModel: boolean
  /** User that the process runs as; undefined where users have no numbers. */
  readonly uid: number | undefined
  /** Neither it nor what it starts can gain rights (`no_new_privs`, Linux). Undefined: not known here. */
  readonly noNewPrivileges: boolean | undefined
  /** It holds no capabilities (Linux). Undefined: not known here. */
  readonly noCapabilities: boolean | undefined
  /** `none`: a network namespace without interfaces. */
  readonly network: 'none' | 'of the host'
  /** No core dumps, no growing files, few open files (`prlimit`). */
  readonly resourceLimits: boolean
  /** What was asked for first and had to be given up, because the platform refused or lacks it. */
  readonly givenUp: readonly Restriction[]
}

/** All that the strongest way to start asks for. */
const ALL: readonly Restriction[] = ['limits', 'network', 'user', 'privileges', 'permissions']

/** What holds for the process `pid`, started so that it `takes` these away, which says `facts` of itself. */
export function readRestrictions(pid: number, takes: readonly Restriction[], facts: ChildFacts): Restrictions {
  const status = processStatus(pid)
  const capabilities = status.get('CapEff')
  const noNewPrivs = status.get('NoNewPrivs')
  // As seen from here: in a user namespace of its own the process may see another.
  const uid = status.has('Uid') ? Number.parseInt(status.get('Uid')!, 10) : facts.uid
  return {
    environment: 'empty',
    folder: 'own, empty',
    permissionModel: facts.permissionModel,
    uid,
    noNewPrivileges: noNewPrivs === undefined ? undefined : noNewPrivs === '1',
    noCapabilities: capabilities === undefined ? undefined : /^0+$/.test(capabilities),
    network: facts.interfaces === 0 ? 'none' : 'of the host',
    resourceLimits: takes.includes('limits'),
    givenUp: ALL.filter((restriction) => !takes.includes(restriction) && isMissed(restriction, uid)),
  }
}

/** A worker that is not root is an unprivileged user already. */
function isMissed(restriction: Restriction, uid: number | undefined): boolean {
  return restriction !== 'user' || uid === 0
}

function processStatus(pid: number): ReadonlyMap<string, string> {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'latin1').split('\n')
    return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
  } catch {
    return new Map()
  }
}
