import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeMessage, Fields, stripControls, uint64ToWire } from '../../../../proto/codec/fields.js'
import { FIELDS_MAX, wireType } from '../../../../proto/load.js'
import { GridError } from '../../../../runtime/errors.js'

const of = (wire: Record<string, unknown>) => new Fields(wire, 'Message')

function refused(action: () => unknown, ...words: string[]): void {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof GridError && error.code === 'invalid', String(error))
    for (const word of words) assert.ok(error.message.includes(word), `"${error.message}" says ${word}`)
    return
  }
  assert.unreachable('was not refused')
}

const fields = suite('Fields')

fields('holds bytes to their length and bound, and copies them', () => {
  const sent = Uint8Array.of(1, 2, 3)
  const read = of({ b: sent }).bytes('b', { length: 3 })
  sent[0] = 9
  assert.equal(read, Uint8Array.of(1, 2, 3))
  assert.is(of({ b: sent }).view('b', { max: 3 }), sent)
  refused(() => of({ b: sent }).bytes('b', { length: 4 }), 'Message.b', '4')
  refused(() => of({ b: sent }).bytes('b', { max: 2 }), 'Message.b', '2')
  refused(() => of({}).bytes('b', { min: 1, max: 2 }), 'Message.b', '1')
  assert.is(of({ b: Buffer.alloc(20, 0xab) }).nodeId('b'), 'ab'.repeat(20))
  refused(() => of({ b: Buffer.alloc(19) }).key('b'), '20')
})

fields('counts text in bytes and refuses or strips what could steer a terminal', () => {
  assert.is(of({ t: 'hé' }).text('t', { max: 3, controls: 'refuse' }), 'hé')
  refused(() => of({ t: 'hé' }).text('t', { max: 2, controls: 'refuse' }), 'Message.t', '2')
  refused(() => of({ t: '' }).text('t', { min: 1, max: 2, controls: 'keep' }), '1')
  for (const bad of ['\n', '\u001b[31m', '\u0085', '\u202e', '\u2028', '\u007f']) {
    refused(() => of({ t: `a${bad}` }).text('t', { max: 9, controls: 'refuse' }), 'control')
    assert.is(of({ t: `a${bad}b` }).text('t', { max: 9, controls: 'strip' }), stripControls(`a${bad}b`))
    assert.not.ok(stripControls(bad).includes(bad[0]!))
    assert.is(of({ t: bad }).text('t', { max: 9, controls: 'keep' }), bad)
  }
})

fields('reads 64-bit numbers exactly', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const read = of({ n: uint64ToWire(value) })
      assert.is(read.uint64('n'), value)
      if (value <= BigInt(Number.MAX_SAFE_INTEGER)) assert.is(read.safeInteger('n'), Number(value))
      else refused(() => read.safeInteger('n'), 'Message.n')
      if (value > 0n) refused(() => read.uint64('n', { max: value - 1n }), 'Message.n')
    }),
  )
  assert.is(of({}).uint64('n'), 0n)
  refused(() => of({ n: 7 }).uint32('n', { max: 6 }), 'Message.n', '6')
  refused(() => of({ n: Number.NaN }).uint32('n', { max: 6 }), 'Message.n')
})

fields('bounds lists, names the path of what is wrong inside, and knows missing from empty', () => {
  const wire = { list: [{ n: 1 }, { n: 9 }] }
  refused(() => of(wire).list('list', { max: 1 }, () => 0), 'Message.list', '1')
  refused(() => of(wire).list('list', { max: 2 }, (entry) => entry.uint32('n', { max: 5 })), 'Message.list.n', '5')
  refused(() => of({}).list('list', { min: 1, max: 2 }, () => 0), 'Message.list')
  refused(() => of({ m: null }).message('m', () => 0), 'Message.m', 'missing')
  assert.is(
    of({ m: null }).optional('m', () => 0),
    undefined,
  )
  assert.is(
    of({ m: {} }).optional('m', () => 7),
    7,
  )
})

fields('takes the one message of a oneof, by own names only', () => {
  const cases = { ping: (inner: Fields) => inner.uint32('n', { max: 9 }) }
  assert.is(of({ kind: 'ping', ping: { n: 3 } }).oneof('kind', cases), 3)
  refused(() => of({}).oneof('kind', cases), 'Message.kind', 'ping')
  refused(() => of({ kind: 'constructor', constructor: {} }).oneof('kind', cases), 'Message.kind')
  assert.is(of({ kind: 'later' }).optionalOneof('kind', cases), undefined)
  assert.is(of({ e: 1 }).word('e', { 1: 'one' }), 'one')
  refused(() => of({ e: 2 }).word('e', { 1: 'one' }), 'Message.e', 'one')
})

fields.run()

const decoding = suite('decodeMessage')

decoding('turns every wrong byte string into an invalid error', () => {
  const type = wireType('ContactRecord')
  const read = (bytes: Uint8Array) => decodeMessage(type, 'ContactRecord', bytes, 64, (all) => all.uint64('seq'))
  refused(() => read(new Uint8Array(65)), '64')
  refused(() => read(Uint8Array.of(0x1a, 2, 0xff, 0xfe)), 'ContactRecord')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        read(bytes)
      } catch (error) {
        assert.ok(error instanceof GridError && error.code === 'invalid', String(error))
      }
    }),
    { numRuns: 2_000 },
  )
})

decoding(
  'reads no further than so many fields, whatever they are: a field of two bytes costs far more than they',
  () => {
    const codecs: readonly [string, Uint8Array, boolean][] = [
      ['OutstandingRequest', Uint8Array.of(0x0a, 0), false],
      ['SummarizeRequest', Uint8Array.of(0x0a, 0), false],
      ['StatusReply', Uint8Array.of(0x08, 1), false],
      ['OutstandingRequest', Uint8Array.of(0x78, 1), false],
      // One level down: in a message of its own, which is a field, too.
      ['OutstandingRequest', Uint8Array.of(0x0a, 0), true],
    ]
    for (const [name, field, isInside] of codecs) {
      const type = wireType(name)
      const sent = (count: number) => {
        const fields = Buffer.concat(Array<Uint8Array>(count).fill(field))
        if (!isInside) return fields
        const length = Buffer.of((fields.length & 127) | 128, ((fields.length >> 7) & 127) | 128, fields.length >> 14)
        return Buffer.concat([Buffer.of(0x0a), length, fields])
      }
      let parsed = 0
      const read = (count: number) => decodeMessage(type, name, sent(count), 2 ** 20, () => parsed++)
      const most = isInside ? FIELDS_MAX - 1 : FIELDS_MAX
      read(most)
      assert.is(parsed, 1, name)
      refused(() => read(most + 1), `${name} has more than ${FIELDS_MAX} fields`)
      refused(() => read(2 ** 18), `${name} has more than ${FIELDS_MAX} fields`)
      assert.is(parsed, 1, name)
    }
  },
)

decoding.run()
