import type { Millis } from '../../runtime/clock.js'
import { jitter } from '../../runtime/jitter.js'
import type { Random } from '../../runtime/random.js'

/** First wait after a lost link, and the longest while the loss is fresh and after that. */
const FIRST_MS = 100
const FRESH_MAX_MS = 1_000
const OLD_MAX_MS = 30_000
/** Attempts during which an owner that restarts is expected back any moment. */
const FRESH_ATTEMPTS = 60

/**
 * Wait before attempt number `attempts` (from 0) to reach an owner again, jittered by ± 40 % so that the workers of an
 * owner that restarts do not all come at once.
 */
export function reconnectWait(attempts: number, random: Random): Millis {
  const most = attempts < FRESH_ATTEMPTS ? FRESH_MAX_MS : OLD_MAX_MS
  return jitter(random, Math.min(most, FIRST_MS * 2 ** Math.min(attempts, 16)), 0.4)
}
