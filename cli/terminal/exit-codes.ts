import type { ErrorCode, GridError } from '../../runtime/errors.js'

/** What the command says to a shell when it ends. Part of its interface: scripts rely on these numbers. */
export const EXIT = {
  ok: 0,
  /** Some unit failed for good, or this machine could not do it (full disk, port or data directory in use). */
  failed: 1,
  usage: 2,
  /** No peer was reached. */
  unreachable: 3,
  timeout: 4,
  /** Donors disagree about a unit, or a result was overturned. */
  disputed: 5,
  /** The job is not known, or has expired. */
  unknownJob: 6,
  /** Ctrl-C: 128 and the number of the signal. */
  interrupted: 130,
} as const

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const CODES: Readonly<Record<ErrorCode, ExitCode>> = {
  invalid: EXIT.usage,
  unsupported: EXIT.usage,
  exists: EXIT.usage,
  forbidden: EXIT.failed,
  unauthenticated: EXIT.failed,
  notFound: EXIT.unknownJob,
  expired: EXIT.unknownJob,
  quota: EXIT.failed,
  unreachable: EXIT.unreachable,
  timeout: EXIT.timeout,
  closed: EXIT.unreachable,
  unavailable: EXIT.failed,
  corrupt: EXIT.failed,
  internal: EXIT.failed,
}

/** The exit code of a command that ended with `error`. */
export function exitCodeOf(error: GridError): ExitCode {
  return CODES[error.code]
}

/** For help texts and the manual, one a line. */
export const EXIT_CODES_HELP = [
  '  0  done',
  '  1  some unit failed for good, or this machine could not do it (disk full, port in use ...)',
  '  2  the command line, a job file or a setting is wrong',
  '  3  no peer was reached',
  '  4  timed out',
  '  5  disputed: donors disagree about a unit',
  '  6  unknown or expired job',
  '130  interrupted',
].join('\n')
