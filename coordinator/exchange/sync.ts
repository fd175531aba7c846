import type { OfferedFact, OfferState, ShardQuestion } from '../../proto/exchange-messages.js'
import { FETCH_FACTS_MAX, RECONCILE_SHARDS_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { Digest } from '../../proto/model.js'
import type { RangeRequest } from '../../proto/sync-messages.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Store } from '../store/store.js'
import type { FactSet } from '../sync/core/fact-set.js'
import { Reconciliation } from '../sync/core/reconciliation.js'
import type { CustodySnapshot } from './custody.js'
import type { HeldShard } from './held-shard.js'
import type { PeerLink } from './peer-link.js'
import { readRawFacts } from './raw-facts.js'

/** Facts read from disk and passed on at a time. */
const PUSH_FACTS = 64
/** Bytes of questions after which a message goes out. */
const QUESTIONS_BYTES_ENOUGH = 256 * 1024
/** Messages of one sync, however many shards differ. */
const MESSAGES_MAX = 8_192

/**
 * How a sync of one shard ended. `equal`: both had the same. `merged`: the peer has what was here when the sync began, and
 * what it had is here. `given`: the peer has what was here, and keeps to itself what it had, as it does not take this node
 * for an owner. `unknown`: the peer does not keep the shard. `failed`: it is not known what the peer has.
 */
type SyncOutcome = 'equal' | 'merged' | 'given' | 'unknown' | 'failed'

/** What a sync of one shard with one peer has shown. */
export interface SyncResult {
  readonly held: HeldShard
  readonly outcome: SyncOutcome
  /** Neither had anything. */
  readonly isEmpty: boolean
  /** The peer lacked nothing of what was here. */
  readonly isClean: boolean
  /** The peer does not take this node for an owner, or not yet: it tells it nothing of what comes. */
  readonly isOutsider: boolean
  /** What was on too few disks when the sync began. */
  readonly snapshot: CustodySnapshot
}

interface SyncContext {
  readonly logger: Logger
  readonly store: Pick<Store, 'factsById' | 'outputs'>
  /** Ids of the facts of a shard; those added later are seen. */
  readonly factsOf: (held: HeldShard) => Promise<FactSet>
  /** Takes in a fact from the peer. Never rejects. */
  readonly take: (fact: OfferedFact) => Promise<OfferState>
}

/** One shard on its way through a sync. */
interface Comparing {
  readonly held: HeldShard
  readonly hadFacts: boolean
  readonly reconciliation: Reconciliation
  readonly snapshot: CustodySnapshot
  readonly missingHere: Digest[]
  readonly missingThere: Digest[]
  outcome: SyncOutcome | undefined
  isOutsider: boolean
  complete: boolean
}

/**
 * Compares shards with one peer, all in the same messages, and passes facts on in both directions until each side has what
 * the other had. Never rejects: what could not be finished is `failed`, and the next sync begins anew.
 */
export async function syncShards(
  context: SyncContext,
  link: PeerLink,
  shards: readonly HeldShard[],
): Promise<readonly SyncResult[]> {
  const comparing: Comparing[] = []
  try {
    for (const held of shards) {
      const snapshot = held.custody.snapshot()
      const facts = await context.factsOf(held)
      comparing.push({
        held,
        hadFacts: facts.size > 0,
        reconciliation: new Reconciliation(facts),
        snapshot,
        missingHere: [],
        missingThere: [],
        outcome: undefined,
        isOutsider: false,
        complete: false,
      })
    }
    await compare(link, comparing)
    for (const one of comparing) one.outcome ??= await merge(context, link, one)
  } catch (error) {
    const { code, message } = toGridError(error)
    context.logger.debug('sync ended early', { peer: link.endpoint.nodeId, code, message })
  }
  return comparing.map(({ held, hadFacts, outcome = 'failed', isOutsider, snapshot, missingThere }) => {
    const isClean = outcome !== 'failed' && outcome !== 'unknown' && missingThere.length === 0
    const isEmpty = !hadFacts && outcome === 'equal'
    return { held, outcome, isEmpty, isClean, isOutsider, snapshot }
  })
}

/** Asks until it is known how all the shards differ. */
async function compare(link: PeerLink, comparing: readonly Comparing[]): Promise<void> {
  let asking = comparing.flatMap((one) => nextQuestion(one))
  for (let messages = 0; asking.length > 0; messages++) {
    if (messages >= MESSAGES_MAX) throw toGridError(new Error('a sync takes too many messages'))
    const batch = takeBatch(asking)
    asking = asking.slice(batch.length)
    const { shards } = await link.call(methods.reconcile, { shards: batch.map(({ question }) => question) })
    for (const [i, { one }] of batch.entries()) {
      const answer = shards[i]
      if (answer?.state !== 'answered') {
        one.outcome = answer?.state === 'unknown' ? 'unknown' : 'failed'
        continue
      }
      one.isOutsider = answer.toOutsider
      if (one.reconciliation.receive(answer.ranges) !== undefined) one.outcome = 'failed'
      else asking.push(...nextQuestion(one))
    }
  }
}

interface Asked {
  readonly one: Comparing
  readonly question: ShardQuestion
}

function nextQuestion(one: Comparing): Asked[] {
  for (;;) {
    const step = one.reconciliation.step()
    switch (step.type) {
      case 'ask': {
        const { job, shard } = one.held
        return [{ one, question: { jobId: job.jobId, shard, ranges: step.request } }]
      }
      case 'found':
        one.missingHere.push(...step.missingHere)
        one.missingThere.push(...step.missingThere)
        break
      case 'done':
        one.complete = step.complete
        if (step.complete && step.found === 0) one.outcome = 'equal'
        return []
    }
  }
}

function takeBatch(asking: readonly Asked[]): readonly Asked[] {
  let bytes = 0
  let count = 0
  while (count < asking.length && count < RECONCILE_SHARDS_MAX && bytes < QUESTIONS_BYTES_ENOUGH)
    bytes += sizeOf(asking[count++]!.question.ranges)
  return asking.slice(0, count)
}

function sizeOf({ prints, wanted }: RangeRequest): number {
  return prints.reduce((sum, entry) => sum + entry.prints.length + 80, 64 + wanted.length * 110)
}

/**
 * Passes on what is missing there, then fetches what is missing here: a former owner may have what nobody else has, and is
 * given nothing any more.
 */
async function merge(context: SyncContext, link: PeerLink, one: Comparing): Promise<SyncOutcome> {
  const given = await giveMissing(context, link, one)
  if (link.isSilent) return 'failed'
  const fetched = await fetchMissing(context, link, one)
  if (!given || !one.complete || fetched === 'incomplete') return 'failed'
  return fetched === 'refused' ? 'given' : 'merged'
}

/** Passes on what is missing there. Resolves to whether all of it was taken. */
async function giveMissing(context: SyncContext, link: PeerLink, one: Comparing): Promise<boolean> {
  const { job, shard } = one.held
  const { jobId } = job
  let given = true
  for (let at = 0; at < one.missingThere.length; at += PUSH_FACTS) {
    const ids = one.missingThere.slice(at, at + PUSH_FACTS)
    const raw = await readRawFacts(context.store, jobId, shard, ids)
    const states = await Promise.all(raw.map(({ fact, outputs }) => link.offer(job, shard, { fact, outputs })))
    // Refused for good is no reason to offer it for ever; it counts here by rules that the peer does not know of yet.
    if (states.includes('refused')) await link.introduce(job, shard)
    given &&= raw.length === ids.length && states.every((state) => state === 'kept')
    if (link.isSilent) return false
  }
  return given
}

/** Fetches what is missing here. `incomplete`: the peer has named facts that it does not give, or that are void. */
async function fetchMissing(
  context: SyncContext,
  link: PeerLink,
  { held, missingHere }: Comparing,
): Promise<'complete' | 'incomplete' | 'refused'> {
  const { job, shard } = held
  const known = await context.factsOf(held)
  const isMissing = (id: Digest) => !known.has(id) && !held.crowdedOut.has(id)
  let left = missingHere.filter(isMissing)
  while (left.length > 0) {
    const factIds = left.slice(0, FETCH_FACTS_MAX)
    let facts: readonly OfferedFact[]
    try {
      ;({ facts } = await link.call(methods.fetchFacts, { jobId: job.jobId, shard, factIds }))
    } catch (error) {
      if (toGridError(error).code === 'forbidden') return 'refused'
      throw error
    }
    await Promise.all(facts.map((fact) => context.take(fact)))
    const before = left.length
    left = left.filter(isMissing)
    if (left.length === before) return 'incomplete'
  }
  return 'complete'
}
