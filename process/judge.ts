import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Judge } from '../client/replay/judge.js'
import type { GridClient } from '../client/session/session.js'
import type { PublicKey } from '../proto/model.js'
import { systemClock } from '../runtime/clock.js'
import { makeFolders } from '../runtime/folders.js'
import type { Logger } from '../runtime/logger.js'
import { startCompute } from '../worker/compute/supervise.js'
import { fetchedFile } from './fetched-file.js'

interface JudgeSettings {
  readonly dataFolder: string
  readonly submitters: readonly PublicKey[]
  /** Threads for replays, 1 or more. */
  readonly threads: number
  readonly taskModules: readonly string[]
  readonly lowPriority: boolean
  readonly logger: Logger
}

/** Judges jobs of `submitters` from now on, with files below the data directory. Returns how to stop; resolves when stopped. */
export function startJudge(client: GridClient, settings: JudgeSettings): () => Promise<void> {
  const { dataFolder, submitters, threads, taskModules, lowPriority, logger } = settings
  const judge = new Judge(client, {
    submitters,
    startCompute: (units, memoryBytes) =>
      startCompute({
        threads: Math.min(units, threads),
        memoryBytes,
        taskModules,
        lowPriority,
        clock: systemClock,
        logger,
      }),
    openFolder: async (jobId) => {
      const folder = join(dataFolder, 'judge', jobId)
      makeFolders(folder)
      return {
        createFile: (blob) => fetchedFile(folder, blob),
        remove: () => rm(folder, { recursive: true, force: true }),
      }
    },
  })
  const stop = new AbortController()
  const running = judge.run(stop.signal)
  return async () => {
    stop.abort()
    await running
  }
}
