import { connect, createServer, type Socket } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createCertificates } from '../../../../overlay/channel/certificate.js'
import {
  connectionsWithin,
  DEFAULT_LISTENER_LIMITS,
  Listener,
  type ListenerLimits,
} from '../../../../overlay/channel/listener.js'
import { createIdentity, type Identity, idWorkOf } from '../../../../overlay/identity/identity.js'
import type { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import type { Caller } from '../../../../runtime/transport.js'
import { deadline, eventually } from '../../../support/deadline.js'
import { rejects } from '../../../support/rejects.js'
import { testNetwork } from '../../../support/transport/grpc-nodes.js'

const server = createCertificates(createIdentity(), testNetwork)
const client = createIdentity()
const clientCertificates = createCertificates(client, testNetwork)

const opened: { close(): unknown }[] = []
const test = suite('Listener')
test.after.each(() => {
  for (const each of opened.splice(0)) each.close()
})

async function listen(limits: Partial<ListenerLimits> = {}, idWorkBits = 0) {
  const callers: Caller[] = []
  const listener = new Listener({
    certificates: server,
    idWorkBits,
    limits: { ...DEFAULT_LISTENER_LIMITS, ...limits },
    logger: silentLogger,
    onConnection: (_socket, caller) => callers.push(caller),
  })
  opened.push(listener)
  const port = await listener.listen('127.0.0.1', 0)
  return { listener, port, callers }
}

function dialTcp(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  opened.push({ close: () => socket.destroy() })
  return socket
}

function dialTls(
  port: number,
  options: { alpn?: string[]; maxVersion?: 'TLSv1.2'; identity?: Identity; from?: string } = {},
): TLSSocket {
  const { caPem, certificatePem, keyPem } = options.identity
    ? createCertificates(options.identity, testNetwork)
    : clientCertificates
  const socket = tlsConnect({
    socket: connect({ port, host: '127.0.0.1', ...(options.from ? { localAddress: options.from } : {}) }),
    ca: caPem,
    cert: certificatePem,
    key: keyPem,
    ALPNProtocols: options.alpn ?? ['h2'],
    checkServerIdentity: () => undefined,
    ...(options.maxVersion ? { maxVersion: options.maxVersion, minVersion: options.maxVersion } : {}),
  })
  socket.on('error', () => {})
  opened.push({ close: () => socket.destroy() })
  return socket
}

const closed = (socket: Socket) => deadline(new Promise((resolve) => socket.once('close', resolve)), 5_000, 'close')

test('hands over an authenticated connection with its owner', async () => {
  const { port, callers, listener } = await listen()
  dialTls(port)
  await eventually(() => callers.length === 1, 5_000, 'connection')
  assert.equal(callers[0], {
    nodeId: client.nodeId,
    publicKey: client.publicKey,
    idNonce: client.idNonce,
    host: '127.0.0.1',
  })
  assert.is(listener.connections, 1)
})

test('speaks TLS 1.3 and HTTP/2 alone', async () => {
  const { port, callers } = await listen()
  await closed(dialTls(port, { maxVersion: 'TLSv1.2' }))
  await closed(dialTls(port, { alpn: ['http/1.1'] }))
  const garbage = dialTcp(port)
  garbage.write('GET / HTTP/1.1\r\n\r\n')
  await closed(garbage)
  assert.is(callers.length, 0)
})

test('refuses an id with less work than the network asks for, and takes one with enough', async () => {
  const { port, callers } = await listen({}, 8)
  await closed(dialTls(port, { identity: weakIdentity(8) }))
  assert.is(callers.length, 0)
  dialTls(port, { identity: createIdentity(8) })
  await eventually(() => callers.length === 1, 5_000, 'connection')
})

test('a handshake that does not go on is ended', async () => {
  const { port, listener } = await listen({ handshakeTimeoutMs: 50 })
  await closed(dialTcp(port))
  await eventually(() => listener.connections === 0, 5_000, 'no connection left')
})

test('limits connections of one address, and frees places as they close', async () => {
  const { port, listener, callers } = await listen({ limitLoopback: true, connectionsPerAddressMax: 2 })
  const first = dialTls(port)
  dialTls(port)
  await eventually(() => callers.length === 2, 5_000, 'two connections')
  await closed(dialTls(port))
  assert.is(listener.connections, 2)
  first.destroy()
  await eventually(() => listener.connections === 1, 5_000, 'one connection')
  dialTls(port)
  await eventually(() => callers.length === 3, 5_000, 'the place is free')
})

test('limits handshakes of one address apart from its connections', async () => {
  const { port, callers } = await listen({ limitLoopback: true, handshakesPerAddressMax: 2 })
  for (let i = 0; i < 4; i++) {
    dialTls(port)
    await eventually(() => callers.length === i + 1, 5_000, 'a connection whose handshake is done')
  }
  const [a, b] = [dialTcp(port), dialTcp(port)]
  await Promise.all(
    [a, b].map((socket) => deadline(new Promise((resolve) => socket.once('connect', resolve)), 5_000, 'connect')),
  )
  await closed(dialTcp(port))
  a.destroy()
  b.destroy()
})

test('limits connections and handshakes in all, this machine included', async () => {
  const few = await listen({ connectionsMax: 1 })
  dialTls(few.port)
  await eventually(() => few.callers.length === 1, 5_000, 'a connection')
  await closed(dialTls(few.port))

  const slow = await listen({ handshakesMax: 1 })
  const mute = dialTcp(slow.port)
  await eventually(() => slow.listener.connections === 1, 5_000, 'a handshake under way')
  dialTls(slow.port)
  await closed(mute)
  await eventually(() => slow.callers.length === 1, 5_000, 'the handshake that goes on')
})

test('an address that has most of the connections there may be makes room for others', async () => {
  // Elsewhere loopback has one address.
  if (process.platform !== 'linux') return
  const { port, listener, callers } = await listen({ connectionsMax: 3 })
  const greedy: TLSSocket[] = []
  for (let i = 1; i <= 3; i++) {
    greedy.push(dialTls(port))
    await eventually(() => callers.length === i, 5_000, 'a connection of the first')
  }
  const other = dialTls(port, { from: '127.0.0.2' })
  await closed(greedy[2]!)
  await eventually(() => callers.length === 4, 5_000, 'the connection of the other')
  const again = dialTls(port, { from: '127.0.0.2' })
  await closed(again)
  assert.is(listener.connections, 3)
  assert.not(greedy[0]!.destroyed || greedy[1]!.destroyed || other.destroyed)
})

test('connections of an address that was there first are not ended for strangers at many addresses', async () => {
  if (process.platform !== 'linux') return
  const { port, callers } = await listen({ connectionsMax: 4 })
  const first: TLSSocket[] = []
  for (let i = 1; i <= 4; i++) {
    // Two of one address, then one each of two others.
    const socket = dialTls(port, { from: `127.0.0.${Math.max(1, i - 1)}` })
    if (i <= 2) first.push(socket)
    await eventually(() => callers.length === i, 5_000, 'a connection')
  }
  await closed(dialTls(port, { from: '127.0.0.9' }))
  assert.not(first.some((socket) => socket.destroyed))
})

test('takes no more connections than leave the process files of its own', () => {
  const { connectionsMax } = DEFAULT_LISTENER_LIMITS
  assert.is(connectionsWithin(undefined), connectionsMax)
  assert.is(connectionsWithin(1_048_576), connectionsMax)
  assert.is(connectionsWithin(1_024), 696)
  assert.is(connectionsWithin(64), 8)
})

test('does not count this machine against the limits of an address', async () => {
  const { port, callers } = await listen({ connectionsPerAddressMax: 1, handshakesPerAddressMax: 1 })
  for (let i = 0; i < 5; i++) dialTls(port)
  await eventually(() => callers.length === 5, 5_000, 'five connections')
})

test('a port in use, and an address that is not ours, are one clear message', async () => {
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  opened.push(holder)
  const { port } = holder.address() as { port: number }
  const { listener } = await listen()
  listener.close()
  const make = () =>
    new Listener({
      certificates: server,
      idWorkBits: 0,
      limits: DEFAULT_LISTENER_LIMITS,
      logger: silentLogger,
      onConnection: () => {},
    })
  const inUse = (await rejects(make().listen('127.0.0.1', port), 'unavailable')) as GridError
  assert.is(inUse.message, `127.0.0.1:${port} is in use on this machine`)
  assert.match(inUse.hint ?? '', /--listen/)
  const foreign = (await rejects(make().listen('192.0.2.1', 0), 'unavailable')) as GridError
  assert.match(foreign.message, /not an address of this machine/)
})

test('close drops connections and may be repeated', async () => {
  const { port, listener, callers } = await listen()
  const socket = dialTls(port)
  await eventually(() => callers.length === 1, 5_000, 'connection')
  listener.close()
  listener.close()
  await closed(socket)
  await closed(dialTcp(port))
})

/** An identity whose id has less work than `bits`. */
function weakIdentity(bits: number): Identity {
  let identity = createIdentity()
  while (idWorkOf(identity.publicKey, identity.idNonce) >= bits) identity = createIdentity()
  return identity
}

test.run()
