import type { Digest, Outcome, UnitOutput } from '../../proto/model.js'
import type { Sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'

const TAG = utf8('manyhands.v1.output\0')
/** The same numbers as on the wire (`Report.outcomes`). */
const OUTCOME_CODES: Readonly<Record<Outcome, number>> = {
  done: 0,
  exit: 1,
  trap: 2,
  fuel: 3,
  memory: 4,
  output: 5,
  depth: 6,
  wall: 7,
  host: 8,
}
/** Outcome, exit code, four lengths and the number of files. */
const FIXED_BYTES = TAG.length + 1 + 4 + 8 + 8 + 8 + 4
/** Outputs up to this are copied into one buffer; larger ones are hashed where they lie. */
const COPY_BYTES_MAX = 64 * 1024

/** The digest of answers that carry none: outcomes `host` and `wall`. */
export const ZERO_DIGEST: Digest = '0'.repeat(64) as Digest

/** Whether an outcome is a deterministic end: the same on every honest machine, hence a vote with a digest. */
export function isDeterministic(outcome: Outcome): boolean {
  return outcome !== 'host' && outcome !== 'wall'
}

/**
 * What redundant workers must agree on: SHA-256 over these, integers big-endian:
 * tag `manyhands.v1.output` and 0x00 · outcome u8 · exit code i32 · stdout length u64 and bytes · kept stderr length u64
 * and bytes · total stderr length u64 · number of files u32 · each file: name length u32, name, length u64, bytes.
 * Deterministic ends other than `done` cover the same fields. Files must be sorted by name (`proto/file-name.ts`).
 * {@link ZERO_DIGEST} for `host` and `wall`.
 */
export function digestOutput(sha256: Sha256, output: UnitOutput): Digest {
  if (!isDeterministic(output.outcome)) return ZERO_DIGEST
  const { stdout, stderr, files } = output
  const names = files.map((file) => utf8(file.name))
  const headBytes = files.reduce((sum, _, i) => sum + 12 + names[i]!.length, FIXED_BYTES)
  const contentBytes = files.reduce((sum, file) => sum + file.bytes.length, stdout.length + stderr.length)
  const writer =
    headBytes + contentBytes <= COPY_BYTES_MAX ? new Joined(headBytes + contentBytes) : new Parts(headBytes)
  writer.copy(TAG)
  writer.uint(1, OUTCOME_CODES[output.outcome])
  writer.uint(4, output.exitCode)
  writer.uint(8, stdout.length)
  writer.content(stdout)
  writer.uint(8, stderr.length)
  writer.content(stderr)
  writer.uint(8, output.stderrLength)
  writer.uint(4, files.length)
  files.forEach((file, i) => {
    writer.uint(4, names[i]!.length)
    writer.copy(names[i]!)
    writer.uint(8, file.bytes.length)
    writer.content(file.bytes)
  })
  return sha256(...writer.finish())
}

/** Everything in one buffer: one call of the hash for the common small output. */
class Joined {
  protected readonly bytes: Uint8Array
  protected readonly view: DataView
  protected at = 0

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
    this.view = new DataView(this.bytes.buffer)
  }

  uint(width: 1 | 4 | 8, value: number): void {
    if (width === 1) this.view.setUint8(this.at, value)
    else if (width === 4) this.view.setUint32(this.at, value >>> 0)
    else {
      this.view.setUint32(this.at, Math.floor(value / 2 ** 32))
      this.view.setUint32(this.at + 4, value >>> 0)
    }
    this.at += width
  }

  copy(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  content(bytes: Uint8Array): void {
    this.copy(bytes)
  }

  finish(): Uint8Array[] {
    return [this.bytes]
  }
}

/** Heads in a buffer, content where it lies: the same bytes in the same order without copying large ones. */
class Parts extends Joined {
  readonly #parts: Uint8Array[] = []
  #from = 0

  override content(bytes: Uint8Array): void {
    this.#parts.push(this.bytes.subarray(this.#from, this.at), bytes)
    this.#from = this.at
  }

  override finish(): Uint8Array[] {
    return [...this.#parts, this.bytes.subarray(this.#from)]
  }
}
