import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../runtime/package-root.js'

/** One way to start the compute process: a chain of programs, each of which becomes the next and keeps its process id. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  /** What it takes away beyond the environment and the folder; for the log. */
  readonly takes: readonly Restriction[]
}

/** `permissions`: Node's permission model. `user`: an unprivileged user. `network`: a namespace without interfaces. */
export type Restriction = 'limits' | 'network' | 'user' | 'privileges' | 'permissions'

/** What {@link launches} may look at. */
export interface LaunchSurroundings {
  readonly system: string
  readonly isRoot: boolean
  /** Node itself, and the file it runs. */
  readonly node: string
  readonly program: string
  /** The flag that switches the permission model on; undefined where there is none. */
  readonly permissionFlag: string | undefined
  /** Files and folders (with a separator at the end) that the program is made of. */
  readonly programFiles: readonly string[]
  /** The working folder, which the child removes when it is orphaned. */
  readonly folder: string
  readonly threads: number
  /** The machine has tasks of its own, which run with the rights of the worker. */
  readonly ownTasks: boolean
  /** Where a program of util-linux is; undefined: not here. */
  readonly find: (tool: string) => string | undefined
}

/** The user and group nobody, by custom of Linux; owns no files. */
export const NOBODY = 65_534

/** Open files: what Node needs for itself, and for each thread. */
const FILES_BASE = 128
const FILES_A_THREAD = 32

/**
 * Ways to start the compute process, the most restricted first; the last one asks for nothing that can be refused. What
 * a platform refuses (a container without namespaces, a program folder that others cannot read) shows only when the
 * process does not come up: then the next is tried. Own tasks keep the rights of the worker, but get no new ones.
 */
export function launches(from: LaunchSurroundings): Launch[] {
  const wanted: readonly (readonly Restriction[])[] = from.ownTasks
    ? [['privileges'], []]
    : [
        ['limits', 'network', 'user', 'privileges', 'permissions'],
        ['limits', 'user', 'privileges', 'permissions'],
        ['limits', 'privileges', 'permissions'],
        ['permissions'],
        ['limits', 'privileges'],
        [],
      ]
  const found: Launch[] = []
  for (const restrictions of wanted) {
    const launch = chain(from, restrictions)
    if (!found.some((other) => other.takes.join() === launch.takes.join())) found.push(launch)
  }
  return found
}

function chain(from: LaunchSurroundings, wanted: readonly Restriction[]): Launch {
  const { isRoot, threads, permissionFlag, folder, programFiles } = from
  const tools = from.system === 'linux' ? from.find : () => undefined
  const takes: Restriction[] = []
  const words: string[] = []
  const wants = (restriction: Restriction) => wanted.includes(restriction)
  const prlimit = tools('prlimit')
  if (wants('limits') && prlimit !== undefined) {
    words.push(prlimit, '--core=0', '--fsize=0', `--nofile=${FILES_BASE + FILES_A_THREAD * threads}`)
    takes.push('limits')
  }
  const unshare = tools('unshare')
  if (wants('network') && unshare !== undefined) {
    // Others need a user namespace for that, in which they stay who they are.
    words.push(unshare, ...(isRoot ? [] : ['--map-current-user']), '--net')
    takes.push('network')
  }
  const setpriv = tools('setpriv')
  if (wants('privileges') && setpriv !== undefined) {
    words.push(setpriv, '--no-new-privs')
    takes.push('privileges')
    if (wants('user') && isRoot) {
      words.push(`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all', '--inh-caps=-all')
      takes.push('user')
    }
  }
  words.push(from.node)
  if (wants('permissions') && permissionFlag !== undefined) {
    words.push(
      '--no-warnings',
      '--no-addons',
      permissionFlag,
      '--allow-worker',
      ...programFiles.map((path) => `--allow-fs-read=${path}`),
      // The folder itself and nothing in it.
      `--allow-fs-write=${folder}`,
    )
    takes.push('permissions')
  }
  words.push(from.program)
  return { command: words[0]!, args: words.slice(1), takes }
}

/** Folders in which a system keeps programs that only it can replace. */
const TOOL_FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** This machine. `folder`: where the child is to stand. */
export function thisMachine(folder: string, threads: number, ownTasks: boolean): LaunchSurroundings {
  const program = fileURLToPath(new URL('./child.js', import.meta.url))
  return {
    system: process.platform,
    isRoot: process.getuid?.() === 0,
    node: process.execPath,
    program,
    permissionFlag: ['--permission', '--experimental-permission'].find((flag) =>
      process.allowedNodeEnvironmentFlags.has(flag),
    ),
    programFiles: programFiles(program),
    folder,
    threads,
    ownTasks,
    find: (tool) => TOOL_FOLDERS.map((place) => join(place, tool)).find((path) => existsSync(path)),
  }
}

/** What the child loads: the compiled program, its packages, the messages of the protocol. */
function programFiles(program: string): string[] {
  const compiled = dirname(dirname(dirname(program)))
  const piscina = createRequire(import.meta.url).resolve('piscina')
  const packages = piscina.slice(0, piscina.lastIndexOf(`${sep}node_modules${sep}`) + `${sep}node_modules`.length)
  const files = [compiled + sep, packages + sep, join(packageRoot, 'proto') + sep]
  // The packages may be reached by a link: Node looks at both its place and where it leads. It aborts when told a place twice.
  const linked = join(packageRoot, 'node_modules')
  if (linked !== packages) files.push(linked + sep)
  // `packageRoot` is looked for upwards.
  for (let folder = compiled; folder.length > packageRoot.length; folder = dirname(folder))
    files.push(join(dirname(folder), 'package.json'))
  return files
}
