import { parseArgs } from 'node:util'
import * as overlayCodecs from '../../proto/codec/overlay.js'
import { methods } from '../../proto/methods.js'
import { GridError } from '../../runtime/errors.js'
import type { Codec } from '../../runtime/transport.js'
import { mutated } from '../support/hostile/messages.js'
import { mutatedValue } from '../support/hostile/values.js'
import { seededRandom } from '../support/seeded-random.js'
import { allCases } from '../unit/proto/codec/cases/all.js'
import { fuzzedOverGrpc } from './fuzz-grpc.js'
import { type Soak, say, wholeNumber } from './soak.js'

/** What may be alive more at the end than after the first tenth. Unit: bytes. */
const HEAP_GROWTH_MAX = 16 * 2 ** 20
const MESSAGES = 1_000_000

/** Every codec with encodings of valid values. */
interface Fuzzed {
  readonly name: string
  readonly codec: Codec<unknown>
  readonly values: readonly unknown[]
  readonly encoded: readonly Uint8Array[]
}

/**
 * Reads hostile bytes with every codec of the wire: valid messages with bytes changed, and valid values with a leaf changed
 * before they were written. Each is read, or refused as `invalid`; what is read and written again is the same.
 */
export const fuzz: Soak = {
  name: 'fuzz',
  summary:
    'hostile messages to every codec, in one process: 1,000,000 in some minutes; to every method of a peer with --grpc  [--grpc] [--messages N] [--seed N]',
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: { grpc: { type: 'boolean' }, messages: { type: 'string' }, seed: { type: 'string' } },
    })
    const messages = wholeNumber('messages', values.messages, MESSAGES)
    const seed = wholeNumber('seed', values.seed, 1)
    if (values.grpc === true) await fuzzedOverGrpc(messages, seed)
    else fuzzed(messages, seed)
    return undefined
  },
}

/** @throws Error naming codec, seed and bytes of the first message that was neither read nor refused properly */
export function fuzzed(messages: number, seed: number): void {
  const random = seededRandom(seed)
  const codecs = everyCodec()
  const began = performance.now()
  let read = 0
  let unwritable = 0
  let heapBefore = 0
  for (let i = 0; i < messages; i++) {
    const { name, codec, values, encoded } = codecs[i % codecs.length]!
    let bytes: Uint8Array
    if (random.int(2) === 0 || values.length === 0) {
      bytes = mutated(encoded[random.int(encoded.length)] ?? new Uint8Array(0), random)
    } else {
      try {
        bytes = codec.encode(mutatedValue(values[random.int(values.length)], random))
      } catch {
        // Our own writer may refuse what cannot be written; a stranger's would not, hence the mutated bytes.
        unwritable++
        continue
      }
    }
    if (isRead(codec, bytes, `${name}, message ${i} of seed ${seed}`)) read++
    if (i === Math.floor(messages / 10)) heapBefore = heapBytes()
  }
  const seconds = (performance.now() - began) / 1_000
  const growth = heapBytes() - heapBefore
  say(
    `${messages} messages to ${codecs.length} codecs in ${seconds.toFixed(1)} s: ${read} read, ${unwritable} not writable, the rest refused; heap ${(growth / 2 ** 20).toFixed(1)} MiB more`,
  )
  if (growth > HEAP_GROWTH_MAX) throw new Error(`memory grew by ${growth} bytes`)
}

function isRead(codec: Codec<unknown>, bytes: Uint8Array, what: string): boolean {
  let value: unknown
  try {
    value = codec.decode(bytes)
  } catch (error) {
    if (error instanceof GridError && error.code === 'invalid') return false
    throw new Error(`${what}: ${String(error)}\n${Buffer.from(bytes).toString('hex')}`, { cause: error })
  }
  const again = Buffer.from(codec.encode(value))
  if (!again.equals(codec.encode(codec.decode(again))))
    throw new Error(`${what}: written again it differs\n${Buffer.from(bytes).toString('hex')}`)
  return true
}

function everyCodec(): Fuzzed[] {
  const known = new Map(allCases.map(({ codec, ...rest }) => [codec, rest]))
  const found = new Map<Codec<unknown>, Fuzzed>()
  const add = (name: string, codec: Codec<unknown>) => {
    if (found.has(codec)) return
    const values = known.get(codec)?.values ?? []
    found.set(codec, { name, codec, values, encoded: values.map((value) => codec.encode(value)) })
  }
  for (const { name, codec } of allCases) add(name, codec)
  for (const method of [...Object.values(methods), ...Object.values(overlayCodecs)]) {
    if (typeof method !== 'object' || !('path' in method)) continue
    const sides = 'request' in method ? [method.request, method.response] : [method.up, method.down]
    for (const side of sides) add(method.path, side as Codec<unknown>)
  }
  return [...found.values()]
}

function heapBytes(): number {
  ;(globalThis as { gc?: () => void }).gc?.()
  return process.memoryUsage().heapUsed
}
