import type { Identity } from '../overlay/identity/identity.js'
import type { Network } from '../overlay/identity/network.js'
import type { Overlay } from '../overlay/index.js'
import type { BootId, JobId, PublicKey } from '../proto/model.js'
import type { Logger } from '../runtime/logger.js'
import type { Transport } from '../runtime/transport.js'
import type { VolunteerDependencies } from '../worker/driver.js'
import type { TransportMeter } from './metrics/measured-transport.js'
import type { FactVerifier } from './own-key.js'

/** Everything that decides what a process is: a peer, a worker, a client, or several at once. */
export interface ProcessSettings {
  readonly dataFolder: string
  readonly network: Network
  /** Where to join, as typed: `host`, `host:port` or `host:port#id`. */
  readonly join: readonly string[]
  /** Undefined: a leaf. */
  readonly listen: { readonly host: string; readonly port: number } | undefined
  /** Where others reach this peer, if not where it listens. */
  readonly advertise: string | undefined
  /** Threads that compute; 0: no worker. */
  readonly threads: number
  readonly onlyJob: JobId | undefined
  readonly lowPriority: boolean
  /** What the volunteer wants; undefined: what stands here, and nothing can be said at run time. */
  readonly volunteer?: VolunteerDependencies
  /** Most memory a unit may ask for. Unit: bytes. */
  readonly memoryBytes: number
  /** Local modules with tasks of the volunteer's own. */
  readonly taskModules: readonly string[]
  /** Submitters whose jobs this process judges, where they name its key. */
  readonly judgeFor?: readonly PublicKey[]
  /** A short-lived client: uses the key of the data directory without holding its lock. */
  readonly ephemeral: boolean
  readonly logger: Logger
  /** Told of every call, stream and message. Absent: nobody counts them. */
  readonly meter?: TransportMeter
  /** Jobs of one submitter that a peer keeps; undefined: the default. */
  readonly jobsPerSubmitterMax?: number
}

/** What the roles of a process are made of. */
export interface Parts {
  readonly transport: Transport
  readonly overlay: Overlay
  readonly identity: Identity
  readonly factVerifier: FactVerifier
  readonly bootId: BootId
  /** Called in reverse when the process ends. */
  readonly closers: (() => Promise<void> | void)[]
}
