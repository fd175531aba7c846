import type { Digest, JobSpec, PublicKey } from '../../proto/model.js'
import type { Vote } from '../facts/votes.js'

/**
 * Facts kept of one unit and grantor, at least, and of each kind: answers, and failures of hosts. Far more than an honest owner
 * grants: it asks for one opinion at a time, and `maxInstances` at most.
 */
const GRANTOR_FACTS_MIN = 64
/** The same for each opinion that the job allows: lapsed instances may be answered late. */
const GRANTOR_FACTS_AN_INSTANCE = 2

/** Facts of one kind that are kept of one unit and grantor. By the spec alone, so that all owners keep the same. */
export function grantorFactsMax({ maxInstances }: Pick<JobSpec, 'maxInstances'>): number {
  return Math.max(GRANTOR_FACTS_MIN, GRANTOR_FACTS_AN_INSTANCE * maxInstances)
}

/**
 * The vote that has no room beside the others of its unit when `added` comes, `added` itself it may be; undefined: there is room.
 *
 * Of one grantor and kind (answers, failures of hosts) the first `most` stay, in this order: the first of each worker, by the id
 * of its fact, then the second of each, and so on. So a worker that signs any number of reports under one grant pushes out its
 * own, and a grantor that makes up workers pushes out what it granted itself. A fact without any vote left is not kept at all.
 *
 * Facts that come only ever move others back, and what stays is told from what stayed before: whatever order and by-ways facts
 * come in, and whatever was let go of meanwhile, all who saw the same facts keep the same (a property in
 * `test/property/crowding.test.ts`).
 */
export function withoutRoom(votes: readonly Vote[], added: Vote, most: number): Vote | undefined {
  if (votes.length < most) return undefined
  const isHost = added.outcome === 'host'
  const rivals = votes.filter(({ grantor, outcome }) => grantor === added.grantor && (outcome === 'host') === isHost)
  if (rivals.length < most) return undefined
  rivals.push(added)
  rivals.sort((a, b) => compareIds(a.factId, b.factId))
  const given = new Map<PublicKey, number>()
  let last = added
  let lastPlace = -1
  for (const vote of rivals) {
    const place = given.get(vote.worker) ?? 0
    given.set(vote.worker, place + 1)
    if (place < lastPlace) continue
    lastPlace = place
    last = vote
  }
  return last
}

function compareIds(a: Digest, b: Digest): number {
  return a < b ? -1 : a > b ? 1 : 0
}
