import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../../runtime/clock.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { ChildLife } from '../../../../worker/compute/child-life.js'
import { writeFrame } from '../../../../worker/compute/frames.js'
import { encodeControl, FRAME } from '../../../../worker/compute/messages.js'
import { deadline } from '../../../support/deadline.js'

const life = suite('ChildLife')

life('asks again for a process that the system could not start', async () => {
  // No program can be given a variable with a zero byte in it.
  const environment: Record<string, string> = { BROKEN: 'a\0b' }
  let failures = 0
  const logger = {
    ...silentLogger,
    warn: (event: string) => {
      assert.is(event, 'computeNotStarted')
      failures++
      delete environment.BROKEN
    },
  }
  const content = openSync(devNull, 'r')
  const child = new ChildLife(
    { threads: () => 1, content, ownTasks: false, environment, lowPriority: false, clock: systemClock, logger },
    {
      started: (pipe) => {
        const start = { type: 'start', threads: 1, memoryBytes: 64 * 2 ** 20, taskModules: [] } as const
        writeFrame(pipe, FRAME.control, [encodeControl(start)])
      },
      frame: () => {},
      died: () => {},
      continuing: () => {},
    },
  )
  try {
    child.start()
    assert.is(failures, 1)
    assert.ok(await deadline(child.restrictions(), 60_000, 'a compute process'))
  } finally {
    await child.close()
    closeSync(content)
  }
})

life.run()
