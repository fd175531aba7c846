import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { totalsOf } from '../../../cli/commands/status.js'

const test = suite('totalsOf')

test('adds up what each peer counts for all, workers by version', () => {
  const reply = (version: string, workers: number) => ({
    firstJobs: 2,
    firstReadyJobs: 1,
    firstSettledLastMinute: 10,
    countedWorkers: [{ version, workers, threads: 4 * workers }],
  })
  const totals = totalsOf([reply('1.0.0', 2), reply('1.1.0', 5), reply('1.0.0', 1)])
  assert.equal([totals.jobs, totals.readyJobs, totals.settledLastMinute], [6, 3, 30])
  assert.equal([totals.workers, totals.threads], [8, 32])
  assert.equal(totals.versions, [
    { version: '1.1.0', workers: 5, threads: 20 },
    { version: '1.0.0', workers: 3, threads: 12 },
  ])
})

test('nobody answered: there is nothing', () => {
  assert.equal(totalsOf([]), { workers: 0, threads: 0, jobs: 0, readyJobs: 0, settledLastMinute: 0, versions: [] })
})

test.run()
