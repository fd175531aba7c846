import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { PeerLink } from '../../../../coordinator/exchange/peer-link.js'
import type { BookedJob } from '../../../../coordinator/jobs/booked-job.js'
import type { OfferRequest, OfferState } from '../../../../proto/exchange-messages.js'
import { methods } from '../../../../proto/methods.js'
import type { JobId, NodeId } from '../../../../proto/model.js'
import { GridError } from '../../../../runtime/errors.js'
import type { Endpoint, Transport, UnaryMethod } from '../../../../runtime/transport.js'

const PEER: Endpoint = { nodeId: 'b'.repeat(40) as NodeId, address: 'peer:1' }
const JOB = { jobId: '1'.repeat(64) as JobId, signed: {}, signedOrders: [] } as unknown as BookedJob

interface Call {
  readonly path: string
  readonly request: unknown
  answer(reply: unknown): void
  fail(code: 'unreachable' | 'timeout' | 'quota'): void
}

/** A link whose calls wait for the test to answer them. */
function linkOf() {
  const calls: Call[] = []
  const changes: boolean[] = []
  const transport = {
    call: (_: Endpoint, method: UnaryMethod<unknown, unknown>, request: unknown) =>
      new Promise((resolve, reject) => {
        calls.push({
          path: method.path,
          request,
          answer: resolve,
          fail: (code) => reject(new GridError(code, 'made to fail')),
        })
      }),
  } as unknown as Transport
  const link = new PeerLink({ transport, onChange: (changed) => void changes.push(changed.isSilent) }, PEER)
  const states: OfferState[] = []
  const offer = (size = 10) => {
    const fact = { fact: new Uint8Array(size), outputs: [] }
    void link.offer(JOB, 0, fact).then((state) => states.push(state))
  }
  return { link, calls, changes, states, offer }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const factsOf = ({ request }: Call) => (request as OfferRequest).facts.length
const kept = (call: Call) => call.answer({ states: Array.from({ length: factsOf(call) }, () => 'kept') })

const test = suite('PeerLink')

test('facts that come while two messages are on their way share the next', async () => {
  const { calls, states, offer } = linkOf()
  for (let i = 0; i < 10; i++) offer()
  assert.equal(calls.map(factsOf), [1, 1])
  kept(calls[0]!)
  await settled()
  assert.equal(calls.map(factsOf), [1, 1, 8])
  kept(calls[1]!)
  kept(calls[2]!)
  await settled()
  assert.equal(
    states,
    Array.from({ length: 10 }, () => 'kept'),
  )
})

test('a message has a bounded number of facts and bytes', async () => {
  const { calls, offer } = linkOf()
  for (let i = 0; i < 200; i++) offer()
  for (let i = 0; i < 3; i++) offer(200 * 1024)
  for (let at = 0; at < calls.length; at++) {
    kept(calls[at]!)
    await settled()
  }
  const counts = calls.map(factsOf)
  assert.is(
    counts.reduce((sum, count) => sum + count, 0),
    203,
  )
  assert.ok(counts.every((count) => count <= 64))
  assert.is(counts.at(-1), 1, 'large facts travel apart')
})

test('a peer that does not know the job is given it, once, and the fact again', async () => {
  const { calls, states, offer } = linkOf()
  offer()
  offer()
  calls[0]!.answer({ states: ['unknown'] })
  calls[1]!.answer({ states: ['unknown'] })
  await settled()
  assert.equal(
    calls.slice(2).map(({ path }) => path),
    [methods.activate.path],
  )
  calls[2]!.answer({ summary: {} })
  await settled()
  for (const call of calls.slice(3)) call.answer({ states: Array.from({ length: factsOf(call) }, () => 'unknown') })
  await settled()
  assert.equal(states, ['unknown', 'unknown'], 'it is not given it for ever')
})

test('a peer that missed a fact is compared with once it answers, and ever more rarely while it goes on missing some', async () => {
  const { link, calls, offer } = linkOf()
  const shard = { jobId: JOB.jobId, shard: 0 }
  offer()
  calls[0]!.fail('unreachable')
  await settled()
  assert.equal(link.takeBehind(0), [], 'it does not answer yet')
  const answer = async () => {
    const tell = link.call(methods.outstanding, { grants: [] })
    calls.at(-1)!.answer({})
    await tell
  }
  await answer()
  assert.equal(link.takeBehind(0), [shard])
  assert.equal(link.takeBehind(60_000), [], 'it is told once')
  const taken: number[] = []
  for (let now = 100_000; now < 140_000; now += 500) {
    link.lacks(shard)
    if (link.takeBehind(now).length > 0) taken.push(now - 100_000)
  }
  assert.equal(taken, [0, 1_000, 3_000, 7_000, 15_000, 25_000, 35_000])
  link.lacks(shard)
  link.forgetJob(JOB.jobId)
  assert.equal(link.takeBehind(300_000), [])
})

test('a peer is silent after two calls without an answer, is sent no facts then, and is back with its first answer', async () => {
  const { link, calls, changes, states, offer } = linkOf()
  for (let i = 0; i < 5; i++) offer()
  calls[0]!.fail('unreachable')
  await settled()
  assert.not.ok(link.isSilent)
  calls[1]!.fail('timeout')
  await settled()
  assert.ok(link.isSilent)
  assert.equal(changes, [true])
  for (const call of calls.slice(2)) call.fail('unreachable')
  await settled()
  offer()
  await settled()
  assert.is(states.length, 6)
  assert.ok(states.every((state) => state === 'notNow'))
  const tell = link.call(methods.outstanding, { grants: [] })
  calls.at(-1)!.answer({})
  await tell
  assert.not.ok(link.isSilent)
  assert.equal(changes, [true, false])
})

test('a refusal is an answer', async () => {
  const { link, calls } = linkOf()
  for (let i = 0; i < 3; i++) {
    const call = link.call(methods.outstanding, { grants: [] }).catch(() => {})
    calls.at(-1)!.fail('quota')
    await call
  }
  assert.not.ok(link.isSilent)
})

test('what waits when the link is closed is given back', async () => {
  const { link, states, offer } = linkOf()
  for (let i = 0; i < 5; i++) offer()
  link.close()
  await settled()
  assert.equal(states, ['notNow', 'notNow', 'notNow'])
  offer()
  await settled()
  assert.is(states.length, 4)
})

test.run()
