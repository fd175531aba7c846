import type { Digest } from './model.js'

/**
 * What two owners say to each other to find how their sets of fact ids differ. Pure; `codec/sync.ts` converts and checks.
 *
 * A *range* is the ids that begin with a prefix of 0 to {@link RANGE_PREFIX_MAX} hex digits; its *print* is a hash over
 * exactly these ids. One side asks, the other answers, until the asker knows all differences: `docs/protocol.md`.
 */

/** Digits of a prefix. Ids have 64, so the narrowest range holds at most 16. */
export const RANGE_PREFIX_MAX = 63
/** Bytes of a print; that of an empty range is all zeros. */
export const PRINT_BYTES = 16
/** Ranges that a range is divided into: one for each next digit. */
export const RANGE_FAN = 16
/** Ids that are listed rather than divided further. */
export const RANGE_LEAF_MAX = 32
/** Ranges asked about in one request: under 48 KB. */
export const RANGE_QUESTIONS_MAX = 128
/** Ranges spoken of in one reply. */
export const RANGE_ANSWERS_MAX = RANGE_QUESTIONS_MAX * RANGE_FAN
/** Ids of one range in one reply. */
export const RANGE_IDS_MAX = 2_048

/** Prints of the sender. */
export interface RangePrints {
  readonly prefix: string
  /** Of the whole range (16 bytes), or of each of its {@link RANGE_FAN} parts in order (256 bytes). */
  readonly prints: Uint8Array
}

/** Asks for the ids of a range above `after`; undefined: from the first. */
export interface RangeWanted {
  readonly prefix: string
  readonly after: Digest | undefined
}

/** Ids of the sender in a range, ascending: from the first, or above what was asked with `after`. */
export interface RangeIds {
  readonly prefix: string
  readonly ids: readonly Digest[]
  /** These reach the end of the range. */
  readonly complete: boolean
}

/** Its questions are the prints, then the wanted ranges; at least one and at most {@link RANGE_QUESTIONS_MAX}. */
export interface RangeRequest {
  readonly prints: readonly RangePrints[]
  readonly wanted: readonly RangeWanted[]
}

/** What is not spoken of within the answered questions is equal on both sides. */
export interface RangeReply {
  /** Questions answered, from the first on; the rest did not fit and is asked again. At least 1. */
  readonly answered: number
  /** Always of the parts of a range. */
  readonly prints: readonly RangePrints[]
  readonly ids: readonly RangeIds[]
}
