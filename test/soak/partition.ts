import { parseArgs } from 'node:util'
import * as assert from 'uvu/assert'
import type { GridProcess } from '../../process/compose.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import { pause, systemClock } from '../../runtime/clock.js'
import type { Endpoint } from '../../runtime/transport.js'
import { type Side, SplitNetwork } from '../support/processes/namespaces.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import { OwnerLoad, type Share, until } from './owner-load.js'
import { type Soak, say, wholeNumber } from './soak.js'

/** On each side. Three peers can own a shard without the others; two workers are two donors, who can settle a unit. */
const PEERS = 3
const WORKERS = 2
const FIRST_PORT = 7_301
const UNIT_MS = 250
/** Work for the time of the cut and so long before and after it. Unit: s. */
const AROUND_S = 30
const START_MS = 60_000
const FOUND_MS = 180_000
const END_MS = 300_000
const LOGS_CHARS_MAX = 20_000

/** Peers and workers of one side. */
interface Half {
  readonly side: Side
  readonly peers: readonly GridMember[]
  readonly workers: readonly GridMember[]
}

async function run(args: readonly string[]): Promise<{ readonly skipped: string } | undefined> {
  const { values } = parseArgs({ args: [...args], options: { seconds: { type: 'string' } } })
  const seconds = wholeNumber('seconds', values.seconds, 60)
  let network: SplitNetwork
  try {
    network = new SplitNetwork()
  } catch (error) {
    return { skipped: `no network namespaces can be made here (${(error as Error).message})` }
  }
  const grid = new ProcessGrid({ tapGrants: true })
  // Without this, Ctrl-C would leave the data directories; what is left of the network goes at the exit of the process.
  const stop = () => void grid.close().finally(() => process.exit(130))
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    await splitAndHeal(grid, network, seconds)
    return undefined
  } catch (error) {
    console.log(grid.processes.logs().slice(-LOGS_CHARS_MAX))
    throw error
  } finally {
    await grid.close()
    network.remove()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

async function splitAndHeal(grid: ProcessGrid, network: SplitNetwork, seconds: number): Promise<void> {
  const { halves, client } = await startHalves(grid, network)
  const everybody = halves.flatMap(({ peers }) => peers)
  const jobUnits = Math.ceil(((seconds + AROUND_S) * WORKERS * 1_000) / UNIT_MS)
  const load = new OwnerLoad(grid, client, { unitMs: UNIT_MS, jobUnits })
  await load.topUp()
  const jobId = await runningJob(load)
  const owners = (await load.ownersOf(jobId)).map(({ nodeId }) => nodeId)
  const spread = halves.map(({ peers }) => peers.filter(({ endpoint }) => owners.includes(endpoint.nodeId)).length)
  say(`work is granted; the shard has ${spread.join(' and ')} owners on the sides`)

  await load.noteDurable()
  network.cut()
  say(`cut for ${seconds} s`)
  await pause(systemClock, seconds * 500)
  const before = halves.map((half) => progressOf(grid, load, half))
  await pause(systemClock, seconds * 500)
  const after = halves.map((half) => progressOf(grid, load, half))
  const knownInCut = await knownPeers(client, halves[0]!.peers)
  network.heal()
  const healedAt = performance.now()
  for (const [i, { side }] of halves.entries()) {
    const granted = after[i]!.granted - before[i]!.granted
    const computed = after[i]!.computed - before[i]!.computed
    say(`second half of the cut, side ${side.name}: ${granted} instances granted, ${computed} computed`)
    assert.ok(granted > 0 && computed > 0, `side ${side.name} works on`)
  }
  say(`healed; before that peers of side a knew ${knownInCut.join(', ')} others`)

  const allKnown = async () => (await knownPeers(client, everybody)).every((known) => known >= everybody.length - 1)
  await until(allKnown, FOUND_MS, 'the sides know each other again')
  say(`all peers know one another ${((performance.now() - healedAt) / 1_000).toFixed(1)} s after the cut`)
  await load.finish(END_MS)
  const { granted, computed, needed } = load.figures
  say(
    `facts are equal on all owners ${((performance.now() - healedAt) / 1_000).toFixed(1)} s after the cut, at the latest`,
  )
  say(`${granted} instances granted, ${computed} computed, ${needed} needed: ${(computed / needed).toFixed(3)}`)
}

async function startHalves(grid: ProcessGrid, network: SplitNetwork): Promise<{ halves: Half[]; client: GridProcess }> {
  const addressOf = ({ host }: Side, peer: number) => `${host}:${FIRST_PORT + peer}`
  const numbers = Array.from({ length: PEERS }, (_, i) => i)
  const everywhere = network.sides.flatMap((side) => numbers.map((peer) => addressOf(side, peer)))
  const halves: Half[] = []
  for (const side of network.sides) {
    const peers: GridMember[] = []
    for (const peer of numbers) {
      const others = everywhere.filter((address) => address !== addressOf(side, peer))
      peers.push(await grid.peer(others, FIRST_PORT + peer, side))
    }
    halves.push({ side, peers, workers: [] })
  }
  const client = await grid.client(...everywhere)
  const everybody = halves.flatMap(({ peers }) => peers)
  const ready = async () => (await knownPeers(client, everybody)).every((known) => known >= everybody.length - 1)
  await until(ready, START_MS, 'the peers know one another')
  const whole: Half[] = []
  for (const half of halves) {
    const own = numbers.map((peer) => addressOf(half.side, peer))
    const start = () => grid.worker([...own, ...everywhere.filter((address) => !own.includes(address))], 1, half.side)
    whole.push({ ...half, workers: await Promise.all(Array.from({ length: WORKERS }, start)) })
  }
  say(`two sides of ${PEERS} peers and ${WORKERS} workers run; the submitter is on the first`)
  return { halves: whole, client }
}

/** Waits until the job is being computed and settled. */
async function runningJob(load: OwnerLoad): Promise<JobId> {
  let first: Share | undefined
  await until(
    async () => {
      ;[first] = await load.shares()
      return first !== undefined
    },
    START_MS,
    'work is granted',
  )
  return first!.jobId
}

/** What the owners of one side granted so far, and its workers computed to the end. */
function progressOf(grid: ProcessGrid, load: OwnerLoad, { peers, workers }: Half) {
  load.look()
  const names = new Set(peers.map(({ name }) => name))
  const pids = new Set(workers.map(({ process: { pid } }) => pid))
  const granted = load.granted.reduce((sum, { owner, count }) => sum + (names.has(owner) ? count : 0), 0)
  const ends = grid.traces('load-0').filter(({ what, worker }) => what === 'end' && pids.has(worker))
  return { granted, computed: ends.length }
}

/** How many others each of these peers knows. */
async function knownPeers({ client }: GridProcess, peers: readonly GridMember[]): Promise<number[]> {
  const { parts } = client()
  const ask = (endpoint: Endpoint) => parts.transport.call(endpoint, methods.status, {}, { deadlineMs: 5_000 })
  return Promise.all(peers.map(async ({ endpoint }) => (await ask(endpoint)).peers))
}

export const partition: Soak = {
  name: 'partition',
  summary:
    'two network namespaces cut from each other for a minute (--seconds N) and healed, with a job running on both',
  run,
}
