import type { JobSpec, Summary } from '../proto/model.js'

/** Units that must have failed, with none settled, before a job without a limit of its own stops being granted. */
const ALL_FAILED_MIN = 20

/**
 * Why a job is to be granted no further by what has failed so far; empty: go on. A soft rule of its home, never part of
 * the verdict. `maxFails` 0 stands for the default: the first 20 or more units all failed.
 */
export function stopReason(
  { maxFails }: Pick<JobSpec, 'maxFails'>,
  { units, failed, settled }: Pick<Summary, 'units' | 'failed' | 'settled'>,
): string {
  const { type, value } = maxFails
  if (value > 0) {
    const most = type === 'count' ? value : Math.floor((units * value) / 100)
    return failed > most
      ? `${failed} units failed, more than the ${type === 'count' ? value : `${value} %`} that --max-fails allows`
      : ''
  }
  return failed >= ALL_FAILED_MIN && settled === 0 ? `the first ${failed} units all failed` : ''
}
