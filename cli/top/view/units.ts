import type { ListedUnit } from '../../../client/follow/units.js'
import { formatBytes } from '../../../job/quantity.js'
import type { Summary } from '../../../proto/model.js'
import { clean as cleanLines } from '../../terminal/output.js'
import { bodyLines, detailLines } from '../core/layout.js'
import { selectedIndex, shownRows, topFor } from '../core/list.js'
import type { UnitDetail } from '../core/messages.js'
import { UNIT_FILTERS, unitsShape } from '../core/shapes.js'
import type { TopState, UnitsState } from '../core/state.js'
import { between, cutSpans, EMPTY, type Line, rule, type Span, span } from './line.js'
import { type Column, tableLines } from './table.js'
import { clean, compact, unitTone } from './words.js'

const COLUMNS: readonly Column<ListedUnit>[] = [
  { heading: 'UNIT', width: 9, align: 'right', rank: 0, cell: ({ unit }) => String(unit) },
  { heading: 'STATE', width: 9, rank: 0, cell: ({ state }) => span(state, unitTone(state)) },
  { heading: 'COMPUTING', width: 9, align: 'right', rank: 1, cell: ({ instances }) => quiet(instances) },
  { heading: 'ANSWERS', width: 8, align: 'right', rank: 2, cell: ({ answers }) => quiet(answers) },
  {
    heading: 'ERRORS',
    width: 7,
    align: 'right',
    rank: 3,
    cell: ({ errors }) => (errors > 0 ? span(compact(errors), 'bad') : span('·', 'dim')),
  },
  {
    heading: 'OUTCOME',
    width: 8,
    rank: 4,
    cell: ({ result }) =>
      result === undefined ? '' : span(result.outcome, result.outcome === 'done' ? 'plain' : 'bad'),
  },
  { heading: 'DIGEST', width: 12, rank: 6, cell: ({ result }) => span(result?.digest.slice(0, 12) ?? '', 'dim') },
  { heading: 'SHARD', width: 6, align: 'right', rank: 7, cell: ({ shard }) => String(shard) },
  { heading: 'WAITS', width: 6, grow: 1, rank: 5, cell: ({ waiting }) => clean(waiting) },
]

function quiet(value: number): Span | string {
  return value === 0 ? span('·', 'dim') : compact(value)
}

/** The units of one job, and what the opened one wrote. */
export function unitsView(state: Readonly<TopState>): readonly Line[] {
  const { columns, rows: height, lists, units, jobs } = state
  if (units === undefined)
    return [EMPTY, { spans: [span('  choose a job on the first page and press enter', 'dim')], isSelected: false }]
  const job = jobs.find(({ jobId }) => jobId === units.jobId)
  const isOpen = units.opened !== undefined
  const rows = shownRows(units.rows, unitsShape, lists.units)
  const selected = selectedIndex(rows, unitsShape, lists.units)
  const body = bodyLines('units', height, isOpen)
  const top = topFor(lists.units.top, Math.max(0, selected), rows.length, body)
  const name = clean(job?.look?.name || job?.name || job?.look?.task || job?.task || '')
  const lines = [
    between(
      [span(' '), span(name, 'strong'), span(`  ${units.jobId.slice(0, 12)}`, 'dim')],
      filterSpans(units, job?.look?.summary),
      columns,
    ),
    ...tableLines(
      {
        columns: COLUMNS,
        rows: rows.slice(top, top + body),
        selected: selected - top,
        sortedBy: unitsShape.orders[lists.units.order]!.name,
        reversed: lists.units.reversed,
      },
      columns,
    ),
  ]
  if (rows.length === 0) {
    const text = units.trouble || (units.isLoading ? 'asking the owners ...' : 'no such units')
    lines.push(EMPTY, { spans: cutSpans([span(`  ${clean(text)}`, 'dim')], columns), isSelected: false })
  }
  while (lines.length < body + 2) lines.push(EMPTY)
  const details = detailLines('units', height, isOpen)
  if (details > 0 && units.opened !== undefined) {
    const about = unitLines(units.opened)
    lines.push(rule(columns))
    for (let i = 0; i < details - 1; i++) {
      const spans = about[i]
      lines.push(spans === undefined ? EMPTY : { spans: cutSpans([span(' '), ...spans], columns), isSelected: false })
    }
  }
  return lines
}

/** The states that `f` goes through, the present one marked. */
function filterSpans({ filter, fromUnit, rows }: UnitsState, summary: Summary | undefined): readonly Span[] {
  const last = rows.reduce((most, { unit }) => Math.max(most, unit), fromUnit)
  const page = rows.length === 0 ? '' : `${fromUnit === 0 ? rows[0]!.unit : fromUnit} to ${last}  `
  const spans: Span[] = [span(page, 'dim')]
  for (const state of UNIT_FILTERS) {
    const many = state === undefined ? undefined : summary?.[state]
    if (state !== filter && many === 0) continue
    const text = state === undefined ? 'all' : many === undefined ? state : `${compact(many)} ${state}`
    spans.push(state === filter ? span(`[${text}]`, 'strong') : span(` ${text} `, 'dim'))
  }
  return spans
}

function field(name: string, ...spans: readonly Span[]): readonly Span[] {
  return [span(name.padEnd(8), 'dim'), ...spans]
}

/** Keys named one by one; the others are counted. */
const KEYS_SHOWN = 4

function keys(ids: readonly string[]): string {
  const shown = ids.slice(0, KEYS_SHOWN).map((id) => id.slice(0, 12))
  return `${shown.join(' ')}${ids.length > KEYS_SHOWN ? ` and ${ids.length - KEYS_SHOWN} more` : ''}`
}

function unitLines({ unit, detail }: { unit: number; detail: UnitDetail | undefined }): readonly (readonly Span[])[] {
  const title = span(`unit ${unit}`, 'strong')
  if (detail === undefined) return [[title, span('  fetching what is proved of it ...', 'dim')]]
  const { answer, note, history } = detail
  const past = history.map((text) => [span('  '), span(clean(text))])
  if (answer === undefined) return [[title, span('  '), span(clean(note), 'warn')], ...past]
  const outcome = answer.state === 'failed' ? clean(answer.reason) : `exit code ${answer.exitCode}`
  const lines: (readonly Span[])[] = [
    [title, span('  '), span(answer.outcome, answer.state === 'failed' ? 'bad' : 'good'), span(`  ${outcome}`)],
    field('donors', span(keys(answer.donors)), span('  granted by ', 'dim'), span(keys(answer.grantors))),
    field(
      'result',
      span(`${answer.digest.slice(0, 16)} · ${formatBytes(answer.outputBytes)} · ${compact(answer.fuel)} steps`),
    ),
  ]
  for (const [name, text, bytes] of [
    ['stderr', answer.stderr, answer.stderrBytes],
    ['stdout', answer.stdout, answer.stdoutBytes],
  ] as const) {
    if (bytes === 0) continue
    lines.push([span(name, 'dim'), span(`  ${formatBytes(bytes)}`, 'dim')])
    for (const written of cleanLines(text).split('\n')) lines.push([span('  '), span(written)])
  }
  if (past.length > 0) lines.push([span('history', 'dim')], ...past)
  return lines
}
