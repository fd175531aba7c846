import { reportFactCodec } from '../../proto/codec/facts.js'
import type { OfferedFact, OfferState } from '../../proto/exchange-messages.js'
import type { Digest, JobId, NodeId, PublicKey } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Caller, Transport } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { OutputFiles } from '../output-files.js'
import type { FactHolding, KeptFact } from '../owner/fact-exchange.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { CoOwners } from './co-owners.js'
import type { CustodySnapshot } from './custody.js'
import type { HeldShard } from './held-shard.js'
import type { HeldShards } from './held-shards.js'
import { OutputCopies } from './output-copies.js'

/** Longest wait for other owners to have a fact on disk before its worker is told who has. */
const REPLICATE_MS: Millis = 2_000

interface ReplicationContext {
  readonly self: NodeId
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  readonly outputs: OutputFiles
  readonly owner: () => OwnerDriver
  readonly shards: HeldShards
  readonly coOwners: CoOwners
}

/**
 * Each fact and each large output on as many disks as there should be: passed on as soon as it is here, and producers told
 * that they may drop their copies once enough owners are known to have it.
 */
export class Replication {
  readonly #c: ReplicationContext
  readonly #copies: OutputCopies

  constructor(context: ReplicationContext) {
    this.#c = context
    const { shards } = context
    this.#copies = new OutputCopies({
      ...context,
      othersOf: (jobId, shard) => shards.get(jobId, shard)?.others ?? [],
      onCopied: (jobId, shard, unit, holder) => {
        const held = shards.get(jobId, shard)
        if (held !== undefined) this.#safe(held, held.custody.outputHeld(unit, holder, this.#wanted(held)))
      },
    })
  }

  #wanted(held: HeldShard): number {
    return this.#c.coOwners.wanted(held)
  }

  /** As `FactExchange.replicate`. */
  async replicate(job: BookedJob, shard: number, fact: KeptFact): Promise<FactHolding> {
    const { self, clock, shards, coOwners } = this.#c
    const held = shards.get(job.jobId, shard)
    const holders: NodeId[] = [self]
    if (held === undefined) return { holders, wanted: 1 }
    const { factId, report, encoded, outputs } = fact
    const { others, custody } = held
    if (others.length > 0) {
      await new Promise<void>((resolve) => {
        let open = others.length
        const timer = clock.setTimer(REPLICATE_MS, resolve)
        for (const endpoint of others) {
          const { nodeId } = endpoint
          void coOwners
            .link(endpoint)
            .offer(job, shard, { fact: encoded, outputs })
            .then((state) => {
              if (state === 'kept') {
                holders.push(nodeId)
                this.#safe(held, custody.factHeld(factId, nodeId, this.#wanted(held)))
              }
              if (--open > 0 && holders.length < this.#wanted(held)) return
              timer.cancel()
              resolve()
            })
        }
      })
    }
    const wanted = this.#wanted(held)
    if (holders.length < wanted) {
      const units = report.results.map(({ unit }) => unit)
      custody.factThin(factId, report.worker, units, holders)
    }
    return { holders: [...holders], wanted }
  }

  /** Takes in a fact of another owner, `from`; `offeredBy`: unasked. Never rejects. */
  async take({ fact, outputs }: OfferedFact, from: NodeId, offeredBy?: Caller): Promise<OfferState> {
    try {
      const decoded = reportFactCodec.decode(fact)
      const refusal = await this.#c.owner().takeFact(decoded, outputs, 0, undefined, offeredBy)
      if (refusal === undefined) return 'kept'
      if (refusal === 'unknownJob') return 'unknown'
      this.#c.logger.debug('fact of another owner refused', { peer: from, reason: refusal })
      return 'refused'
    } catch (error) {
      const { code, message } = toGridError(error)
      this.#c.logger.debug('fact of another owner not kept', { peer: from, code, message })
      return code === 'invalid' ? 'refused' : 'notNow'
    }
  }

  /** As `FactExchange.outputKept`. */
  outputKept(job: BookedJob, shard: number, unit: number, digest: Digest, from: NodeId): void {
    const held = this.#c.shards.get(job.jobId, shard)
    if (held === undefined || this.#wanted(held) === 1) return
    held.custody.outputThin(unit)
    if (held.others.some(({ nodeId }) => nodeId === from)) {
      this.#safe(held, held.custody.outputHeld(unit, from, this.#wanted(held)))
      return
    }
    this.#copies.pushOne(job, shard, unit, digest)
  }

  /** As `FactExchange.isSafe`. Of a shard that is still being read back nobody knows yet who else has what. */
  isSafe(jobId: JobId, shard: number, worker: PublicKey, unit: number): boolean {
    return this.#c.shards.get(jobId, shard)?.custody.isSafe(worker, unit) ?? false
  }

  /** A co-owner has all facts that were here when `snapshot` was taken; large outputs follow. */
  met(held: HeldShard, holder: NodeId, snapshot: CustodySnapshot): void {
    this.#safe(held, held.custody.met(holder, snapshot, this.#wanted(held)))
    this.#copies.push(held.job, held.shard, held.custody.thinOutputs)
  }

  /** Fewer holders may be wanted than before. */
  review(held: HeldShard): void {
    this.#safe(held, held.custody.review(this.#wanted(held)))
  }

  /** Asks co-owners for bytes that have long been missing here. */
  pullMissing(): void {
    this.#copies.pull()
  }

  /** Producers of these units may be told now that they are settled. */
  #safe({ job, shard }: HeldShard, units: readonly number[] | 'all'): void {
    if (units.length > 0) this.#c.owner().tellProducers(job.jobId, shard, units)
  }

  close(): void {
    this.#copies.close()
  }
}
