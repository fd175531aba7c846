import {
  ENCODED_OUTPUT_BYTES_MAX,
  OUTPUT_BYTES_MAX,
  REPORT_GRANTS_MAX,
  REPORT_UNITS_MAX,
  STDERR_BYTES_MAX,
} from '../../proto/limits.js'
import type {
  Digest,
  Grant,
  JobId,
  JobSpec,
  Key,
  NodeId,
  PublicKey,
  Report,
  ReportFact,
  Signed,
  UnitResult,
} from '../../proto/model.js'
import type { Sha256 } from '../../runtime/hash.js'
import { fromHex, toHex, utf8 } from '../../runtime/hex.js'
import { contains } from '../units/selection.js'
import { shardKey } from '../units/shard.js'
import { unitCount } from '../units/unit-source.js'
import { isDeterministic } from './digest.js'
import type { OrdersView } from './orders.js'
import type { SignatureVerifier } from './signature.js'
import { compareVotes, type Vote } from './votes.js'

/**
 * Readers of signed bytes: `decode` of the codecs in `proto/codec/facts.ts`. They throw GridError `invalid` for anything outside
 * the limits of the wire.
 */
export interface FactDecoders {
  decodeGrant(bytes: Uint8Array): Grant
  decodeReport(bytes: Uint8Array): Report
}

/** All that the validity of a fact depends on besides its bytes: spec, orders and network, the same for everyone. */
export interface FactContext {
  readonly spec: JobSpec
  readonly jobId: JobId
  /** Orders may have widened `ownerRadius`; absent: none has. */
  readonly orders?: OrdersView
  readonly sha256: Sha256
  readonly verifier: SignatureVerifier
  readonly decoders: FactDecoders
  /** The point that shard's owners are closest to. */
  readonly shardKey: (shard: number) => Key
  /** Whether the job has this unit: below the number of units, and selected. */
  readonly hasUnit: (unit: number) => boolean
  /** Grants whose signature needs no check, by {@link grantId}: an owner's own. All else of them is checked. */
  readonly knownGrants?: (id: Digest) => Grant | undefined
  /** Where checked grants and donor signatures are remembered; without it each fact checks them anew. */
  readonly checked?: CheckedFacts
}

/** A {@link FactContext} with the shards and units that the spec gives. */
export function factContext(parts: Omit<FactContext, 'shardKey' | 'hasUnit'>): FactContext {
  const { spec, jobId, sha256 } = parts
  const units = unitCount(spec)
  return {
    ...parts,
    shardKey: (shard) => shardKey(sha256, jobId, shard),
    hasUnit: (unit) => unit < units && (spec.selection.length === 0 || contains(spec.selection, unit)),
  }
}

/** Why a grant is void. */
type GrantRefusal =
  | 'grantMalformed'
  | 'grantOtherJob'
  | 'grantOtherShard'
  | 'grantUnits'
  | 'grantorNotAllowed'
  | 'grantorIdWork'
  | 'grantorTooFar'
  | 'grantSignature'

/** Why a report with its grants is void. */
export type FactRefusal =
  | GrantRefusal
  | 'reportMalformed'
  | 'reportOtherJob'
  | 'reportEmpty'
  | 'unitUnknown'
  | 'unitOtherShard'
  | 'unitOrder'
  | 'digestMissing'
  | 'digestUnexpected'
  | 'outputTooLarge'
  | 'fuelTooHigh'
  | 'workerNotAllowed'
  | 'tooManyUnits'
  | 'tooManyGrants'
  | 'grantOtherWorker'
  | 'grantOrder'
  | 'grantUnused'
  | 'unitNotGranted'
  | 'donorSignature'
  | 'reportSignature'

/** A grant that counts, with the node id of its signer. */
interface CheckedGrant {
  readonly ok: true
  readonly id: Digest
  readonly grant: Grant
  readonly grantor: NodeId
}

/** A fact that counts: one vote for each unit of the report. */
export interface CheckedFact {
  readonly ok: true
  readonly report: Report
  /** In the order of the fact. */
  readonly grants: readonly CheckedGrant[]
  /** Ascending by unit. */
  readonly votes: readonly Vote[]
  /** SHA-256 of the report's bytes. */
  readonly reportId: Digest
  /** As {@link factId}. */
  readonly id: Digest
}

/** A fact that never counts, whoever looks at it. */
interface RefusedFact<Reason extends FactRefusal = FactRefusal> {
  readonly ok: false
  readonly reason: Reason
}

/** What an encoded output may add to the bytes the limits speak of: names of files, lengths, the exit code. Unit: bytes. */
const OUTPUT_OVERHEAD_BYTES_MAX = ENCODED_OUTPUT_BYTES_MAX - OUTPUT_BYTES_MAX - STDERR_BYTES_MAX

const NO_DIGEST = '0'.repeat(64)

/** Runs of a grant that take as much memory as the rest of one, which is about 1 KiB. */
const RUNS_AS_A_GRANT = 16

/** Remembers something of the grants that came last. When full, the oldest half is forgotten. */
export class RecentGrants<T extends { readonly grant: Grant }> {
  readonly #grantsMax: number
  readonly #grants = new Map<Digest, T>()
  #count = 0

  /** `grantsMax`: as many as have few runs; sixteen runs count as a grant more. Takes about 1 KiB for each. */
  constructor(grantsMax: number) {
    this.#grantsMax = grantsMax
  }

  get(id: Digest): T | undefined {
    return this.#grants.get(id)
  }

  keep(id: Digest, value: T): void {
    if (this.#grants.has(id)) return
    this.#grants.set(id, value)
    this.#count += countOf(value.grant)
    if (this.#count <= this.#grantsMax) return
    for (const [oldId, { grant }] of this.#grants) {
      if (this.#count <= this.#grantsMax >> 1) break
      this.#grants.delete(oldId)
      this.#count -= countOf(grant)
    }
  }
}

function countOf({ runs }: Grant): number {
  return 1 + Math.floor(runs.length / RUNS_AS_A_GRANT)
}

/**
 * Remembers which grants and donor signatures were found valid, of any number of jobs, so that each is checked once and not
 * with every fact that carries it. What is forgotten costs a check again, nothing else.
 */
export class CheckedFacts {
  readonly #entriesMax: number
  readonly #grants: RecentGrants<CheckedGrant>
  readonly #donors = new Set<string>()

  /** `entriesMax` bounds grants (as {@link RecentGrants} counts them) and donor signatures each. */
  constructor(entriesMax = 20_000) {
    this.#entriesMax = entriesMax
    this.#grants = new RecentGrants(entriesMax)
  }

  grant(id: Digest): CheckedGrant | undefined {
    return this.#grants.get(id)
  }

  keepGrant(grant: CheckedGrant): void {
    this.#grants.keep(grant.id, grant)
  }

  hasDonor(worker: PublicKey, donor: PublicKey, signature: Uint8Array): boolean {
    return this.#donors.has(donorEntry(worker, donor, signature))
  }

  keepDonor(worker: PublicKey, donor: PublicKey, signature: Uint8Array): void {
    if (this.#donors.size >= this.#entriesMax) {
      let excess = this.#donors.size - (this.#entriesMax >> 1)
      for (const entry of this.#donors) {
        if (excess-- <= 0) break
        this.#donors.delete(entry)
      }
    }
    this.#donors.add(donorEntry(worker, donor, signature))
  }
}

/**
 * Names a grant by its bytes and signature. Both, since a name that left out the signature would let a copy with a false
 * one pass where the true one is known and fail elsewhere.
 */
export function grantId(signed: Signed, sha256: Sha256): Digest {
  return sha256(signed.bytes, signed.signature)
}

/**
 * Names a fact by all of its bytes: two facts with one id are the same. SHA-256 over a domain tag, then report and
 * grants, each with its length as 4 bytes, little-endian, and its signature.
 */
export function factId(fact: ReportFact, sha256: Sha256): Digest {
  const parts: Uint8Array[] = [FACT_DOMAIN]
  for (const signed of [fact.report, ...fact.grants]) {
    parts.push(lengthOf(signed.bytes), signed.bytes, lengthOf(signed.signature), signed.signature)
  }
  return sha256(...parts)
}

/** Checks a grant by its bytes alone. A grant is void for good or valid for good, `ownerRadius` widened apart. */
export function checkGrant(signed: Signed, context: FactContext): CheckedGrant | RefusedFact<GrantRefusal> {
  const id = grantId(signed, context.sha256)
  const checked = context.checked?.grant(id)
  if (checked) return checked.grant.jobId === context.jobId ? checked : { ok: false, reason: 'grantOtherJob' }
  const known = context.knownGrants?.(id)
  let grant: Grant
  try {
    grant = known ?? context.decoders.decodeGrant(signed.bytes)
  } catch {
    return { ok: false, reason: 'grantMalformed' }
  }
  const { spec, verifier } = context
  if (grant.jobId !== context.jobId) return { ok: false, reason: 'grantOtherJob' }
  const shardFirst = grant.shard * spec.shardUnits
  const shardEnd = shardFirst + spec.shardUnits
  for (const { first, count } of grant.runs) {
    if (count < 1 || first < shardFirst || first + count > shardEnd) return { ok: false, reason: 'grantUnits' }
  }
  if (spec.owners.length > 0 && !spec.owners.includes(grant.grantor)) return { ok: false, reason: 'grantorNotAllowed' }
  if (verifier.meetsIdWork?.(grant.grantor, grant.grantorIdNonce) === false) {
    return { ok: false, reason: 'grantorIdWork' }
  }
  const grantor = verifier.nodeIdOf(grant.grantor, grant.grantorIdNonce)
  const radius = context.orders?.ownerRadius ?? spec.ownerRadius
  if (!isWithin(radius, grantor, context.shardKey(grant.shard))) return { ok: false, reason: 'grantorTooFar' }
  if (!known && !verifier.verify('grant', grant.grantor, signed)) return { ok: false, reason: 'grantSignature' }
  const result: CheckedGrant = { ok: true, id, grant, grantor }
  context.checked?.keepGrant(result)
  return result
}

/**
 * Checks a report with its grants and says what it votes. Cheap checks come first and signatures last, so that a false
 * fact costs little; one void grant voids the fact. Expiry is not looked at: that takes a clock, and whoever has one.
 *
 * A result must keep these rules: units ascending, all in the report's shard; `host` and `wall` have a zero digest and no
 * bytes; fuel at most the limit (a unit that ran out reports the limit itself); a worker that is its own donor signs no
 * donor statement; grants by ascending id; every unit covered by a grant to this worker, every grant covering a unit. Where several grants cover
 * one unit, the one of the smallest grantor id counts. `id`: that of the fact, where it is known.
 */
export function checkReportFact(
  fact: ReportFact,
  context: FactContext,
  id: Digest = factId(fact, context.sha256),
): CheckedFact | RefusedFact {
  if (fact.grants.length > REPORT_GRANTS_MAX) return { ok: false, reason: 'tooManyGrants' }
  let report: Report
  try {
    report = context.decoders.decodeReport(fact.report.bytes)
  } catch {
    return { ok: false, reason: 'reportMalformed' }
  }
  const wrong = wrongInReport(report, context)
  if (wrong) return { ok: false, reason: wrong }

  const reportId = context.sha256(fact.report.bytes)
  const votes: (Vote | undefined)[] = new Array(report.results.length).fill(undefined)
  const grants: CheckedGrant[] = []
  for (const signed of fact.grants) {
    const checked = checkGrant(signed, context)
    if (!checked.ok) return checked
    // In one order alone: else anybody could make many facts of one.
    const before = grants.at(-1)
    if (before !== undefined && checked.id <= before.id) return { ok: false, reason: 'grantOrder' }
    const { grant } = checked
    if (grant.shard !== report.shard) return { ok: false, reason: 'grantOtherShard' }
    if (grant.worker !== report.worker) return { ok: false, reason: 'grantOtherWorker' }
    if (!coverUnits(votes, report, { reportId, factId: id }, checked)) return { ok: false, reason: 'grantUnused' }
    grants.push(checked)
  }
  if (!votes.every((vote) => vote !== undefined)) return { ok: false, reason: 'unitNotGranted' }
  if (!donorAgreed(report, context)) return { ok: false, reason: 'donorSignature' }
  if (!context.verifier.verify('report', report.worker, fact.report)) return { ok: false, reason: 'reportSignature' }
  return { ok: true, report, grants, votes, reportId, id }
}

/** Whether the XOR distance of two points is at most `radius`. Kademlia (Maymounkov and Mazieres 2002), section 2.1. */
export function isWithin(radius: Key, a: NodeId | Key, b: NodeId | Key): boolean {
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)) <= BigInt(`0x${radius}`)
}

function wrongInReport(report: Report, context: FactContext): FactRefusal | undefined {
  const { spec } = context
  if (report.jobId !== context.jobId) return 'reportOtherJob'
  if (report.results.length === 0) return 'reportEmpty'
  if (report.results.length > REPORT_UNITS_MAX) return 'tooManyUnits'
  if (spec.workers.length > 0 && !spec.workers.includes(report.worker) && !spec.workers.includes(report.donor)) {
    return 'workerNotAllowed'
  }
  const shardFirst = report.shard * spec.shardUnits
  const shardEnd = shardFirst + spec.shardUnits
  let before = -1
  for (const result of report.results) {
    if (result.unit <= before) return 'unitOrder'
    before = result.unit
    if (result.unit < shardFirst || result.unit >= shardEnd) return 'unitOtherShard'
    if (!context.hasUnit(result.unit)) return 'unitUnknown'
    const wrong = wrongInResult(result, spec)
    if (wrong) return wrong
  }
  return undefined
}

function wrongInResult(result: UnitResult, { limits }: JobSpec): FactRefusal | undefined {
  const bare = !isDeterministic(result.outcome)
  if (bare !== (result.digest === NO_DIGEST)) return bare ? 'digestUnexpected' : 'digestMissing'
  const bytesMax = bare ? 0 : limits.outputBytes + limits.stderrBytes + OUTPUT_OVERHEAD_BYTES_MAX
  if (result.outputBytes > bytesMax) return 'outputTooLarge'
  if (limits.fuel > 0n && result.fuel > limits.fuel) return 'fuelTooHigh'
  return undefined
}

/** Fills in the votes that `checked` entitles to; false when there is none. */
function coverUnits(
  votes: (Vote | undefined)[],
  report: Report,
  ids: Pick<Vote, 'reportId' | 'factId'>,
  { grant, grantor }: CheckedGrant,
): boolean {
  let used = false
  for (const { first, count } of grant.runs) {
    for (let i = firstAtOrAfter(report.results, first); i < report.results.length; i++) {
      const { unit, outcome, digest, outputBytes, fuel } = report.results[i]!
      if (unit >= first + count) break
      const { donor, worker } = report
      const { age } = grant
      const vote: Vote = { unit, donor, worker, grantor, age, outcome, digest, ...ids, outputBytes, fuel }
      const other = votes[i]
      if (!other || compareVotes(vote, other) < 0) votes[i] = vote
      used = true
    }
  }
  return used
}

/** Place of the first result whose unit is `unit` or later; results ascend. */
function firstAtOrAfter(results: readonly UnitResult[], unit: number): number {
  let low = 0
  let high = results.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (results[middle]!.unit < unit) low = middle + 1
    else high = middle
  }
  return low
}

function donorAgreed({ worker, donor, donorSignature }: Report, { checked, verifier }: FactContext): boolean {
  if (worker === donor) return donorSignature.length === 0
  if (checked?.hasDonor(worker, donor, donorSignature)) return true
  if (!verifier.verify('donor', donor, { bytes: fromHex(worker), signature: donorSignature })) return false
  checked?.keepDonor(worker, donor, donorSignature)
  return true
}

function donorEntry(worker: PublicKey, donor: PublicKey, signature: Uint8Array): string {
  return `${worker} ${donor} ${toHex(signature)}`
}

const FACT_DOMAIN = utf8('manyhands.v1.fact\0')

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, bytes.length, true)
  return length
}
