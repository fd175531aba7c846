import { systemClock } from '../runtime/clock.js'
import { makeFolders } from '../runtime/folders.js'
import { type ComputeProcess, startCompute } from '../worker/compute/supervise.js'
import type { ProcessSettings } from './compose.js'
import { inputsFolder } from './data-folders.js'

/**
 * Starts the compute process of a worker. It takes as long to load as everything else that stands between `work` and its first
 * unit, so it is the first thing to be started: the two load side by side. Throws GridError where the data directory takes no file.
 */
export function startComputing(settings: ProcessSettings): ComputeProcess {
  const { dataFolder, threads, memoryBytes, taskModules, lowPriority, logger } = settings
  const contentFolder = inputsFolder(dataFolder)
  makeFolders(contentFolder)
  return startCompute({
    threads,
    memoryBytes,
    taskModules,
    lowPriority,
    contentFolder,
    clock: systemClock,
    logger: logger.child('worker'),
  })
}
