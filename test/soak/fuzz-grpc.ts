import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { healthCheck } from '../../overlay/channel/health.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import { type AnyStream, type AnyUnary, Attack, type Surface, times } from '../support/hostile/attack.js'
import { signSpec, specOf } from '../support/hostile/lies.js'
import { mutated } from '../support/hostile/messages.js'
import { signedRequest } from '../support/hostile/signed.js'
import { mutatedValue } from '../support/hostile/values.js'
import type { Health } from '../support/processes/grid-process.js'
import { ProcessGrid } from '../support/processes/process-grid.js'
import { seededRandom } from '../support/seeded-random.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'
import { say } from './soak.js'

/** Keys that the messages come from: each fills its quota of jobs before anything is measured. */
const STRANGERS = 2
const JOBS_EACH = 1_000
/** Messages of one stream at most, and how long one that says nothing is left open. Unit of the second: ms. */
const STREAM_MESSAGES_MAX = 12
const STREAM_MS = 30
/** Of a hundred requests: those with valid signatures over hostile content. */
const SIGNED_PERCENT = 25
/** What may be alive more at the end than after the first tenth, and what the system has lent more. Unit: bytes. */
const HEAP_GROWTH_MAX = 24 * 2 ** 20
const RSS_GROWTH_MAX = 160 * 2 ** 20
const HEALTH_MS = 10_000
/** Answers may take as long as a busy machine wants. Unit: ms. */
const CALL_MS = 60_000
const ROUNDS = 10

/**
 * Sends hostile messages to every method of a peer in a process of its own, over real connections, dozens at a time: valid
 * messages with bytes changed, valid values with a leaf changed before they are written, and hostile content under valid
 * signatures. @throws Error when the peer crashed, logged a fault, gave an answer that is not documented, or grew
 */
export async function fuzzedOverGrpc(messages: number, seed: number): Promise<void> {
  const grid = new ProcessGrid()
  const honest = new GrpcTransport({ identity: createIdentity(), network: testNetwork })
  try {
    const peer = await grid.peer()
    const client = await grid.client(peer.endpoint.address)
    const { jobId } = await grid.submitTrace(client, 'honest', { count: 100, ms: 1 })
    const { signed } = await client.client().job(jobId)
    const random = seededRandom(seed)
    const attack = new Attack({ endpoint: peer.endpoint, jobId, spec: signed }, random, {
      strangers: STRANGERS,
      callMs: CALL_MS,
    })
    const own = await fillQuotas(attack)
    const health = () => peer.process.ask<Health>('health', undefined, 120_000)
    const before = await health()
    say(`${STRANGERS * JOBS_EACH} jobs of strangers there: ${mib(before)}`)
    let first: Health | undefined
    const faults: string[] = []
    for (let round = 1; round <= ROUNDS; round++) {
      while (attack.sent < (messages * round) / ROUNDS) await volley(attack, own)
      const now = await health()
      first ??= now
      const askedAt = performance.now()
      await honest.call(peer.endpoint, healthCheck, '', { deadlineMs: CALL_MS })
      const healthMs = performance.now() - askedAt
      say(`${attack.sent} messages, ${mib(now)}, health ${healthMs.toFixed(0)} ms; ${attack.summary()}`)
      const expect = (holds: boolean, what: string) => {
        if (!holds && faults.length < 20) faults.push(what)
      }
      expect(peer.process.exited === undefined, `${peer.process.exited}`)
      expect(now.unhandled.length === 0, `unhandled: ${now.unhandled[0]}`)
      expect(now.errors.length === 0, `logged as a fault: ${now.errors[0]}`)
      expect(attack.undocumented.length === 0, `undocumented: ${attack.undocumented[0]}`)
      expect(attack.refusedUnread === 0, `${attack.refusedUnread} calls refused unread on connections that went on`)
      expect(now.heapBytes - first.heapBytes < HEAP_GROWTH_MAX, `what is alive grew: ${mib(first)} to ${mib(now)}`)
      expect(now.rssBytes - first.rssBytes < RSS_GROWTH_MAX, `memory grew: ${mib(first)} to ${mib(now)}`)
      expect(healthMs < HEALTH_MS, `health took ${healthMs.toFixed(0)} ms`)
      if (faults.length > 0) throw new Error([...new Set(faults)].join('\n'))
    }
    say(`sent by method: ${[...attack.sentTo].map(([path, count]) => `${path.split('/').at(-1)} ${count}`).join(', ')}`)
    await attack.close()
  } finally {
    await honest.close()
    await grid.close()
  }
}

/** Has every stranger submit as many jobs as it may, so that what they hold there does not grow later. */
async function fillQuotas(attack: Attack): Promise<ReadonlyMap<string, JobId>> {
  const own = new Map<string, JobId>()
  await attack.each(times(STRANGERS * JOBS_EACH), async (index) => {
    const from = attack.strangers[index % STRANGERS]!
    const { signed, jobId } = signSpec(from, specOf(attack, from))
    const code = await attack.call(methods.submit, { spec: signed }, from)
    if (code === 'ok') own.set(from.identity.nodeId, jobId)
  })
  return own
}

/** A few thousand messages, the same number of requests to each method. */
async function volley(attack: Attack, own: ReadonlyMap<string, JobId>): Promise<void> {
  const surface = attack.surface()
  const byPath = new Map(surface.map((one) => [one.method.path, one.method]))
  const { random } = attack
  await attack.each(times(50 * surface.length), async (index) => {
    if (random.int(100) < SIGNED_PERCENT) {
      const from = attack.any()
      const request = signedRequest(attack, from, own.get(from.identity.nodeId) ?? attack.target.jobId)
      const method = byPath.get(request.path)!
      if (isUnary(method)) await attack.call(method, request.messages[0]!, from)
      else await attack.stream(method, request.messages, { from, waitMs: STREAM_MS })
      return
    }
    const { method, ...valid } = surface[index % surface.length]!
    if (isUnary(method)) {
      await attack.call(method, hostileMessage(attack, method.request, valid))
      return
    }
    const messages = Array.from({ length: 1 + random.int(STREAM_MESSAGES_MAX) }, () =>
      hostileMessage(attack, method.up, valid),
    )
    if (random.int(2) === 0) messages.unshift(valid.valid[random.int(valid.valid.length)]!)
    await attack.stream(method, messages, { end: random.int(8) > 0, waitMs: STREAM_MS })
  })
}

function hostileMessage(
  { random }: Attack,
  codec: { encode(value: unknown): Uint8Array },
  { valid, values }: Pick<Surface, 'valid' | 'values'>,
): Uint8Array {
  if (values.length > 0 && random.int(2) === 0) {
    try {
      return codec.encode(mutatedValue(values[random.int(values.length)], random))
    } catch {
      // Our own writer refuses what cannot be written; a stranger's would not.
    }
  }
  return mutated(valid[random.int(valid.length)]!, random)
}

function isUnary(method: AnyUnary | AnyStream): method is AnyUnary {
  return 'request' in method
}

function mib({ rssBytes, heapBytes }: Health): string {
  return `${(heapBytes / 2 ** 20).toFixed(1)} MiB alive of ${(rssBytes / 2 ** 20).toFixed(0)}`
}
