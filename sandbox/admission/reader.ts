import { LIMITS } from './limits.js'
import { type ModulePlace, Refused } from './refused.js'
import { isValueType, SIMD_REMEDY, VALUE_TYPE } from './types.js'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a part of a module; whatever does not fit is refused with its place. Offsets count from the module's start. */
export class Reader {
  readonly bytes: Uint8Array
  readonly end: number
  readonly section: number | undefined
  /** Offset of the byte that is read next. */
  position: number

  constructor(bytes: Uint8Array, start: number, end: number, section: number | undefined) {
    this.bytes = bytes
    this.position = start
    this.end = end
    this.section = section
  }

  get place(): ModulePlace {
    return { section: this.section, offset: this.position }
  }

  /** Throws {@link Refused} for what stands at `offset` (here, unless named otherwise). */
  refuse(reason: string, remedy?: string, offset = this.position): never {
    throw new Refused(reason, { section: this.section, offset }, remedy)
  }

  byte(): number {
    if (this.position >= this.end) this.refuse('it ends in the middle of something')
    return this.bytes[this.position++]!
  }

  /** LEB128 of 32 bits, unsigned, at most 5 bytes. */
  u32(): number {
    const start = this.position
    let value = this.byte()
    if (value < 0x80) return value
    value &= 0x7f
    for (let shift = 7; shift <= 28; shift += 7) {
      const part = this.byte()
      if (shift === 28 && part > 0x0f) this.refuse('a number has more than 32 bits', undefined, start)
      value += (part & 0x7f) * 2 ** shift
      if (part < 0x80) return value
    }
    return this.refuse('a number has more than 32 bits', undefined, start)
  }

  /** Passes over a LEB128 number of whatever size; engines check the number itself, which is copied as it is. */
  skipNumber(): void {
    while (this.byte() >= 0x80);
  }

  skip(count: number): void {
    if (count > this.end - this.position) this.refuse('it ends in the middle of something')
    this.position += count
  }

  /** A number of things (`what`, plural) of which there may be `max`; each takes at least a byte. */
  count(what: string, max: number): number {
    const at = this.position
    const count = this.u32()
    if (count > max) this.refuse(`${count} ${what}, where at most ${max} are allowed`, undefined, at)
    if (count > this.end - this.position) this.refuse(`${count} ${what} do not fit into the section`, undefined, at)
    return count
  }

  /** UTF-8 text with its length before it. */
  name(): string {
    const at = this.position
    const length = this.u32()
    if (length > LIMITS.nameBytes)
      this.refuse(`a name of ${length} bytes, where at most ${LIMITS.nameBytes} are allowed`, undefined, at)
    this.skip(length)
    try {
      return utf8.decode(this.bytes.subarray(this.position - length, this.position))
    } catch {
      return this.refuse('a name is not UTF-8', undefined, at)
    }
  }

  /** i32, i64, f32, f64 or funcref. */
  valueType(): number {
    const at = this.position
    const type = this.byte()
    if (isValueType(type)) return type
    if (type === VALUE_TYPE.v128) this.refuse('SIMD is not admitted', SIMD_REMEDY, at)
    if (type === VALUE_TYPE.externref) this.refuse('references to things of the host are not admitted', undefined, at)
    return this.refuse(`unknown value type 0x${type.toString(16)}`, undefined, at)
  }

  /** Refuses when something is left. */
  finish(): void {
    if (this.position !== this.end) this.refuse('there are bytes left over')
  }
}
