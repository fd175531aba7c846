import { formatDuration } from '../../../job/quantity.js'
import { printable } from '../../../proto/printable.js'
import type { JobRow } from '../core/messages.js'
import { jobState } from '../core/shapes.js'
import type { Tone } from './line.js'

/** Numbers and states as the dashboard writes them. */

/** Text of strangers for a cell. */
export function clean(text: string, charsMax = 200): string {
  return printable(text, charsMax).trim()
}

/** `9999`, `12.3k`, `4.56M`, `7.89G`: at most five characters below 10^15. */
export function compact(value: number | bigint): string {
  let left = Number(value)
  if (left < 9_999.5) return String(Math.round(left))
  let unit = 0
  while (left >= 999.5 && unit < 5) {
    left /= 1_000
    unit++
  }
  return `${left >= 99.95 ? left.toFixed(0) : left >= 9.995 ? left.toFixed(1) : left.toFixed(2)}${'kMGTP'[unit - 1]}`
}

/** `0.4/s`, `12/s`, `1.2k/s`; empty for nothing. */
export function rate(perSecond: number): string {
  if (perSecond <= 0) return ''
  return `${perSecond < 9.95 ? perSecond.toFixed(1) : compact(perSecond)}/s`
}

/** Longest time left that is worth a number. Unit: ms. */
const ETA_MS_MAX = 100 * 86_400_000

/** `20s to 30s`, or one of them where both read the same; empty when nothing can be said. */
export function etaRange(eta: { readonly lowMs: number; readonly highMs: number } | undefined): string {
  if (eta === undefined || eta.highMs <= 0 || eta.highMs >= ETA_MS_MAX) return ''
  const [low, high] = [formatDuration(coarse(eta.lowMs)), formatDuration(coarse(eta.highMs))]
  return low === high ? low : `${low} to ${high}`
}

const MINUTE_MS = 60_000

/** An estimate is not known to the second: whole minutes from ten of them on, and so for hours and days. Unit: ms. */
function coarse(ms: number): number {
  for (const unit of [1_440 * MINUTE_MS, 60 * MINUTE_MS, MINUTE_MS])
    if (ms >= 10 * unit) return Math.round(ms / unit) * unit
  return ms
}

/** `0.4%`, `42%`; 100% only when nothing is left. */
export function percent(share: number): string {
  if (share >= 1) return '100%'
  const tenths = Math.floor(share * 1_000)
  return tenths < 100 && tenths > 0 ? `${(tenths / 10).toFixed(1)}%` : `${Math.floor(tenths / 10)}%`
}

/** `1 peer`, `2 peers`, `12.3k peers`. */
export function many(value: number, noun: string): string {
  return `${compact(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** How the state of a job looks: `bad` where somebody has to act. */
export function jobTone(row: JobRow): Tone {
  switch (jobState(row)) {
    case 'running':
      return 'accent'
    case 'finished':
      return (row.look?.summary.failed ?? 0) > 0 ? 'warn' : 'good'
    case 'waiting':
      return 'warn'
    case 'stuck':
    case 'stopped':
      return 'bad'
    default:
      return 'dim'
  }
}

const UNIT_TONES: Readonly<Record<string, Tone>> = {
  settled: 'good',
  accepted: 'good',
  failed: 'bad',
  disputed: 'warn',
  held: 'warn',
}

/** How the state of a unit looks; `plain` for one that merely goes on, or is unknown. */
export function unitTone(state: string): Tone {
  return UNIT_TONES[state] ?? 'plain'
}
