import type { Random } from './random.js'

/** `value` spread uniformly by ± `share` (0.2 = ± 20 %), so that many timers do not fire together. */
export function jitter(random: Random, value: number, share: number): number {
  return value * (1 - share + 2 * share * random.next())
}
