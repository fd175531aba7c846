import { HeldShards } from '../coordinator/exchange/held-shards.js'
import { PeerLink } from '../coordinator/exchange/peer-link.js'
import { type ExchangeServiceContext, serveExchange } from '../coordinator/exchange/service.js'
import { type SyncResult, syncShards } from '../coordinator/exchange/sync.js'
import { BookedJob, RememberedGrants } from '../coordinator/jobs/booked-job.js'
import { DEFAULT_COORDINATOR_OPTIONS } from '../coordinator/options.js'
import { SqliteStore } from '../coordinator/store/sqlite-store.js'
import type { Write } from '../coordinator/store/store.js'
import { jobIdOf, specDefaults } from '../job/spec/spec.js'
import { GrpcTransport } from '../overlay/channel/grpc-transport.js'
import { createIdentity } from '../overlay/identity/identity.js'
import { grantCodec, reportCodec, reportFactCodec } from '../proto/codec/facts.js'
import { jobSpecCodec } from '../proto/codec/spec.js'
import type { OfferedFact } from '../proto/exchange-messages.js'
import type { Digest, JobSpec, PublicKey, Signed } from '../proto/model.js'
import { pause, systemClock } from '../runtime/clock.js'
import { sha256 } from '../runtime/hash.js'
import { utf8 } from '../runtime/hex.js'
import { silentLogger } from '../runtime/logger.js'
import type { CallOptions, Endpoint, Transport, UnaryMethod } from '../runtime/transport.js'
import { BENCH_NETWORK } from './grid.js'

/**
 * One of two owners of a shard with very many facts, in a process of its own: the real store, the real service and the real
 * sync, without what decides about units. The parent says what to do, line by line (`reconcile.ts`).
 */
const FILL_AT_ONCE = 5_000
const SHARD = 0

const [path = ''] = process.argv.slice(2)
const identity = createIdentity()
const store = SqliteStore.open(path)
const submitter = '5'.repeat(64) as PublicKey
const spec: JobSpec = {
  ...specDefaults,
  network: BENCH_NETWORK.name,
  submitter,
  nonce: '07'.repeat(16),
  createdAtMs: 1_750_000_000_000,
  expiresAtMs: Date.now() - (Date.now() % 86_400_000) + 10 * 86_400_000,
  task: { type: 'builtin', name: 'bench-hash', version: 1 },
  source: { type: 'count', count: 16_384 },
  shardUnits: 16_384,
}
const specBytes = jobSpecCodec.encode(spec)
const jobId = jobIdOf(sha256, specBytes)
const signed = { bytes: specBytes, signature: new Uint8Array(64) }
const verifier = { verify: () => true, nodeIdOf: () => identity.nodeId }
const job = new BookedJob(jobId, signed, spec, sha256, verifier, new RememberedGrants())
const report = reportCodec.encode({
  jobId,
  shard: SHARD,
  worker: submitter,
  donor: submitter,
  donorSignature: new Uint8Array(64),
  results: [{ unit: 1, outcome: 'done', digest: sha256(utf8('output')), outputBytes: 10, fuel: 1n }],
})
const grant = grantCodec.encode({
  jobId,
  shard: SHARD,
  grantor: submitter,
  grantorIdNonce: new Uint8Array(8),
  worker: submitter,
  age: 'older',
  nonce: '07'.repeat(8),
  runs: [{ first: 1, count: 1, opinion: 0 }],
  durationMs: 30_000,
})
const unsigned = (content: Uint8Array): Signed => ({ bytes: content, signature: new Uint8Array(64) })
const fact = reportFactCodec.encode({ report: unsigned(report), grants: [unsigned(grant)] })
const idOf = (index: number) => sha256(utf8(`fact ${index}`))
const writeOf = (factId: Digest): Write => ({ type: 'fact', jobId, shard: SHARD, factId, fact, outputs: [] })

const shards = new HeldShards({ self: identity.nodeId, clock: systemClock, sha256, store })
const held = shards.add(job, SHARD, true)
const transport = new GrpcTransport({ identity, network: BENCH_NETWORK })
let bytes = 0
let rounds = 0
let nextId = 0
const take = async (_: OfferedFact) => {
  const factId = idOf(nextId)
  await store.commit([writeOf(factId)])
  held.facts?.add(factId)
  return 'kept' as const
}
const unused = () => {
  throw new Error('not part of this benchmark')
}
serveExchange(transport, {
  clock: systemClock,
  store,
  commits: { drained: async () => {} } as unknown as ExchangeServiceContext['commits'],
  outputs: undefined as unknown as ExchangeServiceContext['outputs'],
  book: undefined as unknown as ExchangeServiceContext['book'],
  options: DEFAULT_COORDINATOR_OPTIONS,
  owner: unused,
  heldShard: (id, shard) => (id === jobId && shard === SHARD ? held : undefined),
  factsOf: (one) => shards.factsOf(one),
  isOwner: () => true,
  take,
  heardOutstanding: () => {},
})

const commands: Readonly<Record<string, (argument: never) => Promise<unknown>>> = {
  /** Facts 0 to `count` - 1 into an empty store. */
  fill: async ({ count }: { count: number }) => {
    await store.commit([
      { type: 'spec', jobId, role: 'shard', spec: signed, receivedAtMs: spec.createdAtMs },
      { type: 'shard', jobId, shard: SHARD, activatedAtMs: spec.createdAtMs },
    ])
    for (let at = 0; at < count; at += FILL_AT_ONCE)
      await store.commit(Array.from({ length: Math.min(FILL_AT_ONCE, count - at) }, (_, i) => writeOf(idOf(at + i))))
  },
  close: async () => store.close(),
  add: async ({ index }: { index: number }) => {
    await store.commit([writeOf(idOf(index))])
    held.facts?.add(idOf(index))
  },
  /** Reads the ids, as an owner does when it starts. */
  load: async () => {
    const startedAt = performance.now()
    const facts = await shards.factsOf(held)
    const loadMs = performance.now() - startedAt
    while (!shards.isWarm(held)) await pause(systemClock, 20)
    return { facts: facts.size, loadMs: Math.round(loadMs) }
  },
  listen: async () => ({
    nodeId: identity.nodeId,
    address: `127.0.0.1:${await transport.listen({ host: '127.0.0.1', port: 0 })}`,
  }),
  /** What a sync takes in is fact `next`. */
  expect: async ({ next }: { next: number }) => {
    nextId = next
  },
  cpuMs: async () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
  sync: async ({ peer }: { peer: Endpoint }) => {
    const counted = {
      call: async <Q, R>(to: Endpoint, method: UnaryMethod<Q, R>, request: Q, options: CallOptions) => {
        rounds++
        bytes += method.request.encode(request).length
        const reply = await transport.call(to, method, request, options)
        bytes += method.response.encode(reply).length
        return reply
      },
    } satisfies Pick<Transport, 'call'> as unknown as Transport
    const link = new PeerLink({ transport: counted, onChange: () => {} }, peer)
    bytes = 0
    rounds = 0
    const [result] = (await syncShards(
      { logger: silentLogger, store, factsOf: (one) => shards.factsOf(one), take },
      link,
      [held],
    )) as readonly SyncResult[]
    return { outcome: result?.outcome, bytes, rounds, facts: held.facts?.size }
  },
}

process.on('message', (message: { id: number; command: string; argument: never }) => {
  void commands[message.command]!(message.argument).then(
    (value) => process.send!({ id: message.id, value }),
    (error: unknown) => process.send!({ id: message.id, error: String((error as Error).stack) }),
  )
})
process.on('disconnect', () => process.exit(0))
