import { AUDIT_SHARES, AuditPlan, type AuditShares, type AuditUnit } from '../../job/audit/audit.js'
import { errorBound } from '../../job/audit/error-bound.js'
import {
  dismissesAnother,
  isOfOneGrantor,
  isWorthAnOrder,
  rulingBatches,
  rulingOf,
  Strikes,
} from '../../job/audit/ruling-orders.js'
import type { ShardEvidence } from '../../job/evidence/evidence.js'
import { isDeterministic } from '../../job/facts/digest.js'
import { isSameAnswer, type RuledAnswer } from '../../job/facts/rulings.js'
import type { Vote } from '../../job/facts/votes.js'
import { clipRanges, count, mergeRanges } from '../../job/units/selection.js'
import { selectedShards, shardUnits } from '../../job/units/shard.js'
import { unitCount } from '../../job/units/unit-source.js'
import { hasAnswer } from '../../job/verdict/judgement.js'
import type { Ruling, UnitRange } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Compute } from '../../worker/compute/compute.js'
import { aborted, type GridClient, type KnownJob } from '../session/session.js'
import { readShardFacts } from '../session/shard-facts.js'
import { Strangers } from '../session/strangers.js'
import { giveRulings, mayRule, rulingOrders } from '../submit/orders.js'
import { fetchMaterial, type MaterialOptions, type ReplayMaterial, runMaterial } from './replay-material.js'

/** How much an audit replays, with what, and whom it tells. */
export interface AuditOptions extends Pick<MaterialOptions, 'createFile' | 'onFetch'> {
  /** Computes units, of which so many are due now; used by this audit alone. Asked for when there is something to compute. */
  readonly startCompute: (units: number) => Compute
  readonly shares?: AuditShares
  /** Only these units; default all selected by the spec. Ascending and disjoint. */
  readonly units?: readonly UnitRange[]
  /** Time for computing, in all rounds together; what it does not suffice for is left. Default: as long as it takes. */
  readonly replayMs?: Millis
}

/** What an audit has found so far. */
export interface AuditFindings {
  /** Units of the job, and those that the facts settle by the rulings known. */
  readonly units: number
  readonly settled: number
  /** Units computed here: drawn at random, and those that votes contradict each other on. */
  readonly sampled: number
  readonly disputed: number
  /** Units computed here since they lean on grants of owners that nobody can find. */
  readonly tried: number
  /** Units that lean on such owners and were not computed here, as far as was seen at the last look, and how many such owners. */
  readonly leaning: number
  readonly strangers: number
  /** Of all, those whose settled result was false, ascending. */
  readonly wrong: readonly number[]
  /** Of the sampled ones, how many were. */
  readonly sampledWrong: number
  /** At 95 %: the share of wrong results among those that were there to be drawn. 1 when none could be decided. */
  readonly errorBound: number
  /** Settled units that nobody who may rule has replayed, nor this machine. */
  readonly unreplayed: number
  /** Units that this machine could not decide, since time or the machine itself did. */
  readonly undecided: number
  /** Units that were to be computed and were not: there was no time. */
  readonly left: number
  readonly convicted: number
  readonly dismissed: number
  /** Rulings given to the job's homes; 0 for a reader, who may not rule. */
  readonly ruled: number
}

/** What the facts say of one unit. */
interface Seen {
  readonly votes: readonly Vote[]
  /** Its result, if it has one. */
  readonly settled: RuledAnswer | undefined
}

const UNSEEN: Seen = { votes: [], settled: undefined }

/**
 * Replays units of a job here and rules on them. Each {@link round} reads what all owners have, computes the disputed and the
 * drawn units that are new, and gives rulings to the homes. A difference is computed a second time before anybody is
 * convicted by it: a machine that computes wrongly must not put out the honest.
 */
export class Auditor {
  readonly #client: GridClient
  readonly #options: AuditOptions
  readonly #plan: AuditPlan
  readonly #strikes = new Strikes()
  readonly #strangers: Strangers
  readonly #selected: readonly UnitRange[] | undefined
  readonly #wrong = new Set<number>()
  /** Rulings to be given, and whether one changes something at once for certain. */
  readonly #kept: { readonly ruling: Ruling; readonly isUrgent: boolean }[] = []
  #job: KnownJob
  #material: Promise<ReplayMaterial> | undefined
  #compute: Compute | undefined
  #settled = 0
  #spentMs: Millis = 0
  #sampled = 0
  #sampledWrong = 0
  /** Of the sampled ones, those that this machine could decide. */
  #sampledDecided = 0
  readonly #decided = new Set<number>()
  #unreplayed = 0
  #disputed = 0
  #tried = 0
  #undecided = 0
  #left = 0
  #ruled = 0

  constructor(client: GridClient, job: KnownJob, options: AuditOptions) {
    this.#client = client
    this.#job = job
    this.#options = options
    this.#strangers = new Strangers(client)
    this.#selected = options.units && mergeRanges(options.units)
    const { spec } = job
    const { random } = client.parts
    this.#plan = new AuditPlan(unitCount(spec), this.#unitTotal(), options.shares ?? AUDIT_SHARES, random)
  }

  /** The job with the rulings known after the last round. */
  get job(): KnownJob {
    return this.#job
  }

  /** Time spent on computing so far. */
  get computedMs(): Millis {
    return this.#spentMs
  }

  get findings(): AuditFindings {
    const rulings = this.#job.view.rulings
    return {
      units: this.#unitTotal(),
      settled: this.#settled,
      sampled: this.#sampled,
      disputed: this.#disputed,
      tried: this.#tried,
      leaning: this.#plan.leaning.units,
      strangers: this.#plan.leaning.strangers,
      wrong: [...this.#wrong].sort((a, b) => a - b),
      sampledWrong: this.#sampledWrong,
      errorBound: errorBound(this.#sampledDecided, this.#sampledWrong, this.#unreplayed),
      unreplayed: this.#unreplayed,
      undecided: this.#undecided,
      left: this.#left,
      convicted: rulings?.convicted.size ?? 0,
      dismissed: rulings?.dismissed.size ?? 0,
      ruled: this.#ruled,
    }
  }

  /**
   * Looks at the job once. `final`: nothing more settles by itself, so that a small job has at least one unit drawn, and all
   * rulings are given. Resolves to whether anything was found false. Rejects with GridError as reading and giving orders do,
   * `closed` when `signal` aborts.
   */
  async round(final: boolean, signal?: AbortSignal): Promise<boolean> {
    this.#job = await this.#client.job(this.#job.jobId, signal ? { signal } : {})
    const seen = await this.#look(final, signal)
    const all = this.#plan.due(final)
    const due = this.#plan.round(final)
    let foundWrong = false
    const local = due.length > 0 ? await this.#replay(due, seen, signal) : new Map<number, never>()
    // What a round passes over is for the next one; what this one had no time for, none will have.
    this.#left = local.size < due.length ? all.length - local.size : 0
    for (const entry of due) {
      const answer = local.get(entry.unit)
      if (answer === undefined) continue
      const { votes, settled } = seen.get(entry.unit) ?? UNSEEN
      if (entry.sampled) this.#sampled++
      else if (entry.strangers !== undefined) this.#tried++
      else this.#disputed++
      if (answer === 'undecided') {
        this.#plan.replayed(entry)
        this.#undecided++
        continue
      }
      if (entry.sampled) this.#sampledDecided++
      this.#decided.add(entry.unit)
      if (settled !== undefined) this.#unreplayed--
      const isWrong = settled !== undefined && !isSameAnswer(settled, answer)
      if (isWrong) {
        this.#wrong.add(entry.unit)
        if (entry.sampled) this.#sampledWrong++
      }
      const ruling = rulingOf(entry, answer, votes, this.#strikes, this.#plan.tried(entry, answer, votes))
      this.#plan.replayed(entry, ruling.convicted)
      const isFalse = contradicts(votes, answer)
      foundWrong ||= isFalse
      // A lone wrong answer that was outvoted changes nothing yet, nor does the end of keys that one owner made up: orders are few.
      const isUrgent = isWrong || (convicts(ruling) && !isOfOneGrantor(ruling, votes))
      this.#kept.push({ ruling, isUrgent })
    }
    const outBefore = this.findings.convicted + this.findings.dismissed
    await this.#give(final, signal)
    // Rulings that were held back may reopen units in a round that found nothing.
    return foundWrong || this.findings.convicted + this.findings.dismissed > outBefore
  }

  /** Ends the compute process, if one was started. */
  async close(): Promise<void> {
    await this.#compute?.close()
    this.#compute = undefined
  }

  /** Reads all shards; what the facts say of the units that are to be computed. */
  async #look(final: boolean, signal: AbortSignal | undefined): Promise<ReadonlyMap<number, Seen>> {
    const { spec } = this.#job
    const seen = new Map<number, Seen>()
    this.#settled = 0
    this.#unreplayed = 0
    this.#plan.startLook()
    for (const shard of selectedShards(spec)) {
      const ranges = this.#unitsOf(shard)
      if (ranges.length === 0) continue
      const { evidence } = await readShardFacts(this.#client, this.#job, shard, signal ? { signal } : {})
      // Where a job names its owners, grants of others are void.
      const grantors = spec.owners.length > 0 ? [] : evidence.grantors()
      const strangers = await this.#strangers.among(grantors)
      if (signal?.aborted) throw aborted()
      for (const { first, count } of ranges) {
        for (let unit = first; unit < first + count; unit++) {
          const judgement = evidence.judge(unit)
          this.#plan.look(unit, judgement, final)
          this.#plan.lean(unit, judgement.ruled || strangers.size === 0 ? [] : evidence.leansOn(unit, strangers))
          if (!hasAnswer(judgement)) continue
          this.#settled++
          if (!judgement.ruled && !this.#decided.has(unit)) this.#unreplayed++
        }
      }
      // Votes of a shard leave memory with it, but for those that are needed.
      for (const { unit } of this.#plan.due(false))
        if (Math.floor(unit / spec.shardUnits) === shard) seen.set(unit, seenOf(evidence, unit))
    }
    if (final) {
      // A unit drawn for want of any other is known only now.
      for (const { unit } of this.#plan.due(true)) {
        if (seen.has(unit)) continue
        const shard = Math.floor(unit / spec.shardUnits)
        seen.set(
          unit,
          seenOf((await readShardFacts(this.#client, this.#job, shard, signal ? { signal } : {})).evidence, unit),
        )
      }
    }
    return seen
  }

  /** Answers of this machine by unit; units that there was no time for are not among them. */
  async #replay(
    due: readonly AuditUnit[],
    seen: ReadonlyMap<number, Seen>,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<number, RuledAnswer | 'undecided'>> {
    const found = new Map<number, RuledAnswer | 'undecided'>()
    const cut = new AbortController()
    const onAbort = () => cut.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) cut.abort()
    const { clock } = this.#client.parts
    const { replayMs } = this.#options
    const startedAt = clock.now()
    const timer =
      replayMs === undefined ? undefined : clock.setTimer(Math.max(0, replayMs - this.#spentMs), () => cut.abort())
    try {
      const { createFile, onFetch } = this.#options
      this.#material ??= fetchMaterial(this.#client, this.#job, {
        createFile,
        ...(onFetch ? { onFetch } : {}),
        signal: cut.signal,
      })
      const material = await this.#material
      const run = async (units: readonly number[], take: (unit: number, answer: RuledAnswer) => void) => {
        this.#compute ??= this.#options.startCompute(due.length)
        const ranges = mergeRanges(units.map((unit) => ({ first: unit, count: 1 })))
        for await (const { unit, outcome, digest } of runMaterial(
          this.#client,
          material,
          this.#compute,
          ranges,
          cut.signal,
        ))
          take(unit, { outcome, digest })
      }
      const doubtful = new Map<number, RuledAnswer>()
      await run(
        due.map(({ unit }) => unit),
        (unit, answer) => {
          if (!isDeterministic(answer.outcome)) found.set(unit, 'undecided')
          else if (contradicts((seen.get(unit) ?? UNSEEN).votes, answer)) doubtful.set(unit, answer)
          else found.set(unit, answer)
        },
      )
      if (doubtful.size > 0)
        await run([...doubtful.keys()], (unit, answer) => {
          found.set(unit, isSameAnswer(doubtful.get(unit)!, answer) ? answer : 'undecided')
        })
    } catch (error) {
      this.#material = undefined
      if (signal?.aborted) throw aborted()
      if (!cut.signal.aborted) throw toGridError(error)
    } finally {
      timer?.cancel()
      this.#spentMs += clock.now() - startedAt
      signal?.removeEventListener('abort', onAbort)
    }
    return found
  }

  /** What convicts first, then what is clean, when there is enough of it. */
  async #give(final: boolean, signal: AbortSignal | undefined): Promise<void> {
    if (!mayRule(this.#client, this.#job)) return
    const options = signal ? { signal } : {}
    const urgent = this.#kept.filter(({ ruling, isUrgent }) => isUrgent || this.#plan.isAtWork(ruling.convicted)).length
    const given = rulingOrders(this.#client, this.#job)
    const { spec, orders } = this.#job
    const dismisses = dismissesAnother(
      spec,
      orders,
      this.#kept.map(({ ruling }) => ruling),
    )
    if (!final && !isWorthAnOrder({ urgent, kept: this.#kept.length, given, dismisses })) return
    const held = this.#kept.splice(0)
    const all = held.map(({ ruling }) => ruling)
    if (all.length === 0) return
    // When they do not all fit, what convicts comes first.
    const isOne = rulingBatches(all).length === 1
    const parts = isOne ? [all] : [all.filter(convicts), all.filter((ruling) => !convicts(ruling))]
    try {
      for (const part of parts) this.#ruled += await giveRulings(this.#client, this.#job, part, options)
    } catch (error) {
      // Given again next time: the same ruling twice is one.
      this.#kept.push(...held)
      throw error
    }
    this.#job = await this.#client.job(this.#job.jobId, options)
  }

  #unitsOf(shard: number): readonly UnitRange[] {
    const selected = shardUnits(this.#job.spec, shard)
    const wanted = this.#selected
    if (wanted === undefined) return selected
    return selected.flatMap(({ first, count }) => clipRanges(wanted, first, first + count))
  }

  #unitTotal(): number {
    return selectedShards(this.#job.spec).reduce((sum, shard) => sum + count(this.#unitsOf(shard)), 0)
  }
}

function seenOf(evidence: ShardEvidence, unit: number): Seen {
  const judgement = evidence.judge(unit)
  const isSettled = hasAnswer(judgement)
  return {
    votes: evidence.votes(unit),
    settled: isSettled ? { outcome: judgement.outcome, digest: judgement.digest } : undefined,
  }
}

/** Whether somebody's answer is another one. */
function contradicts(votes: readonly Vote[], answer: RuledAnswer): boolean {
  return votes.some((vote) => isDeterministic(vote.outcome) && !isSameAnswer(vote, answer))
}

function convicts({ convicted, dismissed }: Ruling): boolean {
  return convicted.length > 0 || dismissed !== undefined
}
