import type { OwnerDirectory, ReadyWork } from '../../../coordinator/index.js'
import type { ReconcileRequest } from '../../../proto/exchange-messages.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, PublicKey } from '../../../proto/model.js'
import type { WorkerMessage } from '../../../proto/work-messages.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import type { Caller, StreamMethod, Transport } from '../../../runtime/transport.js'
import type { Host, ProcessContext } from '../world/host.js'
import type { GridDirectory } from './directory.js'
import type { OwnerCharacter } from './plan.js'

/** Workers that a favourer grants to. */
const FRIENDS = 2
/** Units that an announcer claims to have ready, and how often it says so again. Unit: ms. */
const CLAIMED_UNITS = 1_000
const CLAIM_MS = 3_000

/** Whether the owner listens to what the worker wants. */
export function mayWant(character: OwnerCharacter, worker: Caller, workers: readonly Host[]): boolean {
  if (character === 'mute' || character === 'claimer') return false
  if (character !== 'favourer') return true
  return workers.slice(0, FRIENDS).some(({ caller }) => caller.nodeId === worker.nodeId)
}

/** What an owner of this character says to co-owners and clients. */
export function lyingTransport(character: OwnerCharacter, transport: Transport): Transport {
  if (character === 'claimer') return claimingTransport(transport)
  if (character !== 'withholder') return transport
  return {
    call: (to, method, request, options) =>
      method.path === methods.offer.path
        ? Promise.reject(new GridError('unavailable', 'kept for itself'))
        : transport.call(to, method, request, options),
    open: (to, method, signal) => transport.open(to, method, signal),
    probe: (address, options) => transport.probe(address, options),
    handleUnary: (method, handler) => {
      if (method.path === methods.reconcile.path)
        return transport.handleUnary(methods.reconcile, ({ shards }) => ({
          shards: shards.map(({ ranges }) => ({
            state: 'answered' as const,
            toOutsider: false,
            ranges: { answered: ranges.prints.length + ranges.wanted.length, prints: [], ids: [] },
          })),
        }))
      if (method.path === methods.fetchFacts.path)
        return transport.handleUnary(methods.fetchFacts, () => ({ facts: [] }))
      transport.handleUnary(method, handler)
    },
    handleStream: <U, D>(method: StreamMethod<U, D>, handler: Parameters<typeof transport.handleStream<U, D>>[1]) => {
      const isKept = [methods.results.path, methods.copyOutput.path, methods.output.path].includes(method.path)
      transport.handleStream(method, isKept ? () => {} : handler)
    },
  }
}

/** Whatever co-owners are told to be out, they hear that everything is: each time with a key of its own, which nobody has. */
function claimingTransport(transport: Transport): Transport {
  const shards = new Map<string, { readonly jobId: JobId; readonly shard: number }>()
  let keys = 0
  return {
    call: (to, method, request, options) => {
      if (method.path !== methods.outstanding.path) return transport.call(to, method, request, options)
      const worker = sha256(utf8(`nobody ${++keys}`)) as string as PublicKey
      const runs = [{ first: 0, count: CLAIMED_UNITS, opinion: 0 }]
      const grants = [...shards.values()].map((at) => ({ ...at, worker, runs, believedMs: CLAIM_MS * 10, kept: false }))
      return transport.call(to, method, { grants } as typeof request, options)
    },
    open: (to, method, signal) => transport.open(to, method, signal),
    probe: (address, options) => transport.probe(address, options),
    handleUnary: (method, handler) =>
      transport.handleUnary(method, (request, ...rest) => {
        if (method.path === methods.reconcile.path)
          for (const { jobId, shard } of (request as unknown as ReconcileRequest).shards)
            shards.set(`${jobId}/${shard}`, { jobId, shard })
        return handler(request, ...rest)
      }),
    handleStream: (method, handler) => transport.handleStream(method, handler),
  }
}

/** A directory through which an announcer claims work that is not there. */
export function lyingDirectory(directory: GridDirectory, { clock }: ProcessContext): GridDirectory {
  return {
    ...directory,
    asOwner: (self): OwnerDirectory => {
      const owner = directory.asOwner(self)
      const claimed = new Map<JobId, ReadyWork>()
      const claim = (work: ReadyWork) => {
        claimed.set(work.jobId, work)
        owner.announce({ ...work, ready: CLAIMED_UNITS })
      }
      const repeat = () => {
        for (const work of claimed.values()) owner.announce({ ...work, ready: CLAIMED_UNITS })
        clock.setTimer(CLAIM_MS, repeat)
      }
      repeat()
      return {
        self: owner.self,
        owners: (key, count) => owner.owners(key, count),
        ownersSeen: (key, count) => owner.ownersSeen(key, count),
        keepers: (key, count) => owner.keepers(key, count),
        guards: (key, nodeId) => owner.guards(key, nodeId),
        onNeighboursChanged: (handler) => owner.onNeighboursChanged(handler),
        announce: (work) => {
          claim(work)
          claim({ ...work, jobId: sha256(utf8(`no job, but like ${work.jobId}`)) as string as JobId })
        },
        get peerCount() {
          return owner.peerCount
        },
        get eligible() {
          return owner.eligible
        },
      }
    },
  }
}

/**
 * What an owner hears from one worker when it grants nothing as long as `refuses`: that nothing is wanted, and afterwards
 * what was wanted last.
 */
export function deafToWants(refuses: () => boolean): (message: WorkerMessage) => readonly WorkerMessage[] {
  let want: WorkerMessage | undefined
  let isDeaf = false
  return (message) => {
    if (message.type === 'want') want = message
    if (want === undefined) return [message]
    const wasDeaf = isDeaf
    isDeaf = refuses()
    const rest = message.type === 'want' ? [] : [message]
    if (isDeaf) return [...rest, { type: 'want', instances: 0 }]
    return message.type === 'want' || wasDeaf ? [...rest, want] : rest
  }
}
