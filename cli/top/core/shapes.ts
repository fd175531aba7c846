import type { ListedUnit } from '../../../client/follow/units.js'
import type { UnitState } from '../../../proto/model.js'
import { ascending, type ListShape } from './list.js'
import type { JobRow, PeerRow } from './messages.js'

/** How the lists of the dashboard are searched and sorted. */

/** One word on a job. */
export function jobState({ look, trouble }: JobRow): string {
  if (look === undefined) return trouble === '' ? 'asking' : trouble
  if (look.end !== undefined) return look.end
  if (trouble !== '') return 'lost'
  return look.isGranted ? 'running' : 'waiting'
}

/** Share of the units that are decided, 0 to 1. */
export function jobShare({ look }: JobRow): number {
  if (look === undefined || look.summary.units === 0) return 0
  return (look.summary.settled + look.summary.failed) / look.summary.units
}

/** Jobs under way come before those that wait, and those before what has ended. */
function jobRank(row: JobRow): number {
  if (row.look?.end !== undefined) return 3
  if (row.look === undefined) return 2
  return row.look.isGranted ? 0 : 1
}

/** Text of others that a search looks through, and that rows are sorted by. */
const TEXT_CHARS_MAX = 200
const bounded = (text: string) => text.slice(0, TEXT_CHARS_MAX)
const nameOf = (row: JobRow) => bounded(row.look?.name || row.name)
/** Jobs by id: granted ones first. */
export const jobsShape: ListShape<JobRow> = {
  key: ({ jobId }) => jobId,
  text: (row) => `${row.jobId} ${nameOf(row)} ${bounded(row.look?.task ?? row.task)} ${bounded(jobState(row))}`,
  orders: [
    { name: 'STATE', compare: (a, b) => jobRank(a) - jobRank(b) },
    { name: 'AGE', compare: (a, b) => ascending(a.look?.ageMs, b.look?.ageMs) },
    { name: 'DONE', compare: (a, b) => jobShare(b) - jobShare(a) },
    { name: 'RATE', compare: (a, b) => (b.look?.unitsPerSecond ?? 0) - (a.look?.unitsPerSecond ?? 0) },
    { name: 'UNITS', compare: (a, b) => (b.look?.summary.units ?? b.units) - (a.look?.summary.units ?? a.units) },
    { name: 'NAME', compare: (a, b) => ascending(nameOf(a).toLowerCase(), nameOf(b).toLowerCase()) },
  ],
}

/** The states of units as `f` goes through them; undefined: all. */
export const UNIT_FILTERS: readonly (UnitState | undefined)[] = [
  undefined,
  'failed',
  'disputed',
  'held',
  'open',
  'accepted',
  'settled',
]

/** Units of the chosen job by their number. */
export const unitsShape: ListShape<ListedUnit> = {
  key: ({ unit }) => String(unit),
  text: ({ unit, state, waiting, result }) => `${unit} ${state} ${bounded(waiting)} ${result?.outcome ?? ''}`,
  orders: [
    { name: 'UNIT', compare: (a, b) => a.unit - b.unit },
    { name: 'STATE', compare: (a, b) => ascending(a.state, b.state) },
    { name: 'COMPUTING', compare: (a, b) => b.instances - a.instances },
    { name: 'ANSWERS', compare: (a, b) => b.answers - a.answers },
    { name: 'ERRORS', compare: (a, b) => b.errors - a.errors },
  ],
}

/** Peers by their id. */
export const peersShape: ListShape<PeerRow> = {
  key: ({ nodeId }) => nodeId,
  text: ({ nodeId, address, status, trouble }) =>
    `${nodeId} ${bounded(address)} ${bounded(status?.version ?? '')} ${bounded(trouble)}`,
  orders: [
    { name: 'PEER', compare: (a, b) => ascending(a.nodeId, b.nodeId) },
    { name: 'TRIP', compare: (a, b) => ascending(a.roundTripMs, b.roundTripMs) },
    { name: 'WORKERS', compare: (a, b) => (b.status?.workers ?? -1) - (a.status?.workers ?? -1) },
    { name: 'JOBS', compare: (a, b) => (b.status?.jobs ?? -1) - (a.status?.jobs ?? -1) },
    { name: 'UNITS/MIN', compare: (a, b) => (b.status?.settledLastMinute ?? -1) - (a.status?.settledLastMinute ?? -1) },
    { name: 'VERSION', compare: (a, b) => ascending(a.status?.version, b.status?.version) },
    { name: 'UP', compare: (a, b) => (b.status?.uptimeMs ?? -1) - (a.status?.uptimeMs ?? -1) },
  ],
}
