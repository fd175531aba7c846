import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { GridClient } from '../../client/session/session.js'
import { formatDuration } from '../../job/quantity.js'
import { methods } from '../../proto/methods.js'
import type { Clock } from '../../runtime/clock.js'
import { packageRoot } from '../../runtime/package-root.js'
import type { Endpoint } from '../../runtime/transport.js'
import { plural } from '../terminal/output.js'
import type { CheckFinding } from './check-finding.js'

/** Peers whose clocks are needed to judge one's own: fewer could be wrong together, or lie. */
const CLOCKS_MIN = 5
/** Peers asked at most. */
const CLOCKS_MAX = 20
const ASK_MS = 3_000
/** Contacts, and jobs of the future, are refused about there. Unit: ms. */
const WRONG_MS = 5 * 60_000
/** No clock that is kept by NTP is off by so much. Unit: ms. */
const LOOK_MS = 30_000
/** How far in the past or future a clock is certainly wrong. */
const YEAR_MAX = 2100
const DAY_MS = 86_400_000
const HINT = 'set the clock by NTP: timedatectl set-ntp true; jobs and contacts made with a wrong clock are refused'

/** Whether the clock can be right at all, by when the program was built. */
export function plainClock(nowMs: number): CheckFinding {
  const built = statSync(join(packageRoot, 'package.json')).mtimeMs
  const says = new Date(nowMs).toISOString()
  // A day of grace: archives keep times of other zones.
  if (nowMs > built - DAY_MS && new Date(nowMs).getUTCFullYear() < YEAR_MAX)
    return { name: 'clock', health: 'ok', says }
  const why = `${says} cannot be: the program is from ${new Date(built).toISOString()}`
  return { name: 'clock', health: 'bad', says: why, hint: HINT }
}

/** The clock by how far those of peers are ahead of it. Unit: ms. */
export function judgeClock(aheadMs: readonly number[], plain: CheckFinding): CheckFinding {
  if (plain.health !== 'ok') return plain
  if (aheadMs.length < CLOCKS_MIN) {
    const says = `${plain.says}; ${plural(aheadMs.length, 'peer')} told the time, ${CLOCKS_MIN} are needed to judge by`
    return { ...plain, says }
  }
  const sorted = [...aheadMs].sort((a, b) => a - b)
  // Of an even number the one nearer to zero: a doubt speaks for the own clock.
  const low = sorted[(sorted.length - 1) >> 1]!
  const high = sorted[sorted.length >> 1]!
  const median = Math.abs(low) < Math.abs(high) ? low : high
  const off = Math.abs(median)
  const side = median > 0 ? 'behind' : 'ahead of'
  const says =
    off < 1_000
      ? `within 1 s of the median of ${sorted.length} peers`
      : `${formatDuration(Math.round(off / 1_000) * 1_000)} ${side} the median of ${sorted.length} peers`
  if (off < LOOK_MS) return { name: 'clock', health: 'ok', says }
  return { name: 'clock', health: off < WRONG_MS ? 'warn' : 'bad', says, hint: HINT }
}

/** How far the clocks of peers are ahead, half a round trip allowed for. Those that do not answer or do not say are left out. */
export async function clocksOf(
  client: GridClient,
  peers: readonly Endpoint[],
  clock: Clock,
): Promise<readonly number[]> {
  const asked = peers.slice(0, CLOCKS_MAX).map(async (peer) => {
    const startedAt = clock.now()
    const { wallMs } = await client.parts.transport.call(peer, methods.status, {}, { deadlineMs: ASK_MS })
    return wallMs === 0 ? [] : [wallMs + (clock.now() - startedAt) / 2 - clock.wallMs()]
  })
  return (await Promise.all(asked.map((ahead) => ahead.catch(() => [])))).flat()
}
