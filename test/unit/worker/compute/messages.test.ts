import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Digest, OUTCOMES } from '../../../../proto/model.js'
import { makeBatch } from '../../../../worker/compute/batch.js'
import { FrameReader } from '../../../../worker/compute/frames.js'
import {
  AnswerWriter,
  decodeAnswers,
  decodeProgress,
  decodeRun,
  decodeTickets,
  encodeProgress,
  encodeRun,
  encodeTickets,
  packItems,
  shortenLongest,
  type TicketEnd,
  unpackItems,
} from '../../../../worker/compute/messages.js'
import type { PoolJob } from '../../../../worker/compute/pool-job.js'

/** As it comes out of a frame: in a buffer of its own. */
function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts))
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const plainAnswer = (answer: TicketEnd) => ({ ...answer, output: hex(answer.output) })

const word = fc.nat(2 ** 31)
const answers = fc.array(
  fc.record({
    ticket: word,
    outcome: fc.constantFrom(...OUTCOMES),
    digest: fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString('hex') as Digest),
    output: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(new Uint8Array(40_000).fill(5))),
    fuel: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    wallMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  }),
  { maxLength: 20 },
)

/** What a call needs to know of its job. */
const JOB = { id: 0, opened: new SharedArrayBuffer(0), files: [] } as unknown as PoolJob

const test = suite('messages of the compute process')

test('answers come out as they went in, large outputs included', () => {
  fc.assert(
    fc.property(answers, (list) => {
      const writer = new AnswerWriter()
      for (const answer of list) writer.add(answer)
      assert.equal(decodeAnswers(joined(writer.finish())).map(plainAnswer), list.map(plainAnswer))
    }),
  )
})

test('broken answers are refused, never read past their end', () => {
  const writer = new AnswerWriter()
  const answer: TicketEnd = {
    ticket: 1,
    outcome: 'done',
    digest: 'a'.repeat(64) as Digest,
    output: new Uint8Array(9),
    fuel: 1n,
    wallMs: 1,
  }
  writer.add(answer)
  const bytes = joined(writer.finish())
  assert.throws(() => decodeAnswers(bytes.slice(0, 20)), /half an answer/)
  assert.throws(() => decodeAnswers(bytes.slice(0, -1)), /broken answer/)
  bytes[4] = 77
  assert.throws(() => decodeAnswers(bytes), /broken answer/)
})

/** Sent from where it lies. */
const largeItem = fc.nat(255).map((byte) => new Uint8Array(65_536).fill(byte))

test('units and their items come out as they went in', () => {
  const unit = fc.record({
    ticket: word,
    unit: word,
    items: fc.array(fc.oneof({ weight: 4, arbitrary: fc.uint8Array({ maxLength: 20 }) }, largeItem), { maxLength: 3 }),
  })
  fc.assert(
    fc.property(word, fc.array(unit, { maxLength: 20 }), (job, units) => {
      const sent = units.map(({ items, ...unit }) => ({ ...unit, items: packItems(items) }))
      const decoded = decodeRun(joined(encodeRun(job, sent)))
      assert.is(decoded.job, job)
      assert.equal(
        decoded.units.map(({ ticket, unit, items }) => ({ ticket, unit, items: unpackItems(items).map(hex) })),
        units.map(({ items, ...unit }) => ({ ...unit, items: items.map(hex) })),
      )
    }),
  )
})

test('units of one frame keep their items, however they are spread over calls whose buffers are moved', () => {
  const items = fc.nat(400).map((length) => packItems([new Uint8Array(length).fill(length)]))
  fc.assert(
    fc.property(fc.array(items, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 3 }), (all, aCall) => {
      const sent = all.map((packed, i) => ({ ticket: i, unit: i, items: packed }))
      const { units } = decodeRun(joined(encodeRun(0, sent)))
      const seen: string[] = []
      for (let at = 0; at < units.length; at += aCall) {
        const call = units.slice(at, at + aCall)
        const bytes = call.reduce((sum, unit) => sum + unit.items!.length, 0)
        const made = makeBatch(0, JOB, undefined, call, bytes)
        const { items: moved, offsets } = structuredClone(made.message, { transfer: made.transferList })
        for (const i of call.keys()) seen.push(hex(moved!.subarray(offsets![i], offsets![i + 1])))
      }
      assert.equal(
        seen,
        all.map((packed) => hex(joined(packed!.pieces))),
      )
    }),
  )
})

test('tickets and progress come out as they went in', () => {
  assert.equal([...decodeTickets(joined([encodeTickets([1, 2 ** 32 - 1])]))], [1, 2 ** 32 - 1])
  const running = [{ ticket: 2 ** 32 - 1, fuel: 2n ** 64n - 1n, thread: 3, ranMs: 17 }]
  assert.equal(decodeProgress(joined([encodeProgress(running)])), running)
})

test('stopped time is taken off the longest unit', () => {
  const writer = new AnswerWriter()
  for (const wallMs of [1, 900, 2]) {
    writer.add({
      ticket: 1,
      outcome: 'done',
      digest: 'a'.repeat(64) as Digest,
      output: new Uint8Array(3),
      fuel: 1n,
      wallMs,
    })
  }
  const parts = writer.finish()
  shortenLongest(parts, 600)
  assert.equal(
    decodeAnswers(joined(parts)).map((answer) => answer.wallMs),
    [1, 300, 2],
  )
})

test('frames are found however the stream is cut, and one that is too long is refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 9 }),
      (bodies, step) => {
        const stream = Buffer.concat(
          bodies.map((body, type) => {
            const header = Buffer.alloc(5)
            header.writeUInt32LE(body.length)
            header[4] = type
            return Buffer.concat([header, body])
          }),
        )
        const seen: string[] = []
        const reader = new FrameReader((type, body) => seen.push(`${type}:${Buffer.from(body).toString('hex')}`))
        for (let at = 0; at < stream.length; at += step) reader.push(stream.subarray(at, at + step))
        assert.equal(
          seen,
          bodies.map((body, type) => `${type}:${Buffer.from(body).toString('hex')}`),
        )
      },
    ),
  )
  const reader = new FrameReader(() => {})
  assert.throws(() => reader.push(Buffer.from('ffffffff00', 'hex')), /too long/)
})

test.run()
