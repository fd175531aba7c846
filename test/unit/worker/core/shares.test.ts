import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobId, PublicKey } from '../../../../proto/model.js'
import { jobNamed, ownerNamed, WorkerBench } from '../../../support/cores/worker-bench.js'

const [ann, bob] = ['aa', 'bb'].map((two) => two.repeat(32) as PublicKey) as [PublicKey, PublicKey]
const [anns, bobs] = [jobNamed('ann'), jobNamed('bob')]

/** A worker with two owners, each of which has work of one submitter alone and gives as much as is asked for. */
class TwoOwners {
  readonly bench = new WorkerBench()
  readonly #queue: { jobId: JobId; unit: number }[] = []
  readonly #wanted = new Map<JobId, number>()
  readonly spentMs = new Map<JobId, number>()
  #next = 0

  constructor(weights: ReadonlyMap<PublicKey, number>) {
    this.bench.link('ann', 'bob')
    this.bench.handle({ type: 'weighed', weights })
  }

  /** Owners give what they were last asked for, each before it hears what the other gave; then one unit is computed. */
  step(timeOf: ReadonlyMap<JobId, number>, owners: readonly ('ann' | 'bob')[] = ['ann', 'bob']): void {
    this.#listen()
    const heldOf = (jobId: JobId) => this.#queue.filter((one) => one.jobId === jobId).length
    for (const name of owners) {
      const jobId = name === 'ann' ? anns : bobs
      for (let room = (this.#wanted.get(jobId) ?? 0) - heldOf(jobId); room > 0; room--) {
        this.#queue.push({ jobId, unit: this.#next })
        this.bench.grant(name, this.#next++, 1, { jobId, submitter: name === 'ann' ? ann : bob })
      }
    }
    this.#listen()
    const first = this.#queue.shift()
    if (first === undefined) {
      this.bench.advance(100)
      return
    }
    const wallMs = timeOf.get(first.jobId)!
    this.bench.advance(wallMs)
    this.bench.compute(first.unit, 1, { jobId: first.jobId, wallMs })
    this.spentMs.set(first.jobId, (this.spentMs.get(first.jobId) ?? 0) + wallMs)
  }

  #listen(): void {
    for (const { owner, instances, jobs, ofNew } of this.bench.log.take('sendWant')) {
      const jobId = owner === ownerNamed('ann') ? anns : bobs
      const most = jobs.find((one) => one.jobId === jobId)?.instances ?? ofNew
      this.#wanted.set(jobId, Math.min(instances, most))
    }
    this.bench.log.drain()
  }

  get ratio(): number {
    const spent = (jobId: JobId) => this.spentMs.get(jobId) ?? 0
    return spent(anns) / spent(bobs)
  }
}

const shares = suite('Shares of a worker')

for (const [annMs, bobMs] of [
  [100, 100],
  [100, 700],
  [3_000, 200],
  [20_000, 20_000],
] as const) {
  shares(`follow the weights where no owner sees both jobs: units of ${annMs} and ${bobMs} ms`, () => {
    const two = new TwoOwners(new Map([[ann, 3]]))
    const timeOf = new Map([
      [anns, annMs],
      [bobs, bobMs],
    ])
    for (let i = 0; i < 1_000; i++) two.step(timeOf)
    assert.ok(two.ratio > 2.7 && two.ratio < 3.3, `${two.ratio} to 1`)
  })
}

shares('go to whoever has work, and are not owed for the time before', () => {
  const two = new TwoOwners(new Map([[ann, 3]]))
  const timeOf = new Map([
    [anns, 500],
    [bobs, 500],
  ])
  for (let i = 0; i < 200; i++) two.step(timeOf, ['bob'])
  assert.ok(two.spentMs.get(bobs)! > 95_000, 'bob alone has all')
  two.spentMs.clear()
  for (let i = 0; i < 400; i++) two.step(timeOf)
  assert.ok(two.ratio > 2.6 && two.ratio < 3.4, `${two.ratio} to 1 from then on`)
  two.spentMs.clear()
  for (let i = 0; i < 100; i++) two.step(timeOf, ['bob'])
  assert.ok(two.spentMs.get(bobs)! > 40_000, 'and all again once ann has no more')
})

shares.run()
