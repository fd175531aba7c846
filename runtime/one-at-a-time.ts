import { open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pause, systemClock } from './clock.js'
import { makeFolders } from './folders.js'

/** A lock as old as this was left by a process that died. Unit: ms. */
const STALE_MS = 10_000
/** Pause before it is tried again. Unit: ms. */
const RETRY_MS = 15
/** Tries, for half a minute and more: the longest that processes which die one after the other make others wait. */
const TRIES_MAX = 2_000

/**
 * Runs `action` while no other process does so with the same `lock`, a file that exists meanwhile. For short changes of files that
 * processes share. A lock that cannot be made or stays taken holds nothing up for ever: `action` then runs without it.
 */
export async function oneAtATime<T>(lock: string, action: () => Promise<T>): Promise<T> {
  const isOurs = await taken(lock)
  try {
    return await action()
  } finally {
    if (isOurs) await rm(lock, { force: true })
  }
}

async function taken(lock: string): Promise<boolean> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      makeFolders(dirname(lock))
      await (await open(lock, 'wx', 0o600)).close()
      return true
    } catch (error) {
      // A full or read-only disk: the action itself will say so.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
      const since = await stat(lock).catch(() => undefined)
      if (since !== undefined && Math.abs(systemClock.wallMs() - since.mtimeMs) > STALE_MS)
        await rm(lock, { force: true })
      await pause(systemClock, RETRY_MS)
    }
  }
  return false
}
