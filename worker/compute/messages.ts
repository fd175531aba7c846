/**
 * What the worker (parent) and its compute process (child) say over one pipe, in frames (`frames.ts`).
 *
 * Parent: `start` first; `openJob` before the first `run` of a job, when its files stand in the file that the child inherited
 * (`content-file.ts`); `abort` and `closeJob` at any time.
 * Child: `ready` once, when threads run; for each unit `started`, when it is handed to a thread, then either its result or `returned`, after which the parent
 * may send it again. `progress` once a second while something runs.
 * The end of the pipe ends the child.
 *
 * Units are named by tickets, numbers that the parent draws, so that an old answer is never taken for a new one.
 */
import { deserialize, serialize } from 'node:v8'
import { type Digest, type JobSpec, OUTCOMES, type Outcome } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'

/** First byte after the length of a frame. */
export const FRAME = {
  control: 0,
  run: 1,
  started: 2,
  results: 3,
  returned: 4,
  progress: 5,
  ready: 6,
} as const

/** Where the bytes of a file are in the file that the child inherited. */
export interface PlacedContent {
  /** From 1, never used again for another. */
  readonly number: number
  readonly at: number
  readonly bytes: number
}

/** A job under the number that stands for it in `run`. */
export interface OpenedJob {
  readonly job: number
  readonly spec: JobSpec
  readonly inputs: readonly { readonly name: string; readonly content: PlacedContent }[]
  readonly module: PlacedContent | undefined
}

/** Rare messages of the parent; `run` has a form of its own. */
export type Control =
  | {
      readonly type: 'start'
      readonly threads: number
      readonly memoryBytes: number
      /** Absolute paths. */
      readonly taskModules: readonly string[]
    }
  | ({ readonly type: 'openJob' } & OpenedJob)
  | { readonly type: 'closeJob'; readonly job: number }
  | { readonly type: 'abort'; readonly tickets: readonly number[] }
  /** The process was stopped for so long, and goes on. */
  | { readonly type: 'continued'; readonly stoppedMs: number }

/** For a `control` frame. Both processes are of one version: nothing else reads it. */
export function encodeControl(control: Control): Uint8Array {
  return serialize(control)
}

/** The inverse of {@link encodeControl}. */
export function decodeControl(body: Uint8Array): Control {
  return deserialize(body) as Control
}

/** What the child finds about itself, for a `ready` frame. */
export interface ChildFacts {
  /** Node's permission model is on. */
  readonly permissionModel: boolean
  /** Undefined where there are no numbers of users. */
  readonly uid: number | undefined
  /** Network interfaces that it can see. */
  readonly interfaces: number
}

/** For a `ready` frame. */
export function encodeFacts(facts: ChildFacts): Uint8Array {
  return serialize(facts)
}

/** The inverse of {@link encodeFacts}. */
export function decodeFacts(body: Uint8Array): ChildFacts {
  return deserialize(body) as ChildFacts
}

/** One unit on its way to a thread; `items` as {@link packItems} made them, undefined for none. */
export interface QueuedUnit {
  readonly ticket: number
  readonly unit: number
  readonly items: Uint8Array | undefined
  /** Whether no other unit has items in the same buffer, so that the buffer may be moved away. Default: no. */
  readonly isAlone?: boolean
}

/** Items of a unit on their way to the child, as one piece of bytes or in several. */
export interface PackedItems {
  /** Bytes in all. */
  readonly length: number
  readonly pieces: readonly Uint8Array[]
}

/** {@link QueuedUnit} before it is sent. */
export interface UnitToSend extends Pick<QueuedUnit, 'ticket' | 'unit'> {
  readonly items: PackedItems | undefined
}

/** Bytes before the tickets of a `run` frame: job, number of units, 1 if items follow. */
const RUN_HEADER_WORDS = 3

/** The parts of a `run` frame: header, tickets, units, lengths of the items, then the items themselves, uncopied. */
export function encodeRun(job: number, units: readonly UnitToSend[]): Uint8Array[] {
  const { length } = units
  const hasItems = units.some((unit) => unit.items !== undefined)
  const words = new Uint32Array(RUN_HEADER_WORDS + length * (hasItems ? 3 : 2))
  words[0] = job
  words[1] = length
  words[2] = hasItems ? 1 : 0
  const parts = [bytesOf(words)]
  for (let i = 0; i < length; i++) {
    const { ticket, unit, items } = units[i]!
    words[RUN_HEADER_WORDS + i] = ticket
    words[RUN_HEADER_WORDS + length + i] = unit
    if (items === undefined) continue
    words[RUN_HEADER_WORDS + 2 * length + i] = items.length
    parts.push(...items.pieces)
  }
  return parts
}

/** Reads a `run` frame; the items are views of `body`. */
export function decodeRun(body: Uint8Array<ArrayBuffer>): { readonly job: number; readonly units: QueuedUnit[] } {
  const [job, count, hasItems] = new Uint32Array(body.buffer, 0, RUN_HEADER_WORDS) as unknown as [
    number,
    number,
    number,
  ]
  const words = new Uint32Array(body.buffer, RUN_HEADER_WORDS * 4, count * (hasItems ? 3 : 2))
  const units: QueuedUnit[] = []
  let at = RUN_HEADER_WORDS * 4 + words.byteLength
  for (let i = 0; i < count; i++) {
    const length = hasItems ? words[2 * count + i]! : 0
    const items = length > 0 ? body.subarray(at, at + length) : undefined
    units.push({ ticket: words[i]!, unit: words[count + i]!, items, isAlone: count === 1 })
    at += length
  }
  return { job, units }
}

/** Items from this size on are sent from where they lie. */
const SENT_APART_BYTES = 64 * 1024

/**
 * Items of one unit, for each its length as little-endian u32 and its bytes. Undefined for none. Small ones are copied: they
 * would keep all that was fetched with them. Large ones must not change any more.
 */
export function packItems(items: readonly Uint8Array[]): PackedItems | undefined {
  if (items.length === 0) return undefined
  const pieces: Uint8Array[] = []
  let small: Uint8Array[] = []
  for (const item of items) {
    small.push(lengthHead(item))
    if (item.length < SENT_APART_BYTES) {
      small.push(item)
      continue
    }
    pieces.push(Buffer.concat(small), item)
    small = []
  }
  if (small.length > 0) pieces.push(Buffer.concat(small))
  return { length: pieces.reduce((sum, { length }) => sum + length, 0), pieces }
}

function lengthHead({ length }: Uint8Array): Uint8Array {
  const head = Buffer.allocUnsafe(4)
  head.writeUInt32LE(length)
  return head
}

/** The items behind {@link packItems}, as views. */
export function unpackItems(packed: Uint8Array | undefined): Uint8Array[] {
  if (packed === undefined) return []
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length)
  const items: Uint8Array[] = []
  for (let at = 0; at < packed.length; ) {
    const end = at + 4 + view.getUint32(at, true)
    items.push(packed.subarray(at + 4, end))
    at = end
  }
  return items
}

/** How a unit ended, as the thread knows it. */
export interface UnitEnd {
  readonly outcome: Outcome
  readonly digest: Digest
  /** Encoded `UnitOutput`; empty for `host` and `wall`. */
  readonly output: Uint8Array
  readonly fuel: bigint
}

/** {@link UnitEnd} on its way to the parent. */
export interface TicketEnd extends UnitEnd {
  readonly ticket: number
  readonly wallMs: number
}

/** Fields of an answer before its output: ticket, outcome, digest as hex, fuel, wall time, bytes of output. */
const RECORD = { ticket: 0, outcome: 4, digest: 5, fuel: 69, wallMs: 77, outputBytes: 85, end: 89 } as const
/** Outputs from this size on travel in a buffer of their own instead of being copied together. */
const OWN_BUFFER_BYTES = 32 * 1024

/** Collects answers on a thread in the form in which they go over the pipe. */
export class AnswerWriter {
  readonly #parts: Uint8Array<ArrayBuffer>[] = []
  #buffer = Buffer.allocUnsafeSlow(16 * 1024)
  #filled = 0
  #sentBytes = 0

  /** Bytes collected so far. */
  get length(): number {
    return this.#sentBytes + this.#filled
  }

  add(answer: TicketEnd): void {
    const { output } = answer
    const own = output.length >= OWN_BUFFER_BYTES
    this.#reserve(RECORD.end + (own ? 0 : output.length))
    const at = this.#filled
    this.#buffer.writeUInt32LE(answer.ticket, at)
    this.#buffer[at + RECORD.outcome] = OUTCOMES.indexOf(answer.outcome)
    this.#buffer.write(answer.digest, at + RECORD.digest, 64, 'latin1')
    this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, answer.fuel), at + RECORD.fuel)
    this.#buffer.writeDoubleLE(answer.wallMs, at + RECORD.wallMs)
    this.#buffer.writeUInt32LE(output.length, at + RECORD.outputBytes)
    this.#filled += RECORD.end
    if (own) {
      this.#flush()
      this.#sentBytes += output.length
      this.#parts.push(ownBuffer(output))
    } else {
      this.#buffer.set(output, this.#filled)
      this.#filled += output.length
    }
  }

  /** The body of a `results` frame in parts, each alone in its ArrayBuffer. The writer is used up. */
  finish(): Uint8Array<ArrayBuffer>[] {
    this.#flush()
    return this.#parts
  }

  #reserve(bytes: number): void {
    if (this.#filled + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, this.#filled + bytes))
    larger.set(this.#buffer.subarray(0, this.#filled))
    this.#buffer = larger
  }

  #flush(): void {
    if (this.#filled === 0) return
    this.#parts.push(this.#buffer.subarray(0, this.#filled))
    this.#sentBytes += this.#filled
    this.#buffer = Buffer.allocUnsafeSlow(4 * 1024)
    this.#filled = 0
  }
}

/** Reads a `results` frame; outputs are views of `body`. Throws GridError `corrupt` when it does not add up. */
export function decodeAnswers(body: Uint8Array<ArrayBuffer>): TicketEnd[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  const answers: TicketEnd[] = []
  for (let at = 0; at < bytes.length; ) {
    const outputAt = at + RECORD.end
    if (outputAt > bytes.length) throw new GridError('corrupt', 'the compute process sent half an answer')
    const end = outputAt + bytes.readUInt32LE(at + RECORD.outputBytes)
    const outcome = OUTCOMES[bytes[at + RECORD.outcome]!]
    if (end > bytes.length || outcome === undefined)
      throw new GridError('corrupt', 'the compute process sent a broken answer')
    answers.push({
      ticket: bytes.readUInt32LE(at),
      outcome,
      digest: bytes.toString('latin1', at + RECORD.digest, at + RECORD.fuel) as Digest,
      fuel: bytes.readBigUInt64LE(at + RECORD.fuel),
      wallMs: bytes.readDoubleLE(at + RECORD.wallMs),
      output: body.subarray(outputAt, end),
    })
    at = end
  }
  return answers
}

/** Tickets of a `started` frame. */
export function encodeTickets(tickets: readonly number[]): Uint8Array {
  return bytesOf(Uint32Array.from(tickets))
}

/** The reverse of {@link encodeTickets}; a cut last word is left out. */
export function decodeTickets(body: Uint8Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(body.buffer, 0, Math.floor(body.length / 4))
}

/** How far one unit is. */
export interface UnitProgress {
  readonly ticket: number
  readonly fuel: bigint
  /** From 0. */
  readonly thread: number
  readonly ranMs: number
}

/** Words of 64 bits that a unit takes in a `progress` frame: ticket, fuel, thread, time. */
const PROGRESS_WORDS = 4

/** A `progress` frame. */
export function encodeProgress(running: readonly UnitProgress[]): Uint8Array {
  const words = new BigUint64Array(running.length * PROGRESS_WORDS)
  running.forEach(({ ticket, fuel, thread, ranMs }, i) => {
    words.set([BigInt(ticket), fuel, BigInt(thread), BigInt(Math.max(0, Math.round(ranMs)))], i * PROGRESS_WORDS)
  })
  return bytesOf(words)
}

/** The reverse of {@link encodeProgress}; what is cut at the end is left out. */
export function decodeProgress(body: Uint8Array<ArrayBuffer>): UnitProgress[] {
  const words = new BigUint64Array(body.buffer, 0, Math.floor(body.length / 8))
  return Array.from({ length: Math.floor(words.length / PROGRESS_WORDS) }, (_, i) => {
    const [ticket, fuel, thread, ranMs] = words.subarray(i * PROGRESS_WORDS, (i + 1) * PROGRESS_WORDS)
    return { ticket: Number(ticket), fuel: fuel!, thread: Number(thread), ranMs: Number(ranMs) }
  })
}

/** Takes the time in which the process was stopped off the longest unit of a thread's answers. */
export function shortenLongest(parts: readonly Uint8Array[], stoppedMs: number): void {
  const head = parts[0]
  if (head === undefined) return
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  let longest = 0
  for (let at = 0; at + RECORD.end <= head.length; ) {
    if (view.getFloat64(at + RECORD.wallMs, true) > view.getFloat64(longest + RECORD.wallMs, true)) longest = at
    const outputBytes = view.getUint32(at + RECORD.outputBytes, true)
    if (outputBytes >= OWN_BUFFER_BYTES) break
    at += RECORD.end + outputBytes
  }
  const wallMs = view.getFloat64(longest + RECORD.wallMs, true)
  view.setFloat64(longest + RECORD.wallMs, Math.max(0, wallMs - stoppedMs), true)
}

function bytesOf(words: Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

/** `bytes` if nothing else lives in their ArrayBuffer, else a copy: what is transferred is gone for everybody else. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) return bytes as Uint8Array<ArrayBuffer>
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
