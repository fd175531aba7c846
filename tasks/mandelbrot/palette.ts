import { FIXED_ONE, log2Fixed } from './fixed-log.js'

/** Colours of the cycle, each with its place out of 1,024: night blue, blue, near white, amber, brown, and back. */
const STOPS: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 7, 100],
  [164, 32, 107, 203],
  [430, 237, 255, 255],
  [658, 255, 170, 0],
  [878, 70, 12, 10],
  [1024, 0, 7, 100],
]
const PALETTE_SIZE = 1024
/** How far the cycle turns while the escape time doubles, out of 1,024. */
const TURN_PER_DOUBLING = 360
/** Where the cycle starts. */
const PHASE = 270

const RED = channel(1)
const GREEN = channel(2)
const BLUE = channel(3)

/** One channel of the cycle, eased between the stops in integers: 3 t^2 - 2 t^3. */
function channel(index: 1 | 2 | 3): Uint8Array {
  const values = new Uint8Array(PALETTE_SIZE)
  for (let stop = 0; stop + 1 < STOPS.length; stop++) {
    const from = STOPS[stop]!
    const to = STOPS[stop + 1]!
    const length = to[0] - from[0]
    for (let at = 0; at < length; at++) {
      const eased = at * at * (3 * length - 2 * at)
      const whole = length * length * length
      values[from[0] + at] = Math.floor((from[index] * (whole - eased) + to[index] * eased) / whole)
    }
  }
  return values
}

/** Adds the colour of an escape time (see `escape.ts`) to a running sum of red, green and blue. Points inside, below 0, are black. */
export function addColour(sum: [number, number, number], time: number): void {
  if (time < 0) return
  // On a logarithmic scale, so that the slow points near the edge do not dissolve into noise.
  const place = (Math.floor((log2Fixed(time / FIXED_ONE + 1) * TURN_PER_DOUBLING) / FIXED_ONE) + PHASE) % PALETTE_SIZE
  sum[0] += RED[place]!
  sum[1] += GREEN[place]!
  sum[2] += BLUE[place]!
}
