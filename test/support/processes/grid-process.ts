import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type GridProcess, startProcess } from '../../../process/compose.js'
import type { JobId } from '../../../proto/model.js'
import { keepHeapRoom } from '../../../runtime/heap-room.js'
import type { LogFields, Logger } from '../../../runtime/logger.js'
import { type Forgery, forge } from '../hostile/forging-owner.js'
import { GrantTap } from './grant-tap.js'
import { answerParent } from './processes.js'
import { testSettings } from './test-settings.js'

/** What a peer or worker of a test is started with. */
export interface GridProcessSettings {
  readonly dataFolder: string
  readonly join: readonly string[]
  /** Undefined: a leaf. */
  readonly port: number | undefined
  /** Address that a peer listens at. Default: loopback. */
  readonly host?: string | undefined
  readonly threads: number
  /** Where every grant of this owner is written down; undefined: nowhere. See {@link GrantTap}. */
  readonly grantFile?: string | undefined
}

/** How a process is doing. */
export interface Health {
  readonly rssBytes: number
  /** In use after a collection. */
  readonly heapBytes: number
  /** What the engine has of the system for its heap; what objects hold outside of it, and of that in buffers. */
  readonly heapTotalBytes: number
  readonly externalBytes: number
  readonly buffersBytes: number
  /** Unhandled rejections so far. */
  readonly unhandled: readonly string[]
  /** What was logged as an error. */
  readonly errors: readonly string[]
  /** Reports of its worker that are not settled. */
  readonly unsettled: number
}

const ERRORS_MAX = 100

keepHeapRoom()
/** Runs the role that the one argument describes; tells of its address, its memory and its faults. */
const settings = JSON.parse(process.argv[2] ?? '{}') as GridProcessSettings
const errors: string[] = []
const unhandled: string[] = []

const line = (level: string, event: string, fields: LogFields = {}) =>
  `${level} ${event} ${Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.stack : String(value)}`)
    .join(' ')}`
const logger: Logger = {
  error: (event, fields) => {
    if (errors.length < ERRORS_MAX) errors.push(line('error', event, fields))
    process.stderr.write(`${line('error', event, fields)}\n`)
  },
  warn: (event, fields) => void process.stderr.write(`${line('warn', event, fields)}\n`),
  info: () => {},
  debug: () => {},
  child: () => logger,
}
process.on('unhandledRejection', (reason) => {
  unhandled.push(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason))
})

const tap =
  settings.grantFile === undefined ? undefined : new GrantTap(settings.grantFile, basename(settings.dataFolder))
let running: GridProcess | undefined
answerParent({
  start: async () => {
    const { dataFolder, join, port, host = '127.0.0.1', threads } = settings
    const listen = port === undefined ? undefined : { host, port }
    const taskModules = [fileURLToPath(new URL('../compute/tasks/trace-tasks.js', import.meta.url))]
    running = await startProcess(testSettings({ dataFolder, join, listen, threads, taskModules, logger }))
    return { nodeId: running.identity.nodeId, address: running.endpoint?.address }
  },
  /** Whether this peer owns shard 0 of a job. */
  owns: (jobId: JobId) => running?.coordinator?.owner.core.hasShard(jobId, 0) === true,
  forge: (forgery: Forgery) => forge(running!, forgery),
  joined: (ms: number) => running?.overlay.whenJoined(ms),
  refuse: (refuses: boolean) => tap?.refuse(refuses),
  health: (): Health => {
    ;(globalThis as { gc?: () => void }).gc?.()
    const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
    const memory = { rssBytes: rss, heapBytes: heapUsed, heapTotalBytes: heapTotal }
    return {
      ...memory,
      externalBytes: external,
      buffersBytes: arrayBuffers,
      unhandled,
      errors,
      unsettled: running?.worker?.now().unsettled ?? 0,
    }
  },
})
