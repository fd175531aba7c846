import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { type ErrorCode, GridError, toGridError } from '../runtime/errors.js'
import { printable } from './printable.js'

/** Trailing metadata that carries the exact {@link ErrorCode}, as several share a gRPC status. */
export const ERROR_CODE_KEY = 'manyhands-code'

/** The table of both directions. Where codes share a status, {@link ERROR_CODE_KEY} tells them apart. */
const STATUS_OF: Readonly<Record<ErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  notFound: status.NOT_FOUND,
  expired: status.FAILED_PRECONDITION,
  exists: status.ALREADY_EXISTS,
  quota: status.RESOURCE_EXHAUSTED,
  unsupported: status.UNIMPLEMENTED,
  unreachable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  closed: status.ABORTED,
  unavailable: status.UNAVAILABLE,
  corrupt: status.DATA_LOSS,
  internal: status.INTERNAL,
}

/** What a bare gRPC status means to us. 13 comes from broken connections more often than from faults, so it is like 14. */
const CODE_OF: ReadonlyMap<status, ErrorCode> = new Map<status, ErrorCode>([
  [status.CANCELLED, 'closed'],
  [status.INVALID_ARGUMENT, 'invalid'],
  [status.DEADLINE_EXCEEDED, 'timeout'],
  [status.NOT_FOUND, 'notFound'],
  [status.ALREADY_EXISTS, 'exists'],
  [status.PERMISSION_DENIED, 'forbidden'],
  [status.RESOURCE_EXHAUSTED, 'quota'],
  [status.FAILED_PRECONDITION, 'expired'],
  [status.ABORTED, 'closed'],
  [status.OUT_OF_RANGE, 'invalid'],
  [status.UNIMPLEMENTED, 'unsupported'],
  [status.INTERNAL, 'unreachable'],
  [status.UNAVAILABLE, 'unreachable'],
  [status.DATA_LOSS, 'corrupt'],
  [status.UNAUTHENTICATED, 'unauthenticated'],
])

/** The gRPC status of a code, for clients of other languages. */
function statusOf(code: ErrorCode): status {
  return STATUS_OF[code]
}

/**
 * `error` as a status to send: code in status and trailer, message bounded and cleaned. A fault of ours (`internal`) says
 * nothing of what went wrong inside, and stack, cause and fields never travel.
 */
export function toStatus(error: unknown): { code: status; details: string; metadata: Metadata } {
  const failure = toGridError(error)
  const metadata = new Metadata()
  metadata.set(ERROR_CODE_KEY, failure.code)
  const details = failure.code === 'internal' ? 'internal error' : printable(failure.message)
  return { code: statusOf(failure.code), details, metadata }
}

/** A status that came from the other side, or from the channel, as our error. */
export function fromStatus(received: Pick<StatusObject, 'code' | 'details' | 'metadata'>): GridError {
  const message = printable(received.details)
  return new GridError(spokenCode(received.metadata) ?? CODE_OF.get(received.code) ?? 'internal', message)
}

/** The code that the peer itself sent; undefined when the status was made up by the channel on the way. */
export function spokenCode(metadata: Metadata | undefined): ErrorCode | undefined {
  const value = metadata?.get(ERROR_CODE_KEY)[0]
  return typeof value === 'string' && Object.hasOwn(STATUS_OF, value) ? (value as ErrorCode) : undefined
}
