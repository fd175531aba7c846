import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { jobSpecCodec } from '../../../../proto/codec/spec.js'
import { wireType } from '../../../../proto/load.js'
import type { JobSpec } from '../../../../proto/model.js'
import { fullSpec, spec } from '../../job/samples.js'
import { specCases } from './cases/spec.js'
import { refusedBytes } from './refused.js'

const test = suite('codec of specs')

for (const { name, codec, values } of specCases) {
  values.forEach((value, i) => {
    test(`${name} ${i} comes back as it was`, () => {
      assert.equal(codec.decode(codec.encode(value)), value)
    })
  })
}

function refusedSpec(changes: Partial<JobSpec>, pattern: RegExp): void {
  refusedBytes(jobSpecCodec, jobSpecCodec.encode(spec(changes)), pattern)
}

test('bounds of single fields are held', () => {
  refusedSpec({ perUnit: 0 }, /perUnit/)
  refusedSpec({ repeat: 0 }, /repeat/)
  refusedSpec({ priority: 101 }, /priority/)
  refusedSpec({ maxErrors: 0 }, /maxErrors/)
  refusedSpec({ maxInstances: 1_001 }, /maxInstances/)
  refusedSpec({ minGrantors: 9 }, /minGrantors/)
  refusedSpec({ network: '' }, /network/)
  refusedSpec({ policy: { type: 'quorum', quorum: 16 } }, /quorum/)
  refusedSpec({ policy: { type: 'confidence', errorPpm: 50_000 } }, /confidenceErrorPpm/)
  refusedSpec({ name: 'x'.repeat(201) }, /name/)
  refusedSpec({ args: ['a\0b'] }, /NUL/)
  refusedSpec({ args: ['x'.repeat(70_000), 'x'.repeat(70_000)] }, /args/)
  refusedSpec({ environment: [['A=B', '1']] }, /must not contain =/)
  refusedSpec({ limits: { ...fullSpec.limits, outputBytes: 2 ** 30 } }, /outputBytes/)
  refusedSpec({ task: { type: 'builtin', name: '../x', version: 1 } }, /builtin\.name/)
  refusedSpec({ source: { type: 'range', start: 0n, end: 10n ** 50n, step: 1n } }, /source|range/)
  refusedSpec({ source: { type: 'array', from: 0n, to: 1n, step: 0n } }, /step/)
})

test('units of a shard are a power of two', () => {
  refusedSpec({ shardUnits: 17 }, /power of two/)
  refusedSpec({ shardUnits: 8 }, /shardUnits/)
  refusedSpec({ shardUnits: 32_768 }, /shardUnits/)
})

test('a selection ascends without overlap', () => {
  refusedSpec(
    {
      selection: [
        { first: 5, count: 2 },
        { first: 6, count: 1 },
      ],
    },
    /selection\.first/,
  )
  refusedSpec({ selection: [{ first: 5, count: 0 }] }, /selection\.count/)
})

test('a name of an input that leaves its folder is refused', () => {
  for (const name of ['../x', '/etc/passwd', 'a//b', 'a\\b', 'con', 'C:x', 'a/../b', 'x/']) {
    refusedSpec({ inputs: [{ name, blob: { digest: '0'.repeat(64) as never, size: 1 } }] }, /inputs\.name/)
  }
})

test('control characters of a job name are stripped, not shown', () => {
  const decoded = jobSpecCodec.decode(jobSpecCodec.encode(spec({ name: 'a\u001b[31mb\u202ec' })))
  assert.is(decoded.name, 'a[31mbc')
})

test('a spec without task, source or limits is refused', () => {
  refusedBytes(jobSpecCodec, wireType('JobSpec').encode({ format: 1 }), /JobSpec\./)
  refusedBytes(jobSpecCodec, new Uint8Array(0), /JobSpec\./)
})

test('a spec over 256 KiB is refused before it is read', () => {
  refusedBytes(jobSpecCodec, new Uint8Array(256 * 1024 + 1), /at most 262144/)
})

test.run()
