import * as assert from 'uvu/assert'
import { INLINE_OUTPUT_BYTES_MAX } from '../../../proto/limits.js'
import type { Digest, Grant, JobId, NodeId, Outcome, PublicKey, Signed } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import type { Endpoint } from '../../../runtime/transport.js'
import type { ComputedUnit, WorkerEffect, WorkerEvent } from '../../../worker/core/messages.js'
import { WorkerCore } from '../../../worker/core/worker-core.js'
import { seededRandom } from '../seeded-random.js'
import { EffectLog } from './effect-log.js'

export const jobNamed = (name: string): JobId => sha256(utf8(`job ${name}`)) as string as JobId
export const ownerNamed = (name: string): NodeId => sha256(utf8(`owner ${name}`)).slice(0, 40) as NodeId
export const endpointOf = (name: string): Endpoint => ({ nodeId: ownerNamed(name), address: name })
export const JOB = jobNamed('job')

/** A worker's core without a network or a compute process, in virtual time. */
export class WorkerBench {
  readonly core: WorkerCore
  readonly log = new EffectLog<WorkerEffect>()
  now = 0
  #grants = 0
  #reports = 0

  constructor({
    threads = 1,
    instancesMax,
    seed = 1,
  }: { threads?: number; instancesMax?: number; seed?: number } = {}) {
    this.core = new WorkerCore({ threads, instancesMax, shardOwners: 1 }, seededRandom(seed))
  }

  handle(event: WorkerEvent): void {
    this.log.push(this.core.handle(event, this.now))
    this.core.checkInvariants()
  }

  /** Wakes the core whenever it asks to. Fails when it asks for an instant that is past over and over. */
  advance(ms: number): void {
    const until = this.now + ms
    for (let wakes = 0; ; wakes++) {
      const next = this.core.nextWakeup() ?? Number.POSITIVE_INFINITY
      if (next > until) break
      this.now = Math.max(this.now, next)
      this.handle({ type: 'woke' })
      assert.ok(wakes < 1_000 + ms, 'the worker wakes without end')
    }
    this.now = until
  }

  /** The board tells of an owner, and its link opens. */
  link(...names: string[]): void {
    for (const name of names) {
      this.handle({ type: 'workSeen', owner: endpointOf(name), jobId: JOB, ready: 10 })
      assert.is(this.log.one('openLink').owner.nodeId, ownerNamed(name))
      this.handle({ type: 'linkOpened', owner: ownerNamed(name) })
    }
  }

  grant(name: string, first: number, count = 1, { jobId = JOB, bytes = 100, submitter = '' } = {}): Signed {
    const grant: Grant = {
      jobId,
      shard: 0,
      grantor: 'ab'.repeat(32) as PublicKey,
      grantorIdNonce: new Uint8Array(0),
      worker: 'cd'.repeat(32) as PublicKey,
      age: 'older',
      nonce: '00'.repeat(8),
      runs: [{ first, count, opinion: 0 }],
      durationMs: 60_000,
    }
    const signed = { bytes: new Uint8Array(bytes), signature: new Uint8Array(64) }
    const grantId = sha256(utf8(`grant ${++this.#grants}`))
    const of = submitter === '' ? {} : { submitter: submitter as PublicKey }
    this.handle({ type: 'granted', owner: ownerNamed(name), grant, signed, grantId, ...of })
    return signed
  }

  compute(
    first: number,
    count = 1,
    { outcome = 'done' as Outcome, outputBytes = 10, wallMs = 5_000, jobId = JOB } = {},
  ): void {
    const units = Array.from(
      { length: count },
      (_, i): ComputedUnit => ({
        jobId,
        unit: first + i,
        outcome,
        digest: sha256(utf8(`${first + i}`)),
        outputBytes,
        fuel: 1n,
        wallMs,
      }),
    )
    this.handle({ type: 'computed', units })
  }

  /** What each report takes in memory. */
  reportBytes = 1_000

  /** Performs the `keepReport` effects there are: the reports are in the journal. Returns their ids. */
  journal(): Digest[] {
    return this.log.take('keepReport').map(({ jobId, shard, owner, units }) => {
      const reportId = sha256(utf8(`report ${++this.#reports}`))
      const own = units.filter(({ outcome }) => outcome !== 'host').map(({ unit }) => unit)
      const large = units.filter(({ outputBytes }) => outputBytes > INLINE_OUTPUT_BYTES_MAX).map(({ unit }) => unit)
      const report = { reportId, jobId, shard, units: own, large, bytes: this.reportBytes }
      this.handle({ type: 'reportKept', report, owner })
      return reportId
    })
  }

  settle(name: string, ...units: number[]): void {
    this.handle({ type: 'unitsSettled', owner: ownerNamed(name), jobId: JOB, shard: 0, agreed: units, disagreed: [] })
  }

  /** What each open link was last asked for, of the `sendWant` effects there are. */
  wants(): Record<string, number> {
    const wants: Record<string, number> = {}
    for (const { owner, instances } of this.log.take('sendWant')) wants[owner] = instances
    return wants
  }

  done(): void {
    this.core.checkInvariants()
    this.log.done()
  }
}

/** A worker with one owner, nothing unread. */
export function linkedWorker(threads = 4): WorkerBench {
  const bench = new WorkerBench({ threads })
  bench.link('x')
  bench.log.ignore('sendWant', 'sendHeartbeat')
  return bench
}

/** One unit computed, its report in the journal and offered. */
export function reportedWorker(): { bench: WorkerBench; reportId: Digest } {
  const bench = linkedWorker()
  bench.grant('x', 0)
  bench.log.one('compute')
  bench.compute(0)
  const [reportId] = bench.journal()
  assert.is(bench.log.one('offerReport').reportId, reportId)
  return { bench, reportId: reportId! }
}
