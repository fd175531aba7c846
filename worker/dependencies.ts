import type { BootId, JobId, PublicKey, Signed } from '../proto/model.js'
import type { BuiltinTask } from '../proto/work-messages.js'
import type { Clock } from '../runtime/clock.js'
import type { Sha256 } from '../runtime/hash.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import type { Endpoint, Transport } from '../runtime/transport.js'
import type { Compute } from './compute/compute.js'
import type { Inputs } from './inputs.js'
import type { Journal } from './journal.js'
import type { Ledger } from './ledger.js'
import type { WorkerOptions } from './options.js'
import type { PreferenceBook } from './preferences/book.js'
import type { LocalTime } from './preferences/core/schedule.js'
import type { Sensors } from './preferences/sensors/sensors.js'

/** Signs as this worker. */
export interface ReportSigner {
  readonly publicKey: PublicKey
  sign(tag: string, bytes: Uint8Array): Uint8Array
}

/** The person behind a worker, and that person's signature over the worker's key. */
export interface Donor {
  readonly publicKey: PublicKey
  readonly signature: Uint8Array
}

/** Ready work of one job at one owner, as the board tells. */
export interface WorkNews {
  readonly owner: Endpoint
  readonly jobId: JobId
  readonly ready: number
  /** Whose job it is, and what its units may ask for; undefined: not known yet. Unit of the latter: bytes. */
  readonly submitter?: PublicKey
  readonly memoryBytes?: number
  /** Whether this worker has the task; undefined: it has. */
  readonly hasTask?: boolean
}

export type { LocalTime } from './preferences/core/schedule.js'

/** How a worker learns what its volunteer wants. */
export interface VolunteerDependencies {
  readonly book: PreferenceBook
  readonly sensors: Sensors
  /** What a clock on the wall shows. */
  readonly localAt: (wallMs: number) => LocalTime
}

/** All that a worker is given from outside. */
export interface WorkerDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly transport: Transport
  readonly signer: ReportSigner
  readonly donor?: Donor
  readonly verify: (tag: string, publicKey: PublicKey, signed: Signed) => boolean
  readonly network: string
  readonly bootId: BootId
  readonly tasks: readonly BuiltinTask[]
  readonly compute: Compute
  readonly inputs: Inputs
  readonly journal: Journal
  /** Whoever closes the worker closes it with it. */
  readonly ledger: Ledger
  readonly options: WorkerOptions
  /** Undefined: the options hold, and nothing can be said at run time. */
  readonly volunteer?: VolunteerDependencies
  /** Owners of a shard, nearest first. */
  readonly owners: (jobId: JobId, shard: number) => Promise<readonly Endpoint[]>
  /** Owners that work on the one job of `onlyJob`. */
  readonly ownersOfJob: (jobId: JobId) => Promise<readonly Endpoint[]>
  /** Tells of ready work until the result is called. */
  readonly watchBoard: (handler: (news: WorkNews) => void) => () => void
}
