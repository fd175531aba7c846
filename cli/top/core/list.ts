/** A list on the screen: what is searched for, how it is sorted, which row is selected and which stands on top. */
export interface ListState {
  /** Key of the selected row; undefined: the first one. */
  readonly selected: string | undefined
  /** Index of the first row on the screen. */
  readonly top: number
  /** Index into the orders of the list. */
  readonly order: number
  readonly reversed: boolean
  /** Rows that do not hold this text are left out; any case. */
  readonly search: string
}

/** One way to sort the rows of a list. */
interface Sorting<Row> {
  /** As the heading of the column that it sorts by. */
  readonly name: string
  /** Below 0: `a` first. */
  compare(a: Row, b: Row): number
}

/** What a list is made of. */
export interface ListShape<Row> {
  key(row: Row): string
  /** Text that a search looks through. */
  text(row: Row): string
  /** The first one is what the list begins with. */
  readonly orders: readonly Sorting<Row>[]
}

/** A list as it begins. */
export const EMPTY_LIST: ListState = { selected: undefined, top: 0, order: 0, reversed: false, search: '' }

/** The rows to be shown, searched and sorted. Rows that are equal in the order keep the order in which they came. */
export function shownRows<Row>(rows: readonly Row[], shape: ListShape<Row>, list: ListState): readonly Row[] {
  const wanted = list.search.toLowerCase()
  const found = wanted === '' ? rows : rows.filter((row) => shape.text(row).toLowerCase().includes(wanted))
  const order = shape.orders[list.order % Math.max(1, shape.orders.length)]
  if (order === undefined) return found
  const sign = list.reversed ? -1 : 1
  return [...found].sort((a, b) => sign * order.compare(a, b))
}

/** Index of the selected row among those shown; the first one where it is not among them, -1 in an empty list. */
export function selectedIndex<Row>(rows: readonly Row[], shape: ListShape<Row>, { selected }: ListState): number {
  const found = rows.findIndex((row) => shape.key(row) === selected)
  return found >= 0 ? found : rows.length > 0 ? 0 : -1
}

/** The list with the selection `by` rows further, stopping at either end, and with it among the `height` rows shown. */
export function moved<Row>(
  list: ListState,
  rows: readonly Row[],
  shape: ListShape<Row>,
  by: number,
  height: number,
): ListState {
  if (rows.length === 0) return { ...list, selected: undefined, top: 0 }
  const index = Math.max(0, Math.min(rows.length - 1, selectedIndex(rows, shape, list) + by))
  // Until somebody has moved, the first row is the selected one, whichever that is.
  const selected = by === 0 && list.selected === undefined ? undefined : shape.key(rows[index]!)
  return { ...list, selected, top: topFor(list.top, index, rows.length, height) }
}

/** The first row to show, as near to `top` as can be, so that `index` of `count` rows is among `height` ones. */
export function topFor(top: number, index: number, count: number, height: number): number {
  const last = Math.max(0, count - height)
  return Math.max(0, Math.min(last, Math.max(index - height + 1, Math.min(top, index))))
}

/** The next order of the list. */
export function reordered(list: ListState, orders: number): ListState {
  return { ...list, order: (list.order + 1) % Math.max(1, orders), reversed: false, top: 0 }
}

/** Compares texts and numbers; undefined comes last. */
export function ascending<T extends string | number | bigint>(a: T | undefined, b: T | undefined): number {
  if (a === b) return 0
  if (a === undefined) return 1
  if (b === undefined) return -1
  return a < b ? -1 : 1
}
