import { readFileSync } from 'node:fs'
import { availableParallelism, homedir } from 'node:os'
import { join } from 'node:path'

/** All that differs between operating systems, in one place. */

/** Where a person's programs keep their files. */
interface PlatformFolders {
  /** Of the configuration file. */
  readonly config: string
  /** Keys and state of a node. */
  readonly data: string
  /** What can be made anew. */
  readonly cache: string
}

/** What {@link platformFolders} may look at. */
export interface PlatformSurroundings {
  readonly system: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** Where `/proc` and `/sys` are looked for. Default `/`. */
  readonly root?: string
}

const FOLDER = 'manyhands'

/** This machine. The environment is handed in: only the command line reads it. */
export function thisPlatform(environment: PlatformSurroundings['environment']): PlatformSurroundings {
  return { system: process.platform, environment, home: homedir() }
}

/**
 * Folders by the custom of the platform: XDG Base Directory Specification on Linux and other Unixes (relative values are
 * ignored, as it demands), Application Support on macOS, `%LOCALAPPDATA%` on Windows. They need not exist.
 */
export function platformFolders({ system, environment, home }: PlatformSurroundings): PlatformFolders {
  if (system === 'win32') {
    const base = environment.LOCALAPPDATA || join(home, 'AppData', 'Local')
    return { config: join(base, FOLDER), data: join(base, FOLDER, 'data'), cache: join(base, FOLDER, 'cache') }
  }
  const xdg = (name: string): string | undefined => {
    const value = environment[name]
    return value?.startsWith('/') ? join(value, FOLDER) : undefined
  }
  if (system === 'darwin') {
    const base = join(home, 'Library', 'Application Support', FOLDER)
    return {
      config: xdg('XDG_CONFIG_HOME') ?? base,
      data: xdg('XDG_DATA_HOME') ?? join(base, 'data'),
      cache: xdg('XDG_CACHE_HOME') ?? join(home, 'Library', 'Caches', FOLDER),
    }
  }
  return {
    config: xdg('XDG_CONFIG_HOME') ?? join(home, '.config', FOLDER),
    data: xdg('XDG_DATA_HOME') ?? join(home, '.local', 'share', FOLDER),
    cache: xdg('XDG_CACHE_HOME') ?? join(home, '.cache', FOLDER),
  }
}

/** Threads that can run at once here: what a container or an affinity mask leaves, where Node knows it. At least 1. */
export function threadCount(): number {
  return Math.max(1, availableParallelism())
}

/** Files and sockets that this process may have open, where the platform says so: Node raises it to what an administrator allows. */
export function openFilesMax(root = '/'): number | undefined {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync(join(root, 'proc/self/limits'), 'utf8'))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}
