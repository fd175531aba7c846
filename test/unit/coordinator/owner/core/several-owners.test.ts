import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { WorkerRecord } from '../../../../../coordinator/owner/core/worker-record.js'
import { OwnerGrid, type OwnerNode } from '../../../../support/cores/owner-grid.js'
import { answerDigest, type Volunteer } from '../../../../support/cores/volunteer.js'

const SPEC = { minGrantors: 2 }

/** The owner that keeps the unit for somebody. */
const keeperOf = (grid: OwnerGrid, unit: number): OwnerNode | undefined =>
  grid.owners.find((owner) => grid.record(unit, owner)?.reservedFor !== undefined)

/** Unit 0 has its first answer, by `author`; `others` are there before it and say to every owner what they want. */
function afterFirstAnswer(want: (one: Volunteer, owner: OwnerNode) => void, seed = 1) {
  const grid = new OwnerGrid({ owners: 3, units: 1, seed, spec: SPEC })
  const author = grid.join('author', { want: 1 })
  grid.advance(3_000)
  assert.equal(author.units(), [0])
  const others = ['b', 'c', 'd'].map((name) => grid.join(name, { want: 0 }))
  for (const one of others) for (const owner of grid.owners) want(one, owner)
  author.answer()
  return { grid, author, others }
}

const test = suite('Several owners and the keys between them')

test('a key that is busy with the work of other owners is drawn like everybody else', () => {
  const { grid, others } = afterFirstAnswer((one, owner) => one.want(0, owner, true))
  const keeper = keeperOf(grid, 0)!
  const drawn = others.find(({ key }) => key === grid.record(0, keeper)!.reservedFor!.key)!
  assert.equal(drawn.units(), [], 'it has no room yet')
  drawn.want(1, keeper)
  assert.equal(drawn.units(), [0])
  grid.finish()
})

test('a key that takes nothing more is not drawn', () => {
  const { grid } = afterFirstAnswer((one, owner) => one.want(0, owner))
  grid.advance(10_000)
  assert.is(keeperOf(grid, 0), undefined)
  grid.finish()
})

test('an opinion kept for a busy key is not drawn again by another owner, who has been told', () => {
  const { grid } = afterFirstAnswer((one, owner) => one.want(0, owner, true))
  const keeper = keeperOf(grid, 0)!
  const drawn = grid.record(0, keeper)!.reservedFor
  for (let second = 0; second < 30; second++) {
    grid.advance(1_000)
    const keepers = grid.owners.filter((owner) => grid.record(0, owner)?.reservedFor !== undefined)
    assert.equal(keepers, [keeper], `${second + 1} s after the draw`)
  }
  assert.is(grid.record(0, keeper)!.reservedFor, drawn)
  grid.finish()
})

test('the owner that granted the leading answer leaves the next opinion to the next in order, at once', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { grid, author } = afterFirstAnswer((one, owner) => one.want(1, owner), seed)
    const grantor = author.granted[0]!.owner
    const next = [...grid.owners].filter((owner) => owner !== grantor)
    const givers = next.filter((owner) => grid.record(0, owner)!.held.length === 1)
    assert.is(givers.length, 1, 'one of the two others, and without waiting')
    assert.is(grid.record(0, grantor)!.held.length, 0)
    grid.finish()
  }
})

test('many votes that one owner forges use up no donor whom the others need to settle the truth', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const grid = new OwnerGrid({ owners: 3, units: 1, seed, spec: SPEC })
    const liar = grid.owners[seed % 3]!
    for (const name of ['x', 'y', 'z']) grid.forge(liar, name, 0)
    const donors = ['a', 'b'].map((name) => grid.join(name, { want: 0 }))
    for (const one of donors) for (const owner of grid.owners) if (owner !== liar) one.want(1, owner)
    for (let second = 0; second < 30; second++) {
      grid.advance(1_000)
      for (const one of donors) one.answer()
    }
    for (const owner of grid.owners) {
      const { judgement } = grid.record(0, owner)!
      assert.ok(judgement?.state === 'accepted' && judgement.digest === answerDigest('right', 0), `seed ${seed}`)
    }
    grid.finish()
  }
})

test('of the votes that one owner makes up without end few are kept, by all owners the same, and the truth settles', () => {
  const grid = new OwnerGrid({ owners: 3, units: 1, spec: SPEC })
  const liar = grid.owners[0]!
  for (let i = 0; i < 100; i++) grid.forge(liar, `made up ${i}`, 0)
  const donors = ['a', 'b'].map((name) => grid.join(name, { want: 0 }))
  for (const one of donors) for (const owner of grid.owners) if (owner !== liar) one.want(1, owner)
  for (let second = 0; second < 30; second++) {
    grid.advance(1_000)
    for (const one of donors) one.answer()
    grid.forge(liar, `made up later ${second}`, 0)
  }
  assert.ok(grid.log.take('dropFacts').length > 0)
  const factsAt = (owner: OwnerNode) => [...owner.core.shard(grid.jobId, 0)!.facts.ids].sort()
  for (const owner of grid.owners) {
    const { judgement, votes } = grid.record(0, owner)!
    assert.ok(judgement?.state === 'accepted' && judgement.digest === answerDigest('right', 0))
    assert.is(votes.length, 64 + 2)
    assert.equal(factsAt(owner), factsAt(liar))
  }
  grid.restart(grid.owners[1]!)
  assert.equal(factsAt(grid.owners[1]!), factsAt(liar), 'read back it is the same')
  // Those that it was given back beyond what it had kept.
  grid.log.take('dropFacts')
  grid.finish()
})

test('an owner that others have pushed aside counts nothing of that shard against the room of its workers', () => {
  const grid = new OwnerGrid({ owners: 2, units: 600 })
  const [former, other] = grid.owners as [OwnerNode, OwnerNode]
  const one = grid.join('a', { want: 0 })
  one.want(1, former)
  assert.is(one.units().length, 1)
  const owners = [other.nodeId]
  grid.handle(former, { type: 'ownersChanged', jobId: grid.jobId, shard: 0, owners })
  // Told by its tickets what it computes, when its stream comes back.
  one.leave(former)
  one.connect({ to: former, tickets: one.tickets(), want: 1 })
  const second = grid.submit('second', 4)
  grid.handle(former, { type: 'ownersChanged', jobId: second, shard: 0, owners: [former.nodeId] })
  one.want(1, former)
  assert.is(one.units(second).length, 1, 'what it was given of the first job is not in its way')
  grid.finish()
})

test('what an owner let go of when others pushed it aside is granted once it owns the shard again', () => {
  const grid = new OwnerGrid({ owners: 2, units: 600 })
  const [former, other] = grid.owners as [OwnerNode, OwnerNode]
  const owned = (owners: readonly OwnerNode[]) =>
    grid.handle(former, {
      type: 'ownersChanged',
      jobId: grid.jobId,
      shard: 0,
      owners: owners.map(({ nodeId }) => nodeId),
    })
  const one = grid.join('a', { want: 0 })
  one.want(1, former)
  const units = one.units()
  assert.is(units.length, 1)
  owned([other])
  owned([former, other])
  const two = grid.join('b', { want: 0 })
  two.want(1, former)
  assert.equal(two.units(), [], 'the other may know an answer')
  assert.equal(grid.log.one('askOthers').shards, [{ jobId: grid.jobId, shard: 0 }])
  grid.handle(former, { type: 'othersAsked', jobId: grid.jobId, shard: 0 })
  assert.equal(two.units(), units)
  grid.finish()
})

/** A key that each of three owners has given one unit. */
function withOneOfEach(): { grid: OwnerGrid; one: Volunteer } {
  const grid = new OwnerGrid({ owners: 3, units: 600, spec: SPEC })
  const one = grid.join('a', { want: 0 })
  for (const owner of grid.owners) one.want(1, owner)
  assert.is(one.units().length, 3)
  return { grid, one }
}

/** What each owner makes of the key. */
function recordsOf(grid: OwnerGrid, one: Volunteer): WorkerRecord[] {
  return grid.owners.map((owner) => [...owner.core.outstanding()].find(({ worker }) => worker.key === one.key)!.worker)
}

test('an answer to the grant of one owner takes a place in the window that the key has with the others', () => {
  const { grid, one } = withOneOfEach()
  const records = recordsOf(grid, one)
  const unsettled = () => records.map((record) => record.unsettled.size)
  assert.equal(unsettled(), [0, 0, 0])
  one.answer([one.units()[0]!])
  assert.equal(unsettled(), [1, 1, 1])
  one.answer()
  assert.equal(unsettled(), [3, 3, 3])
  grid.advance(10_000)
  assert.equal(one.units(), [], 'a new key with three answers that are not settled gets no fourth unit')
  grid.finish()
})

test('credit that answers to the grants of one owner earn, or lose, counts with the others', () => {
  const { grid, one } = withOneOfEach()
  const records = recordsOf(grid, one)
  const judges = ['b', 'c', 'd'].map((name) => grid.join(name, { want: 0 }))
  const judge = () => {
    for (const other of judges) for (const owner of grid.owners) other.want(0, owner, true)
    for (let round = 0; round < 4; round++) {
      grid.advance(6_000)
      for (const owner of grid.owners) {
        for (const other of judges) {
          const isDrawn = one.granted.some(({ unit }) => grid.record(unit, owner)?.reservedFor?.key === other.key)
          if (!isDrawn) continue
          other.want(1, owner)
          other.want(0, owner, true)
        }
      }
      for (const other of judges) other.answer()
    }
  }
  one.answer()
  judge()
  assert.equal(
    records.map(({ credit }) => credit.value),
    [8, 8, 8],
    'doubled by each of three answers, whoever granted them',
  )
  one.want(1, grid.owner)
  one.answer(one.units(), 'wrong')
  one.want(0, grid.owner)
  judge()
  assert.equal(
    records.map(({ credit }) => credit.value),
    [1, 1, 1],
  )
  grid.finish()
})

test('a key that works off what is kept for it is not passed over, one that never comes is', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a', { want: 4, slots: 4 })
  const steady = grid.join('steady', { want: 0 })
  grid.owner.core.checkInvariants()
  assert.equal(a.units(), [0, 1, 2, 3])
  steady.want(0, grid.owner, true)
  a.answer()
  const kept = () => [0, 1, 2, 3].filter((unit) => grid.record(unit)!.reservedFor?.key === steady.key)
  assert.equal(kept(), [0, 1, 2, 3])
  grid.join('late', { want: 4 })
  for (const left of [3, 2]) {
    grid.advance(40_000)
    steady.want(1)
    assert.is(steady.units().length, 1)
    assert.is(kept().length, left, 'one was taken, and the rest waits on although a minute has passed')
    steady.want(0, grid.owner, true)
    steady.answer()
  }
  grid.advance(61_000)
  for (const unit of [2, 3])
    assert.ok(grid.record(unit)!.reservedAt >= 140_000, 'drawn anew: it has come for none in a minute')
  grid.finish()
})

test.run()
