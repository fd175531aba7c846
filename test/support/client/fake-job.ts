import { digestOutput } from '../../../job/facts/digest.js'
import { applyOrders } from '../../../job/facts/orders.js'
import { jobIdOf } from '../../../job/spec/spec.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { selectedShards, shardUnits } from '../../../job/units/shard.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import { grantCodec, orderCodec, reportCodec, unitOutputCodec } from '../../../proto/codec/facts.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import type { JobId, JobSpec, ReportFact, Signed, Summary, UnitOutput } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'

const TWO_WORKERS: Summary = { ...EMPTY_SUMMARY, workers: 2, donors: 2 }

export const donors = [createIdentity(), createIdentity(), createIdentity()]

/** Output of a unit that printed `text`. */
export function printed(text: string | Uint8Array, changes: Partial<UnitOutput> = {}): UnitOutput {
  const stdout = typeof text === 'string' ? utf8(text) : text
  return { outcome: 'done', exitCode: 0, stdout, stderr: new Uint8Array(0), stderrLength: 0, files: [], ...changes }
}

/** What honest workers computed: the output of each unit; undefined: not settled; a state for units without result. */
export type Computed = (unit: number) => UnitOutput | 'open' | 'held'

/** One settled unit at an owner. */
export interface Kept {
  readonly unit: number
  readonly output: UnitOutput
  readonly encoded: Uint8Array
}

/** A job as peers of the fake grid have it. */
export class FakeJob {
  readonly jobId: JobId
  readonly signed: Signed
  readonly spec: JobSpec
  readonly orders: Signed[] = []
  computed: Computed
  /** What a third donor says of a unit, if it says anything. */
  dissent: (unit: number) => UnitOutput | undefined = () => undefined
  /** How many donors answer the 64 units from this one on; undefined: as many as the quorum wants. */
  opinions: (first: number) => number | undefined = () => undefined
  /** Who signs the grants of the 64 units from this one on; undefined: the owner that is asked. */
  grantor: (first: number) => Identity | undefined = () => undefined
  /** By shard and units computed. */
  readonly #facts = new Map<string, readonly ReportFact[]>()

  constructor(signed: Signed, computed: Computed) {
    this.signed = signed
    this.spec = jobSpecCodec.decode(signed.bytes)
    this.jobId = jobIdOf(sha256, signed.bytes)
    this.computed = computed
  }

  get cancelled(): boolean {
    const known = this.orders.map((order) => ({ id: sha256(order.bytes), order: orderCodec.decode(order.bytes) }))
    return applyOrders(this.spec, known).cancelled
  }

  units(shard: number): number[] {
    return shardUnits(this.spec, shard).flatMap(({ first, count }) =>
      Array.from({ length: count }, (_, i) => first + i),
    )
  }

  kept(shard: number): Kept[] {
    return this.units(shard).flatMap((unit) => this.keptOf(unit) ?? [])
  }

  keptOf(unit: number): Kept | undefined {
    const output = this.computed(unit)
    return typeof output === 'string' ? undefined : { unit, output, encoded: unitOutputCodec.encode(output) }
  }

  /** Facts of a shard: reports of 64 units by as many donors as the quorum wants. */
  facts(shard: number, owner: Identity): readonly ReportFact[] {
    const made = `${shard}/${this.summary([shard]).open}`
    let facts = this.#facts.get(made)
    if (facts === undefined) {
      const votes = this.spec.policy.type === 'quorum' ? this.spec.policy.quorum : 1
      const kept = this.kept(shard)
      const all: ReportFact[] = []
      for (let at = 0; at < kept.length; at += 64) {
        for (let vote = 0; vote < (this.opinions(kept[at]!.unit) ?? votes); vote++)
          all.push(
            factBy(this, shard, kept.slice(at, at + 64), donors[vote]!, this.grantor(kept[at]!.unit) ?? owner, vote),
          )
      }
      const others = this.units(shard).flatMap((unit) => {
        const output = this.dissent(unit)
        return output === undefined ? [] : [{ unit, output, encoded: unitOutputCodec.encode(output) }]
      })
      for (let at = 0; at < others.length; at += 64)
        all.push(factBy(this, shard, others.slice(at, at + 64), donors[2]!, owner, votes))
      facts = all
      this.#facts.set(made, facts)
    }
    return facts
  }

  summary(shards: readonly number[] = selectedShards(this.spec)): Summary {
    const counts = { settled: 0, failed: 0, open: 0, held: 0 }
    let units = 0
    for (const shard of shards) {
      for (const unit of this.units(shard)) {
        units++
        const output = this.computed(unit)
        if (typeof output === 'string') counts[output]++
        else if (output.outcome === 'done') counts.settled++
        else counts.failed++
      }
    }
    return { ...TWO_WORKERS, units, ...counts }
  }
}

/** A report of `worker` on units, with the grant of `owner` behind it. */
export function factBy(
  { jobId }: Pick<FakeJob, 'jobId'>,
  shard: number,
  units: readonly Pick<Kept, 'unit' | 'output' | 'encoded'>[],
  worker: Identity,
  owner: Identity,
  opinion: number,
): ReportFact {
  const grant = grantCodec.encode({
    jobId,
    shard,
    grantor: owner.publicKey,
    grantorIdNonce: owner.idNonce,
    worker: worker.publicKey,
    age: 'older',
    nonce: '0123456789abcdef',
    runs: units.map(({ unit }) => ({ first: unit, count: 1, opinion })),
    durationMs: 30_000,
  })
  const report = reportCodec.encode({
    jobId,
    shard,
    worker: worker.publicKey,
    donor: worker.publicKey,
    donorSignature: new Uint8Array(0),
    results: units.map(({ unit, output, encoded }) => ({
      unit,
      outcome: output.outcome,
      digest: digestOutput(sha256, output),
      outputBytes: output.outcome === 'wall' ? 0 : encoded.length,
      fuel: 100n,
    })),
  })
  return {
    report: { bytes: report, signature: worker.signer.sign('report', report) },
    grants: [{ bytes: grant, signature: owner.signer.sign('grant', grant) }],
  }
}
