import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { JobList } from '../../../client/submit/job-list.js'
import { clientDisk } from '../../../process/join.js'
import type { JobId } from '../../../proto/model.js'
import { temporaryFolder } from '../cli/run.js'

const test = suite('clientDisk')
const { path, close } = temporaryFolder()
test.after(close)

test('jobs that commands submit at the same time are all listed', async () => {
  const ids = Array.from({ length: 8 }, (_, i) => String(i).repeat(64) as JobId)
  const add = (jobId: JobId) =>
    new JobList(clientDisk(path)).add({ jobId, name: '', task: '', createdAtMs: 0, units: 1, parent: undefined })
  await Promise.all(ids.map(add))
  const listed = (await new JobList(clientDisk(path)).all()).map(({ jobId }) => jobId)
  assert.equal(listed.sort(), ids)
})

test.run()
