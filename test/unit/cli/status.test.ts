import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { totalsOf } from '../../../cli/commands/status.js'

const totals = suite('totalsOf')

totals('counts of several peers may overlap: at least the largest, at most the sum', () => {
  const reply = (workers: number) => ({ workers, threads: 2 * workers, jobs: 1, readyJobs: 0, settledLastMinute: 10 })
  const { workers, threads, jobs, readyJobs, settledLastMinute } = totalsOf([reply(2), reply(3)])
  assert.equal(
    [workers, threads, jobs, readyJobs, settledLastMinute].map(({ min, max }) => [min, max]),
    [
      [3, 5],
      [6, 10],
      [1, 2],
      [0, 0],
      [10, 20],
    ],
  )
  assert.equal(totalsOf([]).workers, { min: 0, max: 0 })
})

totals.run()
