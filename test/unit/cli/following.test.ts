import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CommandContext } from '../../../cli/context.js'
import { Follower } from '../../../cli/jobs/following.js'
import { Output } from '../../../cli/terminal/output.js'
import type { JobProgress } from '../../../client/follow/watch.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { systemClock } from '../../../runtime/clock.js'
import { TextSink } from './run.js'

const following = suite('Follower')

following('says how long is left while something is, also when results come before the home has heard of them', () => {
  const stderr = new TextSink()
  const sinks = { stdout: new TextSink(), stderr }
  const output = new Output({ ...sinks, json: false, quiet: false, verbose: false, noColor: true })
  const follower = new Follower({ output, clock: systemClock } as CommandContext)
  const look = {
    summary: { ...EMPTY_SUMMARY, units: 2, open: 2 },
    waiting: '',
    unitsPerSecond: 2,
    eta: { lowMs: 1_000, highMs: 1_000 },
  }
  follower.look(look as JobProgress)
  follower.answered('done')
  follower.answered('failed')
  follower.stop()
  assert.is(stderr.text, '0/2  2.0 units/s, 1s left\n2/2  2.0 units/s, 1 failed\n')
})

following.run()
