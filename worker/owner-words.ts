import type { NodeId } from '../proto/model.js'
import type { ErrorCode } from '../runtime/errors.js'

/** Owners whose last words are kept; the one that spoke longest ago goes first. */
const OWNERS_MAX = 256

/** What one owner last said to this worker. */
export interface OwnerWord {
  readonly nodeId: NodeId
  readonly address: string
  /** Why it had no work, or refused, in its own words; empty: it granted since. */
  readonly reason: string
  /** Wall clock, ms since 1970; 0: it said nothing yet. */
  readonly atMs: number
  /** Of a refusal, or of how the connection ended; empty: it spoke of work. */
  readonly code: ErrorCode | ''
}

/** The last words of each owner that this worker talked to, or tried to; newest last. */
export class OwnerWords {
  readonly #words = new Map<NodeId, OwnerWord>()

  /** An owner is dialled at `address`; what it said before stands. */
  dialled(nodeId: NodeId, address: string): void {
    const { reason = '', atMs = 0, code = '' } = this.#words.get(nodeId) ?? {}
    this.#put({ nodeId, address, reason, atMs, code })
  }

  said(nodeId: NodeId, reason: string, atMs: number, code: ErrorCode | '' = ''): void {
    this.#put({ nodeId, address: this.#words.get(nodeId)?.address ?? '', reason, atMs, code })
  }

  /** It has granted work: whatever it said before is over. */
  granted(nodeId: NodeId, atMs: number): void {
    if (this.#words.get(nodeId)?.reason !== '') this.said(nodeId, '', atMs)
  }

  all(): readonly OwnerWord[] {
    return [...this.#words.values()]
  }

  #put(word: OwnerWord): void {
    this.#words.delete(word.nodeId)
    this.#words.set(word.nodeId, word)
    if (this.#words.size > OWNERS_MAX) this.#words.delete(this.#words.keys().next().value!)
  }
}
