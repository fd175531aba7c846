import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GridError } from '../../../runtime/errors.js'
import type { MessageStream, StreamMethod, Transport, UnaryMethod } from '../../../runtime/transport.js'
import type { Host } from '../../simulation/world/host.js'
import { type LinkProfile, linkProfiles, SILENT_PEER_MS } from '../../simulation/world/link.js'
import { rawCodec } from '../../simulation/world/transport.js'
import { World } from '../../simulation/world/world.js'

const ask: UnaryMethod<Uint8Array, Uint8Array> = { path: '/test/Ask', request: rawCodec, response: rawCodec }
const talk: StreamMethod<Uint8Array, Uint8Array> = { path: '/test/Talk', up: rawCodec, down: rawCodec }
const STEADY: LinkProfile = { baseMs: 10, jitterMs: 0, loss: 0, duplicate: 0 }

type RawStream = MessageStream<Uint8Array, Uint8Array>

interface Recorded {
  readonly stream: RawStream
  readonly messages: number[]
  /** Code of the reason, `clean`, or undefined while open. */
  closed: string | undefined
  closedAtMs: number
}

/** Two hosts; `server` answers calls with their bytes and records its streams. */
async function grid(seed: number, profile: LinkProfile = STEADY) {
  const world = new World(seed, { profile })
  const served: number[] = []
  const accepted: Recorded[] = []
  const server = world.addHost('server')
  const client = world.addHost('client', { reachable: false })
  const transports = new Map<Host, Transport>()
  server.start(({ transport }) => {
    transports.set(server, transport)
    transport.handleUnary(ask, (request) => {
      served.push(request[0]!)
      return request
    })
    transport.handleStream(talk, (stream) => void accepted.push(record(world, stream)))
  })
  client.start(({ transport }) => void transports.set(client, transport))
  await world.run(0)
  await world.run(() => transports.size === 2)
  const endpoint = { nodeId: server.caller.nodeId, address: server.address }
  const dialler = transports.get(client)!
  const call = (value: number, deadlineMs = 5_000) =>
    dialler.call(endpoint, ask, Uint8Array.of(value), { deadlineMs }).then(
      (reply) => String(reply[0]),
      (error: unknown) => (error instanceof GridError ? error.code : String(error)),
    )
  const open = () => record(world, dialler.open(endpoint, talk))
  /** Lets time pass until `promise` has settled. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false
    void promise.finally(() => {
      over = true
    })
    await world.run(() => over)
    return promise
  }
  return { world, server, client, transports, endpoint, served, accepted, call, open, settled }
}

function record(world: World, stream: RawStream): Recorded {
  const recorded: Recorded = { stream, messages: [], closed: undefined, closedAtMs: 0 }
  stream.onMessage((message) => recorded.messages.push(message[0]!))
  stream.onClose((reason) => {
    recorded.closed = reason instanceof GridError ? reason.code : 'clean'
    recorded.closedAtMs = world.nowMs
  })
  return recorded
}

const unary = suite('SimTransport, unary')

unary('bytes take their time both ways and are copies', async () => {
  const { world, call, settled } = await grid(1)
  const startMs = world.nowMs
  assert.is(await settled(call(7)), '7')
  const roundTripMs = world.nowMs - startMs
  assert.ok(roundTripMs >= 10 && roundTripMs <= 30, String(roundTripMs))
})

unary('a lost request or reply is a timeout at the deadline; of lost replies the handler has run', async () => {
  const { world, call, settled, served } = await grid(1, { ...STEADY, loss: 0.5 })
  const outcomes: string[] = []
  for (let count = 0; count < 100; count++) {
    const startMs = world.nowMs
    const outcome = await settled(call(count % 250, 200))
    if (outcome === 'timeout') assert.ok(Math.abs(world.nowMs - startMs - 200) < 1e-6)
    outcomes.push(outcome)
  }
  const timeouts = outcomes.filter((outcome) => outcome === 'timeout').length
  assert.ok(timeouts > 50 && timeouts < 95, String(timeouts))
  assert.ok(served.length > 100 - timeouts, 'some handlers ran for callers that never knew')
})

unary('a duplicated request runs its handler twice and is answered once', async () => {
  const { world, call, settled, served } = await grid(1, { ...STEADY, duplicate: 1 })
  assert.is(await settled(call(3)), '3')
  await world.run(world.nowMs + 1_000)
  assert.equal(served, [3, 3])
  assert.is(world.network.counters.lateReplies, 1)
})

unary('calls overtake one another', async () => {
  const { settled, call, served } = await grid(1, linkProfiles.bad)
  await settled(Promise.all(Array.from({ length: 50 }, (_, value) => call(value))))
  assert.ok(
    served.some((value, index) => index > 0 && value < served[index - 1]!),
    served.join(' '),
  )
})

unary('a dead process refuses at once, a machine without power is silent, a restarted one has forgotten', async () => {
  const { world, server, call, settled } = await grid(1)
  server.crash('killed')
  assert.is(await settled(call(1)), 'unreachable')
  server.restart()
  assert.is(await settled(call(2)), '2')
  server.crash('powerLoss')
  const startMs = world.nowMs
  assert.is(await settled(call(3)), 'timeout')
  assert.is(Math.round(world.nowMs - startMs), 5_000)
})

unary('a call in progress at a process that is killed fails as closed, and never if the caller died', async () => {
  const { world, server, client, transports, endpoint } = await grid(1)
  const slow: UnaryMethod<Uint8Array, Uint8Array> = { ...ask, path: '/test/Slow' }
  const aborted: string[] = []
  transports.get(server)!.handleUnary(slow, (_request, _caller, signal) => {
    signal.addEventListener('abort', () => aborted.push('told'))
    return new Promise(() => {})
  })
  const outcomes: string[] = []
  const start = () =>
    transports
      .get(client)!
      .call(endpoint, slow, Uint8Array.of(1), { deadlineMs: 60_000 })
      .then(
        () => outcomes.push('answered'),
        (error: unknown) => outcomes.push((error as GridError).code),
      )
  void start()
  await world.run(world.nowMs + 100)
  server.crash('killed')
  await world.run(world.nowMs + 100)
  assert.equal(outcomes, ['closed'])
  server.restart()
  await world.run(world.nowMs + 100)
  const again = await grid(2)
  again.transports.get(again.server)!.handleUnary(slow, (_request, _caller, signal) => {
    signal.addEventListener('abort', () => aborted.push('told'))
    return new Promise(() => {})
  })
  void again.transports
    .get(again.client)!
    .call(again.endpoint, slow, Uint8Array.of(1), { deadlineMs: 60_000 })
    .then(
      () => outcomes.push('late'),
      () => outcomes.push('late'),
    )
  await again.world.run(again.world.nowMs + 100)
  again.client.crash('killed')
  await again.world.run(again.world.nowMs + 100_000)
  assert.equal(outcomes, ['closed'])
  assert.equal(aborted, ['told'])
})

unary('a leaf cannot be dialled, but what it dials works', async () => {
  const { client, server, transports, settled, call } = await grid(1)
  const toLeaf = { nodeId: client.caller.nodeId, address: client.address }
  const outcome = transports
    .get(server)!
    .call(toLeaf, ask, Uint8Array.of(1), { deadlineMs: 1_000 })
    .then(
      () => 'answered',
      (error: unknown) => (error as GridError).code,
    )
  assert.is(await settled(outcome), 'unreachable')
  assert.is(await settled(call(1)), '1')
})

unary('a stopped process answers when it continues, too late for who gave up', async () => {
  const { world, server, call, settled, served } = await grid(1)
  server.pause()
  assert.is(await settled(call(1, 500)), 'timeout')
  assert.equal(served, [])
  server.resume()
  await world.run(world.nowMs + 100)
  assert.equal(served, [1])
  assert.is(world.network.counters.lateReplies, 1)
  assert.is(await settled(call(2, 500)), '2')
})

unary('an uplink sends one thing after the other', async () => {
  const world = new World(1, { profile: STEADY })
  const server = world.addHost('server')
  const client = world.addHost('client', { uplinkBytesPerS: 1_000_000 })
  const arrivals: number[] = []
  server.start(({ transport }) =>
    transport.handleUnary(ask, () => {
      arrivals.push(world.nowMs)
      return new Uint8Array()
    }),
  )
  client.start(({ transport }) => {
    for (let count = 0; count < 3; count++) {
      void transport.call({ nodeId: server.caller.nodeId, address: server.address }, ask, new Uint8Array(500_000), {
        deadlineMs: 9_000,
      })
    }
  })
  await world.run(5_000)
  assert.equal(
    arrivals.map((atMs) => Math.round((atMs - arrivals[0]!) / 100)),
    [0, 5, 10],
  )
})

unary('a handler that fails by accident fails the run', async () => {
  const { world, server, transports, client, endpoint } = await grid(1)
  const faulty: UnaryMethod<Uint8Array, Uint8Array> = { ...ask, path: '/test/Faulty' }
  transports.get(server)!.handleUnary(faulty, () => {
    throw new Error('bug: an invariant')
  })
  transports
    .get(client)!
    .call(endpoint, faulty, new Uint8Array(), { deadlineMs: 100 })
    .catch(() => {})
  let failure = ''
  await world.run(1_000).catch((error: Error) => {
    failure = error.message
  })
  assert.match(failure, /bug: an invariant/)
  assert.match(failure, /a handler on server failed/)
})

unary.run()

const partitions = suite('Network, partitions')

partitions('calls across a partition vanish, others pass, and all is well after healing', async () => {
  const { world, server, client, call, settled } = await grid(1)
  const bystander = world.addHost('bystander')
  const partition = world.network.partition([server])
  assert.ok(world.network.isCut(server, client))
  assert.not.ok(world.network.isCut(bystander, client))
  assert.is(await settled(call(1, 300)), 'timeout')
  partition.heal()
  partition.heal()
  assert.is(await settled(call(2, 300)), '2')
})

partitions('a stream across a short partition loses nothing and stays in order', async () => {
  const { world, server, open, accepted } = await grid(1, linkProfiles.wan)
  const stream = open()
  for (let value = 0; value < 20; value++) stream.stream.send(Uint8Array.of(value))
  await world.run(world.nowMs + 45)
  const partition = world.network.partition([server])
  for (let value = 20; value < 40; value++) stream.stream.send(Uint8Array.of(value))
  await world.run(world.nowMs + 10_000)
  assert.ok((accepted[0]?.messages.length ?? 0) < 40)
  partition.heal()
  for (let value = 40; value < 60; value++) stream.stream.send(Uint8Array.of(value))
  await world.run(world.nowMs + 10_000)
  assert.equal(
    accepted[0]!.messages,
    Array.from({ length: 60 }, (_, value) => value),
  )
  assert.is(stream.closed, undefined)
})

partitions('a stream across a long partition is given up by both ends', async () => {
  const { world, server, open, accepted } = await grid(1)
  const stream = open()
  await world.run(world.nowMs + 100)
  world.network.partition([server])
  await world.run(world.nowMs + SILENT_PEER_MS + 1_000)
  assert.is(stream.closed, 'closed')
  assert.is(accepted[0]!.closed, 'closed')
})

partitions.run()

const streams = suite('SimTransport, streams')

streams('messages that are lost on the way are sent again and arrive in order', async () => {
  const { world, open, accepted } = await grid(1, { ...linkProfiles.bad, loss: 0.3 })
  const stream = open()
  for (let value = 0; value < 200; value++) stream.stream.send(Uint8Array.of(value))
  await world.run(world.nowMs + 10_000)
  assert.equal(
    accepted[0]!.messages,
    Array.from({ length: 200 }, (_, value) => value),
  )
  assert.ok(world.network.counters.lostMessages > 0)
})

streams('a break closes both ends and drops what is on its way', async () => {
  const { world, server, client, open, accepted } = await grid(1)
  const stream = open()
  stream.stream.send(Uint8Array.of(1))
  await world.run(world.nowMs + 100)
  stream.stream.send(Uint8Array.of(2))
  assert.is(world.network.breakStreams(server, client), 1)
  await world.run(world.nowMs + 2_000)
  assert.equal(accepted[0]!.messages, [1])
  assert.equal([stream.closed, accepted[0]!.closed], ['closed', 'closed'])
  assert.is(world.network.streams.size, 0)
})

streams('of a half-open stream one end learns at once, the other only by keepalive, and bytes vanish', async () => {
  const { world, server, open, accepted } = await grid(1)
  const stream = open()
  await world.run(world.nowMs + 100)
  const startMs = world.nowMs
  for (const pair of world.network.streams) pair.goHalfOpen(server)
  stream.stream.send(Uint8Array.of(1))
  await world.run(world.nowMs + 20_000)
  assert.is(accepted[0]!.closed, 'closed')
  assert.is(stream.closed, undefined)
  assert.equal(accepted[0]!.messages, [])
  await world.run(world.nowMs + SILENT_PEER_MS)
  assert.is(stream.closed, 'closed')
  assert.ok(stream.closedAtMs - startMs >= SILENT_PEER_MS)
})

streams(
  'a killed process closes its streams at the peer; one that lost power is found out when it is back',
  async () => {
    const { world, server, open } = await grid(1)
    const first = open()
    await world.run(world.nowMs + 100)
    server.crash('killed')
    await world.run(world.nowMs + 100)
    assert.is(first.closed, 'closed')
    server.restart()
    await world.run(world.nowMs + 100)
    const second = open()
    await world.run(world.nowMs + 100)
    server.crash('powerLoss')
    await world.run(world.nowMs + 1_000)
    assert.is(second.closed, undefined)
    server.restart()
    second.stream.send(Uint8Array.of(1))
    await world.run(world.nowMs + 100)
    assert.is(second.closed, 'closed')
    assert.is(world.network.streams.size, 0)
  },
)

streams('hostile bytes reach the decoder of the receiver', async () => {
  const { world, transports, server, client, endpoint } = await grid(1)
  const strict: StreamMethod<Uint8Array, Uint8Array> = {
    path: '/test/Strict',
    down: rawCodec,
    up: {
      encode: (bytes) => bytes,
      decode() {
        throw new GridError('invalid', 'not mine')
      },
    },
  }
  transports.get(server)!.handleStream(strict, (stream) => stream.onMessage(() => assert.unreachable()))
  const stream = record(world, transports.get(client)!.open(endpoint, { ...strict, up: rawCodec }))
  stream.stream.send(Uint8Array.of(0xff))
  await world.run(world.nowMs + 100)
  assert.is(stream.closed, 'invalid')
})

streams.run()
