import { healthWatch } from '../../../overlay/channel/health.js'
import { watchBoardMethod } from '../../../proto/codec/overlay.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, JobId, JobSpec } from '../../../proto/model.js'
import { toGridError } from '../../../runtime/errors.js'
import { toHex } from '../../../runtime/hex.js'
import type { MessageStream } from '../../../runtime/transport.js'
import { type AnyStream, type Attack, times } from './attack.js'
import { signSpec, specOf } from './lies.js'
import { RawHttp2 } from './raw-http2.js'

/** More connections than a peer takes in all, and how many of them are dialled at a time. */
const CONNECTIONS = 4_400
const DIALS_AT_ONCE = 24
/** Wait before a connection that the peer ended is dialled again. Unit: ms. */
const AGAIN_MS = 1_000
/** Keys of the strangers whose calls wait, each with a connection of its own, and the calls of one. */
export const WAITING_STRANGERS = 64
const WAITING_STREAMS = 60

/** As many connections as one address gets, held until the attack is over; those that were ended are dialled again. */
export function connectionsOfOne(attack: Attack): Promise<void> {
  return heldConnections(attack, () => undefined)
}

/** The same from thousands of addresses, each of which has one. */
export function connectionsOfMany(attack: Attack): Promise<void> {
  return heldConnections(attack, (index) => `127.1.${index >> 7}.${1 + (index & 127)}`)
}

async function heldConnections(attack: Attack, from: (index: number) => string | undefined): Promise<void> {
  const { signal, target } = attack
  const held = new Map<number, RawHttp2>()
  const missing = [...times(CONNECTIONS)]
  const lane = async () => {
    while (!signal.aborted) {
      const index = missing.shift()
      if (index === undefined) {
        await pause(AGAIN_MS / 10)
        continue
      }
      attack.sent++
      const raw = await RawHttp2.open(target.endpoint.address, attack.any().identity, [], from(index))
      if (raw === undefined) {
        attack.note('connection', 'closed', 'not let in')
        setTimeout(() => missing.push(index), AGAIN_MS)
        continue
      }
      held.set(index, raw)
      raw.socket.once('close', () => {
        held.delete(index)
        if (signal.aborted) return
        attack.note('connection', 'closed', raw.end)
        setTimeout(() => missing.push(index), AGAIN_MS)
      })
    }
  }
  await Promise.all(Array.from({ length: DIALS_AT_ONCE }, lane))
  attack.held = held.size
  for (const raw of held.values()) raw.close()
}

/** Calls that wait for news, on every stream that a connection may have: of jobs, results, boards, health and of work. */
export async function waitingCalls(attack: Attack): Promise<void> {
  const { signal, target } = attack
  const { jobId } = target
  const asked: readonly (readonly [AnyStream, unknown])[] = [
    [methods.watch, { jobId, withShards: false }],
    [methods.results, { jobId, shard: 100_000, units: [], follow: true, withOutputs: true }],
    [methods.results, { jobId, shard: 0, units: [{ first: 0, count: 1 }], follow: true, withOutputs: true }],
    [watchBoardMethod, { boards: 0xffff }],
    [healthWatch, ''],
    [methods.work, undefined],
  ] as const satisfies readonly (readonly [unknown, unknown])[] as readonly (readonly [AnyStream, unknown])[]
  const open: MessageStream<unknown, unknown>[] = []
  const ended = new Set<MessageStream<unknown, unknown>>()
  for (const stranger of attack.strangers) {
    for (const index of times(WAITING_STREAMS)) {
      if (signal.aborted) break
      const [method, request] = asked[index % asked.length]!
      attack.sent++
      const stream = stranger.transport.open(target.endpoint, method)
      stream.onMessage(() => {})
      stream.onClose((reason) => {
        ended.add(stream)
        if (signal.aborted) return
        const failure = reason === undefined ? undefined : toGridError(reason)
        attack.note(method.path, failure?.code ?? 'ok', failure?.message)
      })
      if (request !== undefined) stream.send(request)
      open.push(stream)
    }
    // Handshakes have a pace of their own; what is tried here are the calls.
    await pause(20)
  }
  while (!signal.aborted) await pause(AGAIN_MS / 10)
  attack.held = open.filter((stream) => !ended.has(stream)).length
  for (const stream of open) stream.cancel()
}

/** Jobs that strangers pass on as if they were homes near them: their own, those of others, and of keys that nobody knows. */
export async function keptJobs(attack: Attack): Promise<void> {
  await attack.each(times(3_000), async (index) => {
    const from = attack.any()
    const submitter = attack.any()
    const changes: Partial<JobSpec> = index % 3 === 0 ? { source: { type: 'count', count: 10_000_000 } } : {}
    const { signed } = signSpec(submitter, specOf(attack, submitter, changes))
    const spec = index % 5 === 0 ? { ...signed, signature: attack.random.bytes(64) } : signed
    await attack.call(methods.keepJob, { spec, orders: [], shards: [] }, from)
    if (index % 4 > 0) return
    const jobs = [...times(64)].map((finished) => ({
      jobId: toHex(attack.random.bytes(32)) as JobId,
      orders: finished % 2 === 0 ? undefined : (toHex(attack.random.bytes(32)) as Digest),
      finished,
    }))
    await attack.call(methods.compareJobs, { jobs }, from)
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
