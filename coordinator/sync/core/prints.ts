import { PRINT_BYTES, RANGE_FAN, RANGE_LEAF_MAX } from '../../../proto/sync-messages.js'

/** SHA-256 of some bytes: 32 bytes. Handed in. */
type Hash = (bytes: Uint8Array) => Uint8Array

/** How a print is made of ids, and of prints. */
export interface PrintMaker {
  /** The print of up to {@link RANGE_LEAF_MAX} ids, given ascending, 32 bytes each. {@link PRINT_BYTES} or more bytes. */
  ofIds(ids: Uint8Array): Uint8Array
  /** The print of a larger range from those of its {@link RANGE_FAN} parts. {@link PRINT_BYTES} or more bytes. */
  ofParts(prints: Uint8Array): Uint8Array
}

const IDS_TAG = 0
const PARTS_TAG = 1

/**
 * A tree of hashes, so that two different sets of ids with one print cost 2^64 hashes (a collision of 128 bits).
 * Workers choose their facts, hence their ids; prints that add or XOR ids would be cheaper to keep, but are forged at
 * leisure: XOR by linear algebra over some 130 ids, sums modulo 2^256 by the generalized birthday attack at about 2^32
 * hashes (Wagner, CRYPTO 2002).
 */
export function hashedPrints(hash: Hash): PrintMaker {
  const idsInput = new Uint8Array(1 + 32 * RANGE_LEAF_MAX)
  const partsInput = new Uint8Array(1 + PRINT_BYTES * RANGE_FAN)
  idsInput[0] = IDS_TAG
  partsInput[0] = PARTS_TAG
  return {
    ofIds(ids) {
      idsInput.set(ids, 1)
      return hash(idsInput.subarray(0, 1 + ids.length))
    },
    ofParts(prints) {
      partsInput.set(prints, 1)
      return hash(partsInput)
    },
  }
}
