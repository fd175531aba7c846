import { ERRNO, refuse } from './errno.js'

/** What may be done below one of the folders `/in`, `/out` and `/tmp`, and how much their files may hold. */
interface AreaRules {
  /** Nothing can be changed: `EROFS`. */
  readonly readOnly: boolean
  /**
   * Becomes part of the result, so only what can be packed may be created: files with names that are good on every
   * system (`proto/file-name.ts`), no links, and no more than `filesMax` files.
   */
  readonly packed: boolean
  /** Files that may exist at once; `ENOSPC` beyond. */
  readonly filesMax: number
  /** Bytes that they may hold together. */
  readonly bytesMax: number
  /** Called instead of going past `bytesMax`; throws. */
  readonly onFull: () => never
}

/** Keeps the account of one area. */
export class Area {
  readonly rules: AreaRules
  #bytes = 0
  #files = 0

  constructor(rules: AreaRules) {
    this.rules = rules
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#bytes
  }

  /** Refuses any change where nothing may be changed. */
  assertWritable(): void {
    if (this.rules.readOnly) refuse(ERRNO.rofs)
  }

  /** Takes `bytes` more (or gives back, if negative). Throws, having taken nothing, if there is no room. */
  take(bytes: number): void {
    if (bytes > 0 && this.#bytes + bytes > this.rules.bytesMax) this.rules.onFull()
    this.#bytes += bytes
  }

  /** Takes room for a file. */
  takeFile(): void {
    if (this.#files >= this.rules.filesMax) refuse(ERRNO.nospc)
    this.#files++
  }

  giveFile(): void {
    this.#files--
  }
}
