import type { GrantRun } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { OwnerTables } from './owner-tables.js'
import type { Shard } from './shard.js'
import type { UnitRecord } from './unit-record.js'
import type { Instance, WorkerRecord } from './worker-record.js'

/** Bounds of one grant message. */
const GRANT_RUNS_MAX = 256
const GRANT_UNITS_MAX = 1_024

/** Collects instances for one worker and sends them as few grants. */
export class Drafts {
  readonly #worker: WorkerRecord
  readonly #state: OwnerTables
  readonly #byShard = new Map<Shard, Instance[]>()

  constructor(worker: WorkerRecord, state: OwnerTables) {
    this.#worker = worker
    this.#state = state
  }

  add(record: UnitRecord, now: Millis): void {
    const { shard } = record
    const opinion = record.votes.length + record.held.length
    const instance = this.#state.startLease(this.#worker, record, opinion, now)
    const list = this.#byShard.get(shard)
    if (list === undefined) this.#byShard.set(shard, [instance])
    else list.push(instance)
  }

  send(): void {
    for (const [shard, instances] of this.#byShard) {
      instances.sort((a, b) => a.record.unit - b.record.unit)
      let runs: { first: number; count: number; opinion: number }[] = []
      let units = 0
      const flush = () => {
        if (runs.length > 0) this.#sendRuns(shard, runs)
        runs = []
        units = 0
      }
      for (const { record, opinion } of instances) {
        const last = runs.at(-1)
        if (units >= GRANT_UNITS_MAX) flush()
        else if (last !== undefined && last.opinion === opinion && last.first + last.count === record.unit) {
          last.count++
          units++
          continue
        } else if (runs.length >= GRANT_RUNS_MAX) flush()
        runs.push({ first: record.unit, count: 1, opinion })
        units++
      }
      flush()
      this.#state.emit({ type: 'shardChanged', jobId: shard.jobId, shard: shard.shard })
    }
  }

  #sendRuns(shard: Shard, runs: readonly GrantRun[]): void {
    const worker = this.#worker
    this.#state.emit({
      type: 'sendGrant',
      session: worker.session!,
      grant: {
        jobId: shard.jobId,
        shard: shard.shard,
        worker: worker.key,
        age: worker.age(shard.job.spec),
        runs,
        durationMs: Math.round(shard.job.durations.delayBound(shard.job.spec.delayBoundMs)),
      },
    })
  }
}

/** One more copy of a unit for this worker, whatever the window says. */
export function grantCopy(state: OwnerTables, worker: WorkerRecord, record: UnitRecord, now: Millis): void {
  const drafts = new Drafts(worker, state)
  drafts.add(record, now)
  drafts.send()
}
