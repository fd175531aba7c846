import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SYNC_MS } from '../../../../coordinator/exchange/shard-exchange.js'
import { DEFAULT_COORDINATOR_OPTIONS } from '../../../../coordinator/options.js'
import { STRANGERS_VOTES_PER_MINUTE_MAX } from '../../../../coordinator/owner/fact-intake.js'
import { reportFactCodec } from '../../../../proto/codec/facts.js'
import type { OfferedFact, OfferState } from '../../../../proto/exchange-messages.js'
import { methods } from '../../../../proto/methods.js'
import type { NodeId } from '../../../../proto/model.js'
import type { Host } from '../../../simulation/world/host.js'
import { Owners } from './owners.js'

const ALL = Array.from({ length: 16 }, (_, unit) => unit)

const test = suite<{ owners: Owners }>('ShardExchange')
test.after.each(({ owners }) => owners.close())

const { releaseAfterMs } = DEFAULT_COORDINATOR_OPTIONS
/** Time for a sync of everybody with everybody. */
const SYNCED_MS = 1.5 * SYNC_MS

test('owners that were told different things hold the same facts after a sync', async (context) => {
  const owners = new Owners(3)
  context.owners = owners
  const [a, b, c] = owners.peers
  await owners.start(a!, b!, c!)
  await owners.activate(a!, b!, c!)
  await owners.give(a!, 0, 1, 2, 3)
  await owners.give(b!, 3, 4, 5)
  await owners.give(c!, 6)
  await owners.pass(SYNCED_MS)
  const facts = owners.factsAt(a!)
  assert.is(facts?.length, 8, 'unit 3 was granted by two')
  assert.equal(owners.factsAt(b!), facts)
  assert.equal(owners.factsAt(c!), facts)
  for (const peer of [a!, b!, c!])
    assert.is(owners.coordinator(peer).owner.core.shard(owners.jobId, 0)?.settledCount, 7, 'outputs came along')
})

test('an owner with an empty disk is given the job again and brought up to date', async (context) => {
  const owners = new Owners(3)
  context.owners = owners
  const [a, b, c] = owners.peers
  await owners.start(a!, b!, c!)
  await owners.activate(a!, b!, c!)
  await owners.give(a!, ...ALL)
  await owners.pass(SYNCED_MS)
  owners.lose(a!)
  await owners.start(a!)
  assert.is(owners.factsAt(a!), undefined)
  // Its key went with its disk: it may be an owner of this shard or not, as everybody is among three.
  await owners.pass(SYNCED_MS)
  assert.is(owners.factsAt(a!)?.length, 16)
})

test('a newcomer nearer to the shard grants nothing before it has what the others know', async (context) => {
  const owners = new Owners(4)
  context.owners = owners
  const [newcomer, ...rest] = owners.peers
  await owners.start(...rest)
  await owners.activate(...rest)
  await owners.give(rest[0]!, ...ALL)
  await owners.pass(SYNCED_MS)
  await owners.start(newcomer!)
  let known: number | undefined
  await owners.world.run(() => {
    const shard = owners.coordinator(newcomer!).owner.core.shard(owners.jobId, 0)
    if (shard === undefined) return false
    if (shard.awaitsOthers) assert.ok(shard.quietUntil > owners.world.nowMs)
    else known ??= shard.facts.ids.size
    return known !== undefined
  }, 3_000)
  assert.is(known, 16)
})

test('a restarted owner asks until the others take it for one again, and grants nothing until they tell what they know', async (context) => {
  const owners = new Owners(3)
  context.owners = owners
  const [back, ...rest] = owners.peers
  await owners.start(...owners.peers)
  await owners.activate(...owners.peers)
  await owners.give(rest[0]!, 0, 1)
  await owners.pass(SYNCED_MS)
  owners.kill(back!)
  await owners.give(rest[0]!, ...ALL)
  owners.hide(back!)
  await owners.start(back!)
  const shard = () => owners.coordinator(back!).owner.core.shard(owners.jobId, 0)!
  for (let second = 0; second < 12; second++) {
    await owners.pass(1_000)
    assert.ok(shard().quietUntil > owners.world.nowMs, `it grants after ${second} s`)
  }
  owners.show(back!)
  await owners.pass(3_000)
  assert.is(shard().facts.ids.size, 16)
  assert.is(shard().awaitsOthers, false)
})

test('an owner that stood still grants nothing while one that answers is slow to tell what it knows', async (context) => {
  const owners = new Owners(3)
  context.owners = owners
  const [back, ...rest] = owners.peers
  await owners.start(...owners.peers)
  await owners.activate(...owners.peers)
  await owners.give(rest[0]!, 0, 1)
  await owners.pass(SYNCED_MS)
  back!.pause()
  await owners.give(rest[0]!, ...ALL)
  await owners.pass(60_000)
  // Each question and its answer take 4 s now.
  for (const other of rest)
    owners.world.network.setLink(back!, other, { baseMs: 2_000, jitterMs: 0, loss: 0, duplicate: 0 })
  back!.resume()
  const shard = () => owners.coordinator(back!).owner.core.shard(owners.jobId, 0)!
  await owners.world.run(() => shard().awaitsOthers, 5_000)
  assert.ok(shard().awaitsOthers, 'the others are asked')
  await owners.world.run(() => {
    const { awaitsOthers, quietUntil, facts } = shard()
    assert.ok(facts.ids.size === 16 || quietUntil > owners.world.nowMs, `it grants knowing ${facts.ids.size} facts`)
    return !awaitsOthers
  }, 40_000)
  assert.is(shard().facts.ids.size, 16)
})

test('newcomers that know nothing of a shard do not tell one another that it may be granted from', async (context) => {
  const owners = new Owners(3)
  context.owners = owners
  const [one, other, old] = owners.peers
  await owners.start(old!)
  await owners.activate(old!)
  await owners.give(old!, ...ALL)
  await owners.start(one!, other!)
  old!.pause()
  await owners.activate(one!, other!)
  const shardAt = (peer: typeof one) => owners.coordinator(peer!).owner.core.shard(owners.jobId, 0)!
  for (let second = 0; second < 3; second++) {
    await owners.pass(1_000)
    for (const peer of [one, other]) {
      const { awaitsOthers, quietUntil, facts } = shardAt(peer)
      assert.ok(
        facts.ids.size === 16 || (awaitsOthers && quietUntil > owners.world.nowMs),
        `it grants after ${second} s`,
      )
    }
  }
  old!.resume()
  await owners.pass(SYNCED_MS)
  for (const peer of [one, other]) assert.is(shardAt(peer).facts.ids.size, 16)
})

test('alone, an owner serves at once', async (context) => {
  const owners = new Owners(1)
  context.owners = owners
  const [a] = owners.peers
  await owners.start(a!)
  await owners.activate(a!)
  const shard = owners.coordinator(a!).owner.core.shard(owners.jobId, 0)!
  assert.is(shard.awaitsOthers, false)
  assert.equal(shard.owners, [a!.caller.nodeId])
})

test('a former owner keeps what it has for ten minutes, and until its successors have it all', async (context) => {
  const owners = new Owners(9)
  context.owners = owners
  const former = owners.peers.at(-1)!
  const heirs = owners.peers.slice(0, -1)
  await owners.start(former)
  await owners.activate(former)
  const [last, ...others] = ALL.toReversed()
  await owners.give(former, ...others)
  await owners.start(...heirs)
  // Too far down to be given what it lacks, it has what nobody else has.
  await owners.activate(...heirs.slice(0, 3))
  await owners.give(heirs[0]!, last!)
  await owners.pass(SYNCED_MS)
  for (const heir of heirs.slice(0, 3)) assert.is(owners.factsAt(heir)?.length, 16)
  assert.is(owners.factsAt(heirs[6]!), undefined, 'only the nearest are given it')
  assert.is(owners.announced(former), 0, 'what others grant is not on the board from here')
  await owners.pass(releaseAfterMs / 2)
  assert.is(owners.factsAt(former)?.length, 15)
  await owners.pass(releaseAfterMs / 2 + 2 * SYNCED_MS)
  assert.is(owners.factsAt(former), undefined)
  for (const heir of heirs.slice(0, 3)) assert.is(owners.factsAt(heir)?.length, 16)
})

test('an owner that leaves has handed everything to those that come after it', async (context) => {
  const owners = new Owners(5)
  context.owners = owners
  const leaving = owners.peers.slice(0, 3)
  await owners.start(...owners.peers)
  await owners.activate(...leaving)
  await owners.give(leaving[0]!, ...ALL)
  assert.is(await owners.at(leaving[0]!, (_, coordinator) => coordinator.handOver()), 1)
  for (const peer of leaving) owners.lose(peer)
  const heir = owners.peers[3]!
  assert.is(owners.factsAt(heir)?.length, 16)
})

test('large outputs are copied to the other owners, and to one that comes later', async (context) => {
  const owners = new Owners(4)
  context.owners = owners
  const [newcomer, a, b, c] = owners.peers
  await owners.start(a!, b!, c!)
  await owners.activate(a!, b!, c!)
  const { encoded, digest } = owners.output(5, 700_000)
  await owners.at(a!, async (_, { owner }) => {
    assert.is(await owner.takeFact(owners.fact(a!, 5, 700_000), [], 0, undefined), undefined)
  })
  const stateAt = (peer: typeof a) => owners.coordinator(peer!).owner.core.shard(owners.jobId, 0)?.record(5)?.state
  await owners.pass(SYNCED_MS)
  assert.equal([a, b, c].map(stateAt), ['accepted', 'accepted', 'accepted'])
  const start = { jobId: owners.jobId, shard: 0, unit: 5, digest }
  const worker = '00'.repeat(20) as NodeId
  await owners.at(a!, (_, { owner }) => owner.keepOutput(start, encoded, worker))
  await owners.world.run(() => [a, b, c].every((peer) => stateAt(peer) === 'settled'), 10_000)
  await owners.start(newcomer!)
  await owners.world.run(() => stateAt(newcomer) === 'settled', 20_000)
})

test('what one address brings under grants of strangers is bounded a minute, and what peers pass on is not', async (context) => {
  const owners = new Owners(4, 1, { policy: { type: 'quorum', quorum: 2 } })
  context.owners = owners
  const [a, b, c, hidden] = owners.peers
  owners.hide(hidden!)
  await owners.start(a!, b!, c!, hidden!)
  await owners.activate(a!, b!, c!)
  const facts = Array.from({ length: 72 * ALL.length }, (_, i) => {
    const grantor = owners.stranger(`stranger ${Math.floor(i / ALL.length)}`)
    return { fact: reportFactCodec.encode(owners.fact(grantor, i % ALL.length)), outputs: [] }
  })
  const self = { nodeId: a!.caller.nodeId, address: a!.address }
  const offer = (from: Host, offered: readonly OfferedFact[]) =>
    owners.at(from, async ({ transport }) => {
      const states: OfferState[] = []
      for (let at = 0; at < offered.length; at += 64) {
        const request = { facts: offered.slice(at, at + 64) }
        states.push(...(await transport.call(self, methods.offer, request, { deadlineMs: 10_000 })).states)
      }
      return states
    })
  const kept = (states: readonly OfferState[]) => states.filter((state) => state === 'kept').length
  const first = await offer(hidden!, facts)
  assert.is(kept(first), STRANGERS_VOTES_PER_MINUTE_MAX)
  assert.ok(first.every((state) => state === 'kept' || state === 'notNow'))
  const [late, later] = [facts.slice(-128, -64), facts.slice(-64)]
  assert.is(kept(await offer(hidden!, late)), 0, 'not in the same minute')
  assert.is(kept(await offer(b!, late)), 64, 'of a peer that was met')
  await owners.pass(60_000)
  assert.is(kept(await offer(hidden!, later)), 64, 'nor for longer')
})

test.run()
