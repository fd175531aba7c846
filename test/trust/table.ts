import type { Bounds, Row } from './rows.js'
import type { Policy } from './run.js'
import type { Measures } from './scene.js'

/** Seeds of one population and policy together. */
export interface Cell {
  readonly row: string
  readonly policy: Policy
  readonly seeds: number
  /** Of all seeds together. */
  readonly units: number
  readonly wrong: number
  readonly disputed: number
  readonly undecided: number
  /** As a share of all units. */
  readonly wrongShare: number
  /** Means over the seeds. */
  readonly redundancy: number
  readonly time: number
  readonly captured: number
  readonly putOut: number
  readonly replayed: number
  readonly idle: number
  /** What is over its bound, in words. Empty: nothing, or nothing is bounded. */
  readonly over: readonly string[]
}

/** Adds up the seeds of one population and policy and holds our own against the bounds of the row. */
export function cellOf({ name, bounds }: Row, policy: Policy, measures: readonly Measures[]): Cell {
  const sum = (read: (each: Measures) => number) => measures.reduce((total, each) => total + read(each), 0)
  const mean = (read: (each: Measures) => number) => sum(read) / measures.length
  const units = sum((each) => each.units)
  const wrong = sum((each) => each.wrong)
  const cell = {
    row: name,
    policy,
    seeds: measures.length,
    units,
    wrong,
    disputed: sum((each) => each.disputed),
    undecided: sum((each) => each.undecided),
    wrongShare: wrong / units,
    redundancy: mean((each) => each.redundancy),
    time: mean((each) => each.time),
    captured: mean((each) => each.captured),
    putOut: mean((each) => each.putOut),
    replayed: mean((each) => each.replayed),
    idle: mean((each) => each.idle),
  }
  return { ...cell, over: policy === 'ours' ? overBounds(cell, bounds) : [] }
}

/**
 * A share of wrong units is over its bound when there is at least one unit more than the bound allows of all: fewer cannot
 * be told from none in a short run.
 */
function overBounds(cell: Omit<Cell, 'over'>, bounds: Bounds): string[] {
  const over: string[] = []
  const wrongMax = bounds.wrong === undefined ? Number.POSITIVE_INFINITY : Math.ceil(bounds.wrong * cell.units)
  if (cell.wrong > wrongMax) over.push(`${cell.wrong} units wrong, at most ${wrongMax}`)
  if (cell.undecided > 0) over.push(`${cell.undecided} units undecided`)
  for (const measure of ['redundancy', 'time', 'captured', 'putOut', 'idle'] as const) {
    const bound = bounds[measure]
    if (bound !== undefined && cell[measure] > bound)
      over.push(`${measure} ${cell[measure].toFixed(3)}, at most ${bound}`)
  }
  return over
}

const COLUMNS = [34, 9, 8, 8, 9, 11, 6, 9, 8, 9, 6] as const

/** The head of the table. */
export function head(): string {
  return line([
    'population',
    'policy',
    'wrong',
    'bound',
    'disputed',
    'redundancy',
    'time',
    'captured',
    'put out',
    'replayed',
    'idle',
  ])
}

/** A line of the table; the bounds of a row stand with our own policy. */
export function format({ title, bounds }: Row, cell: Cell): string {
  const isOurs = cell.policy === 'ours'
  const cells = [
    isOurs ? title : '',
    cell.policy,
    share(cell.wrongShare),
    isOurs && bounds.wrong !== undefined ? share(bounds.wrong) : '',
    String(cell.disputed),
    cell.redundancy.toFixed(2),
    cell.time.toFixed(2),
    share(cell.captured),
    cell.putOut.toFixed(1),
    share(cell.replayed),
    cell.idle.toFixed(3),
  ]
  return `${line(cells)}  ${isOurs ? verdict(cell) : ''}`.trimEnd()
}

function verdict({ over }: Cell): string {
  return over.length === 0 ? 'ok' : `over: ${over.join('; ')}`
}

function line(cells: readonly string[]): string {
  return cells.map((cell, i) => (i < 2 ? cell.padEnd(COLUMNS[i]!) : cell.padStart(COLUMNS[i]!))).join(' ')
}

function share(value: number): string {
  if (value === 0) return '0'
  return value >= 0.001 ? value.toFixed(3) : value.toExponential(0)
}
