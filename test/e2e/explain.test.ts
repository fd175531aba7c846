import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { clusterTests } from '../support/processes/grid-cluster.js'
import { playSituation, SituationGrid, situations } from '../support/processes/situations.js'

/** The quickest one; all of them: `npm run soak -- explain`. */
const PLAYED = ['no worker']

const explain = suite('explain')
const grid = new SituationGrid()
const test = clusterTests(grid.cluster, explain)

explain.before(() => grid.start(1))
explain.after(() => grid.cluster.close())

for (const situation of situations.filter(({ name }) => PLAYED.includes(name))) {
  test(`${situation.name} is explained, and no more once it is over`, async () => {
    await playSituation(grid, situation)
    await grid.stop()
  })
}

test('a unit has a past, and status counts the worker once', async () => {
  const job = await grid.submit()
  const { stderr } = await grid.cluster.asked(['results', job, '--failed'])
  assert.match(stderr, /no unit failed so far; \d+ units? not settled yet/)
  await grid.worker('first')
  const seen = async () => {
    const { unit } = (await grid.explain({ ask: [`${job}/0`] })) as unknown as {
      unit: { timeline: readonly { what: string; by: string }[] }
    }
    return unit.timeline.some(({ what, by }) => what === 'granted' && by.startsWith('127.0.0.1:'))
  }
  await grid.cluster.until(seen, 'the grant is remembered', 40_000)
  let counted: unknown[] = []
  const isCounted = async () => {
    const { stdout } = await grid.cluster.asked(['status', '--json'])
    const { workers, threads, jobs } = JSON.parse(stdout) as Record<string, number>
    counted = [workers, threads, jobs]
    return counted.join() === '1,1,1'
  }
  // The stopped worker of the test before is let go of within seconds.
  await grid.cluster.until(isCounted, 'one worker, one thread, one job').catch(() => assert.equal(counted, [1, 1, 1]))
})

explain.run()
