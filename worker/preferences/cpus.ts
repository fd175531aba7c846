import { GridError } from '../../runtime/errors.js'

/** Threads a worker may have; also the bound of the protocol. */
const THREADS_MAX = 4_096
const HINT = 'write a number of threads such as 4, or a share of all such as 50%; 0 computes nothing'

/**
 * Threads that compute, of `available` on this machine: `N`, or `P%` rounded down but at least one thread unless it is 0 %. Undefined:
 * all but one, so that the machine stays usable, and at least one. Throws GridError `invalid`.
 */
export function parseCpus(text: string | undefined, available: number): number {
  if (text === undefined) return Math.max(1, available - 1)
  const match = /^([0-9]{1,4})(%?)$/.exec(text.trim())
  if (match === null) throw new GridError('invalid', `cpus '${text.slice(0, 40)}' is not understood`, { hint: HINT })
  const value = Number(match[1])
  if (match[2] === '%') {
    if (value > 100) throw new GridError('invalid', `cpus '${text}' is more than 100%`, { hint: HINT })
    return value === 0 ? 0 : Math.max(1, Math.floor((available * value) / 100))
  }
  if (value > THREADS_MAX) {
    throw new GridError('invalid', `cpus ${value} is more than ${THREADS_MAX} threads`, { hint: HINT })
  }
  return value
}
