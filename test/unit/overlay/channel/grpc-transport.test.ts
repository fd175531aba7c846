import type { AddressInfo, Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { healthCheck, healthWatch } from '../../../../overlay/channel/health.js'
import { createIdentity } from '../../../../overlay/identity/identity.js'
import { resolveNetwork } from '../../../../overlay/identity/network.js'
import { utf8 } from '../../../../runtime/hex.js'
import type { Codec, UnaryMethod } from '../../../../runtime/transport.js'
import { deadline, eventually } from '../../../support/deadline.js'
import { rejects } from '../../../support/rejects.js'
import { GrpcNodes, grpcPair } from '../../../support/transport/grpc-nodes.js'
import { transportConformance } from '../../../support/transport/transport-conformance.js'

transportConformance('GrpcTransport (conformance)', grpcPair)

const text: Codec<string> = { encode: utf8, decode: (bytes) => new TextDecoder().decode(bytes) }
const ask: UnaryMethod<string, string> = { path: '/test.Transport/Ask', request: text, response: text }
const SOON = { deadlineMs: 5_000 }

const nodes = new GrpcNodes()
const test = suite('GrpcTransport')
test.after.each(() => nodes.closeAll())

test('calls to one peer share a connection, which is dialled again after it broke', async () => {
  const dialler = nodes.leaf()
  const peer = await nodes.peer((transport) => transport.handleUnary(ask, (question) => question))
  await Promise.all(Array.from({ length: 20 }, (_, i) => dialler.call(peer.endpoint, ask, String(i), SOON)))
  assert.is(dialler.channels, 1)
  assert.is(peer.transport.connections, 1)

  await peer.transport.close()
  await rejects(dialler.call(peer.endpoint, ask, 'gone', SOON), 'unreachable')
  assert.is(dialler.channels, 0)

  const again = nodes.leaf({ identity: peer.transport.identity })
  again.handleUnary(ask, () => 'back')
  await again.listen({ host: '127.0.0.1', port: peer.port })
  assert.is(await dialler.call(peer.endpoint, ask, 'x', SOON), 'back')
})

test('connections that nobody uses are closed', async () => {
  const dialler = nodes.leaf({ channelIdleMs: 40 })
  const peer = await nodes.peer((transport) => transport.handleUnary(ask, (question) => question))
  await dialler.call(peer.endpoint, ask, 'x', SOON)
  await eventually(
    () => dialler.channels === 0 && peer.transport.connections === 0,
    5_000,
    'the idle connection closes',
  )
})

test('connections in use are never closed for room; those idle longest are', async () => {
  const dialler = nodes.leaf({ channelsMax: 2 })
  const [a, b, c] = [await nodes.peer(), await nodes.peer(), await nodes.peer()]
  const watch = dialler.open(a!.endpoint, healthWatch)
  watch.onMessage(() => {})
  await dialler.call(b!.endpoint, healthCheck, '', SOON)
  await dialler.call(c!.endpoint, healthCheck, '', SOON)
  assert.is(dialler.channels, 2)
  const second = dialler.open(c!.endpoint, healthWatch)
  second.onMessage(() => {})
  await rejects(dialler.call(b!.endpoint, healthCheck, '', SOON), 'quota')
  watch.cancel()
  second.cancel()
})

test('it answers the health service of gRPC', async () => {
  const dialler = nodes.leaf()
  const { endpoint } = await nodes.peer()
  assert.is(await dialler.call(endpoint, healthCheck, '', SOON), 'serving')
  await rejects(dialler.call(endpoint, healthCheck, 'other.Service', SOON), 'notFound')
  const watch = dialler.open(endpoint, healthWatch)
  const first = new Promise((resolve) => watch.onMessage(resolve))
  watch.send('')
  assert.is(await deadline(first, 5_000, 'health'), 'serving')
  watch.cancel()
})

test('closing ends calls, streams and the port, and may be repeated', async () => {
  const dialler = nodes.leaf()
  const peer = await nodes.peer((transport) => transport.handleUnary(ask, () => new Promise<string>(() => {})))
  const stream = dialler.open(peer.endpoint, healthWatch)
  stream.onMessage(() => {})
  const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve))
  stream.send('')
  const call = rejects(dialler.call(peer.endpoint, ask, 'x', SOON))
  await dialler.call(peer.endpoint, healthCheck, '', SOON)
  await deadline(Promise.all([peer.transport.close(), peer.transport.close()]), 5_000, 'close')
  assert.is(((await deadline(closed, 5_000, 'stream')) as { code?: string } | undefined)?.code, 'closed')
  await deadline(call, 5_000, 'call')
  await dialler.close()
  await rejects(dialler.call(peer.endpoint, ask, 'x', SOON), 'closed')
  await rejects(dialler.listen({ port: 0 }), 'closed')
})

test('closing does not wait for a peer that has stopped and holds its connection', async () => {
  const { createServer, connect } = await import('node:net')
  const peer = await nodes.peer()
  const dialler = nodes.leaf()
  const held: Socket[] = []
  // What lies between passes bytes on, and never that either side has ended.
  const between = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: peer.port, host: '127.0.0.1', allowHalfOpen: true })
    held.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far, { end: false }).pipe(near, { end: false })
  })
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
  const { port } = between.address() as AddressInfo
  try {
    const watch = dialler.open({ ...peer.endpoint, address: `127.0.0.1:${port}` }, healthWatch)
    const first = new Promise((resolve) => watch.onMessage(resolve))
    watch.send('')
    await deadline(first, 5_000, 'health')
    for (const socket of held) socket.unpipe()
    await deadline(peer.transport.close(), 5_000, 'close')
    await eventually(() => peer.transport.connections === 0, 5_000, 'the connection is gone')
  } finally {
    for (const socket of held) socket.destroy()
    between.close()
  }
})

test('closing the dialling side ends its calls at once', async () => {
  const dialler = nodes.leaf()
  let arrived: (() => void) | undefined
  const asked = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const { endpoint } = await nodes.peer((transport) =>
    transport.handleUnary(ask, () => {
      arrived?.()
      return new Promise<string>(() => {})
    }),
  )
  const call = rejects(dialler.call(endpoint, ask, 'x', { deadlineMs: 60_000 }), 'closed')
  await deadline(asked, 5_000, 'the call arrives')
  await dialler.close()
  await deadline(call, 5_000, 'the call ends')
})

test('an address that names something else than a host and a port is never dialled', async () => {
  const dialler = nodes.leaf()
  const { endpoint } = await nodes.peer()
  for (const address of ['unix:/tmp/socket', 'xds:///x', 'host:70000', '', 'a b:1', 'dns:127.0.0.1:1']) {
    await rejects(dialler.call({ ...endpoint, address }, healthCheck, '', SOON), 'invalid')
    const stream = dialler.open({ ...endpoint, address }, healthWatch)
    const reason = await deadline(new Promise<Error | undefined>((resolve) => stream.onClose(resolve)), 5_000, 'close')
    assert.is((reason as { code?: string } | undefined)?.code, 'invalid')
  }
})

test('a stream to a host that accepts and says nothing is given up after the connect timeout', async () => {
  const { createServer } = await import('node:net')
  const mute = createServer(() => {})
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const { port } = mute.address() as { port: number }
  const sockets = new Set<import('node:net').Socket>()
  mute.on('connection', (socket) => sockets.add(socket))
  const dialler = nodes.leaf({ connectTimeoutMs: 100 })
  const to = { nodeId: createIdentity().nodeId, address: `127.0.0.1:${port}` }
  try {
    const stream = dialler.open(to, healthWatch)
    const reason = await deadline(new Promise<Error | undefined>((resolve) => stream.onClose(resolve)), 5_000, 'close')
    assert.is((reason as { code?: string } | undefined)?.code, 'unreachable')
    await rejects(dialler.call(to, healthCheck, '', { deadlineMs: 100 }), 'timeout')
    await rejects(dialler.probe(to.address, { deadlineMs: 100 }), 'timeout')
  } finally {
    for (const socket of sockets) socket.destroy()
    mute.close()
  }
})

test('a probe of a node of another network says so', async () => {
  const dialler = nodes.leaf({ network: resolveNetwork('elsewhere') })
  const { endpoint } = await nodes.peer()
  const error = await rejects(dialler.probe(endpoint.address, SOON), 'unauthenticated')
  assert.match((error as Error).message, /not in network elsewhere/)
})

test('a probe of an address with an id accepts no other id', async () => {
  const dialler = nodes.leaf()
  const { endpoint } = await nodes.peer()
  assert.equal(await dialler.probe(`${endpoint.address}#${endpoint.nodeId}`, SOON), endpoint)
  await rejects(dialler.probe(`${endpoint.address}#${'0'.repeat(40)}`, SOON), 'unauthenticated')
})

test.run()
