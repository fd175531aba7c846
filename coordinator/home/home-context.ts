import type { BootId, Summary } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Transport } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { JobBook } from '../jobs/job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { GroupCommit } from '../store/group-commit.js'

/** What the driver of a home is handed; its parts take what they need of it. */
export interface HomeDriverContext {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly transport: Transport
  readonly directory: OwnerDirectory
  readonly commits: GroupCommit
  readonly book: JobBook
  readonly bootId: BootId
  readonly owner: OwnerDriver
  readonly options: CoordinatorOptions
  /** Opens a shard at this node as `Activate` from another would. */
  readonly openShard: (job: BookedJob, shard: number) => Promise<Summary>
  /** Looks again at finished shards of the job that are not in memory: something was ruled. */
  readonly reviewFinished: (job: BookedJob) => void
}
