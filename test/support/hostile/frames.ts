import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { Metadata } from '@grpc/grpc-js'
import * as overlayMethods from '../../../proto/codec/overlay.js'
import { methods } from '../../../proto/methods.js'
import { fromStatus } from '../../../proto/status.js'
import { type AnyStream, type Attack, times } from './attack.js'
import { dialTls } from './raw-http2.js'

const REQUEST_MS = 300

/** An HTTP/2 connection with a valid certificate, and nothing of gRPC on it; dialled until the peer lets it in. */
async function session(attack: Attack): Promise<ClientHttp2Session> {
  const { address } = attack.target.endpoint
  const socket = dialTls(address, attack.any().identity)
  try {
    await once(socket, 'secureConnect')
  } catch (error) {
    if (attack.signal.aborted) throw error
    attack.note('connection', 'closed', 'not let in')
    return session(attack)
  }
  const opened = connectHttp2(`https://${address}`, { createConnection: () => socket })
  opened.on('error', () => {})
  return opened
}

/** Sends `body` as one request with headers of our choice, and resolves when it is over. */
function request(
  attack: Attack,
  from: ClientHttp2Session,
  path: string,
  body: Uint8Array,
  {
    headers = {},
    end = true,
    reset = false,
  }: { headers?: Record<string, string>; end?: boolean; reset?: boolean } = {},
): Promise<void> {
  attack.sent++
  return new Promise((resolve) => {
    if (from.closed || from.destroyed) return resolve()
    const stream = from.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    const giveUp = () => {
      stream.close(constants.NGHTTP2_CANCEL)
      // Of a stream that the peer has closed while some of the body was unsent Node says nothing more by itself.
      stream.destroy()
    }
    const timer = setTimeout(giveUp, REQUEST_MS)
    const note = (answer: Record<string, unknown>) => {
      const code = answer['grpc-status']
      if (code === undefined || code === '0') return
      const metadata = Metadata.fromHttp2Headers(answer as Record<string, string>)
      const failure = fromStatus({ code: Number(code), details: String(answer['grpc-message'] ?? ''), metadata })
      // Without a code of ours the answer was made by grpc-js, which has INTERNAL for frames it cannot read.
      if (metadata.get('manyhands-code').length > 0 || failure.code !== 'unreachable') attack.note(path, failure.code)
      else attack.note(path, 'invalid')
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', () => {})
    stream.on('error', () => {})
    stream.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
    if (reset) return stream.close(constants.NGHTTP2_CANCEL)
    stream.write(body)
    if (end) stream.end()
  })
}

function frame(compressed: number, length: number, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5)
  head[0] = compressed
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, body])
}

const allPaths = [...Object.values(methods), ...Object.values(overlayMethods)].flatMap((method) =>
  typeof method === 'object' && 'path' in method ? [method.path] : [],
)

/** Frames that are cut short, lie about their length, are far too long, or belong to no method. */
export async function brokenFrames(attack: Attack): Promise<void> {
  const { random } = attack
  const connections = await Promise.all(Array.from({ length: 4 }, () => session(attack)))
  const bodies: readonly (() => Uint8Array)[] = [
    () => frame(0, 1_000, random.bytes(10)),
    () => frame(1, 10, random.bytes(10)),
    () => frame(255, 10, random.bytes(10)),
    () => frame(0, 2 ** 32 - 1, random.bytes(1_000)),
    () => frame(0, 2 ** 20 + 1, new Uint8Array(2 ** 20 + 1)),
    () => random.bytes(3),
    () => new Uint8Array(0),
    () => Buffer.concat([frame(0, 2, random.bytes(2)), frame(0, 2, random.bytes(2)), frame(0, 9, random.bytes(1))]),
  ]
  const paths = [...allPaths, '/manyhands.v1.Jobs/Nothing', '/', '/%00/\u001b', `/${'x'.repeat(5_000)}`]
  await attack.each(times(paths.length * bodies.length * 2), async (index) => {
    const path = paths[index % paths.length]!
    const body = bodies[Math.floor(index / paths.length) % bodies.length]!()
    await request(attack, connections[index % connections.length]!, path, body, { end: index % 5 > 0 })
  })
  const strange: readonly Record<string, string>[] = [
    { 'content-type': 'text/html' },
    { ':method': 'GET' },
    { 'grpc-timeout': '99999999999H' },
    { 'grpc-timeout': 'soon' },
    { 'grpc-encoding': 'gzip' },
    { 'grpc-encoding': 'nonsense' },
    { 'manyhands-stream': '0' },
    { 'x-bin': '!!!' },
    { 'x-long': 'y'.repeat(10_000) },
  ]
  await attack.each(times(strange.length * 10), async (index) => {
    const path = allPaths[index % allPaths.length]!
    await request(attack, connections[index % connections.length]!, path, frame(0, 0, new Uint8Array(0)), {
      headers: strange[index % strange.length]!,
    })
  })
  // More than a stream may hold unread, on streams whose handler says no at once.
  for (const connection of connections) {
    await request(attack, connection, methods.blobPut.path, new Uint8Array(8 * 2 ** 20))
    connection.destroy()
  }
}

/** Streams that are reset at once, and streams on which nothing ever happens, left open until the strangers leave. */
export async function quickResets(attack: Attack, count: number): Promise<void> {
  const streams = [...Object.values(methods), overlayMethods.watchBoardMethod].filter((method) => 'up' in method)
  const endless = [...times(20)].flatMap(() => streams)
  for (const [index, method] of endless.entries()) {
    const { transport } = attack.strangers[index % 2]!
    const stream = transport.open(attack.target.endpoint, method as AnyStream)
    stream.onMessage(() => {})
    stream.onClose(() => {})
    attack.sent++
  }
  const connections = await Promise.all(Array.from({ length: 4 }, () => session(attack)))
  await attack.each(times(count), async (index) => {
    const path = allPaths[index % allPaths.length]!
    const body = frame(0, 40, attack.random.bytes(40))
    let connection = connections[index % connections.length]!
    if (connection.destroyed || connection.closed) {
      // The peer hung up on whoever resets too fast.
      connection = await session(attack)
      connections[index % connections.length] = connection
    }
    await request(attack, connection, path, body, { reset: index % 2 === 0, end: false, headers: {} })
  })
  for (const connection of connections) connection.destroy()
}
