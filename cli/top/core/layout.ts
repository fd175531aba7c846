import type { ProcessState } from '../../../proto/admin-messages.js'
import type { Tab } from './messages.js'

/** Lines of each part of the screen: the same for the core, which scrolls, and for the views, which draw. */

/** Tabs and a rule above; a message and the keys below. */
const HEADER_LINES = 2
const FOOTER_LINES = 2
/** Lines above the rows of each tab: headings, and what the whole list is about. */
const HEADING_LINES: Readonly<Record<Tab, number>> = { jobs: 1, units: 2, peers: 2, me: 0, log: 0 }
/** Below these rows a terminal has no room for details. */
const DETAIL_ROWS_MIN = 18
const ROOMY_ROWS_MIN = 40
/** Lines about the selected job. */
const JOB_LINES = 6
/** Lines about an opened unit: its facts, and then as much of what it wrote as there is room for. */
const UNIT_LINES = 10
const UNIT_LINES_ROOMY = 24

/** Columns of the smallest terminal that shows anything of use. */
export const COLUMNS_MIN = 40
/** Rows of the smallest terminal that shows anything of use. */
export const ROWS_MIN = 10

/** Lines that are drawn: one row stays free, as a full last row would scroll the screen. */
export function screenLines(rows: number): number {
  return Math.max(1, rows - 1)
}

/** Lines for what is selected, below the list. */
export function detailLines(tab: Tab, rows: number, isUnitOpen: boolean): number {
  if (rows < DETAIL_ROWS_MIN) return 0
  if (tab === 'jobs') return JOB_LINES
  if (tab === 'units' && isUnitOpen) return rows < ROOMY_ROWS_MIN ? UNIT_LINES : UNIT_LINES_ROOMY
  return 0
}

/** Rows of the list of `tab` on a terminal of `rows` rows, 1 or more. */
export function bodyLines(tab: Tab, rows: number, isUnitOpen: boolean): number {
  const taken = HEADER_LINES + HEADING_LINES[tab] + detailLines(tab, rows, isUnitOpen) + FOOTER_LINES
  return Math.max(1, screenLines(rows) - taken)
}

/** Lines of the page about this machine that do not belong to a thread, an owner, a restraint or a preference. */
const ME_FIXED_LINES = 16

/** Lines of the page about this machine, at most. */
export function meLines(machine: ProcessState | undefined): number {
  const worker = machine?.worker
  if (worker === undefined) return ME_FIXED_LINES
  const { threads, owners, restraints, preferences } = worker
  return ME_FIXED_LINES + threads.length + owners.length + restraints.length + preferences.length
}
