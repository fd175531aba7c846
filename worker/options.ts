import type { JobId } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'

/** Every setting of a worker. */
export interface WorkerOptions {
  /** Threads that compute. Range: 1 to 4,096. */
  readonly threads: number
  /** Most memory a unit may ask for. Unit: bytes. */
  readonly memoryBytes: number
  /** Work on this job only; undefined: on any. */
  readonly onlyJob: JobId | undefined
  /** Most instances in hand; undefined: two seconds of work. */
  readonly instancesMax: number | undefined
  /** Owners of a shard, all of which the worker talks to. Range: 1 to 8. */
  readonly shardOwners: number
  /** Large outputs waiting in memory to be fetched; past it no new work is asked for. Unit: bytes. */
  readonly outputBytesMax: number
  /** Modules and shared inputs kept on disk for later jobs. Unit: bytes. */
  readonly inputBytesMax: number
  /** Reports kept on disk until they are settled. Unit: bytes. */
  readonly journalBytesMax: number
}

const DEFAULT_WORKER_OPTIONS: WorkerOptions = Object.freeze({
  threads: 1,
  memoryBytes: 256 * 2 ** 20,
  onlyJob: undefined,
  instancesMax: undefined,
  shardOwners: 3,
  outputBytesMax: 256 * 2 ** 20,
  inputBytesMax: 8 * 2 ** 30,
  journalBytesMax: 256 * 2 ** 20,
})

/** `partial` over the defaults, checked. @throws GridError `invalid` naming field, value and range */
export function resolveWorkerOptions(partial: Partial<WorkerOptions>): WorkerOptions {
  const options = { ...DEFAULT_WORKER_OPTIONS, ...partial }
  const within = (
    name: 'threads' | 'shardOwners' | 'memoryBytes' | 'outputBytesMax' | 'inputBytesMax' | 'journalBytesMax',
    least: number,
    most: number,
  ) => {
    const value = options[name]
    if (!Number.isFinite(value) || value < least || value > most)
      throw new GridError('invalid', `${name} is ${value}, allowed is ${least} to ${most}`)
  }
  within('threads', 1, 4_096)
  within('shardOwners', 1, 8)
  within('memoryBytes', 2 ** 20, 2 ** 40)
  within('outputBytesMax', 2 ** 20, 2 ** 40)
  within('inputBytesMax', 2 ** 20, 2 ** 40)
  within('journalBytesMax', 2 ** 20, 2 ** 40)
  return Object.freeze(options)
}
