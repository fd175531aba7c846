import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { wireType } from '../../../../proto/load.js'
import type { RangeReply, RangeRequest } from '../../../../proto/sync-messages.js'
import { GridError } from '../../../../runtime/errors.js'
import { rangeReplyCodec, rangeRequestCodec } from './range-codecs.js'
import { idOf } from './sets.js'

const codecs = suite('range codecs')

const [low, high] = [idOf(1), idOf(2)].sort() as [ReturnType<typeof idOf>, ReturnType<typeof idOf>]

codecs('requests and replies come back as they were', () => {
  const request: RangeRequest = {
    prints: [
      { prefix: '', prints: new Uint8Array(16).fill(3) },
      { prefix: '0af', prints: new Uint8Array(256).fill(4) },
    ],
    wanted: [
      { prefix: 'f', after: high },
      { prefix: '', after: undefined },
    ],
  }
  assert.equal(rangeRequestCodec.decode(rangeRequestCodec.encode(request)), request)
  const reply: RangeReply = {
    answered: 3,
    prints: [{ prefix: 'c', prints: new Uint8Array(256).fill(5) }],
    ids: [
      { prefix: '', ids: [low, high], complete: false },
      { prefix: 'b', ids: [], complete: true },
    ],
  }
  assert.equal(rangeReplyCodec.decode(rangeReplyCodec.encode(reply)), reply)
})

const bytes = (length: number) => new Uint8Array(length)
const joined = (...ids: readonly string[]) => Buffer.from(ids.join(''), 'hex')

const REFUSED: readonly (readonly [type: 'RangeRequest' | 'RangeReply', field: string, message: object])[] = [
  ['RangeRequest', 'prints', {}],
  ['RangeRequest', 'prints', { prints: [{ prefix: '', prints: bytes(17) }] }],
  ['RangeRequest', 'prefix', { prints: [{ prefix: 'A', prints: bytes(16) }] }],
  ['RangeRequest', 'prefix', { prints: [{ prefix: 'a'.repeat(63), prints: bytes(256) }] }],
  ['RangeRequest', 'prefix', { wanted: [{ prefix: 'a'.repeat(64) }] }],
  ['RangeRequest', 'after', { wanted: [{ prefix: '', after: bytes(31) }] }],
  ['RangeRequest', 'wanted', { wanted: Array.from({ length: 129 }, () => ({ prefix: 'a' })) }],
  ['RangeReply', 'answered', {}],
  ['RangeReply', 'answered', { answered: 129 }],
  ['RangeReply', 'prints', { answered: 1, prints: [{ prefix: '', prints: bytes(16) }] }],
  ['RangeReply', 'ids', { answered: 1, ids: [{ prefix: '', ids: bytes(33), complete: true }] }],
  ['RangeReply', 'ids', { answered: 1, ids: [{ prefix: '', ids: bytes(32 * 2_049), complete: true }] }],
  ['RangeReply', 'ids', { answered: 1, ids: [{ prefix: '', ids: joined(high, low), complete: true }] }],
  ['RangeReply', 'ids', { answered: 1, ids: [{ prefix: '', ids: joined(low, low), complete: true }] }],
  ['RangeReply', 'ids', { answered: 1, ids: [{ prefix: 'ffffff', ids: joined(low), complete: true }] }],
  ['RangeReply', 'ids', { answered: 1, ids: [{ prefix: '', ids: bytes(0), complete: false }] }],
]

for (const [type, field, message] of REFUSED) {
  codecs(`${type} with a wrong ${field} is refused: ${JSON.stringify(message).slice(0, 60)}`, () => {
    const encoded = wireType(type).encode(message as Record<string, unknown>)
    const codec = type === 'RangeRequest' ? rangeRequestCodec : rangeReplyCodec
    try {
      codec.decode(encoded)
    } catch (error) {
      assert.ok(error instanceof GridError && error.code === 'invalid')
      assert.match(String(error.fields.field), new RegExp(`\\.${field}$`))
      return
    }
    assert.unreachable('taken')
  })
}

codecs.run()
