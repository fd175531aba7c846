import { toGridError } from '../../runtime/errors.js'

/** `warn`: works, but look at it. */
export type Health = 'ok' | 'warn' | 'bad'

/** What one check of `doctor` has found. Whatever is not `ok` says in `hint` exactly what to do. */
export interface CheckFinding {
  readonly name: string
  readonly health: Health
  readonly says: string
  readonly hint?: string
}

/** The finding of a check that failed. */
export function bad(name: string, error: unknown, hint = 'run it again with --verbose for details'): CheckFinding {
  const { message, hint: own } = toGridError(error)
  return { name, health: 'bad', says: message, hint: own ?? hint }
}
