import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ResultsReader } from '../../../client/results/results.js'
import { shardKey } from '../../../job/units/shard.js'
import type { ResultsReply, UnitStatus } from '../../../proto/job-messages.js'
import { type Clock, systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { donors, type FakeJob, factBy, printed } from '../../support/client/fake-job.js'
import type { FakePeer } from '../../support/client/fake-peer.js'
import { deadline } from '../../support/deadline.js'

/** Time runs so many times faster for the client, so that nobody waits for its looks. */
const SPEED = 20
/** Less than the silence after which the followed owner would be left anyway. */
const LIMIT_MS = 12_000
const UNITS = 60
/** Units with a result from the start; the others keep the shard open until a test settles them. */
const SETTLED = 40

const quick: Clock = {
  ...systemClock,
  now: () => SPEED * systemClock.now(),
  wallMs: () => systemClock.wallMs(),
  setTimer: (delayMs, run) => systemClock.setTimer(delayMs / SPEED, run),
}

interface Followed {
  readonly grid: FakeGrid
  readonly job: FakeJob
  /** Owners of the one shard, in the order in which they are read. */
  readonly owners: readonly FakePeer[]
  readonly seen: Set<number>
  /** Resolves when so many units were proved; rejects after a while. */
  saw(count: number): Promise<void>
  /** Settles all units, and resolves when the reader has ended. `honest`: nobody lies any more. */
  end(honest?: boolean): Promise<void>
  streams(): number
}

/** A job of one shard that is followed; `lie` sees the owners in the order in which they are read. */
async function follow(peers: number, lie: (owners: readonly FakePeer[], grid: FakeGrid) => void): Promise<Followed> {
  const grid = new FakeGrid(peers)
  let settled = SETTLED
  const job = grid.job({ source: { type: 'count', count: UNITS } }, (unit) =>
    unit < settled ? printed(`${unit}`) : 'open',
  )
  const near = await grid.overlay.owners(shardKey(sha256, job.jobId, 0), peers)
  const owners = near.map(({ nodeId }) => grid.peers.find(({ identity }) => identity.nodeId === nodeId)!)
  lie(owners, grid)
  const client = grid.clientOf(grid.submitter, quick)
  const reader = new ResultsReader(client, await client.job(job.jobId), { follow: true, order: 'settled' })
  const seen = new Set<number>()
  let news: (() => void) | undefined
  const reading = (async () => {
    for await (const { unit } of reader) {
      seen.add(unit)
      news?.()
    }
  })()
  reading.catch(() => news?.())
  return {
    grid,
    job,
    owners,
    seen,
    saw: async (count) => {
      const wait = async () => {
        while (seen.size < count) await new Promise<void>((resolve) => (news = resolve))
      }
      await deadline(wait(), LIMIT_MS, `${count} units`)
    },
    end: async (honest = true) => {
      const before = job.facts(0, owners[0]!.identity)
      settled = UNITS
      const late = job.kept(0).filter(({ unit }) => unit >= SETTLED)
      const facts = [0, 1].map((vote) => factBy(job, 0, late, donors[vote]!, owners[0]!.identity, vote))
      job.facts = () => [...before, ...facts]
      for (const owner of owners) owner.lies = honest ? {} : owner.lies
      for (const owner of owners) owner.notify()
      await deadline(reading, LIMIT_MS, 'the end')
    },
    streams: () => grid.network.log.filter((line) => line.includes('Jobs/Results')).length,
  }
}

const nothing = (reply: ResultsReply): ResultsReply => ({ ...reply, facts: [], settled: [] })
/** Facts and results of one unit alone: it speaks, but does not say much. */
const little = (reply: ResultsReply): ResultsReply => ({
  ...reply,
  settled: reply.settled.filter(({ unit }) => unit === 0),
})
const second = suite('following an owner that keeps something back')

for (const [what, reply] of [
  ['says nothing', nothing],
  ['tells one unit', little],
] as const) {
  second(`what another owner has is read from there, when the first ${what}`, async () => {
    const followed = await follow(3, ([first]) => {
      first!.lies = { reply }
    })
    await followed.saw(SETTLED)
    await followed.end()
    assert.is(followed.seen.size, UNITS)
  })
}

second('two that keep it back cannot hide it while the third shows it', async () => {
  const followed = await follow(3, ([first, next]) => {
    first!.lies = { reply: nothing }
    // It says that it has it all, so that it is read, and then gives nothing.
    next!.lies = { reply: little }
  })
  await followed.saw(SETTLED)
  await followed.end()
  assert.is(followed.seen.size, UNITS)
})

second('all may come from the other alone: then following ends, though the first goes on saying nothing', async () => {
  const followed = await follow(2, ([first]) => {
    first!.lies = { reply: nothing }
  })
  await followed.saw(SETTLED)
  await followed.end(false)
  assert.is(followed.seen.size, UNITS)
})

second('an owner that comes while the first is followed and says nothing is read, too', async () => {
  const followed = await follow(2, ([first], { overlay, network }) => {
    first!.lies = { reply: nothing }
    const owners = overlay.owners.bind(overlay)
    overlay.owners = async (key, count) => {
      const isFollowed = network.log.some((line) => line.includes('Jobs/Results'))
      return (await owners(key, count)).filter(({ nodeId }) => isFollowed || nodeId === first!.identity.nodeId)
    }
  })
  await followed.saw(SETTLED)
  await followed.end()
  assert.is(followed.seen.size, UNITS)
})

second('owners that are alike are read one at a time, however long it takes', async () => {
  const followed = await follow(3, () => {})
  await followed.saw(SETTLED)
  const looks = () => followed.grid.network.log.filter((line) => line.includes('Jobs/ListUnits')).length
  const wait = async () => {
    while (looks() < 6) await new Promise((resolve) => setImmediate(resolve))
  }
  await deadline(wait(), LIMIT_MS, 'some looks')
  assert.is(followed.streams(), 1)
  await followed.end()
})

second('an owner that claims more than it shows is read beside the first, and once', async () => {
  const claimed: string[] = []
  const followed = await follow(2, ([, next]) => {
    next!.lies = {
      units: (units) =>
        units.map((unit): UnitStatus => {
          if (unit.state === 'open') claimed.push('')
          return { ...unit, state: 'settled' }
        }),
    }
  })
  await followed.saw(SETTLED)
  const wait = async () => {
    while (followed.streams() < 2) await new Promise((resolve) => setImmediate(resolve))
  }
  await deadline(wait(), LIMIT_MS, 'a second stream')
  assert.ok(claimed.length > 0)
  // While it is read it is not looked at again: time for many looks goes by.
  const endAt = quick.now() + 40_000
  const later = async () => {
    while (quick.now() < endAt) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await later()
  assert.is(followed.streams(), 2)
  await followed.end()
  assert.is(followed.seen.size, UNITS)
})

second.run()
