import { formatBytes, formatDuration } from '../../../job/quantity.js'
import { bodyLines } from '../core/layout.js'
import { selectedIndex, shownRows, topFor } from '../core/list.js'
import type { PeerRow } from '../core/messages.js'
import { peersShape } from '../core/shapes.js'
import type { TopState } from '../core/state.js'
import { cutSpans, EMPTY, type Line, type Span, span } from './line.js'
import { type Column, tableLines } from './table.js'
import { clean, compact, many } from './words.js'

const COLUMNS: readonly Column<PeerRow>[] = [
  { heading: 'PEER', width: 8, rank: 0, cell: ({ nodeId }) => nodeId.slice(0, 8) },
  { heading: 'ADDRESS', width: 15, grow: 1, rank: 5, cell: ({ address }) => clean(address) },
  {
    heading: 'TRIP',
    width: 6,
    align: 'right',
    rank: 1,
    cell: ({ roundTripMs, trouble }) =>
      trouble === '' ? (roundTripMs === undefined ? '' : formatDuration(roundTripMs)) : span('lost', 'bad'),
  },
  {
    heading: 'OWNS',
    width: 7,
    rank: 6,
    cell: ({ eligible }) => (eligible ? span('yes', 'good') : span('not yet', 'dim')),
  },
  { heading: 'WORKERS', width: 8, align: 'right', rank: 2, cell: ({ status }) => counted(status?.workers) },
  { heading: 'THREADS', width: 7, align: 'right', rank: 7, cell: ({ status }) => counted(status?.threads) },
  { heading: 'JOBS', width: 5, align: 'right', rank: 8, cell: ({ status }) => counted(status?.jobs) },
  { heading: 'SHARDS', width: 6, align: 'right', rank: 9, cell: ({ status }) => counted(status?.shards) },
  {
    heading: 'KEEPS',
    width: 9,
    align: 'right',
    rank: 10,
    cell: ({ status }) => (status === undefined ? '' : formatBytes(status.storedBytes)),
  },
  {
    heading: 'UNITS/MIN',
    width: 10,
    align: 'right',
    rank: 3,
    cell: ({ status }) => counted(status?.settledLastMinute),
  },
  {
    heading: 'UP',
    width: 6,
    align: 'right',
    rank: 11,
    cell: ({ status }) => (status === undefined ? '' : formatDuration(status.uptimeMs)),
  },
  { heading: 'VERSION', width: 9, rank: 4, cell: ({ status }) => clean(status?.version ?? '') },
]

function counted(value: number | undefined): Span | string {
  if (value === undefined) return ''
  return value === 0 ? span('·', 'dim') : compact(value)
}

/** Who is out there, and what they say of themselves. */
export function peersView(state: Readonly<TopState>): readonly Line[] {
  const { columns, rows: height, lists, peers } = state
  const all = [...peers.values()]
  const rows = shownRows(all, peersShape, lists.peers)
  const selected = selectedIndex(rows, peersShape, lists.peers)
  const body = bodyLines('peers', height, false)
  const top = topFor(lists.peers.top, Math.max(0, selected), rows.length, body)
  const lines: Line[] = [
    { spans: cutSpans([span(' '), ...sums(all)], columns), isSelected: false },
    ...tableLines(
      {
        columns: COLUMNS,
        rows: rows.slice(top, top + body),
        selected: selected - top,
        sortedBy: peersShape.orders[lists.peers.order]!.name,
        reversed: lists.peers.reversed,
      },
      columns,
    ),
  ]
  if (rows.length === 0) lines.push(EMPTY, { spans: [span('  no peers', 'dim')], isSelected: false })
  while (lines.length < body + 2) lines.push(EMPTY)
  return lines
}

/** What all peers say, added up: each worker and each settled unit is counted by one of them. */
function sums(peers: readonly PeerRow[]): readonly Span[] {
  const statuses = peers.flatMap(({ status }) => (status === undefined ? [] : [status]))
  const lost = peers.filter(({ trouble }) => trouble !== '').length
  const versions = new Set(statuses.map(({ version }) => version)).size
  const spans = [
    span(many(peers.length, 'peer'), 'strong'),
    span(` · ${peers.filter(({ eligible }) => eligible).length} may own jobs`),
    span(` · ${statuses.length} answered`),
  ]
  const told = statuses.flatMap(({ countedWorkers }) => countedWorkers)
  const workers = told.reduce((sum, { workers }) => sum + workers, 0)
  const threads = told.reduce((sum, { threads }) => sum + threads, 0)
  const settled = statuses.reduce((sum, { firstSettledLastMinute }) => sum + firstSettledLastMinute, 0)
  if (workers > 0) spans.push(span(` · ${many(workers, 'worker')} with ${many(threads, 'thread')}`))
  if (settled > 0) spans.push(span(` · ${many(settled, 'unit')} a minute`))
  if (lost > 0) spans.push(span(` · ${lost} lost`, 'bad'))
  if (versions > 1) spans.push(span(` · ${versions} versions`, 'warn'))
  return spans
}
