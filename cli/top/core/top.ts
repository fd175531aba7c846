import type { JobId } from '../../../proto/model.js'
import { KeyHandler } from './key-handler.js'
import type { JobLook, JobRow, PeerRow, TopEffect, TopEvent } from './messages.js'
import { initialState, type TopState, type UnitsState } from './state.js'

/** Rows that are kept; what comes beyond them is left out. */
const JOBS_MAX = 1_000
const PEERS_MAX = 5_000
/** Entries of the log that are kept; the oldest leave first. */
export const LOG_MAX = 1_000
/** How long the outcome of an action stands below the list. Unit: ms. */
const NOTICE_MS = 10_000

/**
 * The dashboard as a state machine: what sources tell and which keys are pressed goes in, what is to be done comes out.
 * {@link revision} rises whenever something that may be on the screen has changed.
 */
export class Top {
  readonly #state: TopState
  readonly #keys: KeyHandler
  #revision = 0

  constructor(columns: number, rows: number, wallMs: number) {
    this.#state = initialState(columns, rows, wallMs)
    this.#keys = new KeyHandler(this.#state)
  }

  get state(): Readonly<TopState> {
    return this.#state
  }

  get revision(): number {
    return this.#revision
  }

  handle(event: TopEvent): readonly TopEffect[] {
    this.#revision++
    const state = this.#state
    switch (event.type) {
      case 'keyPressed':
        return this.#keys.press(event.key)
      case 'resized':
        state.columns = event.columns
        state.rows = event.rows
        this.#keys.keepInView()
        return []
      case 'ticked':
        state.wallMs = event.wallMs
        if (state.notice !== undefined && state.notice.untilMs <= event.wallMs) state.notice = undefined
        return []
      case 'jobsListed': {
        const known = new Map(state.jobs.map((job) => [job.jobId, job]))
        state.jobs = event.jobs.slice(0, JOBS_MAX).map((job) => {
          const { look, trouble } = known.get(job.jobId) ?? { look: undefined, trouble: '' }
          return { ...job, look, trouble }
        })
        state.areJobsListed = true
        return []
      }
      case 'jobLooked':
        return this.#looked(event.jobId, event.look)
      case 'jobTroubled':
        this.#changeJob(event.jobId, (row) => ({ ...row, trouble: event.reason }))
        return []
      case 'unitsListed':
        this.#unitsOf(event.query, (units) => {
          units.rows = event.units
          units.isLast = event.isLast
          units.trouble = ''
          if (units.landing !== undefined) {
            const row = units.landing === 'last' ? event.units.at(-1) : event.units[0]
            state.lists.units = { ...state.lists.units, selected: row && String(row.unit) }
            units.landing = undefined
          }
          this.#keys.keepInView()
        })
        return []
      case 'unitsTroubled':
        this.#unitsOf(event.query, (units) => {
          units.trouble = event.reason
        })
        return []
      case 'unitOpened': {
        const { units } = state
        if (units?.jobId === event.jobId && units.opened?.unit === event.unit) {
          units.opened = { unit: event.unit, detail: event.detail }
        }
        return []
      }
      case 'peersSeen': {
        const before = new Map(state.peers)
        state.peers.clear()
        for (const peer of event.peers.slice(0, PEERS_MAX)) {
          const { roundTripMs, status, trouble } = before.get(peer.nodeId) ?? NEW_PEER
          state.peers.set(peer.nodeId, { ...peer, roundTripMs, status, trouble })
        }
        this.#keys.keepInView()
        return []
      }
      case 'peerAnswered': {
        const peer = state.peers.get(event.nodeId)
        const { status, roundTripMs } = event
        if (peer !== undefined) state.peers.set(event.nodeId, { ...peer, status, roundTripMs, trouble: '' })
        return []
      }
      case 'peerTroubled': {
        const peer = state.peers.get(event.nodeId)
        if (peer !== undefined) state.peers.set(event.nodeId, { ...peer, trouble: event.reason })
        return []
      }
      case 'processSeen':
        state.machine = event.machine
        state.processTrouble = ''
        return []
      case 'processGone':
        state.machine = undefined
        state.processTrouble = event.reason
        return []
      case 'logged':
        state.log = [...state.log.slice(Math.max(0, state.log.length - LOG_MAX + 1)), event.entry]
        // Whoever has scrolled up goes on reading the same lines.
        if (state.logBack > 0) state.logBack = Math.min(state.log.length - 1, state.logBack + 1)
        return []
      case 'noticed':
        state.notice = { text: event.text, tone: event.tone, untilMs: state.wallMs + NOTICE_MS }
        return []
      default:
        return unknownEvent(event)
    }
  }

  #looked(jobId: JobId, look: JobLook): readonly TopEffect[] {
    const before = lookOf(this.#state, jobId)
    this.#changeJob(jobId, (row) => ({ ...row, look, trouble: '' }))
    const { units, tab } = this.#state
    if (tab !== 'units' || units?.jobId !== jobId || units.isLoading) return []
    if (before !== undefined && isSameCount(before, look)) return []
    units.isLoading = true
    return [{ type: 'listUnits', query: { jobId, state: units.filter, fromUnit: units.fromUnit } }]
  }

  #changeJob(jobId: JobId, change: (row: JobRow) => JobRow): void {
    this.#state.jobs = this.#state.jobs.map((row) => (row.jobId === jobId ? change(row) : row))
  }

  /** Hands the units on the screen to `change`, when they are still what was asked for. */
  #unitsOf(
    query: { readonly jobId: JobId; readonly state: unknown; readonly fromUnit: number },
    change: (units: UnitsState) => void,
  ): void {
    const { units } = this.#state
    if (units === undefined || units.jobId !== query.jobId) return
    if (units.filter !== query.state || units.fromUnit !== query.fromUnit) return
    units.isLoading = false
    change(units)
  }
}

const NEW_PEER: Pick<PeerRow, 'roundTripMs' | 'status' | 'trouble'> = {
  roundTripMs: undefined,
  status: undefined,
  trouble: '',
}

function lookOf({ jobs }: TopState, jobId: JobId): JobLook | undefined {
  return jobs.find((row) => row.jobId === jobId)?.look
}

/** Nothing has changed that a list of units would show. */
function isSameCount({ summary: a }: JobLook, { summary: b }: JobLook): boolean {
  return (
    a.answered === b.answered &&
    a.granted === b.granted &&
    a.leased === b.leased &&
    a.settled === b.settled &&
    a.failed === b.failed &&
    a.held === b.held
  )
}

function unknownEvent(event: never): never {
  throw new Error(`unknown event ${JSON.stringify(event)}`)
}
