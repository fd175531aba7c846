import type { ListedUnit } from '../../../client/follow/units.js'
import type { LogEntry, ProcessState } from '../../../proto/admin-messages.js'
import type { JobId, NodeId, UnitState } from '../../../proto/model.js'
import { EMPTY_LIST, type ListState } from './list.js'
import type { JobRow, PeerRow, Tab, TopEffect, UnitDetail } from './messages.js'

/** The units on the screen: one page of those of one job. */
export interface UnitsState {
  jobId: JobId
  filter: UnitState | undefined
  /** First unit of the page, and of the pages before it. */
  fromUnit: number
  back: readonly number[]
  rows: readonly ListedUnit[]
  isLast: boolean
  isLoading: boolean
  trouble: string
  /** Which row of a page that is on its way is to be selected. */
  landing: 'first' | 'last' | undefined
  opened: { readonly unit: number; readonly detail: UnitDetail | undefined } | undefined
}

/** Everything that the dashboard shows. Changed by {@link Top} alone. */
export interface TopState {
  columns: number
  rows: number
  wallMs: number
  tab: Tab
  readonly lists: Record<'jobs' | 'units' | 'peers', ListState>
  jobs: readonly JobRow[]
  /** Whether it is known which jobs there are. */
  areJobsListed: boolean
  units: UnitsState | undefined
  readonly peers: Map<NodeId, PeerRow>
  machine: ProcessState | undefined
  /** Why {@link machine} is missing; empty: not asked yet, or it is there. */
  processTrouble: string
  meTop: number
  log: readonly LogEntry[]
  /** Lines scrolled up from the end; 0: the newest ones are shown. */
  logBack: number
  isHelpShown: boolean
  /** What is typed into is the search of the tab. */
  isSearching: boolean
  /** What `y` would do. */
  question: { readonly text: string; readonly effect: TopEffect } | undefined
  notice: { readonly text: string; readonly tone: 'good' | 'bad'; readonly untilMs: number } | undefined
}

/** The dashboard before anything is known. Sizes in columns and rows. */
export function initialState(columns: number, rows: number, wallMs: number): TopState {
  return {
    columns,
    rows,
    wallMs,
    tab: 'jobs',
    lists: { jobs: EMPTY_LIST, units: EMPTY_LIST, peers: EMPTY_LIST },
    jobs: [],
    areJobsListed: false,
    units: undefined,
    peers: new Map(),
    machine: undefined,
    processTrouble: '',
    meTop: 0,
    log: [],
    logBack: 0,
    isHelpShown: false,
    isSearching: false,
    question: undefined,
    notice: undefined,
  }
}
