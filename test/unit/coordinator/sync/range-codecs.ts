import { messageCodec } from '../../../../proto/codec/common.js'
import { rangeReplyToWire, rangeRequestToWire, readRangeReply, readRangeRequest } from '../../../../proto/codec/sync.js'
import type { RangeReply, RangeRequest } from '../../../../proto/sync-messages.js'
import type { Codec } from '../../../../runtime/transport.js'

/** Largest message of either kind. Unit: bytes. */
const BYTES_MAX = 192 * 1024

/** Requests and replies alone, which travel as parts of `ReconcileRequest` and `ReconcileReply`. */
export const rangeRequestCodec: Codec<RangeRequest> = messageCodec(
  'RangeRequest',
  BYTES_MAX,
  rangeRequestToWire,
  readRangeRequest,
)
export const rangeReplyCodec: Codec<RangeReply> = messageCodec(
  'RangeReply',
  BYTES_MAX,
  rangeReplyToWire,
  readRangeReply,
)
