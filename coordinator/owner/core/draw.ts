import type { PublicKey } from '../../../proto/model.js'
import type { Random } from '../../../runtime/random.js'
import type { UnitRecord } from './unit-record.js'
import type { WorkerRecord } from './worker-record.js'
import { RESERVED_MAX } from './worker-record.js'

/** Failures of its host with one unit after which a key is not given that unit again. */
export const HOST_FAILURES_MAX = 8
/** Keys tried at random before all are looked at: with all at the smallest weight one draw in eight comes that far. */
const QUICK_TRIES = 32

/** Who may give a further opinion, beyond what is never waived: a different key and a different donor. */
export interface DrawRules {
  /** Whether the key may compute the job at all, and asks for work. */
  mayWork(worker: WorkerRecord, record: UnitRecord): boolean
  /** Where a key that has voted is connected from, if it is known here. */
  hostOf(key: PublicKey): string | undefined
  /** Whether the key owns the unit's shard. */
  isOwner(worker: WorkerRecord, record: UnitRecord): boolean
}

/**
 * Draws the key that a unit's next opinion is reserved for: among the connected keys with the weight of their credit, not
 * whoever asks next, because a fast ring always asks next. Never the same key or donor as an earlier opinion; a nearby
 * address, an owner of the shard, a second key younger than the job, or a host that failed the unit only where nobody else
 * is there; where everybody is one of these, those against whom least speaks: that all keys are young does not open the way
 * to two votes from one network. The weights hold in every case: all keys are younger than the first job of a grid, and a ring among them must
 * not be drawn as often as keys that have proved themselves.
 */
export function drawWorker(
  record: UnitRecord,
  connected: readonly WorkerRecord[],
  rules: DrawRules,
  random: Random,
): WorkerRecord | undefined {
  if (connected.length === 0) return undefined
  const fits = (worker: WorkerRecord) =>
    isDistinct(worker, record) && rules.mayWork(worker, record) && worker.reserved.size < RESERVED_MAX
  const against = (worker: WorkerRecord) =>
    Number(failuresOf(worker, record) > 0) +
    Number(rules.isOwner(worker, record)) +
    Number(isNear(worker, record, rules)) +
    Number(isSecondYounger(worker, record))
  for (let i = 0; i < QUICK_TRIES; i++) {
    const worker = connected[random.int(connected.length)]!
    if (random.next() < worker.drawWeight && fits(worker) && against(worker) === 0) return worker
  }
  // The same draw in one pass, among those against whom least speaks.
  let drawn: WorkerRecord | undefined
  let least = Number.POSITIVE_INFINITY
  let weight = 0
  for (const worker of connected) {
    if (!fits(worker)) continue
    const { drawWeight } = worker
    const point = random.next()
    const speaks = against(worker)
    if (speaks > least) continue
    if (speaks < least) weight = 0
    least = speaks
    weight += drawWeight
    if (point * weight < drawWeight) drawn = worker
  }
  return drawn
}

/** The worker may be given an opinion on the unit: it is not to give one already, and has no part in it. */
export function isDistinct(worker: WorkerRecord, record: UnitRecord): boolean {
  return record.reservedFor !== worker && isWithoutPart(worker, record)
}

/** Neither the key nor its donor has answered the unit or holds it. A host's failure is no answer. */
export function isWithoutPart(worker: WorkerRecord, record: UnitRecord): boolean {
  let failures = 0
  for (const { worker: key, donor, outcome } of record.votes) {
    if (key !== worker.key && donor !== worker.donor) continue
    // A failure of a host is no opinion: it may try again.
    if (outcome !== 'host') return false
    if (key === worker.key && ++failures >= HOST_FAILURES_MAX) return false
  }
  for (const instance of record.held)
    if (instance.worker.key === worker.key || instance.worker.donor === worker.donor) return false
  return true
}

/** How often the worker's own host has failed the unit. */
export function failuresOf(worker: WorkerRecord, record: UnitRecord): number {
  let failures = 0
  for (const vote of record.votes) if (vote.outcome === 'host' && vote.worker === worker.key) failures++
  return failures
}

/** One of the K votes may come from a key younger than the job, where older keys are connected. */
function isSecondYounger(worker: WorkerRecord, record: UnitRecord): boolean {
  const { spec } = record.shard.job
  if (worker.age(spec) === 'older') return false
  const { judgement } = record
  const preferOlder =
    judgement !== undefined && (judgement.state === 'open' || judgement.state === 'disputed') && judgement.preferOlder
  return preferOlder || record.held.some((instance) => instance.worker.age(spec) === 'younger')
}

function isNear(worker: WorkerRecord, record: UnitRecord, rules: DrawRules): boolean {
  const prefix = networkPrefix(worker.host)
  if (prefix === undefined) return false
  const near = (host: string | undefined) => host !== undefined && networkPrefix(host) === prefix
  return (
    record.held.some((instance) => near(instance.worker.host)) ||
    record.votes.some((vote) => vote.outcome !== 'host' && near(rules.hostOf(vote.worker)))
  )
}

/** /24 of an IPv4 or /48 of an IPv6 address; undefined for loopback, private and unparsable ones, which are exempt. */
export function networkPrefix(host: string): string | undefined {
  const plain = host.startsWith('::ffff:') ? host.slice(7) : host
  const parts = plain.split('.')
  if (parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part))) {
    const [a, b] = parts.map(Number) as [number, number, number, number]
    if (
      a === 127 ||
      a === 10 ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168) ||
      (a === 169 && b === 254)
    )
      return undefined
    return parts.slice(0, 3).join('.')
  }
  if (!plain.includes(':')) return undefined
  const lower = plain.toLowerCase()
  if (lower === '::1' || /^f[cde]/.test(lower)) return undefined
  const [head = '', tail] = lower.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) while (groups.length < 3) groups.push('0')
  return groups
    .slice(0, 3)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
