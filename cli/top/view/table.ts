import { fitToWidth } from '../../terminal/text-width.js'
import { type Line, type Span, span, type Tone } from './line.js'

/** One column of a table of `Row`s. */
export interface Column<Row> {
  readonly heading: string
  /** Columns of the terminal; a table gives what is left over to those with a {@link grow}. */
  readonly width: number
  readonly align?: 'left' | 'right'
  /** Share of the columns left over. */
  readonly grow?: number
  /** Where there is no room, columns with higher numbers leave first. 0: never. */
  readonly rank: number
  /** Cleaned text of a cell, of at most the width given. */
  cell(row: Row, width: number): Span | readonly Span[] | string
}

const GAP = 2
/** Room for the mark of the selected row. */
const MARK = 2

interface Placed<Row> {
  readonly column: Column<Row>
  readonly width: number
}

/** The columns that fit, with their widths. */
function place<Row>(columns: readonly Column<Row>[], total: number): readonly Placed<Row>[] {
  let kept = [...columns]
  const taken = () => MARK + kept.reduce((sum, { width }) => sum + width + GAP, -GAP)
  while (taken() > total) {
    const worst = kept.reduce<Column<Row> | undefined>(
      (most, column) => (column.rank > (most?.rank ?? 0) ? column : most),
      undefined,
    )
    if (worst === undefined) break
    kept = kept.filter((column) => column !== worst)
  }
  const left = Math.max(0, total - taken())
  const shares = kept.reduce((sum, { grow = 0 }) => sum + grow, 0)
  return kept.map((column) => ({
    column,
    width: column.width + (shares === 0 ? 0 : Math.floor((left * (column.grow ?? 0)) / shares)),
  }))
}

/** What a table shows: rows that are already sorted and cut to the screen. */
interface TableContent<Row> {
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  /** Index among `rows`; -1: none. */
  readonly selected: number
  /** Heading of the column that the rows are sorted by. */
  readonly sortedBy: string
  readonly reversed: boolean
}

/** Headings and rows of a table, `width` columns wide. */
export function tableLines<Row>(
  { columns, rows, selected, sortedBy, reversed }: TableContent<Row>,
  width: number,
): readonly Line[] {
  const placed = place(columns, width)
  const heading: Span[] = [span(' '.repeat(MARK))]
  for (const [i, { column, width: own }] of placed.entries()) {
    const isSorted = column.heading === sortedBy
    const text = isSorted ? `${column.heading}${reversed ? '▲' : '▼'}` : column.heading
    if (i > 0) heading.push(span(' '.repeat(GAP)))
    heading.push(span(fitToWidth(text, own, column.align), isSorted ? 'strong' : 'dim'))
  }
  const lines: Line[] = [{ spans: heading, isSelected: false }]
  for (const [i, row] of rows.entries()) {
    const isSelected = i === selected
    const spans: Span[] = [span(isSelected ? '▸ ' : '  ', isSelected ? 'accent' : 'plain')]
    for (const [at, { column, width: own }] of placed.entries()) {
      if (at > 0) spans.push(span(' '.repeat(GAP)))
      spans.push(...cellSpans(column.cell(row, own), own, column.align))
    }
    lines.push({ spans, isSelected })
  }
  return lines
}

function cellSpans(cell: Span | readonly Span[] | string, width: number, align: 'left' | 'right' = 'left'): Span[] {
  if (typeof cell === 'string') return [span(fitToWidth(cell, width, align))]
  if ('text' in cell) return [span(fitToWidth(cell.text, width, align), cell.tone)]
  // Several pieces are made to measure by their column.
  return [...cell]
}

/** A bar of `width` columns, `share` (0 to 1) of it filled, in eighths of a column. */
export function bar(share: number, width: number, tone: Tone): readonly Span[] {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * width * 8)
  const full = Math.floor(eighths / 8)
  const rest = eighths % 8
  const part = rest === 0 ? '' : ' ▏▎▍▌▋▊▉'[rest]!
  const empty = width - full - (rest === 0 ? 0 : 1)
  return [span('█'.repeat(full) + part, tone), span('░'.repeat(Math.max(0, empty)), 'dim')]
}
