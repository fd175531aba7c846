import type { UnitEventWord } from '../../../proto/explain-messages.js'
import type { Millis } from '../../../runtime/clock.js'
import { type DrawRules, drawWorker, isWithoutPart } from './draw.js'
import type { Job } from './job.js'
import { DRAWN_BYPASS_MS, LAST_RESORT_MS, type OwnerTables } from './owner-tables.js'
import type { Shard } from './shard.js'
import { isDecided, type UnitChange, type UnitRecord } from './unit-record.js'
import type { Instance, WorkerRecord } from './worker-record.js'

/** Units without a reservation looked at in one sweep of a shard, and workers looked at for them together. */
const UNDRAWN_SWEEP_MAX = 4_096
const DRAW_CHECKS_MAX = 400_000

/** What becomes of a unit after each change: asked for again, drawn, settled with its workers, or left to rest. */
export class UnitQueue {
  readonly #state: OwnerTables

  constructor(state: OwnerTables) {
    this.#state = state
  }

  /**
   * An instance went without an answer. `blame`: silence or loss, which costs the key its credit. `what` and `detail`: how it
   * came to that, for whoever asks.
   */
  release(instance: Instance, now: Millis, blame: boolean, what: UnitEventWord, detail = ''): void {
    if (instance.state !== 'held') return
    instance.shard.history.note(instance.record, what, now, instance.worker.nodeId, detail)
    this.#state.endLease(instance)
    if (blame) {
      instance.worker.credit.lost(instance.credited)
      instance.worker.hasLapsed = true
    } else instance.credited.fate = 'void'
    this.ask(instance.record, now)
  }

  /**
   * Others own the shard now, and tell this node nothing of it any more. Leases left here would last until their delay bound
   * and fill workers that have long reported elsewhere, so that they would get no other job's units from here either. What is
   * missing stays in the queue, for the case that this node becomes an owner again.
   */
  leaveToOthers(shard: Shard, now: Millis): void {
    for (const record of shard.records()) {
      this.#state.cancelReservation(record)
      for (const instance of [...record.held]) {
        this.#state.endLease(instance)
        instance.credited.fate = 'void'
      }
      this.ask(record, now)
    }
  }

  /** Asks for what the unit still wants. Safe to call at any time. */
  ask(record: UnitRecord, now: Millis): void {
    const { shard } = record
    if (record.reservedFor !== undefined) {
      // Whoever it is kept for may have answered meanwhile, under an older grant; another owner may have granted it.
      if (isWithoutPart(record.reservedFor, record) && !this.#state.isElsewhere(record, now)) return
      this.#state.cancelReservation(record)
    }
    const missing = shard.wanted(record) - record.held.length
    if (missing <= 0 || record.state === 'held') {
      if (record.state === 'held') this.#state.delayed.add(record)
      return
    }
    if (record.notBefore > now || this.#state.isElsewhere(record, now)) {
      this.#state.delayed.add(record)
      return
    }
    // A first opinion is for whoever asks; once there is an answer, the next one is drawn.
    const queue = record.votes.length === 0 ? 'again' : 'undrawn'
    if (record.queue === queue) return
    record.wantedSince = now
    shard.setQueue(record, queue)
    if (queue === 'again') {
      shard.again.push(record)
      this.serveEveryone()
    } else {
      shard.undrawn.push(record)
      this.#drawNext(shard, record, now)
    }
  }

  /** Whoever the unit was kept for does not come for it: somebody else is drawn. */
  redraw(record: UnitRecord, now: Millis): void {
    const { reservedFor, shard } = record
    if (reservedFor !== undefined) shard.history.note(record, 'redrawn', now, reservedFor.nodeId)
    this.#state.cancelReservation(record)
    this.ask(record, now)
  }

  /** Reserves further opinions of units that wait for one. */
  draw(shard: Shard, now: Millis): void {
    const state = this.#state
    if (shard.quietUntil > now || shard.job.refusal(state.context.wallMs()) !== '') return
    const most = Math.min(UNDRAWN_SWEEP_MAX, Math.ceil(DRAW_CHECKS_MAX / (100 + 2 * state.connected.length)))
    const waiting = shard.undrawn.splice(0, most)
    for (const record of waiting) {
      if (record.queue !== 'undrawn') continue
      shard.undrawn.push(record)
      this.#drawNext(shard, record, now)
    }
  }

  /** `record` is the last of `undrawn`. */
  #drawNext(shard: Shard, record: UnitRecord, now: Millis): void {
    const state = this.#state
    if (shard.wanted(record) - record.held.length <= 0 || record.state === 'held') {
      shard.undrawn.pop()
      shard.setQueue(record, undefined)
      return
    }
    if (!this.#isOurs(shard, record, now)) return
    const worker = drawWorker(record, state.connected, drawRules(state, shard, now), state.context.random)
    if (worker === undefined) return
    shard.undrawn.pop()
    shard.setQueue(record, undefined)
    record.reservedFor = worker
    record.reservedAt = now
    shard.history.note(record, 'drawn', now, worker.nodeId)
    worker.reserved.add(record)
    state.toServe.add(worker)
  }

  #isOurs(shard: Shard, record: UnitRecord, now: Millis): boolean {
    const state = this.#state
    if (shard.quietUntil > now || state.isOutside(shard)) return false
    if (state.isElsewhere(record, now) || state.isSpent(record)) return false
    const waitedMs = now - record.wantedSince
    if (state.leansHere(record)) return waitedMs >= LAST_RESORT_MS
    const turn = state.turnForNext(record)
    return turn === 0 || waitedMs >= turn * DRAWN_BYPASS_MS
  }

  /** After a judgement: settles with the workers, fetches bytes, or asks for more. */
  decided(change: UnitChange, now: Millis): void {
    const { record, before, after } = change
    const state = this.#state
    if (before !== after) {
      noteState(change, now)
      record.shard.stranded.delete(record)
    }
    if (isDecided(after)) {
      state.withoutBytes.delete(record)
      state.delayed.delete(record)
      state.cancelReservation(record)
      record.shard.setQueue(record, undefined)
      state.fetches.end(record)
      record.fetchTried = undefined
      return
    }
    if (after === 'accepted') {
      state.cancelReservation(record)
      if (before !== 'accepted') state.withoutBytes.add(record)
      return
    }
    if (before === 'accepted') {
      state.withoutBytes.delete(record)
      state.fetches.end(record)
    }
    this.ask(record, now)
  }

  /** With `job`: those that may work on it. */
  serveEveryone(job?: Job): void {
    const state = this.#state
    if (state.connected.length === 0) return
    const start = state.context.random.int(state.connected.length)
    for (let i = 0; i < state.connected.length; i++) {
      const worker = state.connected[(start + i) % state.connected.length]!
      if (job === undefined || mayWork(worker, job)) state.toServe.add(worker)
    }
  }
}

function noteState({ record, before, after }: UnitChange, now: Millis): void {
  const { history } = record.shard
  if (after !== 'open') history.note(record, after, now)
  else if (before === 'held') history.note(record, 'released', now)
  if (isDecided(after)) history.decided(record)
}

/** Who may be drawn for a unit of `shard` now. */
export function drawRules(state: OwnerTables, { job, owners }: Shard, now: Millis): DrawRules {
  return {
    mayWork: (candidate) =>
      candidate.mayBeDrawn &&
      candidate.isFree(job.jobId, now) &&
      !job.isConvicted(candidate) &&
      mayWork(candidate, job),
    isOwner: (candidate) => owners.includes(candidate.nodeId),
    hostOf: (key) => state.workers.get(key)?.host,
  }
}

/** Kinds of jobs remembered for each worker. */
const ANSWERS_MAX = 1_024

const answers = new WeakMap<WorkerRecord, { hello: unknown; byDemands: Map<string, boolean> }>()

/** Whether the worker may compute units of the job, and does not decline it. */
export function mayWork(worker: WorkerRecord, job: Job): boolean {
  const { onlyJob } = worker.hello
  if (onlyJob !== undefined && onlyJob !== job.jobId) return false
  return !worker.declined.has(job.jobId) && meets(worker, job)
}

/** Whether the worker's hello has what the job, and every other with its demands, asks for; remembered until its next. */
export function meets(worker: WorkerRecord, { demands, spec }: Job): boolean {
  let known = answers.get(worker)
  if (known === undefined || known.hello !== worker.hello) {
    known = { hello: worker.hello, byDemands: new Map() }
    answers.set(worker, known)
  }
  let answer = known.byDemands.get(demands)
  if (answer === undefined) {
    answer = worker.bar(spec) === undefined
    if (known.byDemands.size >= ANSWERS_MAX) known.byDemands.clear()
    known.byDemands.set(demands, answer)
  }
  return answer
}
