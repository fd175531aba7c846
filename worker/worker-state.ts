import type { OwnerState, PreferenceValue, SameKey, WorkerState } from '../proto/admin-messages.js'
import type { JobId, JobSpec } from '../proto/model.js'
import type { WorkerCore } from './core/worker-core.js'
import type { OwnerWord } from './owner-words.js'
import type { Decision } from './preferences/governor.js'
import type { WorkerNow } from './tally.js'
import type { ThreadBoard } from './thread-board.js'

interface WorkerStateParts {
  readonly core: WorkerCore
  readonly now: WorkerNow
  readonly board: ThreadBoard
  readonly specOf: (jobId: JobId) => JobSpec | undefined
  readonly words: readonly OwnerWord[]
  readonly threads: number
  readonly decision: Decision
  readonly paused: boolean
  readonly preferences: readonly PreferenceValue[]
  /** Why work that was seen is not taken. */
  readonly passedOver: readonly string[]
  readonly sameKey: SameKey | undefined
}

/** Everything that a worker did and does, for its owner. */
export function workerState(parts: WorkerStateParts): WorkerState {
  const { core, now, board, specOf, words, threads, decision, paused, preferences } = parts
  const { held, unsettled, computed, agreed, disagreed, fuel } = now
  const owners = ownersOf(core, words)
  return {
    threads: board.threads(threads, specOf),
    owners,
    restraints: decision.restraints,
    threadsAllowed: decision.threads,
    cpuTimeShare: decision.share,
    paused,
    draining: core.isDraining,
    held,
    unsettled,
    computed,
    agreed,
    disagreed,
    fuel,
    idleReason: held > 0 ? '' : idleReasonOf(decision, parts.passedOver, owners),
    preferences,
    sameKey: parts.sameKey,
  }
}

/** What the volunteer said, what work it does not want, and what owners said last; in this order. */
function idleReasonOf({ restraints }: Decision, passedOver: readonly string[], owners: readonly OwnerState[]): string {
  if (restraints.length > 0) return restraints.map(({ reason }) => reason).join('; ')
  if (passedOver.length > 0) return passedOver.join('; ')
  const [last] = owners
    .filter(({ connected, reason }) => connected && reason !== '')
    .sort((a, b) => b.reasonAtMs - a.reasonAtMs)
  return last?.reason ?? ''
}

/** Those it talks to, then those that said something before; newest words first. */
function ownersOf(core: WorkerCore, words: readonly OwnerWord[]): OwnerState[] {
  const said = new Map(words.map((word) => [word.nodeId, word]))
  const linked = core.links.map(({ endpoint: { nodeId, address }, isOpen, held }) => {
    const word = said.get(nodeId)
    said.delete(nodeId)
    const { reason = '', atMs: reasonAtMs = 0, code = '' } = word ?? {}
    return { nodeId, address, connected: isOpen, held, reason, reasonAtMs, code }
  })
  const others = [...said.values()].reverse().map(({ nodeId, address, reason, atMs, code }) => {
    return { nodeId, address, connected: false, held: 0, reason, reasonAtMs: atMs, code }
  })
  return [...linked, ...others]
}
