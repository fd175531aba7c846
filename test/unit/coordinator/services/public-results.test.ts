import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { KnownOrder } from '../../../../job/facts/orders.js'
import { methods } from '../../../../proto/methods.js'
import type { Digest } from '../../../../proto/model.js'
import { toGridError } from '../../../../runtime/errors.js'
import type { Host, ProcessContext } from '../../../simulation/world/host.js'
import { Owners } from '../exchange/owners.js'

const results = suite('results')
const UNITS = 16

interface Read {
  readonly facts: number
  readonly settled: number
  readonly refusal: string | undefined
}

/** Reads the shard, until the owner has said all; with `follow` that is when nothing more can come. */
function open({ transport }: ProcessContext, owners: Owners, of: Host, follow: boolean): Promise<Read> {
  const { caller, address } = of
  let facts = 0
  let settled = 0
  return new Promise<Read>((resolve) => {
    const stream = transport.open({ nodeId: caller.nodeId, address }, methods.results)
    stream.onMessage((reply) => {
      facts += reply.facts.length
      settled += reply.settled.length
    })
    stream.onClose((reason) => resolve({ facts, settled, refusal: reason && toGridError(reason).code }))
    stream.send({ jobId: owners.jobId, shard: 0, units: [], follow, withOutputs: false })
    stream.end()
  })
}

/** What a stranger, with the key of another peer, gets to see now. */
function read(owners: Owners, of: Host, by: Host): Promise<Read> {
  return owners.at(by, (context) => open(context, owners, of, false))
}

results('of a public job show strangers nothing of a shard with open units, and all of it afterwards', async () => {
  const owners = new Owners(2, 1, { isPublic: true })
  const [owner, stranger] = owners.peers as [Host, Host]
  await owners.start(owner, stranger)
  await owners.activate(owner)
  await owners.give(owner, ...Array.from({ length: UNITS - 1 }, (_, unit) => unit))
  assert.equal(await read(owners, owner, stranger), { facts: 0, settled: 0, refusal: undefined })
  await owners.give(owner, UNITS - 1)
  assert.equal(await read(owners, owner, stranger), { facts: UNITS, settled: UNITS, refusal: undefined })
  owners.close()
})

results('of any other job show strangers nothing at all', async () => {
  const owners = new Owners(2)
  const [owner, stranger] = owners.peers as [Host, Host]
  await owners.start(owner, stranger)
  await owners.activate(owner)
  await owners.give(owner, ...Array.from({ length: UNITS }, (_, unit) => unit))
  assert.is((await read(owners, owner, stranger)).refusal, 'forbidden')
  owners.close()
})

results('that somebody waits for end when the job is cancelled', async () => {
  const owners = new Owners(2, 1, { isPublic: true })
  const [owner, stranger] = owners.peers as [Host, Host]
  await owners.start(owner, stranger)
  await owners.activate(owner)
  await owners.give(owner, 0)
  let isOver = false
  let reading: Promise<Read> | undefined
  await owners.at(stranger, (context) => {
    reading = open(context, owners, owner, true).finally(() => {
      isOver = true
    })
  })
  await owners.pass(1_000)
  assert.not(isOver)
  const { jobId } = owners
  const cancel: KnownOrder = {
    id: 'c'.repeat(64) as Digest,
    order: { jobId, seq: 1, createdAtMs: 0, body: { type: 'cancel' } },
  }
  await owners.at(owner, (_, coordinator) =>
    coordinator.owner.handle({ type: 'ordersChanged', jobId, orders: [cancel] }),
  )
  await owners.pass(1_000)
  assert.ok(isOver)
  assert.equal(await reading, { facts: 1, settled: 1, refusal: undefined })
  owners.close()
})

results.run()
