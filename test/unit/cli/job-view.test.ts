import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { durabilityText } from '../../../cli/job-view.js'

const view = suite('job view')

view('a job is called accepted here alone while fewer peers have it than make it durable', () => {
  assert.is(durabilityText(1, 2), 'accepted here, 1 of 2')
  assert.is(durabilityText(2, 3), 'accepted here, 2 of 3')
  assert.is(durabilityText(1, 1), 'kept by 1 peer')
  assert.is(durabilityText(5, 3), 'kept by 5 peers')
})

view.run()
