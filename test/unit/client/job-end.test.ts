import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { askEnd } from '../../../client/follow/job-end.js'
import { type JobProgress, waitJobs } from '../../../client/follow/watch.js'
import { homeKey } from '../../../job/units/shard.js'
import { compareDistance } from '../../../overlay/routing/core/node-id.js'
import type { ShowReply } from '../../../proto/job-messages.js'
import type { JobId, Summary } from '../../../proto/model.js'
import { type Clock, systemClock } from '../../../runtime/clock.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { printed } from '../../support/client/fake-job.js'
import type { FakePeer } from '../../support/client/fake-peer.js'
import { deadline } from '../../support/deadline.js'

const LIMIT_MS = 20_000
/** Pauses of many seconds are a few milliseconds. */
const SPEED = 200
const BEAT_MS = 10

const quick: Clock = {
  ...systemClock,
  now: () => SPEED * systemClock.now(),
  wallMs: () => systemClock.wallMs(),
  setTimer: (delayMs, run) => systemClock.setTimer(delayMs / SPEED, run),
}

/** Peers of a grid, those nearest to the job first. */
function byDistance({ peers }: FakeGrid, jobId: JobId): FakePeer[] {
  return [...peers].sort((a, b) => compareDistance(homeKey(jobId), a.endpoint.nodeId, b.endpoint.nodeId))
}

/** A peer that shows other counts. */
function counts(change: (summary: Summary) => Partial<Summary>) {
  return (reply: ShowReply): ShowReply => ({ ...reply, summary: { ...reply.summary, ...change(reply.summary) } })
}

const finished = counts(({ units }) => ({ settled: units, open: 0 }))

interface Waiting {
  readonly grid: FakeGrid
  readonly peers: readonly FakePeer[]
  readonly looks: readonly JobProgress[]
}

interface Situation {
  readonly peers?: number
  /** All units are computed, and not just the first 40 of 100. */
  readonly done?: boolean
  readonly hasRegions?: boolean
  /** Whoever waits may not read the results. */
  readonly asStranger?: boolean
  readonly lie?: (peers: readonly FakePeer[]) => void
  /** When the rest is computed: asked again and again. Default: never. */
  readonly until?: (waiting: Waiting) => boolean
}

/** How a wait for a job ends, and whether all was computed by then. */
async function waitFor({ peers: count = 4, done = false, hasRegions = false, asStranger, lie, until }: Situation) {
  const grid = new FakeGrid(count)
  grid.hasRegions = hasRegions
  let isDone = done
  const job = grid.job({}, (unit) => (isDone || unit < 40 ? printed('x') : 'open'))
  const peers = byDistance(grid, job.jobId)
  lie?.(peers)
  const looks: JobProgress[] = []
  // Homes say again and again how it stands.
  const beat = setInterval(() => {
    isDone ||= until?.({ grid, peers, looks }) ?? false
    for (const peer of grid.peers) peer.notify()
  }, BEAT_MS)
  const key = asStranger ? new FakeGrid().submitter : grid.submitter
  const waiting = waitJobs(grid.clientOf(key, quick), [job.jobId], { onProgress: (look) => looks.push(look) })
  const [waited] = await deadline(waiting, LIMIT_MS, 'waiting').finally(() => clearInterval(beat))
  return { end: waited!.end, settled: waited!.progress?.summary.settled, isDone, looks }
}

const asked = ({ network }: FakeGrid, what: string) => network.log.filter((line) => line.includes(what)).length

const ends = suite('the end of a job')

ends('one home that says it has finished, or stopped, or is stuck, ends no wait', async () => {
  for (const show of [
    finished,
    counts(({ units }) => ({ settled: 0, failed: 20, open: units - 20 })),
    counts(({ units }) => ({ held: units - 40, open: 0 })),
    // Counts of other units than the job has.
    counts(() => ({ units: 0, settled: 0, open: 0 })),
  ]) {
    const { end, isDone, looks } = await waitFor({
      lie: ([nearest]) => {
        nearest!.lies = { show }
      },
      until: ({ looks, peers }) => {
        if (looks.length < 2) return false
        peers[0]!.lies = {}
        return true
      },
    })
    assert.is(end, 'finished')
    assert.ok(isDone)
    assert.is(looks[0]?.summary.settled, 40)
  }
})

ends('whoever asks once whether a job has ended is not told so by a lone home', async () => {
  for (const done of [false, true]) {
    const grid = new FakeGrid(3)
    const { jobId } = grid.job({}, (unit) => (done || unit < 40 ? printed('x') : 'open'))
    byDistance(grid, jobId)[0]!.lies = { show: finished }
    const { end } = await deadline(askEnd(grid.clientOf(grid.submitter, quick), jobId), LIMIT_MS, 'asking')
    assert.is(end, done ? 'finished' : undefined)
  }
})

ends('a guard that says it has finished ends no wait, though it is asked when nothing moves', async () => {
  const { end, isDone } = await waitFor({
    peers: 6,
    hasRegions: true,
    lie: ([, , , , , guard]) => {
      guard!.lies = { show: finished }
    },
    until: ({ grid, peers }) => asked(grid, `Watch ${peers[5]!.endpoint.address}`) > 0 && asked(grid, 'Results') > 0,
  })
  assert.is(end, 'finished')
  assert.ok(isDone)
})

ends('all homes of a job with guards are no proof: facts are', async () => {
  const { end, isDone } = await waitFor({
    peers: 6,
    hasRegions: true,
    lie: (peers) => {
      for (const peer of peers) peer.lies = { show: finished }
    },
    until: ({ grid }) => asked(grid, 'Results') > 0,
  })
  assert.is(end, 'finished')
  assert.ok(isDone)
})

ends('a home whose word others deny is right when the facts are whole', async () => {
  const { end } = await waitFor({
    peers: 2,
    done: true,
    lie: ([, other]) => {
      other!.lies = { show: counts(({ units }) => ({ settled: 0, open: units })) }
    },
  })
  assert.is(end, 'finished')
})

ends('a home that is alone is believed, and one that hangs behind takes no reading of facts', async () => {
  assert.is((await waitFor({ peers: 1, done: true })).end, 'finished')
  const behind = await waitFor({
    done: true,
    asStranger: true,
    lie: ([, second, third]) => {
      second!.lies = { knowsNothing: true }
      third!.lies = { show: counts(({ units }) => ({ settled: units - 1, open: 1 })) }
    },
  })
  assert.is(behind.end, 'finished')
})

ends.run()
