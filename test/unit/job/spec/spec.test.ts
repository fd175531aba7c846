import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkSpec, jobIdOf, PROFILES_KNOWN, specDefaults } from '../../../../job/spec/spec.js'
import { jobSpecCodec } from '../../../../proto/codec/spec.js'
import type { JobSpec } from '../../../../proto/model.js'
import { sha256 } from '../../../../runtime/hash.js'
import { fullSpec, spec } from '../samples.js'

const test = suite('specs')

const DAY = 86_400_000

function refused(changes: Partial<JobSpec>, pattern: RegExp): void {
  const problem = checkSpec(spec(changes))
  assert.ok(problem, `accepted what ${pattern} should refuse`)
  assert.match(problem!, pattern)
}

test('a spec of defaults passes', () => {
  assert.is(checkSpec(spec()), undefined)
  assert.is(checkSpec(spec(), { nowMs: 1_750_000_000_000, network: 'test' }), undefined)
  assert.is(specDefaults.policy.quorum, 2)
})

test('versions and features that are not known here are named', () => {
  refused({ format: 2 }, /spec format 2/)
  refused({ verdict: 2 }, /verdict version 2/)
  refused({ requires: ['gpu'] }, /'gpu'/)
  refused({ judges: fullSpec.judges }, /requires 'judges'/)
  assert.is(checkSpec(spec({ judges: fullSpec.judges, requires: ['judges'] })), undefined)
  refused({ profile: 1 }, /no sandbox profile/)
  refused({ task: fullSpec.task }, /needs a sandbox profile/)
  refused({ task: fullSpec.task, profile: 2 }, /sandbox profile 2 is not known here \(this program knows 1\)/)
  assert.is(checkSpec(spec({ task: fullSpec.task, profile: PROFILES_KNOWN.newest })), undefined)
})

test('a job lives at most 30 days, and not in the past or future', () => {
  const { createdAtMs } = spec()
  refused({ expiresAtMs: createdAtMs }, /before it was created/)
  refused({ expiresAtMs: createdAtMs + 31 * DAY }, /more than 30 days/)
  assert.is(checkSpec(spec({ expiresAtMs: createdAtMs + 30 * DAY })), undefined)
  assert.match(checkSpec(spec(), { nowMs: createdAtMs + 2 * DAY })!, /has expired/)
  assert.match(checkSpec(spec(), { nowMs: createdAtMs - 3_600_000 })!, /in the future/)
  assert.is(checkSpec(spec(), { nowMs: createdAtMs - 300_000 }), undefined)
  assert.match(checkSpec(spec(), { network: 'other' })!, /network 'test'/)
})

test('a job has 1 to 10 million units, of which existing ones are selected', () => {
  refused({ source: { type: 'count', count: 0 } }, /empty/)
  refused({ source: { type: 'array', from: 2n, to: 1n, step: 1n } }, /empty/)
  refused({ source: { type: 'range', start: 0n, end: 10n ** 9n, step: 1n } }, /1000000000 units, at most 10000000/)
  refused({ source: { type: 'count', count: 10_000_000 }, repeat: 2 }, /20000000 units/)
  assert.is(checkSpec(spec({ source: { type: 'count', count: 10_000_000 } })), undefined)
  assert.is(checkSpec(spec({ source: { type: 'range', start: 0n, end: 10n ** 30n, step: 10n ** 23n } })), undefined)
  refused({ selection: [{ first: 9, count: 2 }] }, /unit 10 is selected, but the last unit is 9/)
})

test('a list has an index that fits, and columns if it is CSV', () => {
  const list = fullSpec.source as Extract<JobSpec['source'], { type: 'list' }>
  const base = { args: [] }
  assert.is(checkSpec(spec({ ...base, source: list })), undefined)
  refused({ ...base, source: { ...list, index: { ...list.index, size: 16 } } }, /index/)
  refused({ ...base, source: { ...list, columns: [] } }, /columns/)
  refused({ ...base, source: { ...list, kind: 'lines' } }, /columns/)
  refused({ ...base, source: { ...list, kind: 'records', columns: [], separator: 'x' } }, /unknown record separator/)
  refused(
    { ...base, perUnit: 300_000, source: { ...list, itemCount: 300_000, index: { ...list.index, size: 8 * 4_689 } } },
    /more than 262144 items/,
  )
})

test('a policy that cannot be met is refused', () => {
  refused({ policy: { type: 'quorum', quorum: 5 }, maxInstances: 4 }, /cannot be reached/)
  refused({ minGrantors: 3 }, /grants of 3 owners/)
  refused({ policy: { type: 'none' }, minGrantors: 2 }, /grants of 2 owners/)
  const policy = { type: 'confidence' as const, errorPpm: 100 }
  refused({ policy }, /requires 'confidence'/)
  refused({ policy, requires: ['confidence'], maxInstances: 3 }, /takes 4 donors at first/)
})

test('arguments are tried on the first and the last unit', () => {
  refused({ args: ['{line}'] }, /unknown placeholder '{line}'.*Known here/)
  refused({ args: ['{'] }, /single/)
  refused(
    {
      args: Array(1_000).fill('{}'.repeat(60)),
      perUnit: 10,
      source: { type: 'array', from: 10n ** 18n, to: 10n ** 18n + 99n, step: 1n },
    },
    /1048576/,
  )
})

test('the job id is the SHA-256 of the bytes', () => {
  const bytes = jobSpecCodec.encode(spec())
  assert.is(jobIdOf(sha256, bytes), sha256(bytes) as string)
})

test.run()
