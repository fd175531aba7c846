import { checkReportFact } from '../../job/facts/facts.js'
import { reportFactCodec } from '../../proto/codec/facts.js'
import type { Digest, JobId } from '../../proto/model.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { OwnerEvent } from './core/messages.js'
import type { Owner } from './core/owner.js'
import type { OwnerDriverContext } from './owner-context.js'

/** Facts read from the store at a time. */
const FACTS_PAGE = 256

interface ShardLoaderContext extends Pick<OwnerDriverContext, 'logger' | 'store' | 'exchange'> {
  readonly core: Owner
  readonly handle: (event: OwnerEvent) => void
}

/**
 * Opens shards with what the store has of them, and knows which facts each report came in. A shard is read once however
 * many ask for it at the same time.
 */
export class ShardLoader {
  readonly #c: ShardLoaderContext
  readonly #opening = new Map<string, Promise<void>>()
  /** By shard and report. A worker that gives the same answer under another grant makes a second fact of one report. */
  readonly #factsByReport = new Map<string, Map<Digest, Digest[]>>()
  #closed = false

  constructor(context: ShardLoaderContext) {
    this.#c = context
  }

  /** Resolves when the shard can be granted from; does nothing when it is open already. @throws GridError of the store */
  async open(job: BookedJob, shard: number, restarted: boolean): Promise<void> {
    if (this.#c.core.hasShard(job.jobId, shard)) return
    const name = shardName(job.jobId, shard)
    const running = this.#opening.get(name)
    if (running !== undefined) return running
    const opening = this.#open(job, shard, restarted).finally(() => this.#opening.delete(name))
    this.#opening.set(name, opening)
    return opening
  }

  async #open(job: BookedJob, shard: number, restarted: boolean): Promise<void> {
    const { core, handle, exchange } = this.#c
    const { jobId } = job
    const kept = await this.#read(job, shard)
    if (this.#closed || core.hasShard(jobId, shard)) return
    handle({ type: 'jobOpened', jobId, spec: job.spec, orders: job.orders })
    handle({
      type: 'shardOpened',
      jobId,
      shard,
      ranges: job.units(shard),
      restarted: restarted || kept.length > 0,
      awaitsOthers: exchange.awaitsOthers(job, shard),
    })
    for (const event of kept) handle(event)
    exchange.shardOpened(job, shard, kept.length > 0)
  }

  /** Facts and outputs of a shard as events, from disk. */
  async #read(job: BookedJob, shard: number): Promise<OwnerEvent[]> {
    const { store } = this.#c
    const { jobId } = job
    const context = job.trustingContext()
    const events: OwnerEvent[] = []
    for (let after = 0; ; ) {
      const page = await store.facts(jobId, shard, after, FACTS_PAGE)
      for (const { row, factId: id, fact } of page) {
        after = row
        const checked = checkReportFact(reportFactCodec.decode(fact), context, id)
        if (!checked.ok) {
          this.#c.logger.error('fact on disk is not valid any more', {
            jobId,
            shard,
            factId: id,
            reason: checked.reason,
          })
          continue
        }
        const kept = await store.outputs(
          jobId,
          shard,
          checked.votes.map(({ unit }) => ({ unit, factId: id })),
        )
        this.rememberFact(jobId, shard, checked.reportId, id)
        events.push({
          type: 'reportKept',
          session: undefined,
          report: { factId: id, report: checked.report, votes: checked.votes },
          stored: new Set(kept.keys()),
          wallMs: 0,
          live: false,
          fromStore: true,
        })
      }
      if (page.length < FACTS_PAGE) break
    }
    for (const { unit, digest } of await store.largeOutputs(jobId, shard))
      events.push({ type: 'outputKept', jobId, shard, unit, digest, fromStore: true })
    return events
  }

  /** The fact `id` is on disk and carries the report. */
  rememberFact(jobId: JobId, shard: number, reportId: Digest, id: Digest): void {
    const name = shardName(jobId, shard)
    let facts = this.#factsByReport.get(name)
    if (facts === undefined) {
      facts = new Map()
      this.#factsByReport.set(name, facts)
    }
    const known = facts.get(reportId)
    if (known === undefined) facts.set(reportId, [id])
    else if (!known.includes(id)) known.push(id)
    this.#c.exchange.factKept(jobId, shard, id)
  }

  /** The fact `id`, which carried the report, is deleted. */
  forgetFact(jobId: JobId, shard: number, reportId: Digest, id: Digest): void {
    const facts = this.#factsByReport.get(shardName(jobId, shard))
    const left = (facts?.get(reportId) ?? []).filter((other) => other !== id)
    if (left.length > 0) facts?.set(reportId, left)
    else facts?.delete(reportId)
  }

  /** Ids of the facts whose report is `reportId`. */
  factsOf(jobId: JobId, shard: number, reportId: Digest): readonly Digest[] {
    return this.#factsByReport.get(shardName(jobId, shard))?.get(reportId) ?? []
  }

  /** The shard leaves memory. */
  forget(jobId: JobId, shard: number): void {
    this.#factsByReport.delete(shardName(jobId, shard))
  }

  /** The job leaves memory with all its shards. */
  forgetJob(jobId: JobId): void {
    for (const name of [...this.#factsByReport.keys()]) if (name.startsWith(jobId)) this.#factsByReport.delete(name)
  }

  /** What is still being read is opened no more. */
  close(): void {
    this.#closed = true
  }
}

/** Names a shard in tables; begins with the id of its job. */
export function shardName(jobId: JobId, shard: number): string {
  return `${jobId}/${shard}`
}
