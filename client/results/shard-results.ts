import { ShardEvidence, type UnitEvidence } from '../../job/evidence/evidence.js'
import { factId } from '../../job/facts/facts.js'
import type { Vote } from '../../job/facts/votes.js'
import { mergeRanges } from '../../job/units/selection.js'
import { hasAnswer } from '../../job/verdict/judgement.js'
import { verdictRules } from '../../job/verdict/rules.js'
import type { ResultsReply, SettledUnit } from '../../proto/job-messages.js'
import { SELECTION_RANGES_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { Digest, Outcome, ReportFact, UnitRange } from '../../proto/model.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { toGridError } from '../../runtime/errors.js'
import { jitter } from '../../runtime/jitter.js'
import type { Endpoint } from '../../runtime/transport.js'
import { aborted, type GridClient, type KnownJob } from '../session/session.js'
import { SignatureChecks } from '../session/signature-checks.js'
import { lookBeside, type SecondLook } from './second-look.js'

/** A unit whose result the facts prove. */
export interface ProvedUnit {
  readonly evidence: Extract<UnitEvidence, { ok: true }>
  /** Encoded output as the owner sent it along, not checked yet. */
  readonly inline: Uint8Array | undefined
  readonly from: Endpoint
}

/** What an owner did that no honest one does, or what cannot be trusted. */
export interface Problem {
  readonly shard: number
  /** Undefined: about the shard as a whole. */
  readonly unit: number | undefined
  /** `host:port#id` of the owner. */
  readonly owner: string
  /**
   * `voidFact`: a report or grant that is forged or breaks the rules. `unproved`: a result that the facts do not prove.
   * `wrongBytes`: an output without the digest agreed on. `unreachable`: it gave no answer.
   */
  readonly type: 'voidFact' | 'unproved' | 'wrongBytes' | 'unreachable'
  readonly reason: string
}

/** Why units of a shard are left. */
type LeftReason = 'open' | 'unproved' | 'unreachable'

interface ShardReading {
  readonly withOutputs: boolean
  /** Wait for units that are not settled yet, until `stop` aborts. */
  readonly follow: boolean
  /** Ends following: what is settled is read once more, and that is all. */
  readonly stop: AbortSignal
  readonly signal?: AbortSignal
  /** Takes proved units; false: nobody wants more. */
  readonly emit: (units: readonly ProvedUnit[]) => Promise<boolean>
  readonly onProblem: (problem: Problem) => void
}

/** What became of reading from an owner. */
interface Answer {
  /** Somebody wants more units. */
  wanted: boolean
  /** Nothing more will settle. */
  done: boolean
}

/** Longest silence of an owner that reads what it has, and of one that waits for units to settle. */
const IDLE_MS: Millis = 30_000
const FOLLOW_IDLE_MS: Millis = 300_000
const RETRY_MS: Millis = 250
const RETRY_MAX_MS: Millis = 3_000
/** Time without any answer after which a shard that is not followed counts as out of reach. */
const UNREACHABLE_MS: Millis = 15_000

/** Reads one shard from whoever owns it and proves each unit by the facts. Memory: as `ShardEvidence`. */
export class ShardResults {
  readonly shard: number
  /** Units asked for and not proved yet. */
  readonly left: Set<number>
  /** Raw facts by report, for whoever wants to keep the proof. */
  readonly facts = new Map<Digest, ReportFact[]>()
  readonly #client: GridClient
  readonly #job: KnownJob
  readonly #evidence: ShardEvidence
  readonly #signatures: SignatureChecks
  readonly #proved = new Map<number, { readonly outcome: Outcome; readonly digest: Digest }>()
  readonly #unproved = new Set<number>()
  /** Under `confidence:P`: claims that other facts of the shard are needed for, which may be on their way. */
  readonly #pending = new Map<number, { readonly claim: SettledUnit; readonly owner: Endpoint }>()
  readonly #liars = new Set<string>()
  readonly #wholeShard: boolean
  #answered = false
  #voidFacts = 0

  /** `units`: those wanted, all of the shard when `wholeShard`. */
  constructor(client: GridClient, job: KnownJob, shard: number, units: readonly UnitRange[], wholeShard: boolean) {
    this.#client = client
    this.#job = job
    this.shard = shard
    this.#wholeShard = wholeShard
    this.left = new Set()
    for (const { first, count } of units) for (let unit = first; unit < first + count; unit++) this.left.add(unit)
    this.#signatures = new SignatureChecks(client)
    const { verifier, decoders, checked } = this.#signatures
    this.#evidence = new ShardEvidence({
      ...client.factContext(job, { verifier, decoders }),
      checked,
      rules: verdictRules(job.spec, job.view),
    })
  }

  /** Reports that counted. */
  get reportCount(): number {
    return this.facts.size
  }

  /** Facts that were void. */
  get voidFacts(): number {
    return this.#voidFacts
  }

  /** Why `unit` is left. */
  reasonLeft(unit: number): LeftReason {
    if (this.#unproved.has(unit)) return 'unproved'
    return this.#answered ? 'open' : 'unreachable'
  }

  /** Proved results that the facts no longer prove: later ones overturned them. */
  overturned(): { readonly unit: number; readonly digest: Digest }[] {
    const overturned: { readonly unit: number; readonly digest: Digest }[] = []
    for (const [unit, claim] of this.#proved) {
      if (!this.#evidence.check({ unit, ...claim }).ok) overturned.push({ unit, digest: claim.digest })
    }
    return overturned
  }

  /** What the facts at hand say of a unit now. */
  digestNow(unit: number): Digest | undefined {
    const judgement = this.#evidence.judge(unit)
    return hasAnswer(judgement) ? judgement.digest : undefined
  }

  /** Whether valid votes on a unit contradict each other, so that it has no result. */
  isDisputed(unit: number): boolean {
    return this.#evidence.judge(unit).state === 'disputed'
  }

  /**
   * Reads from one owner after another until nothing is left, or each has said all it knows. What is left then is in
   * {@link left}. Rejects with GridError `forbidden` when these results are not for this reader, `closed` when aborted.
   */
  async read(reading: ShardReading): Promise<void> {
    const { clock, random } = this.#client.parts
    let heardAt = clock.now()
    let named: readonly Endpoint[] = []
    for (let attempt = 0; this.left.size > 0; attempt++) {
      const following = reading.follow && !reading.stop.aborted
      const nearest = await this.#client.shardOwners(this.#job.jobId, this.shard).catch(() => [])
      const owners = withOthers(nearest, named)
      let answers = 0
      let silent = 0
      let unknown = 0
      for (const owner of trustedFirst(owners, this.#liars)) {
        if (reading.signal?.aborted) throw aborted()
        if (this.left.size === 0) return
        try {
          const { wanted, done } = await this.#readFrom(owner, named, following, reading)
          if (!wanted) return
          answers++
          if (done && this.left.size === 0) return
        } catch (error) {
          const failure = toGridError(error)
          if (reading.signal?.aborted) throw aborted()
          if (failure.code === 'forbidden') throw failure
          // An owner that does not know the shard has not been given it yet: an answer, too.
          if (failure.code === 'notFound') {
            answers++
            unknown++
          } else if (!reading.stop.aborted || !following) {
            silent++
            this.#tell(reading, 'unreachable', owner, undefined, failure.message)
          }
        }
      }
      // Peers that came since may be nearer than the owner that has the shard: the home knows which one that is.
      if (unknown === owners.length && named.length === 0) {
        const call = reading.signal === undefined ? {} : { signal: reading.signal }
        named = await this.#client.ownersNamed(this.#job.jobId, this.shard, call).catch(() => [])
        if (reading.signal?.aborted) throw aborted()
        if (withOthers(owners, named).length > owners.length) continue
      }
      if (answers > 0) {
        this.#answered = true
        heardAt = clock.now()
        attempt = following ? Math.min(attempt, 3) : attempt
      }
      // A pass that began after the end of following has seen all there is.
      if (!following && answers > 0 && silent === 0) return
      if (!following && (answers > 0 ? attempt >= 2 : clock.now() - heardAt >= UNREACHABLE_MS)) return
      if (following && reading.stop.aborted) continue
      const waitMs = jitter(random, Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(attempt, 6)), 0.3)
      await pause(clock, waitMs, following ? reading.stop : reading.signal)
      if (reading.signal?.aborted) throw aborted()
    }
  }

  /** Reads from `owner`, and while following from another one, or one of `named`, that has what `owner` keeps back. */
  async #readFrom(
    owner: Endpoint,
    named: readonly Endpoint[],
    following: boolean,
    reading: ShardReading,
  ): Promise<Answer> {
    const cut = new AbortController()
    const onAbort = () => cut.abort()
    const signals = following ? [reading.signal, reading.stop] : [reading.signal]
    for (const signal of signals) signal?.addEventListener('abort', onAbort, { once: true })
    if (signals.some((signal) => signal?.aborted)) cut.abort()
    const answer: Answer = { wanted: true, done: false }
    const others = async () => {
      const nearest = await this.#client.shardOwners(this.#job.jobId, this.shard)
      return withOthers(nearest, named).filter(({ nodeId }) => nodeId !== owner.nodeId)
    }
    const look: SecondLook = {
      client: this.#client,
      job: this.#job,
      shard: this.shard,
      others,
      isTrusted: ({ nodeId }) => !this.#liars.has(nodeId),
      // What cannot be proved is looked for elsewhere only when it was this owner that claimed it.
      lacks: (unit) => this.left.has(unit) && (!this.#unproved.has(unit) || this.#liars.has(owner.nodeId)),
      follow: async (other, signal) => {
        await this.#stream(other, following, reading, signal, async (reply) => {
          await this.#receive(reply, other, reading, answer)
          answer.done ||= this.left.size === 0
          if (!answer.wanted || answer.done) cut.abort()
        })
      },
      signal: cut.signal,
    }
    const beside = following ? lookBeside(look) : undefined
    try {
      await this.#stream(owner, following, reading, cut.signal, async (reply) => {
        await this.#receive(reply, owner, reading, answer)
        answer.done ||= reply.done
        if (!answer.wanted) cut.abort()
      })
    } catch (error) {
      // Cut because all is here, or nobody wants more.
      if (answer.wanted && !(answer.done && this.left.size === 0)) throw error
    } finally {
      for (const signal of signals) signal?.removeEventListener('abort', onAbort)
      cut.abort()
      await beside
    }
    return answer
  }

  async #receive(reply: ResultsReply, owner: Endpoint, reading: ShardReading, answer: Answer): Promise<void> {
    if (!answer.wanted) return
    this.#answered = true
    const batch = await this.#take(reply, owner, reading)
    if (batch.length > 0 && !(await reading.emit(batch))) answer.wanted = false
  }

  /** One stream of results, until the owner ends it. Rejects as `consume` does. */
  async #stream(
    owner: Endpoint,
    follow: boolean,
    { withOutputs }: ShardReading,
    signal: AbortSignal,
    handle: (reply: ResultsReply) => Promise<void>,
  ): Promise<void> {
    const { transport, clock } = this.#client.parts
    const stream = transport.open(owner, methods.results, signal)
    const idleMs = follow ? FOLLOW_IDLE_MS : IDLE_MS
    const consumed = consume(stream, { clock, idleMs, until: 'close' }, handle)
    stream.send({ jobId: this.#job.jobId, shard: this.shard, units: this.#unitsToAsk(), follow, withOutputs })
    stream.end()
    await consumed
  }

  async #take(reply: ResultsReply, owner: Endpoint, reading: ShardReading): Promise<ProvedUnit[]> {
    await this.#signatures.ahead(reply.facts)
    for (const fact of reply.facts) {
      const reception = this.#evidence.add(fact)
      if (reception.type === 'kept') {
        // One report may come in two facts, with grants of different owners.
        const { reportId } = reception.fact
        this.facts.set(reportId, [...(this.facts.get(reportId) ?? []), fact])
        for (const gone of reception.letGo) this.#forget(gone)
      } else if (reception.type === 'refused') {
        this.#voidFacts++
        this.#tell(reading, 'voidFact', owner, undefined, reception.reason)
      }
    }
    const batch: ProvedUnit[] = []
    const claims = reply.settled.map((claim) => ({ claim, owner }))
    if (reply.facts.length > 0) claims.unshift(...this.#pending.values())
    for (const { claim, owner: from } of claims) {
      const { unit, digest, outcome, output } = claim
      this.#pending.delete(unit)
      if (!this.left.has(unit)) continue
      const evidence = this.#evidence.check({ unit, digest, outcome })
      if (!evidence.ok) {
        // The owner may not have heard of the rulings yet: no reason to doubt it.
        if (evidence.judgement.ruled || evidence.judgement.voided) continue
        if (this.#job.spec.policy.type === 'confidence' && evidence.reason !== 'otherResult') {
          this.#pending.set(unit, { claim, owner: from })
          continue
        }
        this.#unproved.add(unit)
        this.#liars.add(owner.nodeId)
        this.#tell(reading, 'unproved', owner, unit, evidence.reason)
        continue
      }
      this.left.delete(unit)
      this.#unproved.delete(unit)
      this.#proved.set(unit, { digest, outcome })
      batch.push({ evidence, inline: output, from })
    }
    return batch
  }

  #forget({ reportId, factId: id }: Vote): void {
    const { sha256 } = this.#client.parts
    const left = (this.facts.get(reportId) ?? []).filter((fact) => factId(fact, sha256) !== id)
    if (left.length > 0) this.facts.set(reportId, left)
    else this.facts.delete(reportId)
  }

  #tell(reading: ShardReading, type: Problem['type'], owner: Endpoint, unit: number | undefined, reason: string): void {
    reading.onProblem({ type, shard: this.shard, unit, owner: `${owner.address}#${owner.nodeId}`, reason })
  }

  /** Empty: all. Many small ranges cost more to say than to receive again. */
  #unitsToAsk(): readonly UnitRange[] {
    if (this.#wholeShard && this.#proved.size === 0) return []
    const ranges = mergeRanges([...this.left].map((unit) => ({ first: unit, count: 1 })))
    return ranges.length > SELECTION_RANGES_MAX / 4 ? [] : ranges
  }
}

function trustedFirst(owners: readonly Endpoint[], liars: ReadonlySet<string>): readonly Endpoint[] {
  const trusted = owners.filter(({ nodeId }) => !liars.has(nodeId))
  return [...trusted, ...owners.filter(({ nodeId }) => liars.has(nodeId))]
}

/** `owners`, then those of `others` that are not among them. */
function withOthers(owners: readonly Endpoint[], others: readonly Endpoint[]): readonly Endpoint[] {
  return [...owners, ...others.filter(({ nodeId }) => !owners.some((owner) => owner.nodeId === nodeId))]
}
