import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { type AddressInfo, connect, createServer } from 'node:net'
import { createSecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createCertificates } from '../../overlay/channel/certificate.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { systemClock } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import { MESSAGE_BYTES_MAX, type MessageStream, type UnaryMethod } from '../../runtime/transport.js'
import { deadline, eventually } from '../support/deadline.js'
import { KeyChanges } from '../support/hostile/key-changes.js'
import {
  callHeaders,
  DATA,
  END_HEADERS,
  FRAME_BYTES_MAX,
  frame,
  grpcMessage,
  HEADERS,
  RawHttp2,
} from '../support/hostile/raw-http2.js'
import { rejects } from '../support/rejects.js'
import { echo, flood, gulp, SOON, serve, whoAmI } from '../support/transport/channel-methods.js'
import { GrpcNodes, testNetwork } from '../support/transport/grpc-nodes.js'

/** Round trips in a row during which a sender that is held back sends nothing more. */
const STILL_ROUND_TRIPS = 5

/** For as many calls as a peer lets wait, on a machine that has other things to do. */
const PATIENT = { deadlineMs: 120_000 }

const alice = createIdentity()

const nodes = new GrpcNodes()
const cleanUps: (() => void)[] = []
const test = suite('a channel under load and abuse')
test.after.each(async () => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp()
  await nodes.closeAll()
})

/** Passes bytes to and from `port`, each `delayMs` later. */
async function slowRelay(port: number, delayMs: number): Promise<number> {
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes: Buffer) => setTimeout(() => to.write(bytes), delayMs))
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
    cleanUps.push(() => near.destroy())
  })
  cleanUps.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

test('handlers that reject, in calls and streams, leave the process running', async () => {
  let unhandled = 0
  const count = () => {
    unhandled++
  }
  process.on('unhandledRejection', count)
  cleanUps.push(() => process.removeListener('unhandledRejection', count))
  const fail: UnaryMethod<string, string> = { ...whoAmI, path: '/test.Attack/Fail' }
  const { endpoint } = await nodes.peer((transport) => {
    serve(transport)
    transport.handleUnary(fail, async () => {
      throw new Error('boom')
    })
    transport.handleStream({ ...echo, path: '/test.Attack/FailStream' }, () => {
      throw new Error('boom')
    })
  })
  const leaf = nodes.leaf({ identity: alice })
  for (let i = 0; i < 20; i++) {
    await rejects(leaf.call(endpoint, fail, '', SOON), 'internal')
    const stream = leaf.open(endpoint, { ...echo, path: '/test.Attack/FailStream' })
    const reason = await deadline(new Promise<Error | undefined>((resolve) => stream.onClose(resolve)), 5_000, 'close')
    assert.is((reason as GridError).code, 'internal')
  }
  assert.is(await leaf.call(endpoint, whoAmI, '', SOON), alice.nodeId)
  assert.is(unhandled, 0)
})

test('a reader that stops reading holds back the sender, whose memory does not grow', async () => {
  const piece = new Uint8Array(256 * 1024)
  const total = 1024
  let sent = 0
  const { endpoint } = await nodes.peer((transport) => {
    serve(transport)
    transport.handleStream(flood, (stream: MessageStream<string, Uint8Array>) => {
      stream.onClose(() => {})
      void (async () => {
        for (; sent < total; sent++) if (!stream.send(piece)) await stream.drained()
        stream.end()
      })()
    })
  })
  const leaf = nodes.leaf()
  const stream = leaf.open(endpoint, flood)
  const before = process.memoryUsage()
  await deadline(
    new Promise<void>((resolve) => {
      stream.onMessage(() => {
        stream.pause(true)
        resolve()
      })
    }),
    5_000,
    'the first piece',
  )
  // Each answer comes over the same connection: by then the sender has had its turn, and sent what it could.
  let last = -1
  for (let still = 0; still < STILL_ROUND_TRIPS; still = sent === last ? still + 1 : 0) {
    last = sent
    await leaf.call(endpoint, whoAmI, '', SOON)
  }
  const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers
  assert.ok(sent < total / 4, `${sent} of ${total} pieces were taken from the sender`)
  assert.ok(grown < 96 * 1024 * 1024, `memory of both sides grew by ${grown >> 20} MiB`)
  stream.cancel()
})

test('a link with 50 ms of round trip carries megabytes a second both ways', async () => {
  const { port, endpoint } = await nodes.peer((transport) => {
    transport.handleStream(flood, (stream) => {
      stream.onMessage(() => {})
      stream.onEnd(() => void pour(stream))
    })
    transport.handleStream(gulp, (stream) => {
      let bytes = 0
      stream.onMessage((piece) => {
        bytes += piece.length
      })
      stream.onEnd(() => {
        stream.send(String(bytes))
        stream.end()
      })
    })
  })
  const BYTES = 4 * 1024 * 1024
  const pour = async (stream: MessageStream<string, Uint8Array>): Promise<void> => {
    for (let sent = 0; sent < BYTES; sent += 256 * 1024)
      if (!stream.send(new Uint8Array(256 * 1024))) await stream.drained()
    stream.end()
  }
  const far = { ...endpoint, address: `127.0.0.1:${await slowRelay(port, 25)}` }
  const leaf = nodes.leaf()
  // With the default windows of 64 KB either way takes 6 s and more.
  let start = performance.now()
  const down = leaf.open(far, flood)
  let received = 0
  down.onMessage((piece) => {
    received += piece.length
  })
  down.end()
  const end = new Promise<Error | undefined>((resolve) => down.onClose(resolve))
  assert.is(await deadline(end, 20_000, 'the transfer'), undefined)
  assert.is(received, BYTES)
  assert.ok(performance.now() - start < 3_000, `download took ${performance.now() - start} ms`)

  start = performance.now()
  const up = leaf.open(far, gulp)
  const answer = new Promise<string>((resolve) => up.onMessage(resolve))
  void pour(up)
  assert.is(await deadline(answer, 20_000, 'the answer'), String(BYTES))
  assert.ok(performance.now() - start < 3_000, `upload took ${performance.now() - start} ms`)
})

test('thousands of quick cancels end the connection at worst, and the next call has a new one', async () => {
  const { endpoint } = await nodes.peer(serve)
  const leaf = nodes.leaf({ identity: alice })
  await leaf.call(endpoint, whoAmI, '', SOON)
  const bystander = leaf.open(endpoint, echo)
  bystander.onMessage(() => {})
  bystander.send('x')
  let lost: Error | undefined
  bystander.onClose((reason) => {
    lost = reason
  })
  for (let round = 0; round < 60 && lost === undefined; round++) {
    const closes = Array.from({ length: 40 }, () => {
      const stream = leaf.open(endpoint, echo)
      stream.send('x')
      // Only a stream that has reached the server counts as reset there.
      stream.onMessage(() => stream.cancel())
      return new Promise<void>((resolve) => stream.onClose(() => resolve()))
    })
    await deadline(Promise.all(closes), 10_000, 'all streams closed')
  }
  // Node ends such a connection after about a thousand resets, with status 13 for everybody on it.
  if (lost !== undefined) assert.is((lost as GridError).code, 'closed')
  bystander.cancel()
  // One call may still meet the connection that is being closed: that is an error worth a retry, never another.
  const answer = await leaf.call(endpoint, whoAmI, '', SOON).catch((error: unknown) => {
    assert.ok(error instanceof GridError && error.retryable, String(error))
    return leaf.call(endpoint, whoAmI, '', SOON)
  })
  assert.is(answer, alice.nodeId)
})

test('connections beyond the limit of an address are dropped, those within it are served', async () => {
  const limits = {
    limitLoopback: true,
    connectionsPerAddressMax: 10,
    handshakesPerAddressMax: 10,
    handshakeTimeoutMs: 30_000,
  }
  const { endpoint, port, transport } = await nodes.peer(serve, { limits })
  const honest = nodes.leaf({ identity: alice })
  await honest.call(endpoint, whoAmI, '', SOON)
  let dropped = 0
  for (let i = 0; i < 200; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => dropped++)
    cleanUps.push(() => socket.destroy())
  }
  await eventually(() => dropped >= 191, 5_000, 'all but nine dropped')
  assert.is(transport.connections, 10)
  assert.is(await honest.call(endpoint, whoAmI, '', SOON), alice.nodeId)
})

test('HTTP/2 that is no gRPC, from a peer with a good key, is refused and harms nobody', async () => {
  const { endpoint, port } = await nodes.peer(serve)
  const { caPem, certificatePem, keyPem: key } = createCertificates(createIdentity(), testNetwork)
  const socket: TLSSocket = tlsConnect({
    port,
    host: '127.0.0.1',
    secureContext: createSecureContext({ ca: Buffer.from(caPem), cert: certificatePem, key, minVersion: 'TLSv1.3' }),
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  })
  const session = connectHttp2('https://x', { createConnection: () => socket })
  session.on('error', () => {})
  cleanUps.push(() => session.destroy())
  const grpc = { ':method': 'POST', ':path': whoAmI.path, 'content-type': 'application/grpc', te: 'trailers' }
  const hostile: [Record<string, string>, Buffer][] = [
    [{ ':method': 'GET', ':path': '/' }, Buffer.alloc(0)],
    [{ ...grpc, ':path': '/nothing/\u00ff\u00e9%zz' }, Buffer.alloc(0)],
    [{ ...grpc, ':path': `/${'x'.repeat(8_000)}` }, Buffer.alloc(0)],
    [{ ...grpc, 'grpc-timeout': 'soon' }, Buffer.alloc(5)],
    [{ ...grpc, 'grpc-timeout': '99999999H' }, Buffer.alloc(5)],
    [{ ...grpc, 'grpc-encoding': 'gzip' }, Buffer.from([1, 0, 0, 0, 4, 1, 2, 3, 4])],
    [{ ...grpc, 'grpc-encoding': 'no-such' }, Buffer.from([1, 0, 0, 0, 1, 0])],
    [{ ...grpc, 'x-bin': 'not base64 \u00ff' }, Buffer.alloc(5)],
    [{ ...grpc, 'manyhands-stream': '0' }, Buffer.alloc(5)],
    [grpc, Buffer.from([0, 255, 255, 255, 255])],
    [grpc, Buffer.alloc(0)],
    [grpc, Buffer.alloc(10)],
    [{ ...grpc, ':path': echo.path }, Buffer.from([0, 0, 0])],
  ]
  for (const [headers, body] of hostile) {
    await deadline(
      new Promise<void>((resolve) => {
        const request = session.request(headers)
        request.on('error', () => {})
        request.on('close', () => resolve())
        request.on('response', () => {})
        request.resume()
        request.end(body)
      }),
      5_000,
      JSON.stringify(headers),
    )
  }
  const reset = session.request(grpc)
  reset.on('error', () => {})
  reset.close(constants.NGHTTP2_CANCEL)
  assert.is(await nodes.leaf({ identity: alice }).call(endpoint, whoAmI, '', SOON), alice.nodeId)
})

test('what connections make a peer hold is bounded: the one that holds most is ended, no other', async () => {
  const { endpoint, transport } = await nodes.peer(serve, { heldBytesMax: 3 * MESSAGE_BYTES_MAX })
  const modest = nodes.leaf({ identity: alice })
  const said: string[] = []
  const stream = modest.open(endpoint, echo)
  stream.onMessage((message) => said.push(message))
  stream.send('x'.repeat(500_000))
  await eventually(() => said.length === 1, 20_000, 'the first echo')
  const greedy = await RawHttp2.open(endpoint.address, createIdentity())
  assert.ok(greedy !== undefined)
  cleanUps.push(() => greedy.close())
  await eventually(() => greedy.settingsSeen === 2, 20_000, 'the windows of the peer')
  const { signal } = new AbortController()
  let halves = 0
  for (; halves < 8 && !greedy.closed; halves++) {
    const id = greedy.nextStream()
    greedy.write(frame(HEADERS, END_HEADERS, id, callHeaders(whoAmI.path)))
    greedy.write(frame(DATA, 0, id, grpcMessage(new Uint8Array(0), MESSAGE_BYTES_MAX)))
    for (let sent = FRAME_BYTES_MAX; sent < MESSAGE_BYTES_MAX; sent += FRAME_BYTES_MAX) {
      greedy.write(frame(DATA, 0, id, new Uint8Array(FRAME_BYTES_MAX)))
      await greedy.drained(signal)
    }
  }
  await eventually(() => greedy.closed, 20_000, 'the greedy connection is ended')
  assert.ok(halves > 2, 'as much as may be is held')
  stream.send('still there')
  await eventually(() => said.length === 2, 20_000, 'the second echo')
  await eventually(() => transport.connections === 1, 20_000, 'one connection is left')
})

test('calls that no method is there for wait for their turn too, and do not hold up those of others', async () => {
  // Whatever is done takes a turn of the event loop, by this clock.
  let nowMs = 0
  const clock = { ...systemClock, now: () => (nowMs += 5) }
  const { endpoint } = await nodes.peer(serve, { clock })
  const flooders = Array.from({ length: 10 }, () => nodes.leaf({ identity: alice }))
  const bob = nodes.leaf()
  for (const leaf of [...flooders, bob]) await leaf.call(endpoint, whoAmI, '', SOON)
  const missing: UnaryMethod<string, string> = { ...whoAmI, path: '/test.Attack/Missing' }
  const ends: string[] = []
  const calls = flooders.flatMap((leaf) =>
    Array.from({ length: 60 }, () =>
      leaf.call(endpoint, missing, '', PATIENT).catch((error: unknown) => ends.push((error as GridError).code)),
    ),
  )
  const honest = bob.call(endpoint, whoAmI, '', PATIENT)
  const first = await Promise.race([honest.then(() => 'honest'), Promise.all(calls).then(() => 'flood')])
  assert.is(first, 'honest')
  await Promise.all(calls)
  const of = (code: string) => ends.filter((end) => end === code).length
  assert.is(of('unsupported') + of('quota'), calls.length, `${[...new Set(ends)]}`)
  assert.ok(of('quota') > 0, 'none was too many')
  assert.ok(of('unsupported') >= 512, `${of('unsupported')} were taken up`)
})

test('a compressed message is refused before anything is spent on it', async () => {
  const { endpoint, port } = await nodes.peer(serve)
  const { caPem, certificatePem, keyPem } = createCertificates(alice, testNetwork)
  const options = { ca: caPem, cert: certificatePem, key: keyPem, checkServerIdentity: () => undefined }
  const session = connectHttp2(`https://127.0.0.1:${port}`, options)
  cleanUps.push(() => session.destroy())
  const request = session.request({
    ':method': 'POST',
    ':path': whoAmI.path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-encoding': 'gzip',
  })
  request.end(grpcMessage(new Uint8Array(20), 20, 1))
  const [headers] = await deadline(once(request, 'response'), 20_000, 'the answer')
  assert.is(headers['grpc-status'], '12')
  assert.is(await nodes.leaf({ identity: alice }).call(endpoint, whoAmI, '', SOON), alice.nodeId)
})

test('a connection whose keys are changed again and again is ended; a few times is fine', async () => {
  const { endpoint } = await nodes.peer(serve)
  const open = async () => {
    const changes = await KeyChanges.open(endpoint.address, createIdentity())
    assert.ok(changes !== undefined, 'the peer lets it in')
    cleanUps.push(() => changes.close())
    return changes
  }
  const few = await open()
  const many = await open()
  few.change(16)
  many.change(1_000)
  await eventually(() => many.closed, 10_000, 'the flood is ended')
  assert.not(few.closed)
  assert.is(await nodes.leaf({ identity: alice }).call(endpoint, whoAmI, '', SOON), alice.nodeId)
})

test.run()
