import { answerRanges } from '../../../../coordinator/sync/core/answer.js'
import type { FactSet } from '../../../../coordinator/sync/core/fact-set.js'
import { Reconciliation } from '../../../../coordinator/sync/core/reconciliation.js'
import { newFactSet } from '../../../../coordinator/sync/fact-set.js'
import type { Digest } from '../../../../proto/model.js'
import type { RangeReply, RangeRequest } from '../../../../proto/sync-messages.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import { rangeReplyCodec, rangeRequestCodec } from './range-codecs.js'

/** The id of the `i`-th fact of tests. */
export function idOf(i: number): Digest {
  return sha256(utf8(`fact ${i}`))
}

/** The ids of facts from `first` to before `end`. */
export function idsOf(first: number, end: number): Digest[] {
  return Array.from({ length: end - first }, (_, i) => idOf(first + i))
}

export function setOf(ids: Iterable<Digest>, set: FactSet = newFactSet()): FactSet {
  for (const id of ids) set.add(id)
  return set
}

/** What one reconciliation found, and what it cost. */
export interface Found {
  readonly here: readonly Digest[]
  readonly there: readonly Digest[]
  readonly complete: boolean
  readonly refused: string | undefined
  /** Requests. */
  readonly rounds: number
  /** Of requests and replies as encoded. */
  readonly bytes: number
  readonly messageBytesMax: number
}

/** One reconciliation of `ours` with whoever answers, over the codecs. */
export function reconcile(ours: FactSet, answer: (request: RangeRequest) => RangeReply): Found {
  const reconciliation = new Reconciliation(ours)
  const here: Digest[] = []
  const there: Digest[] = []
  let refused: string | undefined
  let rounds = 0
  let bytes = 0
  let messageBytesMax = 0
  for (;;) {
    const step = reconciliation.step()
    if (step.type === 'done') return { here, there, complete: step.complete, refused, rounds, bytes, messageBytesMax }
    if (step.type === 'found') {
      here.push(...step.missingHere)
      there.push(...step.missingThere)
      continue
    }
    const request = rangeRequestCodec.encode(step.request)
    const reply = rangeReplyCodec.encode(answer(rangeRequestCodec.decode(request)))
    rounds++
    bytes += request.length + reply.length
    messageBytesMax = Math.max(messageBytesMax, request.length, reply.length)
    refused = reconciliation.receive(rangeReplyCodec.decode(reply)) ?? refused
  }
}

/** The same with an honest owner of `theirs`. */
export function reconcileSets(ours: FactSet, theirs: FactSet): Found {
  return reconcile(ours, (request) => answerRanges(theirs, request))
}
