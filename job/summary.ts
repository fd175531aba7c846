import type { Summary, UnitState } from '../proto/model.js'

/** No units in any state. */
export const NO_UNITS: Readonly<Record<UnitState, number>> = Object.freeze({
  open: 0,
  accepted: 0,
  settled: 0,
  disputed: 0,
  held: 0,
  failed: 0,
})

/** The counts of no units at all: what sums begin with. */
export const EMPTY_SUMMARY: Summary = Object.freeze({
  units: 0,
  ...NO_UNITS,
  leased: 0,
  granted: 0,
  answered: 0,
  disagreeing: 0,
  workers: 0,
  donors: 0,
  fuel: 0n,
  ready: 0,
})

/** Whether the counts are those of `units` units, each in one state. */
export function addsUp(summary: Summary, units: number): boolean {
  const { open, accepted, settled, disputed, held, failed } = summary
  return summary.units === units && open + accepted + settled + disputed + held + failed === units
}
