import { rmSync } from 'node:fs'
import { eventually } from './deadline.js'

const REMOVED_MS = 20_000

/** Removes a folder in which children of processes that were killed may write for another moment. */
export function removeFolder(folder: string): Promise<void> {
  const isGone = () => {
    try {
      rmSync(folder, { recursive: true, force: true })
      return true
    } catch (error) {
      // What was written while it was being emptied: its own retries of rmSync do not look for it.
      if ((error as NodeJS.ErrnoException).code === 'ENOTEMPTY') return false
      throw error
    }
  }
  return eventually(isGone, REMOVED_MS, `${folder} is gone`)
}
