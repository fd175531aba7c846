import type { ProcessState, WorkerState } from '../../../proto/admin-messages.js'
import { nameOf } from './job-sight.js'

/** What owners say of a key counts for so long: who is turned away comes back every 20 s. Unit: ms. */
const LASTS_MS = 45_000

/** A key in two processes, as one of them has heard. */
export interface KeyInTwoPlaces {
  /** Which of the two owners turn away: this one, or the other; two peers are served both. */
  readonly turnedAway: 'here' | 'there' | 'neither'
  readonly sentence: string
  /** Owners that say so, and how long ago the last one did. Unit of the latter: ms. */
  readonly by: readonly string[]
  readonly agoMs: number
}

/**
 * Whether another process uses the key of this worker, as far as owners have told lately; undefined: none that they told of.
 * Both may be served, each by other owners; whom this one was turned away by counts first.
 */
export function keyInTwoPlaces({ owners, sameKey }: WorkerState, wallMs: number): KeyInTwoPlaces | undefined {
  const isRecent = (atMs: number) => wallMs - atMs < LASTS_MS
  const refusing = owners.filter(
    ({ code, connected, reasonAtMs }) => code === 'exists' && !connected && isRecent(reasonAtMs),
  )
  if (refusing.length > 0) {
    const last = refusing.reduce((one, other) => (other.reasonAtMs > one.reasonAtMs ? other : one))
    return {
      turnedAway: 'here',
      sentence: last.reason,
      by: refusing.map(nameOf),
      agoMs: Math.max(0, wallMs - last.reasonAtMs),
    }
  }
  if (sameKey === undefined || !isRecent(sameKey.atMs)) return undefined
  const told = owners.find(({ nodeId }) => nodeId === sameKey.owner)
  return {
    turnedAway: 'there',
    sentence: `another process uses the key of this one, at ${sameKey.host}; it is turned away`,
    by: [told === undefined ? sameKey.owner.slice(0, 12) : nameOf(told)],
    agoMs: Math.max(0, wallMs - sameKey.atMs),
  }
}

/** The same of a whole process: its worker, or itself as a peer that others find at two addresses. */
export function processKeyInTwoPlaces(state: ProcessState, wallMs: number): KeyInTwoPlaces | undefined {
  const two = state.worker && keyInTwoPlaces(state.worker, wallMs)
  if (two !== undefined || state.otherSelf === '') return two
  return {
    turnedAway: 'neither',
    sentence: `another peer with the key of this one runs at ${state.otherSelf}: jobs find one of the two by chance`,
    by: ['this machine'],
    agoMs: 0,
  }
}
