import { formatDuration } from '../../../job/quantity.js'
import type { Finding } from './findings.js'
import { type Asked, type JobSight, nameOf, names } from './job-sight.js'

/** A clock further off than this is said to be: signed statements near their expiry are refused. Unit: ms. */
export const CLOCK_OFF_MS = 5 * 60_000
/** Peers whose median judges a clock: fewer could be wrong together. */
const CLOCK_JUDGES_MIN = 5

/** A peer, and what its clock showed when ours showed `wallMs`. */
export interface PeerClock extends Asked {
  readonly theirMs: number
}

/** Clocks that are off, by the median of five peers or more; where there are fewer, clocks that differ from this one. */
export function clockFindings(wallMs: number, clocks: readonly PeerClock[]): Finding[] {
  const offsets = clocks.map(({ theirMs }) => theirMs - wallMs)
  if (clocks.length < CLOCK_JUDGES_MIN) {
    return clocks.flatMap((clock, i) =>
      Math.abs(offsets[i]!) < CLOCK_OFF_MS ? [] : [differs(clock, offsets[i]!, clocks.length)],
    )
  }
  const median = medianOf(offsets)
  const findings: Finding[] = []
  if (Math.abs(median) >= CLOCK_OFF_MS) findings.push(offHere(-median, clocks))
  for (const [i, clock] of clocks.entries()) {
    const off = offsets[i]! - median
    if (Math.abs(off) >= CLOCK_OFF_MS) findings.push(offThere(clock, off, clocks.length))
  }
  return findings
}

/** The clocks of the peers that answered about a job. */
export function clocksOf({ answers }: JobSight): PeerClock[] {
  return answers.map(({ nodeId, address, reply }) => ({ nodeId, address, theirMs: reply.wallMs }))
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

function offHere(off: number, clocks: readonly PeerClock[]): Finding {
  return {
    code: 'clock-here',
    blocks: true,
    sentence: `the clock of this machine is ${offText(off)}: jobs it makes expire at the wrong time or are refused`,
    sinceMs: undefined,
    by: names(clocks),
    value: `${offText(off)} of the median of ${clocks.length} peers; allowed is ${formatDuration(CLOCK_OFF_MS)}`,
    cure: 'set the clock, best by NTP',
  }
}

function offThere(clock: PeerClock, off: number, judges: number): Finding {
  return {
    code: 'clock-peer',
    blocks: false,
    sentence: `the clock of peer ${nameOf(clock)} is ${offText(off)}: it may take the job as expired, or not made yet`,
    sinceMs: undefined,
    by: [nameOf(clock)],
    value: `${offText(off)} of the median of ${judges} peers; allowed is ${formatDuration(CLOCK_OFF_MS)}`,
    cure: 'whoever runs that peer sets its clock; the other owners of the job do its work meanwhile',
  }
}

function differs(clock: PeerClock, off: number, seen: number): Finding {
  return {
    code: 'clocks-differ',
    blocks: false,
    sentence: `the clock of peer ${nameOf(clock)} is ${offText(off)} of this machine's: one of the two is wrong`,
    sinceMs: undefined,
    by: [nameOf(clock), 'this machine'],
    value: `${offText(off)}; ${seen} peers are too few to tell which, ${CLOCK_JUDGES_MIN} are needed`,
    cure: 'compare both with a good clock',
  }
}

function offText(off: number): string {
  return `${formatDuration(Math.abs(off))} ${off < 0 ? 'behind' : 'ahead'}`
}
