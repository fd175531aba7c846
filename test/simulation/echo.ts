import type { NodeId } from '../../proto/model.js'
import type { Disk } from '../../runtime/disk.js'
import { GridError } from '../../runtime/errors.js'
import type { StreamMethod, UnaryMethod } from '../../runtime/transport.js'
import type { Scenario } from './scenario.js'
import { FAULT_KINDS, type FaultKind } from './world/faults.js'
import type { Host, ProcessContext } from './world/host.js'
import { linkProfiles } from './world/link.js'
import { rawCodec } from './world/transport.js'
import type { World } from './world/world.js'

const keepMethod: UnaryMethod<Uint8Array, Uint8Array> = { path: '/echo/Keep', request: rawCodec, response: rawCodec }
const countMethod: StreamMethod<Uint8Array, Uint8Array> = { path: '/echo/Count', up: rawCodec, down: rawCodec }

const CLIENTS = 6
const SERVERS = 3
const FAULTY_MS = 60_000
/** Numbers each client wants kept once faults are off. */
const KEPT_AT_END = 5
const LOG = 'kept.log'
const ENTRY_BYTES = 4
const DISK_FAULTS: ReadonlySet<FaultKind> = new Set<FaultKind>(['powerLoss', 'diskLoss', 'diskFull', 'diskSlow'])

/** What was acknowledged to a client, by the key that did: must never be lost unless its disk was, and the key with it. */
type Oracle = Map<NodeId, Set<number>>

/** A mistake put into the servers on purpose, to show that the scenario finds it. */
export type PlantedBug = 'none' | 'acknowledgesBeforeSync' | 'forgetsTornEntry'

/**
 * Clients ask servers to keep numbers; a server answers once a number is synced. Streams of counted messages run beside.
 * Shows that the simulated network, disks and crashes do what they say and nothing else.
 */
export const echo: Scenario = {
  name: 'echo',
  promise:
    'what a server acknowledged after its sync is there after any crash that leaves the disk; streams stay in order',
  mustHappen: [
    ...FAULT_KINDS,
    'lostMessages',
    'duplicatedRequests',
    'lateReplies',
    'cutMessages',
    'lostWrites',
    'tornWrites',
    'refusedWrites',
    'acknowledged',
    'streamedInOrder',
  ],
  run: (world) => runEcho(world, 'none'),
}

/** The scenario with a bug in its servers, or none. */
export async function runEcho(world: World, bug: PlantedBug): Promise<void> {
  const oracle: Oracle = new Map()
  const servers = Array.from({ length: SERVERS }, (_, index) => world.addHost(`server-${index}`))
  const clients = Array.from({ length: CLIENTS }, (_, index) => world.addHost(`client-${index}`, { reachable: false }))
  const done = new Map<Host, number>()
  for (const server of servers) server.start((context) => serve(context, bug))
  const faults = world.faults({
    profile: linkProfiles.bad,
    downMax: 2,
    intervals: {
      killed: 6_000,
      powerLoss: 6_000,
      diskLoss: 30_000,
      partition: 10_000,
      streamBreak: 3_000,
      halfOpen: 8_000,
      clockJump: 10_000,
      diskFull: 15_000,
      diskSlow: 10_000,
      pause: 10_000,
    },
    // Clients keep nothing, so losing their disks or power shows nothing.
    mayHit: (host, kind) => !DISK_FAULTS.has(kind) || host.name.startsWith('server'),
  })
  for (const client of clients) {
    client.start((context) => ask(world, context, servers, oracle, () => done.set(client, (done.get(client) ?? 0) + 1)))
  }
  faults.start()
  await world.run(FAULTY_MS)
  faults.stop()
  done.clear()
  await world.run(() => clients.every((client) => (done.get(client) ?? 0) >= KEPT_AT_END), 120_000)
  for (const server of servers) checkKept(world, server, oracle.get(server.caller.nodeId) ?? new Set())
}

/** Keeps numbers in a log: acknowledges after the sync. Sends every message of a stream back. */
function serve({ disk, transport }: ProcessContext, bug: PlantedBug): void {
  const repaired = bug === 'forgetsTornEntry' ? undefined : dropTornEntry(disk)
  transport.handleUnary(keepMethod, async (request) => {
    await repaired
    await disk.append(LOG, request)
    const synced = disk.sync(LOG)
    if (bug !== 'acknowledgesBeforeSync') await synced
    return request
  })
  transport.handleStream(countMethod, (stream) => {
    stream.onMessage((message) => stream.send(message))
    stream.onEnd(() => stream.end())
  })
}

/** A crash may leave a part of the last entry, after which all others would be read from the wrong place. */
async function dropTornEntry(disk: Disk): Promise<void> {
  const log = await disk.read(LOG)
  if (!log || log.length % ENTRY_BYTES === 0) return
  for (;;) {
    try {
      return await disk.write(LOG, log.subarray(0, log.length - (log.length % ENTRY_BYTES)))
    } catch (error) {
      // A full disk is refused at once but not for ever; each attempt takes the time of a sync.
      if (!(error instanceof GridError)) throw error
    }
  }
}

async function ask(
  world: World,
  context: ProcessContext,
  servers: readonly Host[],
  oracle: Oracle,
  onKept: () => void,
): Promise<void> {
  const { transport, random, clock } = context
  for (;;) {
    const server = servers[random.int(servers.length)]!
    const endpoint = { nodeId: server.caller.nodeId, address: server.address }
    const number = random.int(2 ** 32)
    const request = new Uint8Array(new Uint32Array([number]).buffer)
    try {
      const reply = await transport.call(endpoint, keepMethod, request, { deadlineMs: 1_000 })
      world.check(
        reply.every((byte, index) => byte === request[index]),
        'a reply differs from its request',
      )
      const acknowledged = oracle.get(endpoint.nodeId) ?? new Set()
      oracle.set(endpoint.nodeId, acknowledged.add(number))
      world.count('acknowledged')
      onKept()
    } catch (error) {
      if (!(error instanceof GridError)) throw error
      world.count(`refused_${error.code}`)
    }
    await new Promise<void>((resolve) => clock.setTimer(random.int(20), resolve))
    if (random.int(20) === 0) await countTo(world, context, server, 20)
  }
}

/** Sends 1 to `last` and checks that what comes back is 1, 2, 3 ... until the stream ends or breaks. */
function countTo(world: World, { transport, clock }: ProcessContext, server: Host, last: number): Promise<void> {
  return new Promise((resolve) => {
    const stream = transport.open({ nodeId: server.caller.nodeId, address: server.address }, countMethod)
    let seen = 0
    stream.onMessage((message) => {
      seen++
      world.check(message[0] === seen, `message ${message[0]} came where ${seen} was due`)
    })
    stream.onClose((reason) => {
      world.check(reason !== undefined || seen === last, 'a stream ended well without all of its messages')
      if (reason === undefined) world.count('streamedInOrder')
      resolve()
    })
    for (let number = 1; number <= last; number++) clock.setTimer(number * 20, () => stream.send(Uint8Array.of(number)))
    clock.setTimer((last + 1) * 20, () => stream.end())
  })
}

function checkKept(world: World, server: Host, acknowledged: ReadonlySet<number>): void {
  const log = server.disk.contents(LOG) ?? new Uint8Array()
  const kept = new Set(new Uint32Array(log.slice(0, log.length - (log.length % ENTRY_BYTES)).buffer))
  for (const number of acknowledged) world.check(kept.has(number), `${server.name} acknowledged ${number} and lost it`)
}
