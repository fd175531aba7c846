/**
 * Files of jobs in the compute process, each in memory that all threads share: once, however many threads read it. Filled
 * by the frames of `contents.ts` at the other end of the pipe.
 */
export class HeldContents {
  readonly #contents = new Map<number, { readonly bytes: Uint8Array<SharedArrayBuffer>; filled: number }>()

  /** Room for a file of `bytes`. Throws RangeError when this machine has none. */
  begin(content: number, bytes: number): void {
    this.#contents.set(content, { bytes: new Uint8Array(new SharedArrayBuffer(bytes)), filled: 0 })
  }

  /** The next bytes of a file; of one that was dropped meanwhile they are passed over. */
  add(content: number, bytes: Uint8Array): void {
    const held = this.#contents.get(content)
    if (held === undefined) return
    held.bytes.set(bytes, held.filled)
    held.filled += bytes.length
  }

  drop(content: number): void {
    this.#contents.delete(content)
  }

  /** A whole file. Undefined when it is not here. */
  get(content: number): Uint8Array<SharedArrayBuffer> | undefined {
    const held = this.#contents.get(content)
    return held !== undefined && held.filled === held.bytes.length ? held.bytes : undefined
  }
}
