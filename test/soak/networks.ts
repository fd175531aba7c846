import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { jobIdOf, specDefaults } from '../../job/spec/spec.js'
import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { resolveOptions } from '../../overlay/options.js'
import { SPREAD_PEERS } from '../../overlay/routing/core/ownership.js'
import { hostOf, subnetOf } from '../../overlay/routing/core/subnet.js'
import { type GridProcess, startProcess } from '../../process/compose.js'
import { findNodeMethod } from '../../proto/codec/overlay.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { methods } from '../../proto/methods.js'
import type { Key, Signed } from '../../proto/model.js'
import { type Contact, REPLY_CONTACTS_MAX } from '../../proto/overlay-messages.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { systemRandom } from '../../runtime/random.js'
import type { Endpoint } from '../../runtime/transport.js'
import { eventually } from '../support/deadline.js'
import { answerOf, RawWorker, unitsOf } from '../support/hostile/raw-worker.js'
import { testSettings } from '../support/processes/test-settings.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'

const WAIT_MS = 120_000
const CALL_MS = 20_000
const UNITS = 60
const HOUR_MS = 3_600_000
const LISTEN_PORT = 7_412
/** Peers of one network, and of two others. */
const MANY = Array.from({ length: 14 }, (_, i) => `203.0.113.${11 + i}`)
const OTHERS = ['198.51.100.11', '198.51.100.12', '192.0.2.11', '192.0.2.12']
const KEYS = 24
const OWNERS = 3

/**
 * Three volunteers, two of one network: of no unit do both of these have an opinion, as long as the third is there. `near` and
 * `neighbour` are the peer as the two of one network dial it, `far` as the third does. Resolves to what was seen.
 */
export async function votersOfOneNetwork(near: Endpoint, neighbour: Endpoint, far: Endpoint): Promise<string> {
  const submitter = createIdentity()
  const bytes = jobSpecCodec.encode({
    ...specDefaults,
    network: testNetwork.name,
    submitter: submitter.publicKey,
    nonce: Buffer.from(systemRandom.bytes(16)).toString('hex'),
    createdAtMs: Date.now(),
    expiresAtMs: Date.now() + HOUR_MS,
    task: { type: 'builtin', name: 'voted', version: 1 },
    source: { type: 'count', count: UNITS },
    shardUnits: 64,
  })
  const spec: Signed = { bytes, signature: submitter.signer.sign('spec', bytes) }
  const client = new GrpcTransport({ identity: submitter, network: testNetwork })
  const transports = [near, neighbour, far].map(
    () => new GrpcTransport({ identity: createIdentity(), network: testNetwork }),
  )
  try {
    await client.call(near, methods.submit, { spec }, { deadlineMs: CALL_MS })
    const units = transports.map(() => new Set<number>())
    const workers = [near, neighbour, far].map((to, who): RawWorker => {
      const onGrant = (grant: Signed) => {
        for (const unit of unitsOf(grant)) units[who]!.add(unit)
        // Only once all are there: who is alone may be given anything.
        if (hasBegun) workers[who]!.answer(grant, right)
      }
      return new RawWorker(transports[who]!, to, { slots: 2, task: 'voted', onGrant })
    })
    let hasBegun = false
    await eventually(() => workers.every(({ isWelcome }) => isWelcome), WAIT_MS, 'three workers are there')
    hasBegun = true
    for (const worker of workers) for (const grant of [...worker.grants]) worker.answer(grant, right)
    const request = { jobId: jobIdOf(sha256, spec.bytes), withShards: false }
    const isOver = async () => {
      const { summary } = await client.call(near, methods.show, request, { deadlineMs: CALL_MS })
      return summary.settled === UNITS
    }
    await eventually(isOver, WAIT_MS, 'all units are settled')
    const both = [...units[0]!].filter((unit) => units[1]!.has(unit))
    assert.equal(both, [], 'no unit has two voters of one /24')
    return `voters: ${UNITS} units, ${units.map(({ size }) => size).join(', ')} opinions; none with two of one /24`
  } finally {
    await Promise.all([client, ...transports].map((transport) => transport.close()))
  }
}

function right(unit: number) {
  const nothing = { stderr: new Uint8Array(0), stderrLength: 0, files: [] }
  return answerOf({ ...nothing, outcome: 'done', exitCode: 0, stdout: utf8(`unit ${unit}`) }, 1n)
}

/** Peers of which most are of one network: how many of them a table takes, and that owners are of different ones. */
export const spreadOverNetworks = {
  hosts: [...MANY, ...OTHERS],

  async run(seed: Endpoint): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'manyhands-networks-'))
    const peers: GridProcess[] = []
    // Each data directory lets go of its lock at the exit of the process.
    process.setMaxListeners(2 * spreadOverNetworks.hosts.length)
    const asking = new GrpcTransport({ identity: createIdentity(), network: testNetwork })
    try {
      for (const host of [...OTHERS, ...MANY]) {
        peers.push(await startPeer(join(folder, host), host, seed))
      }
      await Promise.all(peers.map(({ overlay }) => overlay.whenJoined(WAIT_MS)))
      const known = () => contactsOf(asking, seed)
      const networksOf = (contacts: readonly Contact[]) => new Set(contacts.map(networkOf))
      await eventually(async () => networksOf(await known()).size >= 3, WAIT_MS, 'the peer knows all networks')
      const others = () => peers.every(({ overlay }) => overlay.ownersSeen(seed.nodeId, 4).length >= 4)
      await eventually(others, WAIT_MS, 'all peers know some that may own')
      const { subnetTableMax } = resolveOptions('lan')
      const crowd = (await known()).filter((contact) => networkOf(contact) === '203.0.113').length
      assert.ok(crowd <= subnetTableMax, `${crowd} of one /24 in the table`)
      let spread = 0
      for (const overlay of peers.map((peer) => peer.overlay)) {
        for (let i = 0; i < KEYS; i++) {
          const key = Buffer.from(systemRandom.bytes(20)).toString('hex') as Key
          const networks = overlay.ownersSeen(key, SPREAD_PEERS).map(networkOf)
          const own = new Set(networks.slice(0, OWNERS)).size
          assert.is(own, Math.min(OWNERS, new Set(networks).size), 'no network owns twice where another has a peer')
          if (own === OWNERS) spread++
        }
      }
      assert.ok(spread > 0)
      return `networks: ${crowd} of ${MANY.length} peers of one /24 in the table (at most ${subnetTableMax}); of ${peers.length * KEYS} shards ${spread} have ${OWNERS} owners of different networks, the others as many as there are near`
    } finally {
      await asking.close()
      await Promise.all(peers.map((peer) => peer.close()))
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    }
  },
}

function startPeer(dataFolder: string, host: string, seed: Endpoint): Promise<GridProcess> {
  return startProcess(testSettings({ dataFolder, join: [seed.address], listen: { host, port: LISTEN_PORT } }))
}

function networkOf({ addresses }: Contact): string {
  return subnetOf(hostOf(addresses[0] ?? '')) ?? 'private'
}

/** The table of a peer at one instant: it has fewer entries than one reply. */
async function contactsOf(asking: GrpcTransport, peer: Endpoint): Promise<readonly Contact[]> {
  const request = { caller: undefined, target: peer.nodeId }
  const { contacts } = await asking.call(peer, findNodeMethod, request, { deadlineMs: CALL_MS })
  assert.ok(contacts.length < REPLY_CONTACTS_MAX)
  return contacts
}
