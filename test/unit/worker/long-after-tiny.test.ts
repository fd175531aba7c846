import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest, JobId, Signed } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import type { WorkerEffect, WorkerEvent } from '../../../worker/core/messages.js'
import { WorkerCore } from '../../../worker/core/worker-core.js'
import { OwnerGrid } from '../../support/cores/owner-grid.js'
import type { Volunteer } from '../../support/cores/volunteer.js'
import { seededRandom } from '../../support/seeded-random.js'

const THREADS = 2
/** One step of time, and of the way between worker and owner. */
const STEP_MS = 5
const NONE = { policy: { type: 'none' } } as const

interface Running {
  readonly jobId: JobId
  readonly unit: number
  leftMs: number
}

/** The cores of an owner and of a worker with two threads, in virtual time. */
class Pair {
  readonly grid = new OwnerGrid({ units: 0 })
  readonly #core = new WorkerCore({ threads: THREADS, instancesMax: undefined, shardOwners: 1 }, seededRandom(1))
  readonly #volunteer: Volunteer
  readonly #unitMs = new Map<JobId, number>()
  readonly #owner = { nodeId: this.grid.owner.nodeId, address: 'owner' }
  /** What the worker has sent and will have sent one step later. */
  #toOwner: (() => void)[] = []
  #queue: { jobId: JobId; unit: number }[] = []
  readonly #threads: (Running | undefined)[] = []
  #granted = 0
  #agreed = 0
  #reports = 0

  constructor() {
    this.#volunteer = this.grid.join('a', { slots: THREADS, want: 0 })
  }

  submit(name: string, units: number, unitMs: number): JobId {
    const jobId = this.grid.submit(name, units, NONE)
    this.#unitMs.set(jobId, unitMs)
    if (this.#unitMs.size === 1) {
      this.#handle({ type: 'workSeen', owner: this.#owner, jobId, ready: units })
      this.#handle({ type: 'linkOpened', owner: this.#owner.nodeId })
    }
    return jobId
  }

  /** Instances of the job that the worker has not computed. */
  held(jobId: JobId): number {
    return [...this.#queue, ...this.#threads].filter((one) => one?.jobId === jobId).length
  }

  #next(): Running | undefined {
    const unit = this.#queue.shift()
    return unit && { ...unit, leftMs: this.#unitMs.get(unit.jobId)! }
  }

  step(): void {
    const computed: { jobId: JobId; unit: number }[] = []
    for (let thread = 0; thread < THREADS; thread++) {
      let leftMs = STEP_MS
      while (leftMs > 0) {
        const running = this.#threads[thread] ?? this.#next()
        if (running === undefined) break
        const ranMs = Math.min(leftMs, running.leftMs)
        running.leftMs -= ranMs
        leftMs -= ranMs
        this.#threads[thread] = running.leftMs > 0 ? running : undefined
        if (running.leftMs <= 0) computed.push(running)
      }
    }
    const sent = this.#toOwner
    this.#toOwner = []
    this.grid.advance(STEP_MS)
    for (const send of sent) send()
    if (computed.length > 0)
      this.#handle({
        type: 'computed',
        units: computed.map(({ jobId, unit }) => ({
          jobId,
          unit,
          outcome: 'done',
          digest: sha256(utf8(`${unit}`)),
          outputBytes: 10,
          fuel: 1n,
          wallMs: this.#unitMs.get(jobId)!,
        })),
      })
    this.#handle({ type: 'woke' })
    for (const held of this.#volunteer.granted.slice(this.#granted)) {
      const signed: Signed = { bytes: new Uint8Array(100), signature: new Uint8Array(64) }
      const grant = { ...held.grant, runs: [{ first: held.unit, count: 1, opinion: held.opinion }] }
      const grantId = sha256(utf8(`grant ${++this.#granted}`))
      this.#handle({ type: 'granted', owner: this.#owner.nodeId, grant, signed, grantId })
    }
  }

  #handle(event: WorkerEvent): void {
    for (const effect of this.#core.handle(event, this.grid.now)) this.#perform(effect)
  }

  #perform(effect: WorkerEffect): void {
    const { grid } = this
    const owner = this.#owner.nodeId
    if (effect.type === 'compute') this.#queue.push(...effect.units.map((unit) => ({ jobId: effect.jobId, unit })))
    else if (effect.type === 'sendWant') {
      const session = this.#volunteer.sessions.get(grid.owner)!
      this.#toOwner.push(() => grid.handle(grid.owner, { ...effect, type: 'wantChanged', session }))
    } else if (effect.type === 'keepReport') {
      const { jobId, shard } = effect
      const units = effect.units.map(({ unit }) => unit)
      const reportId: Digest = sha256(utf8(`report ${++this.#reports}`))
      this.#toOwner.push(() => {
        const wallMs = units.length * this.#unitMs.get(jobId)!
        this.#volunteer.answer(units, 'right', { jobId, wallMs })
        this.#handle({ type: 'reportKept', report: { reportId, jobId, shard, units, large: [], bytes: 0 }, owner })
        const agreed = this.#volunteer.agreed.slice(this.#agreed)
        this.#agreed += agreed.length
        this.#handle({ type: 'unitsSettled', owner, jobId, shard, agreed, disagreed: [] })
      })
    } else assert.ok(['openLink', 'sendHeartbeat', 'offerReport', 'dropReport'].includes(effect.type), effect.type)
  }

  /** Runs until the job is finished. Gives how long that took, and the most of it that the worker had in hand. */
  finish(jobId: JobId, withinMs: number): { readonly tookMs: number; readonly most: number } {
    const from = this.grid.now
    let most = 0
    while (!this.grid.isFinished(jobId)) {
      this.step()
      most = Math.max(most, this.held(jobId))
      assert.ok(this.grid.now - from <= withinMs, `not finished after ${withinMs} ms, ${most} were in hand`)
    }
    return { tookMs: this.grid.now - from, most }
  }
}

const afterwards = suite('A job after one of tiny units')

afterwards('of long units begins with one a thread, and never has more than some seconds of work in hand', () => {
  const pair = new Pair()
  const { most } = pair.finish(pair.submit('tiny', 3_000, 0.5), 10_000)
  assert.ok(most > 100, `${most} tiny units in hand`)
  const long = pair.submit('long', 40, 1_400)
  const held = pair.finish(long, 60_000).most
  assert.ok(held >= THREADS && held <= 2 * THREADS, `${held} in hand`)
  pair.grid.finish()
})

afterwards('of tiny units is as quick as if they had been known', () => {
  const pair = new Pair()
  pair.finish(pair.submit('tiny', 3_000, 0.5), 10_000)
  const { tookMs } = pair.finish(pair.submit('more', 6_000, 0.5), 10_000)
  const workMs = (6_000 * 0.5) / THREADS
  assert.ok(tookMs < 1.2 * workMs, `${tookMs} ms for ${workMs} ms of work`)
  pair.grid.finish()
})

afterwards.run()
