import { ORDERS_MAX } from '../../proto/limits.js'
import type { Attestation, JobId, JobSpec, NodeId, Order, PublicKey, Signed } from '../../proto/model.js'
import type { Sha256 } from '../../runtime/hash.js'
import { isWithin } from '../facts/facts.js'
import { applyOrders, checkOrder, type KnownOrder } from '../facts/orders.js'
import { jobIdOf } from '../spec/spec.js'
import { shardKey, shardUnits } from '../units/shard.js'
import { unitCount } from '../units/unit-source.js'

/** One job in {@link Totals}: its spec, the orders that widen who may own it, and what owners attest, by shard. */
export interface JobTotals {
  readonly spec: Signed
  readonly orders: readonly Signed[]
  /** Attestations of different owners for each shard. */
  readonly shards: readonly (readonly Signed[])[]
}

/** What owners attest that one worker key has given, to be shown to anybody. */
export interface Totals {
  readonly worker: PublicKey
  readonly jobs: readonly JobTotals[]
}

/** What checking takes: hashes, signatures, and readers of signed bytes. */
export interface TotalsContext {
  readonly sha256: Sha256
  readonly verifier: {
    verify(tag: string, publicKey: PublicKey, signed: Signed): boolean
    nodeIdOf(publicKey: PublicKey, idNonce: Uint8Array): NodeId
  }
  /** Whether an id shows the work that the network of a job asks for. */
  readonly meetsIdWork: (spec: JobSpec, publicKey: PublicKey, idNonce: Uint8Array) => boolean
  readonly decoders: {
    decodeSpec(bytes: Uint8Array): JobSpec
    decodeOrder(bytes: Uint8Array): Order
    decodeAttestation(bytes: Uint8Array): Attestation
  }
}

/** What a key gave to one job, as enough owners attest it. */
export interface ProvedTotal {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly units: number
  readonly fuel: bigint
  readonly shards: number
  /** Different owners behind it. */
  readonly owners: number
}

/** What a file of totals proves; or the first thing that is wrong with it, for people to read. */
type CheckedTotals =
  | { readonly ok: true; readonly jobs: readonly ProvedTotal[] }
  | { readonly ok: false; readonly reason: string }

/**
 * Checks everything: the submitter's signature on each spec, orders, and of each shard the attestations of as many different
 * owners as the spec wants behind a result, all of whom were allowed to own it. Of a shard counts what so many owners attest: with two
 * wanted the second highest number of units. One thing that is wrong or does not belong there, and all of it is refused, with the reason.
 *
 * It proves what owners say, not what was computed: that many owners of one mind can attest what they like, as they could settle it,
 * and anybody can make up a job and owners of it. Whoever is shown totals looks at whose jobs they are.
 */
export function checkTotals({ worker, jobs }: Totals, context: TotalsContext): CheckedTotals {
  const proved: ProvedTotal[] = []
  for (const job of jobs) {
    const checked = checkJob(worker, job, context)
    if (typeof checked === 'string') return { ok: false, reason: checked }
    if (proved.some(({ jobId }) => jobId === checked.jobId)) return { ok: false, reason: 'a job stands twice' }
    proved.push(checked)
  }
  return { ok: true, jobs: proved }
}

function checkJob(worker: PublicKey, { spec: signed, orders, shards }: JobTotals, context: TotalsContext) {
  const { sha256, verifier, decoders } = context
  let spec: JobSpec
  try {
    spec = decoders.decodeSpec(signed.bytes)
  } catch {
    return 'a spec cannot be read'
  }
  if (!verifier.verify('spec', spec.submitter, signed)) return 'a spec is not signed by its submitter'
  const jobId = jobIdOf(sha256, signed.bytes)
  if (orders.length > ORDERS_MAX) return 'a job has more orders than it takes'
  const known: KnownOrder[] = []
  for (const order of orders) {
    const checked = checkOrder(order, { spec, jobId, sha256, verifier, decodeOrder: decoders.decodeOrder })
    if (!checked.ok) return `an order is void: ${checked.reason}`
    if (known.some(({ id }) => id === checked.id)) return 'an order stands twice'
    known.push(checked)
  }
  const { ownerRadius } = applyOrders(spec, known)
  const units = unitCount(spec)
  const seen = new Set<number>()
  const all = new Set<PublicKey>()
  let total = 0
  let fuel = 0n
  if (shards.length === 0) return 'a job has no attestation'
  for (const attestations of shards) {
    const read: Attestation[] = []
    for (const attestation of attestations) {
      let one: Attestation
      try {
        one = decoders.decodeAttestation(attestation.bytes)
      } catch {
        return 'an attestation cannot be read'
      }
      if (one.jobId !== jobId) return 'an attestation is about another job'
      if (one.worker !== worker) return 'an attestation is about another key'
      if (one.shard !== (read[0]?.shard ?? one.shard)) return 'attestations of one shard are about two'
      if (one.shard * spec.shardUnits >= units) return `the job has no shard ${one.shard}`
      if (read.some(({ owner }) => owner === one.owner)) return 'an owner stands twice'
      if (spec.owners.length > 0 && !spec.owners.includes(one.owner)) return 'an owner is none that the job names'
      if (!context.meetsIdWork(spec, one.owner, one.ownerIdNonce))
        return "an owner's id lacks the work that the network asks for"
      const owner = verifier.nodeIdOf(one.owner, one.ownerIdNonce)
      if (!isWithin(ownerRadius, owner, shardKey(sha256, jobId, one.shard))) return 'an owner is too far from its shard'
      if (!verifier.verify('attestation', one.owner, attestation)) return 'an attestation is not signed by its owner'
      read.push(one)
    }
    const wanted = Math.max(1, spec.minGrantors)
    if (read.length < wanted) return `${read.length} of ${wanted} owners attest a shard`
    const { shard } = read[0]!
    if (seen.has(shard)) return 'a shard stands twice'
    seen.add(shard)
    const most = shardUnits(spec, shard).reduce((sum, { count }) => sum + count, 0)
    const attested = read.sort((a, b) => b.units - a.units || (a.fuel > b.fuel ? -1 : 1))[wanted - 1]!
    if (attested.units > most) return `shard ${shard} has ${most} units, not ${attested.units}`
    total += attested.units
    fuel += attested.fuel
    for (const { owner } of read) all.add(owner)
  }
  return { jobId, spec, units: total, fuel, shards: seen.size, owners: all.size }
}
