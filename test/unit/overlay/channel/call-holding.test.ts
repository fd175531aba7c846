import { EventEmitter } from 'node:events'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CallHolding } from '../../../../overlay/channel/call-holding.js'
import { HeldBytes } from '../../../../overlay/channel/core/held-bytes.js'

const KIB = 1_024

/** A call on a connection that is counted, with what `onTooMuch` was told. */
function calling(max = 1_000 * KIB) {
  const held = new HeldBytes<ServerHttp2Session>(max)
  const connection = held.open({} as ServerHttp2Session, 'address')
  const taken: Uint8Array[] = []
  const stream = Object.assign(new EventEmitter(), { push: (piece: Uint8Array | null) => piece && taken.push(piece) })
  let ended = 0
  const holding = new CallHolding(stream as unknown as ServerHttp2Stream, held, connection, () => ended++)
  /** A message comes, whole, in pieces of one buffer. */
  const come = (bytes: number, pieces = 1) => {
    const buffer = new Uint8Array(bytes + 5)
    const size = Math.ceil(buffer.length / pieces)
    for (let at = 0; at < buffer.length; at += size) stream.push(buffer.subarray(at, at + size))
    return buffer.subarray(5)
  }
  return { held, holding, stream, come, taken, ended: () => ended }
}

const test = suite('what a call makes us hold')

test('counts a message from its first piece until it is served', () => {
  const { held, holding, come } = calling()
  const before = held.total
  const message = come(10 * KIB, 3)
  assert.ok(held.total >= before + 10 * KIB)
  holding.wait(message)
  assert.ok(held.total >= before + 10 * KIB)
  holding.served(message)
  assert.is(held.total, before)
})

test('a message that waits for its turn counts until it is served, also after the call', () => {
  const { held, holding, stream, come } = calling()
  const message = come(10 * KIB)
  holding.wait(message)
  stream.emit('close')
  assert.is(held.total, 10 * KIB)
  holding.served(message)
  assert.is(held.total, 0)
})

test('messages that are taken after the call has closed leave nothing behind, nor less than nothing', () => {
  const { held, holding, stream, come } = calling()
  const messages = [come(10 * KIB), come(20 * KIB), come(1)]
  stream.emit('close')
  for (const message of messages) holding.wait(message)
  for (const message of messages) holding.served(message)
  assert.is(held.total, 0)
})

test('a small part of a large buffer is copied, and does not keep it', () => {
  const { held, stream, taken } = calling()
  const before = held.total
  const buffer = new Uint8Array(64 * KIB)
  stream.push(buffer.subarray(0, 100))
  assert.ok(held.total - before < KIB)
  assert.is.not(taken[0]?.buffer, buffer.buffer)
  stream.push(buffer.subarray(100, 32 * KIB))
  assert.ok(held.total - before >= 64 * KIB, 'the rest of the buffer is kept along')
})

test('a buffer counts again once all that came of it was served, as it was let go of', () => {
  const { held, holding, stream } = calling()
  const before = held.total
  const buffer = new Uint8Array(64 * KIB)
  stream.push(buffer.subarray(0, 32 * KIB))
  holding.wait(buffer.subarray(5, 32 * KIB))
  holding.served(buffer.subarray(5, 32 * KIB))
  assert.is(held.total, before)
  stream.push(buffer.subarray(32 * KIB, 48 * KIB))
  assert.ok(held.total - before >= 64 * KIB)
})

test('says so when it is too much', () => {
  const { holding, come, ended } = calling(40 * KIB)
  holding.wait(come(30 * KIB))
  assert.is(ended(), 0)
  holding.sending(10 * KIB)
  assert.is(ended(), 1)
})

test.run()
