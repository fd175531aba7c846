import type { Digest } from '../../../proto/model.js'
import {
  PRINT_BYTES,
  RANGE_FAN,
  RANGE_IDS_MAX,
  RANGE_LEAF_MAX,
  type RangeIds,
  type RangePrints,
  type RangeReply,
  type RangeRequest,
} from '../../../proto/sync-messages.js'
import type { FactSet } from './fact-set.js'

/**
 * No further question is answered once a reply has about this many bytes; one question adds 18 KB or, for a wanted
 * range, 66 KB at most. Small enough that a reply takes a slow uplink a second.
 */
const REPLY_BYTES_ENOUGH = 96 * 1024
/** Bytes of framing and prefix around an entry, about. */
const ENTRY_BYTES = 24

/**
 * Answers a checked request from what `set` has now. Keeps nothing between requests, so an asker costs no more than the
 * bytes it gets. Always answers at least the first question.
 */
export function answerRanges(set: FactSet, request: RangeRequest): RangeReply {
  const answer = new Answer(set)
  let answered = 0
  for (const theirs of request.prints) {
    if (answer.bytes >= REPLY_BYTES_ENOUGH) break
    if (theirs.prints.length === PRINT_BYTES) answer.compare(theirs.prefix, theirs.prints)
    else answer.compareParts(theirs)
    answered++
  }
  if (answered < request.prints.length) return { answered, prints: answer.prints, ids: answer.ids }
  for (const { prefix, after } of request.wanted) {
    if (answer.bytes >= REPLY_BYTES_ENOUGH) break
    answer.list(prefix, after)
    answered++
  }
  return { answered, prints: answer.prints, ids: answer.ids }
}

class Answer {
  readonly #set: FactSet
  readonly prints: RangePrints[] = []
  readonly ids: RangeIds[] = []
  bytes = 0

  constructor(set: FactSet) {
    this.#set = set
  }

  compare(prefix: string, theirs: Uint8Array): void {
    if (samePrint(this.#set.print(prefix), 0, theirs, 0)) return
    if (this.#set.count(prefix) > RANGE_LEAF_MAX) {
      this.prints.push({ prefix, prints: this.#set.partPrints(prefix) })
      this.bytes += RANGE_FAN * PRINT_BYTES + ENTRY_BYTES
    } else this.list(prefix, undefined)
  }

  compareParts({ prefix, prints }: RangePrints): void {
    for (let part = 0; part < RANGE_FAN; part++) {
      this.compare(prefix + part.toString(16), prints.subarray(part * PRINT_BYTES, (part + 1) * PRINT_BYTES))
    }
  }

  list(prefix: string, after: Digest | undefined): void {
    const ids = this.#set.ids(prefix, after, RANGE_IDS_MAX + 1)
    const complete = ids.length <= RANGE_IDS_MAX
    this.ids.push({ prefix, ids: complete ? ids : ids.slice(0, RANGE_IDS_MAX), complete })
    this.bytes += 32 * Math.min(ids.length, RANGE_IDS_MAX) + ENTRY_BYTES
  }
}

/** Whether two prints are the same. */
export function samePrint(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number): boolean {
  for (let i = 0; i < PRINT_BYTES; i++) if (a[aStart + i] !== b[bStart + i]) return false
  return true
}
