import { type ErrorCode, GridError } from '../../runtime/errors.js'

/** What a rejection must look like: a GridError of this code, a message that matches, or whatever a function accepts. */
export type RejectionCheck = ErrorCode | RegExp | ((error: unknown) => boolean | undefined)

/**
 * Fails unless `promise` rejects with what `check` asks for; gives back the error. The counterpart of uvu's
 * `assert.throws`, which is for synchronous code only.
 */
export async function rejects(promise: Promise<unknown>, check?: RejectionCheck): Promise<unknown> {
  let error: unknown
  try {
    await promise
  } catch (caught) {
    error = caught
    if (check === undefined) return error
    if (typeof check === 'string') {
      if (error instanceof GridError && error.code === check) return error
    } else if (check instanceof RegExp) {
      if (error instanceof Error && check.test(error.message)) return error
    } else if (check(error) !== false) {
      return error
    }
    const seen = error instanceof GridError ? `GridError ${error.code}: ${error.message}` : String(error)
    throw new Error(`rejected, but not as expected (${String(check)}): ${seen}`, { cause: error })
  }
  throw new Error(`expected a rejection${check === undefined ? '' : ` (${String(check)})`}, but it resolved`)
}
