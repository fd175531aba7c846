import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkUnit, durabilityText, readUnit } from '../../../cli/jobs/job-view.js'
import type { JobSpec } from '../../../proto/model.js'
import type { GridError } from '../../../runtime/errors.js'

const view = suite('job view')

view('a job is called accepted here alone while fewer peers have it than make it durable', () => {
  assert.is(durabilityText(1, 2), 'accepted here, 1 of 2')
  assert.is(durabilityText(2, 3), 'accepted here, 2 of 3')
  assert.is(durabilityText(1, 1), 'kept by 1 peer')
  assert.is(durabilityText(5, 3), 'kept by 5 peers')
})

view('a unit that the job does not have is refused with those that it has', () => {
  const spec = { source: { type: 'count', count: 10 }, perUnit: 2, repeat: 1 } as unknown as JobSpec
  assert.is(readUnit('4'), 4)
  checkUnit(spec, 4)
  assert.throws(
    () => checkUnit(spec, 5),
    (error: GridError) => error.code === 'invalid' && error.hint === 'its units are 0 to 4',
  )
  for (const text of ['-1', 'x', '', '10^9'])
    assert.throws(
      () => readUnit(text),
      (error: GridError) => error.code === 'invalid',
    )
})

view.run()
