import type { Digest, JobId, Key, Point } from '../../../proto/model.js'
import type { Sha256 } from '../../../runtime/hash.js'
import type { Random } from '../../../runtime/random.js'

/** Bits of a node id or key. */
export const ID_BITS = 160
/** Hex digits of a node id or key. */
const ID_DIGITS = 40

const HEX = '0123456789abcdef'

/** Value of each hex digit by character code; the table keeps the comparisons below free of parsing. */
const DIGIT = new Uint8Array(128)
for (let value = 0; value < 16; value++) DIGIT[HEX.charCodeAt(value)] = value

/**
 * Which of two points is closer to `target` by XOR distance: negative when `a`, positive when `b`, 0 when they are the
 * same point. Kademlia (Maymounkov and Mazieres 2002), section 2.1.
 */
export function compareDistance(target: Point, a: Point, b: Point): number {
  for (let i = 0; i < ID_DIGITS; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) {
      const t = DIGIT[target.charCodeAt(i)]!
      return (DIGIT[x]! ^ t) - (DIGIT[y]! ^ t)
    }
  }
  return 0
}

/** Leading bits two points share: 0 to 160, 160 when they are equal. */
export function sharedBits(a: Point, b: Point): number {
  for (let i = 0; i < ID_DIGITS; i++) {
    const difference = DIGIT[a.charCodeAt(i)]! ^ DIGIT[b.charCodeAt(i)]!
    if (difference !== 0) return i * 4 + Math.clz32(difference) - 28
  }
  return ID_BITS
}

/** A random point that shares exactly `shared` (0 to 159) leading bits with `self`: one of that bucket's range. */
export function randomInBucket(self: Point, shared: number, random: Random): Key {
  const bytes = random.bytes(ID_BITS / 8)
  const own = bytesOfPoint(self)
  const index = shared >> 3
  for (let i = 0; i < index; i++) bytes[i] = own[i]!
  const flip = 0x80 >> (shared & 7)
  const below = flip - 1
  bytes[index] = (own[index]! & ~(flip | below) & 0xff) | (~own[index]! & flip) | (bytes[index]! & below)
  return toHex(bytes) as Key
}

/**
 * The point for things of a `domain`: first 160 bits of SHA-256 over the domain and the parts, each preceded by its
 * length as 4 bytes, big-endian, so that no two lists of parts give the same bytes.
 */
export function keyOf(sha256: Sha256, domain: string, parts: readonly Uint8Array[]): Key {
  const all = [asciiBytes(domain), ...parts]
  return keyOfDigest(sha256(...all.flatMap((part) => [lengthPrefix(part), part])))
}

/** The point a digest lies at: its first 160 bits. A job's home is found this way. */
export function keyOfDigest(digest: Digest | JobId): Key {
  return digest.slice(0, ID_DIGITS) as Key
}

/** The 20 bytes of a point. */
export function bytesOfPoint(point: Point): Uint8Array {
  const bytes = new Uint8Array(ID_BITS / 8)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (DIGIT[point.charCodeAt(2 * i)]! << 4) | DIGIT[point.charCodeAt(2 * i + 1)]!
  }
  return bytes
}

function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte >> 4]! + HEX[byte & 15]!
  return text
}

function lengthPrefix(part: Uint8Array): Uint8Array {
  const prefix = new Uint8Array(4)
  new DataView(prefix.buffer).setUint32(0, part.length)
  return prefix
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}
