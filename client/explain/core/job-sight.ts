import type {
  ExplainReply,
  PeerTrouble,
  ShardSight,
  UnitGroup,
  UnitWait,
  WorkerGroup,
} from '../../../proto/explain-messages.js'
import type { JobId, JobSpec, NodeId, Summary } from '../../../proto/model.js'

/** A peer that was asked, by id and address. */
export interface Asked {
  readonly nodeId: NodeId
  readonly address: string
}

/** What a peer said of a job. */
export interface PeerAnswer extends Asked {
  readonly reply: ExplainReply
}

/** A peer that should know of the job, and gave no answer. */
export interface PeerSilence extends Asked {
  readonly reason: string
  /** It is there and refuses to answer: it does not know the job, or has no answer to give. */
  readonly isThere: boolean
}

/** Everything that is known of a job when it is asked why it is where it is. */
export interface JobSight {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly cancelled: boolean
  /** Orders counted in. ms since 1970. */
  readonly expiresAtMs: number
  /** As its home counts. */
  readonly summary: Summary
  readonly waiting: string
  readonly holders: number
  readonly wanted: number
  readonly ageMs: number
  /** The peers nearest to the job that were asked, by a lookup. */
  readonly homes: readonly Asked[]
  readonly answers: readonly PeerAnswer[]
  readonly silences: readonly PeerSilence[]
  /** This machine's clock. */
  readonly wallMs: number
}

/** Peers that own shards of the job. */
export function owners({ answers }: JobSight): readonly PeerAnswer[] {
  return answers.filter(({ reply }) => reply.shards.length > 0)
}

/** The names of peers, for who says something; at most a few. */
export function names(peers: readonly Asked[]): string[] {
  return [...new Set(peers.map(nameOf))].slice(0, NAMES_MAX)
}

const NAMES_MAX = 8

/** A peer as people are told of it: its address, or 12 digits of its id. */
export function nameOf({ nodeId, address }: Asked): string {
  return address === '' ? nodeId.slice(0, 12) : address
}

/** Workers by how they stand, put together from owners that mostly count the same ones: the largest count of each group. */
export function workersSeen(sight: JobSight): readonly (WorkerGroup & { readonly by: readonly string[] })[] {
  const groups = new Map<string, WorkerGroup & { by: string[] }>()
  for (const owner of owners(sight)) {
    for (const group of owner.reply.workers) {
      const name = `${group.bar} ${group.value}`
      const known = groups.get(name)
      const by = [...(known?.by ?? []), nameOf(owner)]
      groups.set(name, { ...(known === undefined || group.workers > known.workers ? group : known), by })
    }
  }
  return [...groups.values()].sort((a, b) => b.workers - a.workers)
}

/** A shard as all its owners that answered see it. */
export interface MergedShard {
  readonly shard: number
  readonly owners: readonly PeerAnswer[]
  readonly minGrantors: number
  /** Owners that there should be, by the largest number that one of them knows. */
  readonly ownersKnown: number
  readonly quietMs: number
  readonly groups: readonly UnitGroup[]
}

/** What one owner knows of a unit and the others do not: there its word counts. Of the rest the one that sees least. */
const KNOWN_TO_ONE: ReadonlySet<UnitWait> = new Set([
  'computing',
  'drawn',
  'doubted',
  'disputed',
  'held',
  'bytes',
  'limit',
])

/** The shards of the job, each with what its owners say put together; in order of their numbers. */
export function mergedShards(sight: JobSight): readonly MergedShard[] {
  const byShard = new Map<number, { owner: PeerAnswer; shard: ShardSight }[]>()
  for (const owner of owners(sight)) {
    for (const shard of owner.reply.shards) {
      const list = byShard.get(shard.shard)
      if (list === undefined) byShard.set(shard.shard, [{ owner, shard }])
      else list.push({ owner, shard })
    }
  }
  return [...byShard].map(([shard, sights]) => ({
    shard,
    owners: sights.map(({ owner }) => owner),
    minGrantors: Math.max(...sights.map((one) => one.shard.minGrantors)),
    ownersKnown: Math.max(...sights.map((one) => one.shard.owners)),
    quietMs: Math.min(...sights.map((one) => one.shard.quietMs)),
    groups: mergedGroups(sights.map((one) => one.shard)),
  }))
}

function mergedGroups(sights: readonly ShardSight[]): UnitGroup[] {
  // An owner that has seen it finished is ahead of the others.
  if (sights.some(({ summary }) => summary.settled + summary.failed === summary.units)) return []
  const waits = new Set(sights.flatMap(({ groups }) => groups.map(({ wait }) => wait)))
  const merged: UnitGroup[] = []
  for (const wait of waits) {
    const found = sights.map(({ groups }) => groups.find((group) => group.wait === wait))
    const group = KNOWN_TO_ONE.has(wait)
      ? found.reduce((most, one) => ((one?.units ?? 0) > (most?.units ?? 0) ? one : most), undefined)
      : found.reduce((least, one) => ((one?.units ?? 0) < (least?.units ?? 0) ? one : least))
    if (group !== undefined) merged.push(group)
  }
  return merged
}

/** Units of all shards that wait for the same thing. */
export function unitsWaiting(shards: readonly MergedShard[], ...waits: readonly UnitWait[]): UnitGroup | undefined {
  const groups = shards.flatMap((shard) => shard.groups.filter(({ wait }) => waits.includes(wait)))
  if (groups.length === 0) return undefined
  const sinces = groups.flatMap(({ sinceMs }) => (sinceMs === undefined ? [] : [sinceMs]))
  return {
    wait: groups[0]!.wait,
    units: groups.reduce((sum, { units }) => sum + units, 0),
    examples: groups.flatMap(({ examples }) => examples).slice(0, EXAMPLES_MAX),
    sinceMs: sinces.length === 0 ? undefined : Math.max(...sinces),
  }
}

const EXAMPLES_MAX = 8

/** What homes say of peers that are silent or refuse, one word a peer and kind: that of whoever knows it longest. */
export function troublesOf({ answers }: JobSight): readonly (PeerTrouble & { readonly by: readonly string[] })[] {
  const troubles = new Map<string, PeerTrouble & { by: string[] }>()
  for (const answer of answers) {
    for (const trouble of answer.reply.home?.troubles ?? []) {
      const name = `${trouble.what} ${trouble.nodeId}`
      const known = troubles.get(name)
      const by = [...(known?.by ?? []), nameOf(answer)]
      const isOlder = known === undefined || trouble.sinceMs > known.sinceMs
      troubles.set(name, { ...(isOlder ? trouble : known), by })
    }
  }
  return [...troubles.values()]
}
