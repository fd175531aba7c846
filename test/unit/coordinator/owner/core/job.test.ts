import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Job } from '../../../../../coordinator/owner/core/job.js'
import { OTHER_OWNERS } from '../../../../../job/standing.js'
import type { NodeId } from '../../../../../proto/model.js'
import { jobId, keyOf, specWith } from '../../../job/fixture.js'

const test = suite('Job')

test('is not granted by an owner that it does not name, whose grants would be void', () => {
  const named = specWith({ owners: [keyOf('named')] })
  const refusal = (spec = named, key = keyOf('named')) =>
    new Job(jobId, spec, [], { self: 'ab' as NodeId, selfKey: key }).refusal(0)
  assert.is(refusal(), '')
  assert.is(refusal(named, keyOf('another')), OTHER_OWNERS)
  assert.is(refusal(specWith(), keyOf('another')), '', 'a job that names none is granted by all')
})

test.run()
