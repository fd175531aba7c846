import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { grantCodec, orderCodec, reportCodec, unitOutputCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { compareFileNames } from '../../proto/file-name.js'
import type { Digest, Grant, Order, Outcome, Report, UnitOutput, UnitSource } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Codec } from '../../runtime/transport.js'
import { fuzzed } from '../soak/fuzz.js'
import { anyText } from '../support/any-text.js'
import { digest, grant, key, output, report, spec } from '../unit/job/samples.js'
import { allCases } from '../unit/proto/codec/cases/all.js'

const test = suite('codecs')

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString('hex'))
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const safe = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const shard = fc.nat({ max: 624_999 })

function comesBack<T>(codec: Codec<T>, values: fc.Arbitrary<T>): void {
  fc.assert(
    fc.property(values, (value) => assert.equal(codec.decode(codec.encode(value)), value)),
    { numRuns: 300 },
  )
}

test('any report comes back as it was', () => {
  const result = fc.record({
    outcome: fc.constantFrom<Outcome>('done', 'exit', 'trap', 'fuel', 'host', 'wall'),
    digest: hex(32),
    outputBytes: fc.nat({ max: 2 ** 26 }),
    fuel: uint64,
  })
  const reports = fc
    .record({
      worker: hex(32),
      shard,
      units: fc.uniqueArray(fc.nat({ max: 9_999_999 }), { minLength: 1, maxLength: 64 }),
      results: fc.array(result, { minLength: 64, maxLength: 64 }),
    })
    .map(
      ({ worker, shard, units, results }): Report => ({
        ...report(),
        worker: worker as Report['worker'],
        donor: key,
        shard,
        results: units
          .toSorted((a, b) => a - b)
          .map((unit, i) => {
            const { outcome, digest, ...rest } = results[i]!
            const isVote = outcome !== 'host' && outcome !== 'wall'
            return { unit, outcome, digest: (isVote ? digest : '0'.repeat(64)) as Digest, ...rest }
          }),
      }),
    )
  comesBack(reportCodec, reports)
})

test('any grant comes back as it was', () => {
  const gaps = fc.array(
    fc.record({ gap: fc.nat({ max: 1_000 }), count: fc.integer({ min: 1, max: 64 }), opinion: fc.nat({ max: 4_095 }) }),
    { minLength: 1, maxLength: 256 },
  )
  const grants = fc
    .record({ gaps, shard, nonce: hex(8), durationMs: fc.integer({ min: 1, max: 2 ** 31 }), isYounger: fc.boolean() })
    .map(({ gaps, isYounger, ...rest }): Grant => {
      let at = 0
      const runs = gaps.map(({ gap, count, opinion }) => {
        const first = at + gap
        at = first + count
        return { first, count, opinion }
      })
      return { ...grant, ...rest, age: isYounger ? 'younger' : 'older', runs }
    })
  comesBack(grantCodec, grants)
})

test('any order comes back as it was', () => {
  const orders = fc
    .record({
      seq: safe,
      createdAtMs: safe,
      expiresAtMs: fc.option(safe, { nil: undefined }),
      priority: fc.option(fc.integer({ min: -100, max: 100 }), { nil: undefined }),
    })
    .map(
      ({ seq, createdAtMs, expiresAtMs, priority }): Order => ({
        jobId: digest as string as Order['jobId'],
        seq,
        createdAtMs,
        body: { type: 'amend', expiresAtMs, priority, maxInstances: undefined, ownerRadius: undefined },
      }),
    )
  comesBack(orderCodec, orders)
})

test('any output comes back as it was', () => {
  const part = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .map((text) => `f${text.replace(/[\p{C}\p{Z}\\/:.]/gu, '_')}`)
  const outputs = fc
    .record({
      stdout: fc.uint8Array(),
      stderr: fc.uint8Array(),
      exitCode: fc.integer(),
      names: fc.uniqueArray(part, { maxLength: 5 }),
      bytes: fc.uint8Array(),
    })
    .map(
      ({ names, bytes, ...rest }): UnitOutput => ({
        ...output,
        ...rest,
        files: names.toSorted(compareFileNames).map((name) => ({ name, bytes })),
      }),
    )
  comesBack(unitOutputCodec, outputs)
})

test('any source, seed, arguments and variables of a spec come back as they were', () => {
  const wide = fc.bigInt({ min: -(10n ** 40n) + 1n, max: 10n ** 40n - 1n })
  const step = fc.bigInt({ min: 1n, max: 10n ** 40n - 1n })
  const source: fc.Arbitrary<UnitSource> = fc.oneof(
    fc.record({ type: fc.constant('count' as const), count: fc.nat({ max: 2 ** 32 - 1 }) }, { noNullPrototype: true }),
    fc.record({ type: fc.constant('array' as const), from: wide, to: wide, step }, { noNullPrototype: true }),
    fc.record({ type: fc.constant('range' as const), start: wide, end: wide, step }, { noNullPrototype: true }),
  )
  const text = anyText(50).map((value) => value.replaceAll('\0', ''))
  const specs = fc
    .record({ source, seed: uint64, args: fc.array(text, { maxLength: 20 }), value: text, createdAtMs: safe })
    .map(({ value, ...rest }) => spec({ ...rest, environment: [['NAME', value]] }))
  comesBack(jobSpecCodec, specs)
})

/** Decoding must either give a value or throw GridError `invalid`: never anything else, whatever the bytes. */
function survives(codec: Codec<unknown>, bytes: Uint8Array): void {
  // Nearly every message is refused, and half the time would go into stacks that nobody reads.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    codec.decode(bytes)
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'invalid') throw error
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

test('messages made to exhaust the decoder are refused', () => {
  for (const { codec } of allCases) {
    for (const byte of [0x0b, 0x0a, 0x08, 0x80, 0xff]) survives(codec, new Uint8Array(100_000).fill(byte))
  }
})

for (const { name, codec, values } of allCases) {
  test(`${name}: random bytes are read or refused`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => survives(codec, bytes)),
      { numRuns: 1_000 },
    )
  })

  test(`${name}: changed, cut and doubled messages are read or refused`, () => {
    const messages = values.map((value) => codec.encode(value)).filter((bytes) => bytes.length < 20_000)
    const changes = fc.array(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(fc.constantFrom(...messages), changes, fc.nat(), fc.boolean(), (message, changes, cut, isDoubled) => {
        const bytes = Uint8Array.from(isDoubled ? [...message, ...message] : message)
        if (bytes.length > 0) for (const { at, byte } of changes) bytes[at % bytes.length] = byte
        survives(codec, bytes)
        survives(codec, bytes.subarray(0, cut % (bytes.length + 1)))
      }),
      { numRuns: 1_500 },
    )
  })
}

test('hostile messages are read or refused, whatever was changed in them', () => fuzzed(3_000, 1))

test.run()
