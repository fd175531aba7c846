import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { jobFileSchema } from '../../../cli/job-options/job-file.js'
import { JOB_OPTIONS } from '../../../cli/job-options/job-option-table.js'
import { JOB_SCHEMA_FILE, jobSchema, jobSchemaText } from '../../../cli/job-options/job-schema.js'
import { packageRoot } from '../../../runtime/package-root.js'
import { run } from './run.js'

const test = suite('schema of a job file')

test('the file in the package is what the program makes and prints: renew it with submit --schema > job.schema.json', async () => {
  assert.is(readFileSync(join(packageRoot, JOB_SCHEMA_FILE), 'utf8'), jobSchemaText())
  const { files } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { files: string[] }
  assert.ok(files.includes(JOB_SCHEMA_FILE))
  const { code, stdout } = await run(['submit', '--schema'])
  assert.is(code, 0)
  assert.is(stdout, jobSchemaText())
})

test('every option of a job is in it, with the words that help has', () => {
  const properties = jobSchema().properties as Readonly<Record<string, { description?: string }>>
  for (const { name, help } of JOB_OPTIONS) assert.is(properties[name]?.description, help)
  assert.equal(Object.keys(properties).sort(), ['task', 'args', ...JOB_OPTIONS.map(({ name }) => name)].sort())
  for (const [name, { description }] of Object.entries(properties)) assert.ok(description, name)
})

test('it takes what the program takes, and refuses what the program refuses', () => {
  const bySchema = z.fromJSONSchema(jobSchema() as Parameters<typeof z.fromJSONSchema>[0])
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean())
  const value = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(fc.string({ minLength: 1 }), scalar))
  const key = fc.constantFrom('task', 'args', 'nonsense', ...JOB_OPTIONS.map(({ name }) => name))
  let taken = 0
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 3, noNullPrototype: true }), (job) => {
      const isTaken = jobFileSchema.safeParse(job).success
      if (isTaken && Object.keys(job).length > 0) taken++
      assert.is(bySchema.safeParse(job).success, isTaken, JSON.stringify(job))
    }),
    { numRuns: 500 },
  )
  assert.ok(taken > 20, `${taken} jobs were taken`)
})

test.run()
