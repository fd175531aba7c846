import type { BootId, NodeId, PublicKey } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { OwnerDirectory } from '../directory.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { JobBook } from '../jobs/job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { OutputFiles } from '../output-files.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import type { FactExchange } from './fact-exchange.js'

/** Signs as this node. */
export interface GrantSigner {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  readonly idNonce: Uint8Array
  sign(tag: string, bytes: Uint8Array): Uint8Array
}

/** What the driver of an owner is handed; its parts take what they need of it. */
export interface OwnerDriverContext {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly signer: GrantSigner
  readonly store: Store
  readonly commits: GroupCommit
  readonly book: JobBook
  readonly outputs: OutputFiles
  readonly exchange: FactExchange
  readonly directory: Pick<OwnerDirectory, 'self' | 'owners' | 'ownersSeen' | 'peerCount'>
  readonly bootId: BootId
  readonly options: CoordinatorOptions
  /** Puts on disk that this peer owns the shard, so that facts of it are kept. */
  readonly keepShard: (job: BookedJob, shard: number) => Promise<void>
}
