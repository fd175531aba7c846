/**
 * Why something at an edge failed. One table in `proto/status.ts` maps codes to gRPC status; never match on message text.
 *
 * - `invalid`: the request itself is wrong and will stay wrong.
 * - `unauthenticated`: no usable identity behind the connection. `forbidden`: the identity may not do this.
 * - `notFound`, `expired`, `exists`: about the thing named.
 * - `quota`: a limit was reached; the message says which. `unsupported`: a version or feature this node does not know.
 * - `unreachable`, `timeout`, `closed`: the other side, or we, went away.
 * - `unavailable`: cannot serve now (full disk, shutting down); try elsewhere or later.
 * - `corrupt`: bytes that do not have the digest they should have. `internal`: a fault of this node.
 */
export const ERROR_CODES = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'notFound',
  'expired',
  'exists',
  'quota',
  'unsupported',
  'unreachable',
  'timeout',
  'closed',
  'unavailable',
  'corrupt',
  'internal',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['quota', 'unreachable', 'timeout', 'closed', 'unavailable'])

/** What an error is about: ids and values a reader needs, never a stack or a path of another machine. */
type ErrorFields = Readonly<Record<string, string | number | boolean | bigint>>

/** A failure at an edge: network, disk, or something a person typed. */
export class GridError extends Error {
  readonly code: ErrorCode
  readonly fields: ErrorFields
  /** What the reader can do about it, as one sentence or command; shown after the message. */
  readonly hint: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { fields?: ErrorFields; cause?: unknown; hint?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GridError'
    this.code = code
    this.fields = options.fields ?? {}
    this.hint = options.hint
  }

  /** Whether the same request may succeed later or elsewhere. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code)
  }
}

/** `error` as a GridError: itself, or `internal` around it. */
export function toGridError(error: unknown): GridError {
  if (error instanceof GridError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new GridError('internal', message, { cause: error })
}

/** Stops the process for a bug of ours. Never for anything a peer sent: that is checked in `proto/codec`. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`)
}

/** The end of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Error(`bug: unexpected ${JSON.stringify(value)}`)
}
