import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Summary } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { VERSION } from '../../runtime/version.js'
import type { GridProcess } from '../compose.js'
import type { Ending, Side, TransportMeter } from './measured-transport.js'

/**
 * Metrics of a process for Prometheus; docs/operating.md lists them all. Labels take values from this program alone: methods, error
 * codes, states, types of messages. Never an id, a name or an address, of which strangers can make as many as they like.
 */
export interface ProcessMetrics extends TransportMeter {
  /** What {@link scrape} asks; set once the process runs. */
  watch(process: GridProcess): void
  /** The text exposition format, 0.0.4. */
  readonly contentType: string
  scrape(): Promise<string>
  close(): void
}

/** Upper bounds of the latency histogram: a ping on a LAN to the deadline of a call. Unit: s. */
const LATENCY_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10]
const PREFIX = '/manyhands.v1.'
const WORK = `${PREFIX}Coordinator/Work`

/** States of a unit, as `show` has them. */
const STATES = [
  'open',
  'accepted',
  'settled',
  'disputed',
  'held',
  'failed',
] as const satisfies readonly (keyof Summary)[]

/** Types of messages between worker and owner; a type that is not among them is not counted. */
const WORK_TYPES: ReadonlySet<string> = new Set([
  'hello',
  'want',
  'report',
  'progress',
  'handBack',
  'welcome',
  'spec',
  'grant',
  'ack',
  'settled',
  'withdraw',
  'noWork',
  'fetch',
  'refused',
])

interface WorkMessage {
  readonly type?: unknown
  readonly reports?: unknown
  readonly agreed?: unknown
  readonly disagreed?: unknown
}

/** Makes the metrics of one process. Costs a few microseconds a call or message. */
export function prometheusMetrics(): ProcessMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const rpcs = new Counter({
    name: 'manyhands_rpc_total',
    help: 'Unary calls that ended, by method, side and code',
    labelNames: ['method', 'side', 'code'],
    registers,
  })
  const latency = new Histogram({
    name: 'manyhands_rpc_duration_seconds',
    help: 'Time of unary calls, by method and side',
    labelNames: ['method', 'side'],
    buckets: LATENCY_BUCKETS_S,
    registers,
  })
  const streamsOpen = new Gauge({
    name: 'manyhands_streams_open',
    help: 'Streams open, by method and side',
    labelNames: ['method', 'side'],
    registers,
  })
  const streams = new Counter({
    name: 'manyhands_streams_total',
    help: 'Streams that ended, by method, side and code',
    labelNames: ['method', 'side', 'code'],
    registers,
  })
  const bytes = new Counter({
    name: 'manyhands_message_bytes_total',
    help: 'Bytes of messages without what gRPC and TLS add, by method and direction',
    labelNames: ['method', 'direction'],
    registers,
  })
  const work = new Counter({
    name: 'manyhands_work_messages_total',
    help: 'Messages between workers and owners, by side (server: as owner), direction and type: grant, report, ack, settled ...',
    labelNames: ['side', 'direction', 'type'],
    registers,
  })
  const acknowledged = new Counter({
    name: 'manyhands_reports_acknowledged_total',
    help: 'Reports acknowledged, by side (server: as owner, client: as worker)',
    labelNames: ['side'],
    registers,
  })
  const verdicts = new Counter({
    name: 'manyhands_verdicts_total',
    help: 'Answers of workers that were told to have counted or not, by side and verdict (agreed, disagreed)',
    labelNames: ['side', 'verdict'],
    registers,
  })
  const isClosed = new AbortController()
  let watched: GridProcess | undefined
  const gauges = processGauges(registry)

  return {
    unaryEnded(path: string, side: Side, ending: Ending, durationMs: Millis) {
      const method = methodOf(path)
      rpcs.inc({ method, side, code: ending })
      latency.observe({ method, side }, durationMs / 1000)
    },
    streamOpened: (path, side) => streamsOpen.inc({ method: methodOf(path), side }),
    streamEnded(path, side, ending) {
      const method = methodOf(path)
      streamsOpen.dec({ method, side })
      streams.inc({ method, side, code: ending })
    },
    streamMessage(path, side, direction, message) {
      if (path !== WORK) return
      const { type, reports, agreed, disagreed } = message as WorkMessage
      if (typeof type !== 'string' || !WORK_TYPES.has(type)) return
      work.inc({ side, direction, type })
      if (type === 'ack') acknowledged.inc({ side }, lengthOf(reports))
      if (type === 'settled') {
        verdicts.inc({ side, verdict: 'agreed' }, lengthOf(agreed))
        verdicts.inc({ side, verdict: 'disagreed' }, lengthOf(disagreed))
      }
    },
    bytes: (path, direction, count) => bytes.inc({ method: methodOf(path), direction }, count),
    watch: (process) => {
      watched = process
    },
    contentType: registry.contentType,
    async scrape() {
      if (watched !== undefined && !isClosed.signal.aborted) await gauges(watched)
      return registry.metrics()
    },
    close: () => {
      isClosed.abort()
      registry.clear()
    },
  }
}

function methodOf(path: string): string {
  return path.startsWith(PREFIX) ? path.slice(PREFIX.length) : path.slice(1)
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}

/** What is read off the process at each scrape. */
function processGauges(registry: Registry): (process: GridProcess) => Promise<void> {
  const registers = [registry]
  const gauge = (name: string, help: string) => new Gauge({ name: `manyhands_${name}`, help, registers })
  const labelled = (name: string, help: string, label: string) =>
    new Gauge({ name: `manyhands_${name}`, help, labelNames: [label], registers })
  const build = labelled('build_info', '1, with the version as a label', 'version')
  build.set({ version: VERSION }, 1)
  const peers = gauge('peers', 'Peers in the routing table')
  const eligible = gauge('eligible', '1: peers have dialled this one back, so it may own')
  const joined = gauge('joined', '1: the network was found')
  const connections = labelled('connections', 'Connections open, by side (client: dialled)', 'side')
  const stores = labelled(
    'store_bytes',
    'Bytes kept, by store (facts: the database, blobs: inputs and outputs)',
    'store',
  )
  const jobs = gauge('jobs', 'Jobs with a shard here')
  const readyJobs = gauge('ready_jobs', 'Of these, jobs with ready work')
  const shards = gauge('shards_open', 'Shards in memory')
  const units = labelled('units', 'Units of the shards in memory, by state', 'state')
  const leased = gauge('units_leased', 'Instances being computed, as this owner sees it')
  const workers = gauge('workers', 'Workers connected to this owner')
  const workerThreads = gauge('workers_threads', 'Threads of these workers')
  const settled = gauge('units_settled_last_minute', 'Units settled here in the last minute')
  const queue = labelled('commit_queue', 'What waits to be written to disk, by unit (writes, bytes)', 'unit')
  const threads = gauge('worker_threads', 'Threads that this worker donates')
  const held = gauge('worker_units_held', 'Units in hand at this worker')
  const running = gauge('worker_units_running', 'Of these, units being computed')
  const unsettled = gauge('worker_units_unsettled', 'Units reported and not settled yet')
  const owners = gauge('worker_owners', 'Owners this worker is connected to')
  const computed = new Counter({ name: 'manyhands_worker_units_computed_total', help: 'Units computed', registers })
  const answers = new Counter({
    name: 'manyhands_worker_answers_total',
    help: 'Answers of this worker that were settled, by verdict (agreed, disagreed)',
    labelNames: ['verdict'],
    registers,
  })
  const fuel = new Counter({ name: 'manyhands_worker_fuel_total', help: 'Fuel of the units computed', registers })

  return async ({ overlay, coordinator, worker, threads: donated, connectionsNow, storeSizes }) => {
    peers.set(overlay.contacts().length)
    eligible.set(overlay.eligible ? 1 : 0)
    joined.set(overlay.joined ? 1 : 0)
    const open = connectionsNow()
    connections.set({ side: 'server' }, open.accepted)
    connections.set({ side: 'client' }, open.dialled)
    const sizes = await storeSizes()
    stores.set({ store: 'facts' }, sizes.factBytes)
    stores.set({ store: 'blobs' }, sizes.blobBytes)
    if (coordinator !== undefined) {
      const status = coordinator.status()
      jobs.set(status.jobs)
      readyJobs.set(status.readyJobs)
      workers.set(status.workers)
      workerThreads.set(status.threads)
      settled.set(status.settledLastMinute)
      const counts = unitCounts(coordinator.owner.core.jobs())
      shards.set(counts.shards)
      leased.set(counts.leased)
      for (const state of STATES) units.set({ state }, counts.byState[state])
      const { writes, bytes } = coordinator.queued
      queue.set({ unit: 'writes' }, writes)
      queue.set({ unit: 'bytes' }, bytes)
    }
    threads.set(donated)
    if (worker !== undefined) {
      const now = worker.now()
      held.set(now.held)
      running.set(now.running)
      unsettled.set(now.unsettled)
      owners.set(now.owners)
      // The worker counts; here stands what it says.
      for (const counter of [computed, answers, fuel]) counter.reset()
      computed.inc(now.computed)
      answers.inc({ verdict: 'agreed' }, now.agreed)
      answers.inc({ verdict: 'disagreed' }, now.disagreed)
      fuel.inc(Number(now.fuel))
    }
  }
}

interface JobCounts {
  readonly shards: ReadonlyMap<number, { summary(workers: number, donors: number, ready: number): Summary }>
}

function unitCounts(jobs: Iterable<JobCounts>) {
  const byState = { open: 0, accepted: 0, settled: 0, disputed: 0, held: 0, failed: 0 }
  let shards = 0
  let leased = 0
  for (const job of jobs) {
    for (const shard of job.shards.values()) {
      // Workers and donors are not looked at: what the shard counts anyway is all that is wanted.
      const summary = shard.summary(0, 0, 0)
      shards++
      leased += summary.leased
      for (const state of STATES) byState[state] += summary[state]
    }
  }
  return { byState, shards, leased }
}
