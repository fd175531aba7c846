import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ClientOverlay } from '../../../client/session/overlay-face.js'
import { addJobRecord, LISTED_JOBS_MAX, readJobRecords, removeJobRecord } from '../../../client/submit/job-records.js'
import type { JobId, PublicKey } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'

const test = suite('records of jobs')
const submitter = 'ab'.repeat(32) as PublicKey
const jobNamed = (n: number) => (n + 1).toString(16).padStart(64, '0') as JobId

/** Records as the network keeps them: a value by key and kind, never taken away. */
function memoryRecords(): Pick<ClientOverlay, 'getRecord' | 'putRecord'> {
  const values = new Map<string, Uint8Array>()
  return {
    putRecord: async ({ key, kind, value }) => {
      assert.ok(value.length > 0, 'an empty record is not valid')
      values.set(`${key} ${kind}`, value)
      return 1
    },
    getRecord: async (key, kind) => {
      const value = values.get(`${key} ${kind}`)
      return value === undefined ? [] : ([{ publicKey: submitter, value }] as never)
    },
  }
}

test('a job that is removed is listed no more, wherever it stood, and the others stay in order', async () => {
  for (const count of [1, 2, 25, 26, 50, 51, LISTED_JOBS_MAX]) {
    for (const gone of new Set([0, Math.floor(count / 2), count - 1])) {
      const records = memoryRecords()
      for (let n = 0; n < count; n++) await addJobRecord(records, sha256, submitter, jobNamed(n))
      const before = await readJobRecords(records, sha256, submitter)
      assert.is(before.length, count)
      await removeJobRecord(records, sha256, submitter, jobNamed(gone))
      const left = before.filter((id) => id !== jobNamed(gone))
      assert.equal(await readJobRecords(records, sha256, submitter), left, `${gone} of ${count}`)
      await addJobRecord(records, sha256, submitter, jobNamed(1_000))
      assert.equal(await readJobRecords(records, sha256, submitter), [jobNamed(1_000), ...left])
    }
  }
})

test('however many are listed, one more costs two reads and a write, but for the one in 25 that moves the others back', async () => {
  const records = memoryRecords()
  let calls = 0
  const counted: typeof records = {
    getRecord: (...args) => {
      calls++
      return records.getRecord(...args)
    },
    putRecord: (...args) => {
      calls++
      return records.putRecord(...args)
    },
  }
  const costs: number[] = []
  for (let n = 0; n < 2 * LISTED_JOBS_MAX; n++) {
    calls = 0
    await addJobRecord(counted, sha256, submitter, jobNamed(n))
    costs.push(calls)
  }
  assert.is(costs.filter((cost) => cost > 3).length, 2 * (LISTED_JOBS_MAX / 25) - 1)
  const newest = Array.from({ length: LISTED_JOBS_MAX }, (_, n) => jobNamed(2 * LISTED_JOBS_MAX - 1 - n))
  assert.equal(await readJobRecords(records, sha256, submitter), newest)
})

test('of several added at the same moment none is lost', async () => {
  const records = memoryRecords()
  const all = Array.from({ length: 5 }, (_, n) => jobNamed(n))
  await Promise.all(all.map((id) => addJobRecord(records, sha256, submitter, id)))
  assert.equal([...(await readJobRecords(records, sha256, submitter))].sort(), all)
})

test('of several removed one after the other none comes back', async () => {
  const records = memoryRecords()
  for (let n = 0; n < 60; n++) await addJobRecord(records, sha256, submitter, jobNamed(n))
  for (let n = 59; n >= 0; n--) {
    await removeJobRecord(records, sha256, submitter, jobNamed(n))
    assert.is((await readJobRecords(records, sha256, submitter)).length, n)
  }
})

test.run()
