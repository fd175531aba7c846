import { formatDuration } from '../../../job/quantity.js'
import { bodyLines, detailLines } from '../core/layout.js'
import { selectedIndex, shownRows, topFor } from '../core/list.js'
import type { JobRow } from '../core/messages.js'
import { jobShare, jobState, jobsShape } from '../core/shapes.js'
import type { TopState } from '../core/state.js'
import { cutSpans, EMPTY, type Line, rule, type Span, span } from './line.js'
import { bar, type Column, tableLines } from './table.js'
import { clean, compact, etaRange, jobTone, many, percent, rate, unitTone } from './words.js'

/** Columns of the bar that the percentage behind it takes. */
const PERCENT = 5

const COLUMNS: readonly Column<JobRow>[] = [
  { heading: 'JOB', width: 8, rank: 0, cell: ({ jobId }) => jobId.slice(0, 8) },
  { heading: 'STATE', width: 9, rank: 1, cell: (row) => span(clean(jobState(row)), jobTone(row)) },
  {
    heading: 'DONE',
    width: 12,
    grow: 2,
    rank: 0,
    cell: (row, width) => {
      const share = jobShare(row)
      return [...bar(share, width - PERCENT, jobTone(row)), span(percent(share).padStart(PERCENT))]
    },
  },
  {
    heading: 'UNITS',
    width: 6,
    align: 'right',
    rank: 2,
    cell: ({ look, units }) => compact(look?.summary.units ?? units),
  },
  { heading: 'RATE', width: 7, align: 'right', rank: 3, cell: ({ look }) => rate(running(look)?.unitsPerSecond ?? 0) },
  { heading: 'LEFT', width: 14, align: 'right', rank: 4, cell: ({ look }) => etaRange(running(look)?.eta) },
  { heading: 'WORK', width: 5, align: 'right', rank: 7, cell: ({ look }) => count(running(look)?.summary.workers) },
  { heading: 'DIFFER', width: 6, align: 'right', rank: 10, cell: ({ look }) => alarm(look?.summary.disagreeing) },
  { heading: 'FAILED', width: 6, align: 'right', rank: 8, cell: ({ look }) => alarm(look?.summary.failed) },
  { heading: 'HELD', width: 5, align: 'right', rank: 11, cell: ({ look }) => alarm(look?.summary.held) },
  {
    heading: 'AGE',
    width: 6,
    align: 'right',
    rank: 9,
    cell: ({ look }) => (look === undefined ? '' : formatDuration(look.ageMs)),
  },
  { heading: 'NAME', width: 10, grow: 3, rank: 5, cell: (row) => nameOf(row) },
]

/** What moves in a job; nothing does in one that has ended. */
function running(look: JobRow['look']): JobRow['look'] {
  return look?.end === undefined ? look : undefined
}

function count(value: number | undefined): string {
  return value === undefined ? '' : compact(value)
}

function alarm(value: number | undefined): Span {
  return value === undefined || value === 0 ? span('·', 'dim') : span(compact(value), 'bad')
}

/** What its submitter called it, else what it computes. */
function nameOf({ look, name, task }: JobRow): string {
  return clean(look?.name || name || look?.task || task)
}

/** The jobs with their progress, and below them all about the selected one. */
export function jobsView(state: Readonly<TopState>): readonly Line[] {
  const { columns, rows: height, lists } = state
  const rows = shownRows(state.jobs, jobsShape, lists.jobs)
  const selected = selectedIndex(rows, jobsShape, lists.jobs)
  const body = bodyLines('jobs', height, false)
  const top = topFor(lists.jobs.top, Math.max(0, selected), rows.length, body)
  const lines = [
    ...tableLines(
      {
        columns: COLUMNS,
        rows: rows.slice(top, top + body),
        selected: selected - top,
        sortedBy: jobsShape.orders[lists.jobs.order]!.name,
        reversed: lists.jobs.reversed,
      },
      columns,
    ),
  ]
  if (rows.length === 0) lines.push(EMPTY, { spans: [span(`  ${emptyText(state)}`, 'dim')], isSelected: false })
  while (lines.length < body + 1) lines.push(EMPTY)
  const details = detailLines('jobs', height, false)
  if (details > 0) {
    const about = rows[selected] === undefined ? [] : jobLines(rows[selected])
    lines.push(rule(columns))
    for (let i = 0; i < details - 1; i++) {
      const spans = about[i]
      lines.push(spans === undefined ? EMPTY : { spans: cutSpans([span(' '), ...spans], columns), isSelected: false })
    }
  }
  return lines
}

function emptyText({ jobs, areJobsListed, lists }: Readonly<TopState>): string {
  if (!areJobsListed) return 'looking for your jobs'
  return jobs.length > 0
    ? `no job holds '${clean(lists.jobs.search)}'`
    : 'no jobs yet; a first one: manyhands submit primes --range 0..10^8:10^6'
}

function field(name: string, ...spans: readonly Span[]): readonly Span[] {
  return [span(name.padEnd(7), 'dim'), ...spans]
}

/** All about a job, most telling first. */
function jobLines(row: JobRow): readonly (readonly Span[])[] {
  const { look, jobId } = row
  const title = [span(nameOf(row), 'strong'), span(`  ${jobId.slice(0, 12)}`, 'dim')]
  if (look === undefined) return [title, field('state', span(clean(jobState(row))))]
  const { summary } = look
  const states = (['settled', 'accepted', 'open', 'disputed', 'held', 'failed'] as const).filter(
    (state) => summary[state] > 0,
  )
  const counts = states.flatMap((state, i) => [
    span(i === 0 ? '' : ' · ', 'dim'),
    span(`${summary[state].toLocaleString('en')} ${state}`, unitTone(state)),
  ])
  const work = `${compact(summary.leased)} being computed by ${many(summary.workers, 'worker')} of ${many(summary.donors, 'donor')}`
  const spent = ` · ${many(summary.answered, 'answer')}`
  const differ = span(` · ${compact(summary.disagreeing)} disagreed`, summary.disagreeing > 0 ? 'warn' : 'plain')
  const time = [
    `submitted ${formatDuration(look.ageMs)} ago`,
    look.end === undefined && rate(look.unitsPerSecond) !== '' ? rate(look.unitsPerSecond).replace('/', ' units/') : '',
    look.end === undefined && etaRange(look.eta) !== '' ? `${etaRange(look.eta)} left` : '',
    `${compact(summary.fuel)} steps`,
  ].filter((text) => text !== '')
  const waits = row.trouble !== '' ? row.trouble : look.waiting
  return [
    [...title, span(`  ${clean(look.task)} · ${look.checkedBy}`, 'dim')],
    field('units', ...(counts.length === 0 ? [span('none')] : counts)),
    field('work', span(work), span(spent), differ),
    field('time', span(time.join(' · '))),
    waits === '' ? [] : field('waits', span(clean(waits), 'warn')),
  ]
}
