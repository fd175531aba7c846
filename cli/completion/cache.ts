import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeFolders } from '../../runtime/folders.js'
import { type PlatformSurroundings, platformFolders } from '../../runtime/platform.js'
import type { OfferedJob } from './candidates.js'
import type { CompletionTree } from './tree.js'

/** Jobs offered, the newest. */
const JOBS_MAX = 100
/** Names and tasks of jobs as they are shown. Unit: characters. */
const ABOUT_CHARS_MAX = 60
const ID_DIGITS = 12

/** What the key that asks for completion reads instead of loading the program. */
export interface CompletionCache {
  readonly tree: CompletionTree
  /** The data directory where neither flag nor environment names one. */
  readonly data: string
}

/** Changes with the program and with the configuration file; a cache with another one is made anew. */
function stampOf(platform: PlatformSurroundings): string {
  const program = fileURLToPath(new URL('../program.js', import.meta.url))
  const files = [
    program,
    platform.environment.MANYHANDS_CONFIG ?? join(platformFolders(platform).config, 'config.toml'),
  ]
  return files.map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0}`).join('\n')
}

function fileOf(platform: PlatformSurroundings): string {
  return join(platformFolders(platform).cache, 'completion.json')
}

/** What was cached by this very program; undefined when nothing was. */
export function readCache(platform: PlatformSurroundings): CompletionCache | undefined {
  try {
    const { stamp, ...cache } = JSON.parse(readFileSync(fileOf(platform), 'utf8')) as CompletionCache & {
      stamp: string
    }
    return stamp === stampOf(platform) ? cache : undefined
  } catch {
    return undefined
  }
}

/** Keeps it for the next key. A convenience: a folder that cannot be written only makes that one slower. */
export function writeCache(platform: PlatformSurroundings, cache: CompletionCache): void {
  const file = fileOf(platform)
  try {
    makeFolders(dirname(file))
    const draft = `${file}.${process.pid}`
    writeFileSync(draft, JSON.stringify({ stamp: stampOf(platform), ...cache }), { mode: 0o600 })
    renameSync(draft, file)
  } catch {
    // Without a cache it is made each time.
  }
}

/** Jobs of this machine, newest first, by the start of their ids: from the list that `submit` keeps, asking no peer. */
export function readJobs(dataFolder: string): readonly OfferedJob[] {
  try {
    const { jobs } = JSON.parse(readFileSync(join(dataFolder, 'client', 'jobs.json'), 'utf8')) as {
      jobs: readonly Readonly<Record<string, unknown>>[]
    }
    return jobs.slice(0, JOBS_MAX).flatMap(({ jobId, name, task, units }) => {
      if (typeof jobId !== 'string' || !/^[0-9a-f]{64}$/.test(jobId)) return []
      const about = [name, task].filter((text) => typeof text === 'string' && text !== '').join(': ')
      return [{ value: jobId.slice(0, ID_DIGITS), about: about.slice(0, ABOUT_CHARS_MAX), units: Number(units ?? 0) }]
    })
  } catch {
    return []
  }
}
