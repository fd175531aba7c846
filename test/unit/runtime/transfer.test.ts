import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { piecesOf, piecesRead, sendAll } from '../../../runtime/transfer.js'
import type { MessageStream } from '../../../runtime/transport.js'
import { rejects } from '../../support/rejects.js'

type Piece = { readonly isFirst: boolean; readonly bytes: Uint8Array }

const PATIENCE = { clock: { setTimer: () => ({ cancel: () => {} }) }, idleMs: 1_000 }
const content = Uint8Array.from({ length: 100 }, (_, i) => i)
const reading = (of: Uint8Array) => {
  const reads: number[] = []
  return {
    reads,
    read: async (start: number, length: number) => {
      reads.push(start)
      return of.subarray(start, start + length)
    },
  }
}
const all = async (pieces: AsyncIterable<Piece>) => {
  const got: Piece[] = []
  for await (const piece of pieces) got.push(piece)
  return got
}

const pieces = suite('piecesRead')

pieces('gives the pieces that content in memory has, of any length', async () => {
  for (const length of [0, 1, 9, 10, 11, 20, 100]) {
    const of = content.subarray(0, length)
    assert.equal(await all(piecesRead(reading(of).read, 10)), [...piecesOf(of, 10)], `${length} bytes`)
  }
})

pieces('reads no further than the other side takes: slow readers keep one piece each in memory', async () => {
  const { reads, read } = reading(content)
  const sent: Piece[] = []
  let drain: (() => void) | undefined
  const stream = {
    send: (piece: Piece) => sent.push(piece) % 2 !== 0,
    drained: () => new Promise<void>((resolve) => (drain = resolve)),
    cancel: () => {},
  } as unknown as MessageStream<unknown, Piece>
  const whole = sendAll(stream, piecesRead(read, 10), PATIENCE)
  for (let taken = 2; taken <= 10; taken += 2) {
    while (drain === undefined) await Promise.resolve()
    assert.equal(reads, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90].slice(0, taken))
    const go = drain
    drain = undefined
    go()
  }
  await whole
  assert.equal(Buffer.concat(sent.map(({ bytes }) => bytes)), Buffer.from(content))
})

pieces('ends when nobody wants them any more', async () => {
  const { reads, read } = reading(content)
  assert.equal(await all(piecesRead(read, 10, () => reads.length === 3)).then((got) => got.length), 3)
  assert.is(reads.length, 3)
})

pieces('says so when the content has gone meanwhile', async () => {
  const { read } = reading(content)
  const going = async (start: number, length: number) => (start < 30 ? read(start, length) : undefined)
  await rejects(all(piecesRead(going, 10)), 'notFound')
})

pieces.run()
