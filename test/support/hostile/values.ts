import type { Random } from '../../../runtime/random.js'

/** Leaves that readers of messages get wrong, whatever stood there before. */
const LEAVES: readonly ((random: Random) => unknown)[] = [
  () => 0,
  () => -1,
  () => 2 ** 32,
  () => Number.MAX_SAFE_INTEGER,
  () => 2 ** 53,
  () => 0.5,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -1n,
  () => 2n ** 64n - 1n,
  () => 2n ** 64n,
  () => -(10n ** 40n),
  () => '',
  () => '\u0000\u001b[2J\u202e../../etc/passwd',
  () => '\ud800',
  (random) => 'x'.repeat(random.int(70_000)),
  (random) => 'ab'.repeat(random.int(80)),
  (random) => random.bytes(random.int(200)),
  () => undefined,
  () => null,
  () => [],
  () => ({}),
  () => true,
]

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.int(values.length)]!
}

function isBranch(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
}

/** `value` with one leaf replaced by a hostile one, one list repeated or cut, or one field gone. The original is not touched. */
export function mutatedValue(value: unknown, random: Random): unknown {
  if (!isBranch(value)) return pick(random, LEAVES)(random)
  if (Array.isArray(value)) {
    if (value.length === 0 || random.int(4) === 0) {
      const times = pick(random, [0, 2, 100])
      return Array.from({ length: times }, () => value).flat()
    }
    const at = random.int(value.length)
    return value.map((each, i) => (i === at ? mutatedValue(each, random) : each))
  }
  const names = Object.keys(value)
  if (names.length === 0) return pick(random, LEAVES)(random)
  const name = pick(random, names)
  const { [name]: old, ...rest } = value as Record<string, unknown>
  return random.int(8) === 0 ? rest : { ...rest, [name]: mutatedValue(old, random) }
}
