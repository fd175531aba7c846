import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { grantCodec, orderCodec, reportCodec, reportFactCodec, unitOutputCodec } from '../../../../proto/codec/facts.js'
import { uint64ToWire } from '../../../../proto/codec/fields.js'
import { wireType } from '../../../../proto/load.js'
import type { Report } from '../../../../proto/model.js'
import { cpuMs } from '../../../support/cpu-time.js'
import { grant, jobId, output, report, signed } from '../../job/samples.js'
import { factCases } from './cases/facts.js'
import { refused, refusedBytes } from './refused.js'

const test = suite('codec of facts')

for (const { name, codec, values } of factCases) {
  values.forEach((value, i) => {
    test(`${name} ${i} comes back as it was`, () => {
      assert.equal(codec.decode(codec.encode(value)), value)
    })
  })
}

function refusedReport(changes: Partial<Report>, pattern: RegExp): void {
  refusedBytes(reportCodec, reportCodec.encode({ ...report(), ...changes }), pattern)
}

test('units of a report ascend, none twice, at most 64', () => {
  const [first, second] = report().results
  refusedReport({ results: [second!, first!] }, /ascend/)
  refusedReport({ results: [first!, first!] }, /ascend/)
  refusedReport({ results: [] }, /units/)
  refusedReport({ results: report(65).results }, /at most 64/)
})

test('an answer that is no vote carries no digest', () => {
  const [first] = report().results
  refusedReport({ results: [{ ...first!, outcome: 'host' }] }, /must be zero/)
  refusedReport({ results: [{ ...first!, outcome: 'wall' }] }, /must be zero/)
})

test('columns of a report have one entry for each unit', () => {
  const columns = {
    jobId: new Uint8Array(32),
    shard: 0,
    worker: new Uint8Array(32),
    units: [1, 2],
    outcomes: new Uint8Array(2),
    digests: new Uint8Array(64),
    outputSizes: [1, 1],
    fuels: [uint64ToWire(1n), uint64ToWire(2n)],
  }
  refused('Report', reportCodec, { ...columns, outcomes: new Uint8Array(1) }, /outcomes/)
  refused('Report', reportCodec, { ...columns, digests: new Uint8Array(63) }, /digests/)
  refused('Report', reportCodec, { ...columns, outputSizes: [1] }, /outputSizes/)
  refused('Report', reportCodec, { ...columns, fuels: [] }, /fuels/)
  refused('Report', reportCodec, { ...columns, outcomes: new Uint8Array([0, 9]) }, /unknown outcome 9/)
})

test('a donor other than the worker needs a signature, and the worker itself none', () => {
  refusedReport({ donorSignature: new Uint8Array(63) }, /donorSignature/)
  const own = { ...report(), donor: report().worker, donorSignature: new Uint8Array(0) }
  assert.equal(reportCodec.decode(reportCodec.encode(own)), own)
})

test('runs of a grant ascend without overlap and stay within bounds', () => {
  const withRuns = (runs: typeof grant.runs) => grantCodec.encode({ ...grant, runs })
  refusedBytes(grantCodec, withRuns([]), /firsts/)
  refusedBytes(
    grantCodec,
    withRuns([
      { first: 5, count: 2, opinion: 0 },
      { first: 6, count: 1, opinion: 1 },
    ]),
    /overlap/,
  )
  refusedBytes(grantCodec, withRuns([{ first: 5, count: 0, opinion: 0 }]), /counts/)
  refusedBytes(grantCodec, withRuns([{ first: 9_999_999, count: 2, opinion: 0 }]), /too many units/)
  refusedBytes(
    grantCodec,
    withRuns([
      { first: 0, count: 10_000, opinion: 0 },
      { first: 10_000, count: 10_000, opinion: 0 },
    ]),
    /too many units/,
  )
})

test('a fact has at least one grant and at most 64', () => {
  refusedBytes(reportFactCodec, reportFactCodec.encode({ report: signed(), grants: [] }), /at least 1/)
  refusedBytes(
    reportFactCodec,
    reportFactCodec.encode({ report: signed(), grants: Array(65).fill(signed()) }),
    /at most 64/,
  )
})

test('an order without a body is refused', () => {
  refused('Order', orderCodec, { jobId: new Uint8Array(32), seq: 1 }, /body/)
  refusedBytes(
    orderCodec,
    orderCodec.encode({ jobId, seq: 1, createdAtMs: 1, body: { type: 'release', units: [] } }),
    /units/,
  )
})

test('amended fields that are zero are told from absent ones', () => {
  const body = {
    type: 'amend',
    expiresAtMs: undefined,
    priority: 0,
    maxInstances: undefined,
    ownerRadius: undefined,
  } as const
  assert.equal(orderCodec.decode(orderCodec.encode({ jobId, seq: 0, createdAtMs: 0, body })).body, body)
})

test('hostile names of output files are refused', () => {
  const names = [
    '',
    '..',
    '../x',
    'a/../../b',
    '/abs',
    'a\\b',
    'a\0b',
    'NUL',
    'com1.txt',
    'aux .c',
    'C:',
    'x.',
    'y ',
    'a\nb',
    `${'x'.repeat(256)}`,
    `${'a/'.repeat(16)}b`,
    '\u202egnp.exe',
  ]
  for (const name of names) {
    refusedBytes(
      unitOutputCodec,
      unitOutputCodec.encode({ ...output, files: [{ name, bytes: new Uint8Array(0) }] }),
      /files/,
    )
  }
})

test('ordinary names of output files pass', () => {
  for (const name of [
    'a',
    'console.log',
    'nullable',
    'com10',
    'ünï/cödé 1.txt',
    '.hidden',
    'x'.repeat(255),
    `${'a/'.repeat(15)}b`,
  ]) {
    const named = { ...output, files: [{ name, bytes: new Uint8Array(0) }] }
    assert.equal(unitOutputCodec.decode(unitOutputCodec.encode(named)), named)
  }
})

test('output files are sorted, none twice, none below another', () => {
  const withNames = (...names: string[]) =>
    unitOutputCodec.encode({ ...output, files: names.map((name) => ({ name, bytes: new Uint8Array(0) })) })
  refusedBytes(unitOutputCodec, withNames('b', 'a'), /ascending/)
  refusedBytes(unitOutputCodec, withNames('a', 'a'), /ascending/)
  refusedBytes(unitOutputCodec, withNames('a', 'a-b', 'a/b'), /below another/)
  // By bytes of UTF-8, U+FF5E comes before U+1F600, although its UTF-16 does not.
  assert.is(unitOutputCodec.decode(withNames('\uff5e', '\u{1f600}')).files.length, 2)
  refusedBytes(unitOutputCodec, withNames('\u{1f600}', '\uff5e'), /ascending/)
})

test('an output is written in the same bytes whether or not its standard output is copied apart', () => {
  for (const length of [0, 16 * 1024 - 1, 16 * 1024, 300_000]) {
    const stdout = new Uint8Array(length).fill(7)
    const whole = {
      ...output,
      stdout,
      stderr: new Uint8Array([1]),
      stderrLength: 2,
      files: [{ name: 'a', bytes: stdout }],
    }
    const written = unitOutputCodec.encode(whole)
    assert.equal(written, wireType('UnitOutput').encode({ ...whole, outcome: 0 }))
    assert.equal(unitOutputCodec.decode(written), whole)
  }
})

test('64 units are encoded and decoded within a millisecond', () => {
  const full = report(64)
  const rounds = 500
  const once = () => {
    const before = cpuMs()
    for (let i = 0; i < rounds; i++) reportCodec.decode(reportCodec.encode(full))
    return (cpuMs() - before) / rounds
  }
  // The first time the code is still cold.
  const ms = Math.min(once(), once())
  assert.ok(ms < 1, `${ms} ms`)
})

test.run()
