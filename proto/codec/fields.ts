import { GridError } from '../../runtime/errors.js'
import { TooManyFields, type WireMessage, type WireType } from '../load.js'
import type { Digest, JobId, Key, NodeId, PublicKey } from '../model.js'

/** Exact length, or a range of lengths in bytes. */
export type BytesBound = { readonly length: number } | { readonly min?: number; readonly max: number }

/** What a text field may hold; least length 0 unless given. */
export interface TextBound {
  readonly min?: number
  /** Bytes of UTF-8. */
  readonly max: number
  /** What becomes of control and direction-changing characters; `keep` only for text that is never shown. */
  readonly controls: 'refuse' | 'strip' | 'keep'
}

interface NumberBound {
  readonly min?: number
  readonly max: number
}

interface BigintBound {
  readonly min?: bigint
  readonly max?: bigint
}

/** How many elements a repeated field may have; least number 0 unless given. */
export interface ListBound {
  readonly min?: number
  readonly max: number
}

/** C0, DEL, C1, line and paragraph separators, and the characters that turn the direction of writing (CVE-2021-42574). */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/
const CONTROLS_ALL = new RegExp(CONTROLS.source, 'g')

/** `text` without the characters that could forge lines or steer a terminal. */
export function stripControls(text: string): string {
  return CONTROLS.test(text) ? text.replace(CONTROLS_ALL, '') : text
}

/** A 64-bit value as protobufjs writes it; it would write a bigint as zero. `value` is 0 to 2^64 - 1. */
export function uint64ToWire(value: bigint): { low: number; high: number; unsigned: true } {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)), unsigned: true }
}

/** Hex digits as bytes for the wire. */
export function hexToWire(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex')
}

/**
 * Reads one decoded message field by field, each within its bound. Every reader throws GridError `invalid` that names
 * the field and the bound. A field the message does not carry reads as its protobuf default and is held to the same
 * bound; fields nobody reads, unknown ones included, are ignored.
 */
export class Fields {
  readonly #wire: WireMessage
  readonly #where: string
  readonly #parent: Fields | undefined

  /** `where` names the message (or, below a parent, the field) in errors. */
  constructor(wire: WireMessage, where: string, parent?: Fields) {
    this.#wire = wire
    this.#where = where
    this.#parent = parent
  }

  /** Whether the sender set an `optional` or message field. */
  has(name: string): boolean {
    return Object.hasOwn(this.#wire, name) && this.#wire[name] !== null && this.#wire[name] !== undefined
  }

  /** A copy of a bytes field, so that it does not keep the whole message alive. */
  bytes(name: string, bound: BytesBound): Uint8Array {
    return new Uint8Array(this.view(name, bound))
  }

  /** Like {@link bytes} without the copy: for large fields that are used up at once. */
  view(name: string, bound: BytesBound): Uint8Array {
    return this.#checkBytes(name, this.#wire[name], bound)
  }

  /** A bytes field of exactly `byteLength` as lower-case hex digits. */
  hex(name: string, byteLength: number): string {
    return toHex(this.#checkBytes(name, this.#wire[name], { length: byteLength }))
  }

  nodeId(name: string): NodeId {
    return this.hex(name, 20) as NodeId
  }

  key(name: string): Key {
    return this.hex(name, 20) as Key
  }

  publicKey(name: string): PublicKey {
    return this.hex(name, 32) as PublicKey
  }

  jobId(name: string): JobId {
    return this.hex(name, 32) as JobId
  }

  digest(name: string): Digest {
    return this.hex(name, 32) as Digest
  }

  text(name: string, bound: TextBound): string {
    return this.#checkText(name, this.#wire[name], bound)
  }

  bool(name: string): boolean {
    return this.#wire[name] === true
  }

  uint32(name: string, bound: NumberBound): number {
    return this.#checkNumber(name, this.#wire[name], bound)
  }

  /** A protobuf enum field as our own word; numbers that `words` does not list are refused. */
  word<T extends string>(name: string, words: Readonly<Record<number, T>>): T {
    const value = this.#wire[name]
    const word = typeof value === 'number' && Object.hasOwn(words, value) ? words[value] : undefined
    return word ?? this.fail(name, `must be one of ${Object.values(words).join(', ')}`)
  }

  uint64(name: string, bound: BigintBound = {}): bigint {
    return this.#checkUint64(name, this.#wire[name], bound)
  }

  /** A 64-bit field that is a number for us, such as a duration or a size; at most 2^53 - 1. */
  safeInteger(name: string, bound: NumberBound = { max: Number.MAX_SAFE_INTEGER }): number {
    const value = this.#checkUint64(name, this.#wire[name], {})
    const { min = 0, max } = bound
    if (value < BigInt(min) || value > BigInt(max)) this.fail(name, `must be ${min} to ${max}`)
    return Number(value)
  }

  /** A message field that must be there. */
  message<T>(name: string, parse: (fields: Fields) => T): T {
    if (!this.has(name)) this.fail(name, 'is missing')
    return parse(new Fields(this.#wire[name] as WireMessage, name, this))
  }

  /** A message field, or undefined when the sender left it out. */
  optional<T>(name: string, parse: (fields: Fields) => T): T | undefined {
    return this.has(name) ? this.message(name, parse) : undefined
  }

  /** A repeated message field. */
  list<T>(name: string, bound: ListBound, parse: (fields: Fields) => T): T[] {
    return this.#elements(name, bound).map((element) => parse(new Fields(element as WireMessage, name, this)))
  }

  hexList(name: string, bound: ListBound, byteLength: number): string[] {
    return this.#elements(name, bound).map((element) => toHex(this.#checkBytes(name, element, { length: byteLength })))
  }

  textList(name: string, bound: ListBound, each: TextBound): string[] {
    return this.#elements(name, bound).map((element) => this.#checkText(name, element, each))
  }

  uint32List(name: string, bound: ListBound, each: NumberBound): number[] {
    return this.#elements(name, bound).map((element) => this.#checkNumber(name, element, each))
  }

  uint64List(name: string, bound: ListBound, each: BigintBound = {}): bigint[] {
    return this.#elements(name, bound).map((element) => this.#checkUint64(name, element, each))
  }

  /** The one message set of a protobuf `oneof`, by field name; refused when none of `cases` is set. */
  oneof<T>(name: string, cases: Readonly<Record<string, (fields: Fields) => T>>): T {
    return this.optionalOneof(name, cases) ?? this.fail(name, `must be one of ${Object.keys(cases).join(', ')}`)
  }

  /** Like {@link oneof}; undefined when nothing is set, or something that only a later version knows. */
  optionalOneof<T>(name: string, cases: Readonly<Record<string, (fields: Fields) => T>>): T | undefined {
    const set = this.#wire[name]
    if (typeof set !== 'string' || !Object.hasOwn(cases, set)) return undefined
    return this.message(set, cases[set]!)
  }

  /** Refuses the message because of one of its fields; for checks that span several. */
  fail(name: string, problem: string): never {
    const field = `${this.#path()}.${name}`
    throw new GridError('invalid', `${field} ${problem}`, { fields: { field } })
  }

  #path(): string {
    return this.#parent ? `${this.#parent.#path()}.${this.#where}` : this.#where
  }

  #elements(name: string, { min = 0, max }: ListBound): readonly unknown[] {
    const value = this.#wire[name]
    const list: readonly unknown[] = Array.isArray(value) ? value : []
    if (list.length > max) this.fail(name, `has ${list.length} entries, at most ${max} allowed`)
    if (list.length < min) this.fail(name, `has ${list.length} entries, at least ${min} needed`)
    return list
  }

  #checkBytes(name: string, value: unknown, bound: BytesBound): Uint8Array {
    const bytes = value instanceof Uint8Array ? value : EMPTY
    const size = bytes.length
    if ('length' in bound) {
      if (size !== bound.length) this.fail(name, `has ${size} bytes, must have ${bound.length}`)
    } else {
      if (size > bound.max) this.fail(name, `has ${size} bytes, at most ${bound.max} allowed`)
      if (size < (bound.min ?? 0)) this.fail(name, `has ${size} bytes, at least ${bound.min} needed`)
    }
    return bytes
  }

  #checkText(name: string, value: unknown, { min = 0, max, controls }: TextBound): string {
    const sent = typeof value === 'string' ? value : ''
    const size = sent.length > max ? sent.length : Buffer.byteLength(sent)
    if (size > max) this.fail(name, `is longer than ${max} bytes`)
    if (controls === 'refuse' && CONTROLS.test(sent)) this.fail(name, 'has control characters')
    const text = controls === 'strip' ? stripControls(sent) : sent
    if (text.length < min) this.fail(name, `has fewer than ${min} characters`)
    return text
  }

  #checkNumber(name: string, value: unknown, { min = 0, max }: NumberBound): number {
    const number = typeof value === 'number' ? value : 0
    if (!(number >= min && number <= max)) this.fail(name, `is ${number}, must be ${min} to ${max}`)
    return number
  }

  #checkUint64(name: string, value: unknown, { min = 0n, max = UINT64_MAX }: BigintBound): bigint {
    const big = toBigint(value)
    if (big < min || big > max) this.fail(name, `is ${big}, must be ${min} to ${max}`)
    return big
  }
}

const EMPTY = new Uint8Array(0)
const UINT64_MAX = 2n ** 64n - 1n

/**
 * Decodes one message and reads it with `parse`. Throws GridError `invalid` for bytes that are no such message, for
 * more than `max` bytes or `FIELDS_MAX` fields, and for whatever `parse` refuses.
 */
export function decodeMessage<T>(
  type: WireType,
  name: string,
  bytes: Uint8Array,
  max: number,
  parse: (fields: Fields) => T,
): T {
  if (bytes.length > max) {
    throw new GridError('invalid', `${name} has ${bytes.length} bytes, at most ${max} allowed`, {
      fields: { field: name },
    })
  }
  let wire: WireMessage
  try {
    wire = type.decode(bytes)
  } catch (cause) {
    const problem = cause instanceof TooManyFields ? `has ${cause.message}` : 'is not a valid message'
    throw new GridError('invalid', `${name} ${problem}`, { fields: { field: name }, cause })
  }
  return parse(new Fields(wire, name))
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

function toBigint(value: unknown): bigint {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : 0n
  if (typeof value !== 'object' || value === null) return 0n
  const { low, high } = value as { low?: unknown; high?: unknown }
  if (typeof low !== 'number' || typeof high !== 'number') return 0n
  return high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}
