import { buildJob } from '../../client/submit/job-builder.js'
import { jobIdOf } from '../../job/spec/spec.js'
import { EMPTY_SUMMARY } from '../../job/summary.js'
import { shardUnits } from '../../job/units/shard.js'
import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { createIdentity, createVerifier } from '../../overlay/identity/identity.js'
import { Overlay, resolveOptions } from '../../overlay/index.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { ShardStatus, ShowReply, StatusReply, UnitStatus } from '../../proto/job-messages.js'
import { methods } from '../../proto/methods.js'
import type { Digest, JobId, JobSpec, Signed, Summary } from '../../proto/model.js'
import { systemClock } from '../../runtime/clock.js'
import { sha256 } from '../../runtime/hash.js'
import { fromHex, toHex } from '../../runtime/hex.js'
import { silentLogger } from '../../runtime/logger.js'
import { systemRandom } from '../../runtime/random.js'
import { takeRequest } from '../../runtime/take-request.js'
import type { Endpoint } from '../../runtime/transport.js'
import { VERSION } from '../../runtime/version.js'
import { answerParent } from '../support/processes/processes.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'

/*
 * Peers in one of several processes, each with its own identity, listener and overlay on loopback. What they say of one job is made
 * up: its units settle at a steady pace, one in a thousand fails, and homes push news as often as real ones may.
 */

/** The job that all peers tell of, as it travels between the processes. */
export interface MadeJob {
  readonly jobId: JobId
  /** Signed spec, hex. */
  readonly spec: string
  readonly signature: string
  readonly startedAtMs: number
  readonly pace: Pace
}

export interface Pace {
  readonly units: number
  /** Units decided at the start, and in a second from then on. */
  readonly begun: number
  readonly perSecond: number
}

interface StartRequest {
  readonly job: MadeJob
  readonly peers: number
  readonly seeds: readonly Endpoint[]
}

/** As often as a home pushes to a watcher. Unit: ms. */
const WATCH_MS = 250
const LEASED = 4_000
const WORKERS = 800
/** Which of a thousand units fails. */
const FAILS = 7
const PAGE = 1_000
const STARTED_AT_ONCE = 10
const SEEDS = 3
/** So many peers on one machine look after their tables six times less often, and wait longer: the dashboard does as ever. */
const PATIENT = resolveOptions('lan', {
  tickMs: 60_000,
  staleMs: 180_000,
  selfLookupMs: 600_000,
  rpcTimeoutMs: 5_000,
  rpcTimeoutMaxMs: 10_000,
})
const JOIN_MS = 5_000

interface Job {
  readonly spec: JobSpec
  readonly signed: Signed
  readonly shards: readonly number[]
  /** Units decided by now: all below this one. */
  decided(): number
}

const peers: { readonly endpoint: Endpoint; readonly overlay: Overlay }[] = []

/** Failed units below `unit`. */
function failedBelow(unit: number): number {
  return Math.floor((unit + 999 - FAILS) / 1_000)
}

function summaryOf({ decided }: Pick<Job, 'decided'>, first: number, end: number): Summary {
  const done = Math.max(0, Math.min(decided(), end) - first)
  const failed = done === 0 ? 0 : failedBelow(first + done) - failedBelow(first)
  const isWhole = end - first > 100_000
  return {
    ...EMPTY_SUMMARY,
    units: end - first,
    open: end - first - done,
    settled: done - failed,
    failed,
    leased: isWhole ? LEASED : Math.min(LEASED, end - first - done),
    granted: done + LEASED,
    answered: done * 2,
    disagreeing: Math.floor(done / 5_000),
    workers: WORKERS,
    donors: WORKERS,
    fuel: BigInt(done) * 1_000_000n,
  }
}

function statusOf({ decided }: Job, unit: number): UnitStatus {
  const done = unit < decided()
  const failed = done && unit % 1_000 === FAILS
  const outcome = failed ? 'exit' : 'done'
  return {
    unit,
    state: failed ? 'failed' : done ? 'settled' : 'open',
    instances: done || unit >= decided() + LEASED ? 0 : 1,
    answers: done ? 2 : 0,
    errors: 0,
    result: done ? { digest: unit.toString(16).padStart(64, '0') as Digest, outcome } : undefined,
    waiting: '',
  }
}

function rangeOf(spec: JobSpec, shard: number): readonly [first: number, end: number] {
  const [range] = shardUnits(spec, shard)
  return [range!.first, range!.first + range!.count]
}

function show(job: Job, withShards: boolean): ShowReply {
  const { spec, signed, shards } = job
  const statuses = shards.map((shard): ShardStatus => {
    const owner = peers[shard % peers.length]!.endpoint
    const [first, end] = rangeOf(spec, shard)
    return {
      shard,
      owner: owner.nodeId,
      ownerAddress: owner.address,
      summary: summaryOf(job, first, end),
      waiting: '',
      summaryAgeMs: 500,
      firstGrantAgoMs: 60_000,
    }
  })
  const total = rangeOf(spec, shards.at(-1)!)[1]
  return {
    spec: signed,
    orders: [],
    summary: summaryOf(job, 0, total),
    shards: withShards ? statuses : [],
    waiting: '',
    ageMs: 60_000,
    firstGrantAgeMs: 500,
    holders: [peers[0]!.endpoint.nodeId],
    wanted: 1,
  }
}

function serve(transport: GrpcTransport, job: Job, status: () => StatusReply): void {
  transport.handleUnary(methods.status, status)
  transport.handleUnary(methods.show, ({ withShards }) => show(job, withShards))
  transport.handleStream(methods.watch, (stream) =>
    takeRequest(systemClock, stream, ({ withShards }) => {
      const timer = setInterval(() => stream.send(show(job, withShards)), WATCH_MS)
      stream.onClose(() => clearInterval(timer))
      stream.send(show(job, withShards))
    }),
  )
  transport.handleStream(methods.listUnits, (stream) =>
    takeRequest(systemClock, stream, ({ shard, state, limit, fromUnit = 0 }) => {
      const [first, end] = rangeOf(job.spec, shard)
      let page: UnitStatus[] = []
      let left = limit
      for (let unit = Math.max(first, fromUnit); unit < end && left > 0; unit++) {
        const one = statusOf(job, unit)
        if (state !== undefined && one.state !== state) continue
        left--
        page.push(one)
        if (page.length === PAGE) {
          stream.send({ units: page })
          page = []
        }
      }
      if (page.length > 0) stream.send({ units: page })
      stream.end()
    }),
  )
}

async function startPeer(job: Job, number: number, seeds: readonly Endpoint[]): Promise<void> {
  const identity = createIdentity()
  const transport = new GrpcTransport({ identity, network: testNetwork, clock: systemClock, logger: silentLogger })
  serve(transport, job, () => ({
    peers: peers.length,
    workers: 4 + (number % 7),
    threads: 16 + (number % 40),
    jobs: 1,
    readyJobs: 1,
    settledLastMinute: 500 + (Math.floor(systemClock.now()) % 100),
    uptimeMs: systemClock.now(),
    version: VERSION,
    address: '',
    eligible: true,
    shards: 1 + (number % 5),
    storedBytes: number * 2 ** 20,
    wallMs: Date.now(),
    firstJobs: 0,
    firstReadyJobs: 0,
    firstSettledLastMinute: 100,
    countedWorkers: [{ version: VERSION, workers: 4, threads: 16 }],
  }))
  const port = await transport.listen({ host: '127.0.0.1', port: 0 })
  const endpoint = { nodeId: identity.nodeId, address: `127.0.0.1:${port}` }
  const overlay = new Overlay({
    clock: systemClock,
    random: systemRandom,
    transport,
    identity,
    verifier: createVerifier(),
    idWorkBits: testNetwork.idWorkBits,
    logger: silentLogger,
    options: PATIENT,
    listen: { addresses: [endpoint.address], features: [] },
  })
  peers.push({ endpoint, overlay })
  await overlay.start(seeds.map(({ address, nodeId }) => ({ address, nodeId })))
  // One that comes late goes on trying; how many are in is counted at the end.
  await overlay.whenJoined(JOIN_MS).catch(() => {})
}

/** Makes the job of a submitter of its own. */
async function makeJob(pace: Pace): Promise<MadeJob> {
  const submitter = createIdentity()
  const { spec } = await buildJob(
    {
      task: { type: 'builtin', name: 'primes', version: 1 },
      source: { type: 'count', count: pace.units },
      name: 'a million',
    },
    {
      sha256,
      random: systemRandom,
      nowMs: Date.now(),
      network: testNetwork.name,
      submitter: submitter.publicKey,
      peers: 200,
    },
  )
  const bytes = jobSpecCodec.encode(spec)
  return {
    jobId: jobIdOf(sha256, bytes),
    spec: toHex(bytes),
    signature: toHex(submitter.signer.sign('spec', bytes)),
    startedAtMs: Date.now(),
    pace,
  }
}

function readJob({ spec: hex, signature, startedAtMs, pace }: MadeJob): Job {
  const bytes = fromHex(hex)
  const spec = jobSpecCodec.decode(bytes)
  const { units, begun, perSecond } = pace
  return {
    spec,
    signed: { bytes, signature: fromHex(signature) },
    shards: Array.from({ length: Math.ceil(units / spec.shardUnits) }, (_, shard) => shard),
    decided: () => Math.min(units, Math.floor(begun + (perSecond * (Date.now() - startedAtMs)) / 1_000)),
  }
}

answerParent({
  make: makeJob,
  /** Starts peers; resolves to where they listen once most of them have joined. */
  start: async ({ job: made, peers: wanted, seeds }: StartRequest): Promise<readonly Endpoint[]> => {
    const job = readJob(made)
    for (let number = 0; number < wanted; number += STARTED_AT_ONCE) {
      const group = Array.from({ length: Math.min(STARTED_AT_ONCE, wanted - number) }, (_, i) => number + i)
      // Each through others: one peer cannot take them all at once.
      const known = [...seeds, ...peers.map(({ endpoint }) => endpoint)]
      if (known.length === 0) {
        await startPeer(job, 0, [])
        group.shift()
        known.push(peers[0]!.endpoint)
      }
      const some = () => Array.from({ length: SEEDS }, () => known[systemRandom.int(known.length)]!)
      await Promise.all(group.map((one) => startPeer(job, one, [known[0]!, ...some()])))
    }
    return peers.map(({ endpoint }) => endpoint)
  },
  joined: (): number => peers.filter(({ overlay }) => overlay.joined).length,
})
