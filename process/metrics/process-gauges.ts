import { Counter, Gauge, type Registry } from 'prom-client'
import type { Summary } from '../../proto/model.js'
import { VERSION } from '../../runtime/version.js'
import type { GridProcess } from '../compose.js'

/** States of a unit, as `show` has them. */
const STATES = [
  'open',
  'accepted',
  'settled',
  'disputed',
  'held',
  'failed',
] as const satisfies readonly (keyof Summary)[]

/** What is read off the process at each scrape. */
export function processGauges(registry: Registry): (process: GridProcess) => Promise<void> {
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
