import type { Codec } from '../../../../../runtime/transport.js'
import * as s from '../../../job/samples.js'

/** A codec with values that reach every field and every case of it. */
export interface CodecCase {
  readonly name: string
  readonly codec: Codec<unknown>
  readonly values: readonly unknown[]
}

/** Checks that the values are of the codec's type. */
export function codecCase<T>(name: string, codec: Codec<T>, ...values: readonly T[]): CodecCase {
  return { name, codec: codec as Codec<unknown>, values }
}

/** Values of which most messages have some. */
export const { jobId, nodeId, digest, summary } = s
export const bytes = new Uint8Array([1, 2, 3])
export const blob = { digest, size: 300_000 }
export const status = {
  shard: 3,
  owner: nodeId,
  ownerAddress: '[::1]:7000',
  summary,
  waiting: 'no workers',
  summaryAgeMs: 900,
  firstGrantAgoMs: 40,
}
/** What an answer says of who has on disk what was sent. */
export const stored = { holders: [nodeId], wanted: 2 }
