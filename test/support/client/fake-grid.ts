import type { ClientOverlay, FoundRecord } from '../../../client/session/overlay-face.js'
import { GridClient } from '../../../client/session/session.js'
import { specDefaults } from '../../../job/spec/spec.js'
import { unitCount } from '../../../job/units/unit-source.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import { compareDistance } from '../../../overlay/routing/core/node-id.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import type { JobId, JobSpec, Point } from '../../../proto/model.js'
import { type Clock, systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { silentLogger } from '../../../runtime/logger.js'
import { systemRandom } from '../../../runtime/random.js'
import type { Caller } from '../../../runtime/transport.js'
import { ed25519Verifier } from '../ed25519-verifier.js'
import { type Computed, FakeJob, printed } from './fake-job.js'
import { FakePeer } from './fake-peer.js'
import { MemoryNetwork } from './memory-transport.js'

/** A small network of fake peers, and a client on it. */
export class FakeGrid {
  readonly network = new MemoryNetwork()
  readonly peers: FakePeer[] = []
  readonly records = new Map<string, Uint8Array>()
  readonly submitter = createIdentity()
  /** Whether the peers behind the homes are guards. */
  hasRegions = false
  readonly client: GridClient
  readonly overlay: ClientOverlay

  constructor(peerCount = 1) {
    const jobs = new Map<JobId, FakeJob>()
    for (let i = 0; i < peerCount; i++) {
      const identity = createIdentity()
      const endpoint = { nodeId: identity.nodeId, address: `peer${i}:1` }
      this.peers.push(new FakePeer(this.network.add(callerOf(identity), endpoint.address), identity, endpoint, jobs))
    }
    const near = (key: Point) =>
      this.peers.map(({ endpoint }) => endpoint).sort((a, b) => compareDistance(key, a.nodeId, b.nodeId))
    this.overlay = {
      owners: async (key, count) => near(key).slice(0, count),
      keepers: async (key, count) => ({
        owners: near(key).slice(0, count),
        guards: this.hasRegions ? near(key).slice(count) : [],
      }),
      putRecord: async ({ key, kind, value }) => {
        this.records.set(`${key}/${kind}`, value)
        return this.peers.length
      },
      getRecord: async (key, kind): Promise<FoundRecord[]> => {
        const value = this.records.get(`${key}/${kind}`)
        return value ? [{ publicKey: this.submitter.publicKey, value }] : []
      },
      estimatePeers: async () => this.peers.length,
    }
    this.client = this.clientOf(this.submitter)
  }

  clientOf(identity: Identity, clock: Clock = systemClock): GridClient {
    return new GridClient({
      transport: this.network.add(callerOf(identity), `client ${identity.nodeId}`),
      overlay: this.overlay,
      signer: identity.signer,
      verifier: ed25519Verifier,
      clock,
      random: systemRandom,
      logger: silentLogger,
      sha256,
      network: { name: 'test', idWorkBits: 0 },
    })
  }

  spec(changes: Partial<JobSpec> = {}): JobSpec {
    const nowMs = Date.now()
    return {
      ...specDefaults,
      network: 'test',
      submitter: this.submitter.publicKey,
      nonce: '0f'.repeat(16),
      createdAtMs: nowMs,
      expiresAtMs: nowMs + 3_600_000,
      task: { type: 'builtin', name: 'primes', version: 1 },
      source: { type: 'count', count: 100 },
      shardUnits: 64,
      ...changes,
    }
  }

  /** A job that the grid has, with what its workers computed. */
  job(changes: Partial<JobSpec> = {}, computed: Computed = (unit) => printed(`${unit}\n`)): FakeJob {
    const bytes = jobSpecCodec.encode(this.spec(changes))
    const job = new FakeJob({ bytes, signature: this.submitter.signer.sign('spec', bytes) }, computed)
    this.peers[0]!.jobs.set(job.jobId, job)
    if (unitCount(job.spec) === 0) throw new Error('a job without units')
    return job
  }
}

function callerOf({ nodeId, publicKey, idNonce }: Identity): Caller {
  return { nodeId, publicKey, idNonce, host: '127.0.0.1' }
}
