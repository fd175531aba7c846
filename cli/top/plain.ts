import type { WorkerState } from '../../proto/admin-messages.js'
import { type Output, plural } from '../terminal/output.js'
import type { JobRow, TopEvent } from './core/messages.js'
import { jobShare, jobState } from './core/shapes.js'
import { Top } from './core/top.js'
import { clean, compact, etaRange, percent, rate } from './view/words.js'

/** Lines on the same thing are so far apart, unless its state changes. Unit: ms. */
const LINE_EVERY_MS = 1_000

/** Where there is no terminal: a line for each change of a job, of this machine or of the number of peers. */
export class PlainTop {
  readonly #output: Output
  readonly #clock: (wallMs: number) => string
  readonly #top = new Top(80, 24, 0)
  readonly #said = new Map<string, { readonly text: string; readonly mark: string; readonly atMs: number }>()

  constructor(output: Output, clock: (wallMs: number) => string) {
    this.#output = output
    this.#clock = clock
  }

  /** Takes an event; what it changes is written, with `--json` as one value a line. */
  handle(event: TopEvent, wallMs: number): void {
    this.#top.handle(event)
    const { jobs, machine, peers } = this.#top.state
    switch (event.type) {
      case 'jobLooked':
      case 'jobTroubled': {
        const row = jobs.find(({ jobId }) => jobId === event.jobId)
        if (row !== undefined)
          this.#say(`job ${row.jobId}`, jobState(row) + (row.look?.waiting ?? ''), jobText(row), jobFields(row), wallMs)
        return
      }
      case 'peersSeen':
        this.#say('peers', '', plural(peers.size, 'peer'), { type: 'peers', peers: peers.size }, wallMs)
        return
      case 'processSeen':
      case 'processGone': {
        const worker = machine?.worker
        if (worker === undefined) {
          const reason = event.type === 'processGone' ? event.reason : 'no worker on this machine'
          this.#say('me', clean(reason), clean(reason), { type: 'me', worker: null, reason: clean(reason) }, wallMs)
          return
        }
        const busy = worker.threads.filter(({ unit }) => unit !== undefined).length
        const state = workerText(worker)
        const { agreed, unsettled, computed } = worker
        this.#say(
          'me',
          state,
          `this machine ${state}, ${busy} of ${plural(worker.threads.length, 'thread')} busy, ${plural(agreed, 'unit')} agreed`,
          { type: 'me', worker: { state, busy, threads: worker.threads.length, agreed, unsettled, computed } },
          wallMs,
        )
        return
      }
      case 'logged':
        if (this.#output.json) this.#output.value({ type: 'log', ...event.entry })
        return
      default:
    }
  }

  /** `mark`: what is worth a line at once when it changes; the rest of a text changes all the time. */
  #say(what: string, mark: string, text: string, fields: Readonly<Record<string, unknown>>, wallMs: number): void {
    const said = this.#said.get(what)
    if (said?.text === text) return
    if (said?.mark === mark && wallMs - said.atMs < LINE_EVERY_MS && !this.#output.json) return
    this.#said.set(what, { text, mark, atMs: wallMs })
    if (this.#output.json) this.#output.value({ atMs: wallMs, ...fields })
    else this.#output.line(`${this.#clock(wallMs)}  ${text}`)
  }
}

/** One or two words on a worker, and why it rests. */
function workerText({ paused, restraints, threads, idleReason }: WorkerState): string {
  if (paused) return 'paused'
  if (restraints.length > 0) return `held back: ${restraints.map(({ reason }) => clean(reason)).join(', ')}`
  if (threads.some(({ unit }) => unit !== undefined)) return 'computing'
  return idleReason === '' ? 'idle' : `idle: ${clean(idleReason)}`
}

function jobText(row: JobRow): string {
  const { look, jobId } = row
  const name = clean(look?.name || row.name || look?.task || row.task)
  const parts = [`job ${jobId.slice(0, 8)}`, name, clean(jobState(row))]
  if (look !== undefined) {
    const { summary } = look
    parts.push(`${summary.settled + summary.failed}/${summary.units} ${percent(jobShare(row))}`)
    if (look.end === undefined)
      parts.push(rate(look.unitsPerSecond), etaRange(look.eta) && `${etaRange(look.eta)} left`)
    if (summary.failed > 0) parts.push(`${compact(summary.failed)} failed`)
    if (summary.disputed > 0) parts.push(`${compact(summary.disputed)} disputed`)
    if (look.end === undefined && look.waiting !== '') parts.push(clean(look.waiting))
  }
  return parts.filter((part) => part !== '').join('  ')
}

function jobFields(row: JobRow): Readonly<Record<string, unknown>> {
  const { jobId, look, trouble } = row
  return {
    type: 'job',
    jobId,
    name: look?.name ?? row.name,
    task: look?.task ?? row.task,
    state: jobState(row),
    trouble,
    waiting: look?.waiting ?? '',
    summary: look?.summary ?? null,
    unitsPerSecond: look?.unitsPerSecond ?? 0,
    etaMs: look?.eta === undefined ? null : { low: Math.round(look.eta.lowMs), high: Math.round(look.eta.highMs) },
  }
}
