import { GridError } from '../runtime/errors.js'

/** Every setting of an owner. */
export interface CoordinatorOptions {
  /** Owners of a shard, and of a job's own id, where there are so many peers. Range: 1 to 8. */
  readonly shardOwners: number
  readonly homeOwners: number
  /** Owners that have a fact on disk before it counts as durable, where there are so many. Range: 1 to the owners. */
  readonly shardHolders: number
  readonly homeHolders: number
  /** Jobs kept, as home or as owner, in all and of one submitter. */
  readonly jobsMax: number
  readonly jobsPerSubmitterMax: number
  /** Jobs submitted here from one address in a minute; this machine itself is exempt. */
  readonly jobsPerAddressMinuteMax: number
  /** Signed bytes of the specs of these jobs, in all and of one submitter: a spec may have 256 KiB. */
  readonly specBytesMax: number
  readonly specBytesPerSubmitterMax: number
  /** Shards in memory: in all, of one submitter, and of one job. */
  readonly shardsOpenMax: number
  readonly shardsOpenPerSubmitterMax: number
  readonly shardsOpenPerJobMax: number
  /** Streams of workers at a time. */
  readonly sessionsMax: number
  /** Bytes of large outputs being received at a time. */
  readonly receivingBytesMax: number
  /** Facts are refused this long after a job's expiry, and everything is deleted after the second. Unit: ms. */
  readonly lateFactsMs: number
  readonly deleteAfterMs: number
  /** A finished shard leaves memory after this long without a question about it. Unit: ms. */
  readonly unloadAfterMs: number
  /**
   * A former owner, or home, lets go of what it has once it has stood more than `releaseSlack` places behind the last owner
   * for `releaseAfterMs` (unit: ms), and each owner has shown `releaseSyncs` times since that it has it all. Neighbours
   * flap, hence the slack (PAST, Rowstron and Druschel 2001). Range: 0 to 8, 0 to 24 h, 0 to 100.
   */
  readonly releaseSlack: number
  readonly releaseAfterMs: number
  readonly releaseSyncs: number
  /** Bytes of inputs and outputs kept, in all and of one submitter. */
  readonly blobBytesMax: number
  readonly blobBytesPerSubmitterMax: number
}

const GIB = 2 ** 30

/** What a peer does unless told otherwise. */
export const DEFAULT_COORDINATOR_OPTIONS: CoordinatorOptions = Object.freeze({
  shardOwners: 3,
  homeOwners: 5,
  shardHolders: 2,
  homeHolders: 3,
  jobsMax: 10_000,
  jobsPerSubmitterMax: 1_000,
  jobsPerAddressMinuteMax: 300,
  specBytesMax: 32 * 2 ** 20,
  specBytesPerSubmitterMax: 8 * 2 ** 20,
  shardsOpenMax: 16_384,
  shardsOpenPerSubmitterMax: 4_096,
  shardsOpenPerJobMax: 1_024,
  sessionsMax: 10_000,
  receivingBytesMax: 256 * 2 ** 20,
  lateFactsMs: 10 * 60_000,
  deleteAfterMs: 24 * 3_600_000,
  unloadAfterMs: 60_000,
  releaseSlack: 2,
  releaseAfterMs: 10 * 60_000,
  releaseSyncs: 2,
  blobBytesMax: 64 * GIB,
  blobBytesPerSubmitterMax: 16 * GIB,
})

/** `partial` over the defaults, checked. @throws GridError `invalid` naming field, value and range */
export function resolveCoordinatorOptions(partial: Partial<CoordinatorOptions> = {}): CoordinatorOptions {
  const options = { ...DEFAULT_COORDINATOR_OPTIONS, ...partial }
  const within = (name: keyof CoordinatorOptions, least: number, most: number) => {
    const value = options[name]
    if (!Number.isFinite(value) || value < least || value > most)
      throw new GridError('invalid', `${name} is ${value}, allowed is ${least} to ${most}`)
  }
  within('shardOwners', 1, 8)
  within('homeOwners', 1, 8)
  within('shardHolders', 1, options.shardOwners)
  within('homeHolders', 1, options.homeOwners)
  within('jobsMax', 1, 1e6)
  within('jobsPerSubmitterMax', 1, options.jobsMax)
  within('specBytesMax', 2 ** 18, 64 * GIB)
  within('specBytesPerSubmitterMax', 2 ** 18, options.specBytesMax)
  within('shardsOpenMax', 1, 1e6)
  within('jobsPerAddressMinuteMax', 1, 1e6)
  within('shardsOpenPerSubmitterMax', 1, options.shardsOpenMax)
  within('shardsOpenPerJobMax', 1, options.shardsOpenMax)
  within('sessionsMax', 1, 1e6)
  within('receivingBytesMax', 2 ** 20, 64 * GIB)
  within('lateFactsMs', 0, 24 * 3_600_000)
  within('deleteAfterMs', 0, 365 * 24 * 3_600_000)
  within('unloadAfterMs', 0, 3_600_000)
  within('releaseSlack', 0, 8)
  within('releaseAfterMs', 0, 24 * 3_600_000)
  within('releaseSyncs', 0, 100)
  within('blobBytesMax', 0, 2 ** 50)
  within('blobBytesPerSubmitterMax', 0, 2 ** 50)
  return Object.freeze(options)
}
