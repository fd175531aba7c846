import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GrpcStream } from '../../../../overlay/channel/grpc-stream.js'
import type { NodeId, PublicKey } from '../../../../proto/model.js'
import { type GridError, toGridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { type Codec, STREAM_BUFFER_BYTES_MAX } from '../../../../runtime/transport.js'

const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value }
const EMPTY = Buffer.alloc(0)

/** A call of gRPC whose messages this test brings, and that sends nothing until it is told. */
class FakeCall {
  readonly unsent: (() => void)[] = []
  #onData: ((bytes: Buffer) => void) | undefined

  write(_: Buffer, sent: () => void): boolean {
    this.unsent.push(sent)
    return true
  }

  end(): void {}
  pause(): void {}
  resume(): void {}

  on(event: string, listener: (bytes: Buffer) => void): void {
    if (event === 'data') this.#onData = listener
  }

  bring(message: Buffer): void {
    this.#onData?.(message)
  }
}

function streamOn(call: FakeCall, changes: { turn?: () => boolean; sending?: (bytes: number) => void } = {}) {
  const aborted: GridError[] = []
  const stream = new GrpcStream({
    call,
    caller: { nodeId: '0'.repeat(40) as NodeId, publicKey: '' as PublicKey, idNonce: new Uint8Array(8), host: '' },
    incoming: bytes,
    outgoing: bytes,
    logger: silentLogger,
    abort: (reason) => aborted.push(reason),
    onClosed: () => {},
    ...changes,
  })
  stream.onClose(() => {})
  return { stream, aborted }
}

const streams = suite('GrpcStream')

streams('looks at nothing that comes after it was refused: a window holds more than a million empty messages', () => {
  const call = new FakeCall()
  let asked = 0
  const turn = () => ++asked < 3
  const { stream, aborted } = streamOn(call, { turn })
  stream.onMessage(() => {})
  for (let i = 0; i < 1_000; i++) call.bring(EMPTY)
  assert.equal(
    aborted.map((reason) => toGridError(reason).code),
    ['quota'],
  )
  assert.is(asked, 3)
})

streams('ends for a reader that leaves too many messages, even of no bytes, and counts what they take', () => {
  const call = new FakeCall()
  let held = 0
  const { stream, aborted } = streamOn(call, { sending: (more) => (held += more) })
  let sent = 0
  for (; !stream.closed && sent < STREAM_BUFFER_BYTES_MAX; sent++) stream.send(EMPTY)
  assert.is(aborted[0]?.code, 'quota')
  assert.ok(sent < STREAM_BUFFER_BYTES_MAX / 256, `${sent} messages were kept`)
  assert.ok(held > STREAM_BUFFER_BYTES_MAX / 2, `${held} bytes were counted`)
  for (const tell of call.unsent) tell()
  assert.is(held, 0)
})

streams('takes as many messages as its reader does', () => {
  const call = new FakeCall()
  const { stream } = streamOn(call)
  for (let i = 0; i < STREAM_BUFFER_BYTES_MAX / 256; i++) {
    stream.send(EMPTY)
    call.unsent.pop()?.()
  }
  assert.not(stream.closed)
})

streams.run()
