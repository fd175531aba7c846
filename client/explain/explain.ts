import { selectedShards, shardOf } from '../../job/units/shard.js'
import { methods } from '../../proto/methods.js'
import type { JobId, NodeId } from '../../proto/model.js'
import { toGridError } from '../../runtime/errors.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { GridClient, KnownJob } from '../session/session.js'
import type { PeerClock } from './core/clocks.js'
import { explainJob, isMoving } from './core/explain-job.js'
import { type ExplainedUnit, explainUnit } from './core/explain-unit.js'
import type { CommandWords, Finding } from './core/findings.js'
import { type JobSight, type PeerAnswer, type PeerSilence, troublesOf } from './core/job-sight.js'

export type { PeerClock } from './core/clocks.js'
export { explainMe, type ProcessSight } from './core/explain-me.js'
export { FINDING_CODES, type Finding, type FindingCode } from './core/findings.js'
export { type KeyInTwoPlaces, keyInTwoPlaces, processKeyInTwoPlaces } from './core/same-key.js'
export type { CommandWords, ExplainedUnit, JobSight, PeerAnswer, PeerSilence }

/** What to explain besides the job, and when to give up. */
export interface ExplainOptions {
  /** This unit, too. */
  readonly unit?: number
  readonly signal?: AbortSignal
}

/** A job with the reasons for where it is. */
export interface ExplainedJob {
  readonly job: KnownJob
  readonly sight: JobSight
  /** Those that block it first. */
  readonly findings: readonly Finding[]
  readonly moving: boolean
  readonly unit: ExplainedUnit | undefined
}

/** Peers asked about one job, and shards whose owners are looked up for that, at most. */
const ASKED_MAX = 32
const SHARDS_SOUGHT_MAX = 8
/** Guards asked where homes do not tell what they should. */
const GUARDS_ASKED = 8
/** Peers whose clocks are asked for. */
const CLOCKS_ASKED = 9
/** Deadline of one question. Unit: ms. */
const ASK_MS = 4_000

/**
 * Asks every home of a job and the owners of its shards what they see, and puts their answers together. Peers that do not
 * answer are part of the answer. Rejects as `GridClient.askAny` when no home knows the job.
 */
export async function askWhy(
  client: GridClient,
  jobId: JobId,
  words: CommandWords,
  { unit, signal }: ExplainOptions = {},
): Promise<ExplainedJob> {
  const shown = await client.show(jobId, true, signal === undefined ? {} : { signal })
  const job = client.checkShown(jobId, shown)
  const answers = new Map<NodeId, PeerAnswer>()
  const silences = new Map<NodeId, PeerSilence>()
  const ask = async (peers: readonly Endpoint[]) => {
    const fresh = peers.filter(({ nodeId }) => !answers.has(nodeId) && !silences.has(nodeId))
    const room = Math.max(0, ASKED_MAX - answers.size - silences.size)
    await Promise.all(
      fresh.slice(0, room).map((peer) => askOne(client, peer, { jobId, unit, signal, answers, silences })),
    )
  }
  const [homes, ...owners] = await Promise.all([
    client.homes(jobId),
    ...shardsToSeek(job, unit).map((shard) => client.shardOwners(jobId, shard)),
  ])
  const named = shown.shards
    .filter(({ ownerAddress }) => ownerAddress !== '')
    .map(({ owner, ownerAddress }) => ({ nodeId: owner, address: ownerAddress }))
  await ask(unique([...homes, ...owners.flat(), ...named]))
  const doubtful = homes.filter(({ nodeId }) => answers.get(nodeId)?.reply.home === undefined)
  // Who denies a job may lie, and who does not move it, too.
  if (2 * doubtful.length > homes.length || owners.flat().every(({ nodeId }) => isIdle(answers.get(nodeId))))
    await ask((await client.guards(jobId)).slice(0, GUARDS_ASKED))
  const sight = (): JobSight => ({
    jobId,
    spec: job.spec,
    cancelled: job.view.cancelled,
    expiresAtMs: job.view.expiresAtMs,
    summary: shown.summary,
    waiting: shown.waiting,
    holders: shown.holders.length,
    wanted: shown.wanted,
    ageMs: shown.ageMs,
    homes,
    answers: [...answers.values()],
    silences: [...silences.values()],
    wallMs: client.parts.clock.wallMs(),
  })
  // Homes tell of peers that lookups do not find any more: whether they are back, only they can say.
  await ask(unique(troublesOf(sight()).filter(({ address }) => address !== '')))
  const findings = explainJob(sight(), words)
  return {
    job,
    sight: sight(),
    findings,
    moving: isMoving(findings),
    unit: unit === undefined ? undefined : explainUnit(sight(), unit),
  }
}

/** Whether a peer owns nothing of the job with workers at it. */
function isIdle(answer: PeerAnswer | undefined): boolean {
  return answer === undefined || answer.reply.shards.every(({ summary }) => summary.leased === 0)
}

function shardsToSeek({ spec }: KnownJob, unit: number | undefined): readonly number[] {
  if (unit !== undefined) return [shardOf(spec, unit)]
  const shards: number[] = []
  for (const shard of selectedShards(spec)) {
    if (shards.push(shard) >= SHARDS_SOUGHT_MAX) break
  }
  return shards
}

interface Asking {
  readonly jobId: JobId
  readonly unit: number | undefined
  readonly signal: AbortSignal | undefined
  readonly answers: Map<NodeId, PeerAnswer>
  readonly silences: Map<NodeId, PeerSilence>
}

async function askOne({ parts }: GridClient, peer: Endpoint, asking: Asking): Promise<void> {
  const { jobId, unit, signal, answers, silences } = asking
  const { nodeId, address } = peer
  try {
    const options = { deadlineMs: ASK_MS, ...(signal === undefined ? {} : { signal }) }
    const reply = await parts.transport.call(peer, methods.explain, { jobId, unit, events: false }, options)
    answers.set(nodeId, { nodeId, address, reply })
  } catch (error) {
    const { code, message } = toGridError(error)
    const isThere = code !== 'unreachable' && code !== 'timeout' && code !== 'closed'
    silences.set(nodeId, { nodeId, address, reason: message, isThere })
  }
}

function unique(peers: readonly Endpoint[]): Endpoint[] {
  return [...new Map(peers.map(({ nodeId, address }) => [nodeId, { nodeId, address }])).values()]
}

/** What the clocks of up to {@link CLOCKS_ASKED} peers show. Those that do not answer are left out. */
export async function askClocks({ parts }: GridClient, peers: readonly Endpoint[]): Promise<readonly PeerClock[]> {
  const asked = peers.slice(0, CLOCKS_ASKED).map(async ({ nodeId, address }) => {
    const reply = await parts.transport
      .call({ nodeId, address }, methods.status, {}, { deadlineMs: ASK_MS })
      .catch(() => undefined)
    return reply === undefined || reply.wallMs === 0 ? [] : [{ nodeId, address, theirMs: reply.wallMs }]
  })
  return (await Promise.all(asked)).flat()
}
