import type { Random } from '../../../runtime/random.js'
import type { Codec } from '../../../runtime/transport.js'

/** Passes bytes as they are, so that anything can be sent. */
export const rawBytes: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes }

const RANDOM_BYTES_MAX = 400
const FLIPS_MAX = 8

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.int(values.length)]!
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** A varint of `value`, as protobuf writes lengths and numbers. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  for (let left = value; ; left >>= 7n) {
    if (left < 128n) return Uint8Array.from([...bytes, Number(left)])
    bytes.push(Number(left & 127n) | 128)
  }
}

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array

const mutations: readonly Mutation[] = [
  (_, random) => random.bytes(random.int(RANDOM_BYTES_MAX)),
  (bytes, random) => bytes.subarray(0, random.int(bytes.length + 1)),
  (bytes, random) => {
    const flipped = bytes.slice()
    for (let flips = 1 + random.int(FLIPS_MAX); flips > 0 && flipped.length > 0; flips--)
      flipped[random.int(flipped.length)]! ^= 1 << random.int(8)
    return flipped
  },
  (bytes, random) => {
    const at = random.int(bytes.length + 1)
    return join(bytes.subarray(0, at), random.bytes(1 + random.int(20)), bytes.subarray(at))
  },
  // Fields twice: a last value wins, repeated fields grow.
  (bytes) => join(bytes, bytes),
  // A field that claims to be longer than anything that follows.
  (bytes, random) =>
    join(
      bytes,
      Uint8Array.of(((1 + random.int(15)) << 3) | 2),
      varint(BigInt(random.int(2 ** 32)) << BigInt(random.int(31))),
    ),
  // The largest numbers there are.
  (bytes, random) =>
    join(bytes, Uint8Array.of((1 + random.int(15)) << 3), varint(2n ** 64n - 1n - BigInt(random.int(3)))),
  // Nested groups and messages, a few hundred deep.
  (_, random) => new Uint8Array(1 + random.int(300)).fill(pick(random, [0x0b, 0x0a, 0x12, 0x1a])),
]

/** `valid` made hostile in one of many ways; nothing is promised about what comes of it. */
export function mutated(valid: Uint8Array, random: Random): Uint8Array {
  return pick(random, mutations)(valid, random)
}
