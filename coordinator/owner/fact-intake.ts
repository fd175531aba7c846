import { checkReportFact } from '../../job/facts/facts.js'
import type { Vote } from '../../job/facts/votes.js'
import { isLoopback } from '../../overlay/address.js'
import { PerMinute } from '../../overlay/per-minute.js'
import { reportCodec, reportFactCodec } from '../../proto/codec/facts.js'
import type { JobId, ReportFact } from '../../proto/model.js'
import type { UnitBytes } from '../../proto/work-messages.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { Caller } from '../../runtime/transport.js'
import type { Write } from '../store/store.js'
import type { OwnerEvent, SessionId } from './core/messages.js'
import type { Owner } from './core/owner.js'
import { digestOfEncoded } from './output-intake.js'
import type { OwnerDriverContext } from './owner-context.js'
import type { ShardLoader } from './shard-loader.js'
import type { WorkSessions } from './work-sessions.js'

/**
 * Votes under grants of strangers that are taken from one address in a minute. Keys to sign grants with are free, and each has room
 * for 64 votes on every unit. Honest ones come where an owner died that this one had not met; they come again, or from other owners.
 */
export const STRANGERS_VOTES_PER_MINUTE_MAX = 1_024

/** What the way of a fact to the disk and into the core needs. */
export interface FactIntakeContext
  extends Pick<OwnerDriverContext, 'clock' | 'sha256' | 'book' | 'commits' | 'exchange' | 'options' | 'keepShard'> {
  readonly core: Owner
  readonly loader: ShardLoader
  readonly sessions: WorkSessions
  readonly handle: (event: OwnerEvent) => void
  /** Answers a report offered again: what has become of its units. */
  readonly tellSettled: (session: SessionId, jobId: JobId, shard: number, votes: readonly Vote[]) => void
}

/**
 * Takes in facts in this order: checked, written, replicated; then they count, and then they are acknowledged. What
 * cannot be written is not acknowledged, and its worker keeps it.
 */
export class FactIntake {
  readonly #c: FactIntakeContext
  readonly #ofStrangers: PerMinute

  constructor(context: FactIntakeContext) {
    this.#c = context
    this.#ofStrangers = new PerMinute(context.clock, STRANGERS_VOTES_PER_MINUTE_MAX)
  }

  /**
   * Takes in a fact from a worker or, without `from`, another owner: `offeredBy`, or whom this one has asked for it. Resolves
   * when it is on disk here and as many others as wanted have been told; with a reason when it will never be taken.
   * @throws GridError when it cannot be written now, and when its address has brought too many votes of strangers
   */
  async take(
    fact: ReportFact,
    outputs: readonly UnitBytes[],
    wallMs: number,
    from: SessionId | undefined,
    offeredBy?: Caller,
  ): Promise<string | undefined> {
    const { core, loader, sessions, sha256, commits, book, options, clock } = this.#c
    const { jobId, shard } = reportCodec.decode(fact.report.bytes)
    const job = book.get(jobId)
    if (job === undefined) return 'unknownJob'
    if (job.removed || clock.wallMs() > job.expiresAtMs + options.lateFactsMs) return 'expired'
    if (!job.shards.includes(shard)) return 'unknownShard'
    const checked = checkReportFact(fact, job.factContext)
    if (!checked.ok) return checked.reason
    // Only for a fact that counts: whoever is connected could make this peer own any number of shards otherwise.
    if (!core.hasShard(jobId, shard)) {
      await this.#c.keepShard(job, shard)
      await loader.open(job, shard, false)
    }
    const { id } = checked
    const stored = matching(sha256, outputs, checked.votes)
    const proved = outputs.filter(({ unit }) => stored.has(unit))
    const known = core.shard(jobId, shard)?.facts.has(id) === true
    const encoded = reportFactCodec.encode(fact)
    if (!known && from !== undefined && core.isRedundant(jobId, shard, checked.votes)) return 'redundant'
    if (!known && !core.hasRoom(jobId, shard, checked.votes)) {
      // Nobody keeps it, so another owner need not offer it again; a worker may drop it.
      this.#c.exchange.factsDropped(jobId, shard, [id])
      return from === undefined ? undefined : 'redundant'
    }
    if (!known) this.#countStrangers(checked.votes, from === undefined ? offeredBy : sessions.callerOf(from))
    if (!known) {
      const write: Write = { type: 'fact', jobId, shard, factId: id, fact: encoded, outputs: proved }
      if (commits.congested && from !== undefined) sessions.holdBack(from)
      await commits.commit([write])
      // Let go of while it was written, and the fact with it: its worker or another owner still has it.
      if (!core.hasShard(jobId, shard)) throw new GridError('unavailable', 'the shard is not kept here any more')
      loader.rememberFact(jobId, shard, checked.reportId, id)
    }
    const { report } = checked
    const holding =
      from === undefined
        ? undefined
        : await this.#c.exchange.replicate(job, shard, { factId: id, report, encoded, outputs: proved })
    if (!known) {
      this.#c.handle({
        type: 'reportKept',
        session: from,
        report: { factId: id, report, votes: checked.votes },
        stored,
        wallMs,
        live: from !== undefined,
      })
    }
    if (from === undefined || holding === undefined) return undefined
    sessions.send(from, { type: 'ack', reports: [checked.reportId], ...holding })
    if (known) this.#c.tellSettled(from, jobId, shard, checked.votes)
    return undefined
  }

  /** @throws GridError `quota`. Peers that this one has met pass on what they took in themselves. */
  #countStrangers(votes: readonly Vote[], caller: Caller | undefined): void {
    if (caller === undefined || isLoopback(caller.host) || this.#c.core.hasMet(caller.nodeId)) return
    const count = this.#c.core.votesOfStrangers(votes)
    if (count > 0 && !this.#ofStrangers.take(caller.host, count))
      throw new GridError(
        'quota',
        'too many reports a minute from one address under grants of owners that are not found',
      )
  }
}

/** Units whose bytes came along and have the digest that their vote names. */
function matching(sha256: Sha256, outputs: readonly UnitBytes[], votes: readonly Vote[]): Set<number> {
  const found = new Set<number>()
  if (outputs.length === 0) return found
  const digests = new Map(votes.map(({ unit, digest }) => [unit, digest]))
  for (const { unit, bytes } of outputs) {
    if (digests.get(unit) === digestOfEncoded(sha256, bytes)) found.add(unit)
  }
  return found
}
