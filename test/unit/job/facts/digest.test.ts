import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { digestOutput, isDeterministic, ZERO_DIGEST } from '../../../../job/facts/digest.js'
import { OUTCOMES, type UnitOutput } from '../../../../proto/model.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import { output } from '../samples.js'

const test = suite('digest of an output')

test('it covers the documented bytes', () => {
  const parts: Buffer[] = []
  const uint = (bytes: number, value: number) => {
    const buffer = Buffer.alloc(bytes)
    buffer.writeUIntBE(value, Math.max(0, bytes - 6), Math.min(bytes, 6))
    parts.push(buffer)
  }
  const text = (value: string) => parts.push(Buffer.from(value))
  text('manyhands.v1.output\0')
  uint(1, 1)
  parts.push(Buffer.from([255, 255, 255, 254]))
  uint(8, 6)
  text('hello\n')
  uint(8, 4)
  text('warn')
  uint(8, 2 ** 33 + 5)
  uint(4, 1)
  uint(4, 3)
  text('a/b')
  uint(8, 2)
  text('hi')
  const expected = createHash('sha256').update(Buffer.concat(parts)).digest('hex')
  const value: UnitOutput = {
    outcome: 'exit',
    exitCode: -2,
    stdout: utf8('hello\n'),
    stderr: utf8('warn'),
    stderrLength: 2 ** 33 + 5,
    files: [{ name: 'a/b', bytes: utf8('hi') }],
  }
  assert.is(digestOutput(sha256, value), expected)
})

test('outcomes have the numbers they have on the wire', () => {
  OUTCOMES.filter(isDeterministic).forEach((outcome) => {
    let hashed = new Uint8Array(0)
    const recording = (...parts: readonly Uint8Array[]) => {
      hashed = new Uint8Array(Buffer.concat(parts))
      return sha256(hashed)
    }
    digestOutput(recording, { ...output, outcome })
    assert.is(hashed['manyhands.v1.output\0'.length], OUTCOMES.indexOf(outcome))
  })
})

test('every field counts', () => {
  const [first, second] = output.files
  const changes: Partial<UnitOutput>[] = [
    { outcome: 'trap' },
    { exitCode: 1 },
    { stdout: utf8('hello') },
    { stderr: utf8('warm') },
    { stderrLength: 100_001 },
    { files: [] },
    { files: [first!] },
    { files: [{ name: 'a.txT', bytes: first!.bytes }, second!] },
    { files: [{ name: 'a.txt', bytes: utf8('B') }, second!] },
    // Bytes moved from one field to its neighbour.
    { stdout: utf8('hello\nw'), stderr: utf8('arn') },
  ]
  const digests = [output, ...changes.map((change) => ({ ...output, ...change }))].map((each) =>
    digestOutput(sha256, each),
  )
  assert.is(new Set(digests).size, changes.length + 1)
})

test('large outputs, hashed where they lie, cover the same bytes', () => {
  const joined = (...parts: readonly Uint8Array[]) => sha256(Buffer.concat(parts))
  let calls = 0
  const counting = (...parts: readonly Uint8Array[]) => {
    calls = parts.length
    return sha256(...parts)
  }
  for (const size of [10, 70_000]) {
    const large = { ...output, stdout: new Uint8Array(size).fill(3) }
    assert.is(digestOutput(counting, large), digestOutput(joined, large))
    assert.is(calls > 1, size > 65_536)
  }
})

test('answers that are no vote have the zero digest', () => {
  assert.is(digestOutput(sha256, { ...output, outcome: 'host' }), ZERO_DIGEST)
  assert.is(digestOutput(sha256, { ...output, outcome: 'wall' }), ZERO_DIGEST)
})

test.run()
