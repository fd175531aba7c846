import { bodyLines, meLines } from './layout.js'
import { EMPTY_LIST, moved, reordered, selectedIndex, shownRows } from './list.js'
import { type JobRow, type KeyPress, TABS, type Tab, type TopEffect } from './messages.js'
import { jobState, jobsShape, peersShape, UNIT_FILTERS, unitsShape } from './shapes.js'
import type { TopState, UnitsState } from './state.js'

/** Longest text that is searched for. */
const SEARCH_CHARS_MAX = 60
/** Pages of units that can be gone back to. */
const PAGES_BACK_MAX = 10_000

/** What the keys do with a {@link TopState}. */
export class KeyHandler {
  readonly #state: TopState

  constructor(state: TopState) {
    this.#state = state
  }

  press(key: KeyPress): readonly TopEffect[] {
    const state = this.#state
    if (key === 'interrupt') return [{ type: 'interrupt' }]
    if (state.question !== undefined) return this.#answer(key)
    if (state.isSearching) return this.#type(key)
    if (state.isHelpShown) {
      state.isHelpShown = false
      return isChar(key, 'q') ? [{ type: 'quit' }] : []
    }
    if (typeof key !== 'string') return this.#command(key.char)
    switch (key) {
      case 'tab':
        return this.#show(TABS[(TABS.indexOf(state.tab) + 1) % TABS.length]!)
      case 'backTab':
        return this.#show(TABS[(TABS.indexOf(state.tab) + TABS.length - 1) % TABS.length]!)
      case 'escape':
        return this.#leave()
      case 'enter':
        return this.#enter()
      case 'backspace':
        return []
      default:
        return this.#move(key)
    }
  }

  /** After rows or the size have changed: what is selected stays on the screen. */
  keepInView(): void {
    for (const tab of ['jobs', 'units', 'peers'] as const) this.#moveIn(tab, 0)
    this.#state.meTop = Math.max(0, this.#state.meTop)
  }

  #command(char: string): readonly TopEffect[] {
    const state = this.#state
    const tab = TABS[Number(char) - 1]
    if (tab !== undefined) return this.#show(tab)
    switch (char) {
      case 'q':
        return [{ type: 'quit' }]
      case '?':
        state.isHelpShown = true
        return []
      case '/':
        state.isSearching = isList(state.tab)
        return []
      case 's':
      case 'S':
        return this.#sort(char === 'S')
      case 'p':
        return this.#pause()
      case 'c':
        return this.#cancel()
      case 'r':
        return this.#retry()
      case 'f':
        return this.#filter()
      case 'k':
        return this.#move('up')
      case 'j':
        return this.#move('down')
      case 'g':
        return this.#move('home')
      case 'G':
        return this.#move('end')
      case ' ':
        return this.#move('pageDown')
      default:
        return []
    }
  }

  #answer(key: KeyPress): readonly TopEffect[] {
    const { question } = this.#state
    this.#state.question = undefined
    return isChar(key, 'y') || isChar(key, 'Y') ? [question!.effect] : []
  }

  #type(key: KeyPress): readonly TopEffect[] {
    const { tab } = this.#state
    if (!isList(tab)) return []
    const list = this.#state.lists[tab]
    const put = (search: string) => {
      this.#state.lists[tab] = { ...list, search, top: 0 }
    }
    if (key === 'enter' || key === 'escape') {
      this.#state.isSearching = false
      if (key === 'escape') put('')
      else if (tab === 'units' && /^[0-9]{1,10}$/.test(list.search)) return this.#jump(Number(list.search))
    } else if (key === 'backspace') put(list.search.slice(0, -1))
    else if (typeof key !== 'string') put((list.search + key.char).slice(0, SEARCH_CHARS_MAX))
    this.keepInView()
    return []
  }

  /** A number that is searched for among units is a unit: the page begins there. */
  #jump(unit: number): readonly TopEffect[] {
    const { units, lists } = this.#state
    lists.units = { ...lists.units, search: '', selected: String(unit) }
    return units === undefined ? [] : this.#page(units, unit, [...units.back, units.fromUnit], undefined)
  }

  #show(tab: Tab): readonly TopEffect[] {
    const state = this.#state
    state.tab = tab
    const effects: TopEffect[] = [{ type: 'showTab', tab }]
    if (tab === 'units') effects.push(...this.#openJob(this.#selectedJob()))
    this.keepInView()
    return effects
  }

  /** Lists the units of a job, anew when it is shown already. */
  #openJob(job: JobRow | undefined): readonly TopEffect[] {
    const state = this.#state
    if (job === undefined) return []
    if (state.units?.jobId !== job.jobId) {
      state.lists.units = EMPTY_LIST
      state.units = {
        jobId: job.jobId,
        filter: undefined,
        fromUnit: 0,
        back: [],
        rows: [],
        isLast: true,
        isLoading: true,
        trouble: '',
        landing: 'first',
        opened: undefined,
      }
    }
    return [this.#list(state.units)]
  }

  #list(units: UnitsState): TopEffect {
    units.isLoading = true
    return { type: 'listUnits', query: { jobId: units.jobId, state: units.filter, fromUnit: units.fromUnit } }
  }

  #page(
    units: UnitsState,
    fromUnit: number,
    back: readonly number[],
    landing: UnitsState['landing'],
  ): readonly TopEffect[] {
    units.fromUnit = fromUnit
    units.back = back.slice(-PAGES_BACK_MAX)
    units.landing = landing
    return [this.#list(units)]
  }

  #enter(): readonly TopEffect[] {
    const { tab, units, lists } = this.#state
    if (tab === 'jobs') return this.#selectedJob() === undefined ? [] : this.#show('units')
    if (tab !== 'units' || units === undefined) return []
    const rows = shownRows(units.rows, unitsShape, lists.units)
    const row = rows[selectedIndex(rows, unitsShape, lists.units)]
    if (row === undefined) return []
    units.opened = { unit: row.unit, detail: undefined }
    this.keepInView()
    return [{ type: 'openUnit', jobId: units.jobId, unit: row.unit }]
  }

  /** One step back: the opened unit, then the search, then the jobs. */
  #leave(): readonly TopEffect[] {
    const state = this.#state
    state.notice = undefined
    if (state.tab === 'units' && state.units?.opened !== undefined) {
      state.units.opened = undefined
      this.keepInView()
      return []
    }
    if (isList(state.tab) && state.lists[state.tab].search !== '') {
      state.lists[state.tab] = { ...state.lists[state.tab], search: '', top: 0 }
      this.keepInView()
      return []
    }
    return state.tab === 'jobs' ? [] : this.#show('jobs')
  }

  #move(key: 'up' | 'down' | 'pageUp' | 'pageDown' | 'home' | 'end'): readonly TopEffect[] {
    const state = this.#state
    const height = this.#height(state.tab)
    const by = { up: -1, down: 1, pageUp: -height, pageDown: height, home: -1e9, end: 1e9 }[key]
    if (state.tab === 'log') {
      state.logBack = Math.max(0, Math.min(state.log.length - height, state.logBack - by))
      return []
    }
    if (state.tab === 'me') {
      state.meTop = Math.max(0, Math.min(meLines(state.machine) - height, state.meTop + by))
      return []
    }
    return state.tab === 'units' ? this.#moveUnits(key, by) : this.#moveIn(state.tab, by)
  }

  /** Beyond either end of a page lies the next one. */
  #moveUnits(key: KeyPress, by: number): readonly TopEffect[] {
    const { units, lists } = this.#state
    if (units === undefined) return []
    const rows = shownRows(units.rows, unitsShape, lists.units)
    const index = selectedIndex(rows, unitsShape, lists.units)
    if (key === 'home' && units.back.length > 0) return this.#page(units, 0, [], 'first')
    if (by > 0 && key !== 'end' && index === rows.length - 1 && !units.isLast && !units.isLoading) {
      const last = units.rows.reduce((most, { unit }) => Math.max(most, unit), units.fromUnit)
      return this.#page(units, last + 1, [...units.back, units.fromUnit], 'first')
    }
    if (by < 0 && index <= 0 && units.back.length > 0 && !units.isLoading) {
      return this.#page(units, units.back.at(-1)!, units.back.slice(0, -1), 'last')
    }
    return this.#moveIn('units', by)
  }

  #moveIn(tab: 'jobs' | 'units' | 'peers', by: number): readonly TopEffect[] {
    const { lists, jobs, units, peers } = this.#state
    const height = this.#height(tab)
    const list = lists[tab]
    if (tab === 'jobs') lists.jobs = moved(list, shownRows(jobs, jobsShape, list), jobsShape, by, height)
    else if (tab === 'units')
      lists.units = moved(list, shownRows(units?.rows ?? [], unitsShape, list), unitsShape, by, height)
    else lists.peers = moved(list, shownRows([...peers.values()], peersShape, list), peersShape, by, height)
    return []
  }

  #sort(reverse: boolean): readonly TopEffect[] {
    const { tab, lists } = this.#state
    if (!isList(tab)) return []
    const list = lists[tab]
    const { orders } = { jobs: jobsShape, units: unitsShape, peers: peersShape }[tab]
    lists[tab] = reverse ? { ...list, reversed: !list.reversed, top: 0 } : reordered(list, orders.length)
    this.keepInView()
    return []
  }

  #filter(): readonly TopEffect[] {
    const { tab, units, lists } = this.#state
    if (tab !== 'units' || units === undefined) return []
    // States without units are passed over, as far as the last look tells.
    const summary = this.#state.jobs.find(({ jobId }) => jobId === units.jobId)?.look?.summary
    const at = UNIT_FILTERS.indexOf(units.filter)
    const later = [...UNIT_FILTERS.slice(at + 1), ...UNIT_FILTERS.slice(0, at + 1)]
    units.filter = later.find((state) => state === undefined || summary === undefined || summary[state] > 0)
    units.opened = undefined
    lists.units = { ...lists.units, selected: undefined, top: 0 }
    return this.#page(units, 0, [], 'first')
  }

  #pause(): readonly TopEffect[] {
    const worker = this.#state.machine?.worker
    if (worker === undefined) return this.#say('no worker runs on this machine: start one with manyhands work')
    return [{ type: worker.paused ? 'resume' : 'pause' }]
  }

  #cancel(): readonly TopEffect[] {
    const job = this.#actedOn()
    if (job === undefined) return []
    if (job.look?.end !== undefined) return this.#say(`the job has ended already: ${jobState(job)}`)
    return this.#ask(`cancel ${nameOf(job)}? what is settled stays, nothing more is computed`, {
      type: 'cancelJob',
      jobId: job.jobId,
    })
  }

  #retry(): readonly TopEffect[] {
    const job = this.#actedOn()
    if (job === undefined) return []
    const { failed = 0, held = 0 } = job.look?.summary ?? {}
    if (failed + held === 0) return this.#say('no unit failed or is held: nothing to retry')
    return this.#ask(`retry ${failed + held} failed and held units of ${nameOf(job)} as a new job?`, {
      type: 'retryJob',
      jobId: job.jobId,
    })
  }

  /** The job that `c` and `r` mean on this tab. */
  #actedOn(): JobRow | undefined {
    const { tab, units, jobs } = this.#state
    if (tab === 'jobs') return this.#selectedJob()
    return tab === 'units' ? jobs.find(({ jobId }) => jobId === units?.jobId) : undefined
  }

  #selectedJob(): JobRow | undefined {
    const { jobs, lists } = this.#state
    const rows = shownRows(jobs, jobsShape, lists.jobs)
    return rows[selectedIndex(rows, jobsShape, lists.jobs)]
  }

  #ask(text: string, effect: TopEffect): readonly TopEffect[] {
    this.#state.question = { text, effect }
    return []
  }

  #say(text: string): readonly TopEffect[] {
    this.#state.notice = { text, tone: 'bad', untilMs: this.#state.wallMs + SAID_MS }
    return []
  }

  #height(tab: Tab): number {
    return bodyLines(tab, this.#state.rows, this.#state.units?.opened !== undefined)
  }
}

/** How long an answer to a key stands. Unit: ms. */
const SAID_MS = 6_000

function isList(tab: Tab): tab is 'jobs' | 'units' | 'peers' {
  return tab === 'jobs' || tab === 'units' || tab === 'peers'
}

function isChar(key: KeyPress, char: string): boolean {
  return typeof key !== 'string' && key.char === char
}

function nameOf(job: JobRow): string {
  return `${job.jobId.slice(0, 8)} ${(job.look?.name || job.name).slice(0, 40)}`.trim()
}
