import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import * as assert from 'uvu/assert'
import { ResultsReader } from '../../client/index.js'
import type { GridProcess } from '../../process/compose.js'
import { methods } from '../../proto/methods.js'
import { pause, systemClock } from '../../runtime/clock.js'
import { systemRandom } from '../../runtime/random.js'
import { processCpuMs } from '../../worker/compute/process-cpu.js'
import { deadline } from '../support/deadline.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import { type Soak, say, wholeNumber } from './soak.js'

const PEERS = 100
/** Each starts up on a core; more at once would only wait for one another. */
const STARTING = 4
/** Peers that every one is told of at its start: enough that a join does not hang on one of them. */
const JOIN_AT = 3
const JOINED_MS = 120_000
/** What a join leaves to do (refreshes, first pings) is over by then. */
const SETTLE_MS = 15_000
const UNITS = 40
const UNIT_MS = 50
const OWNERS = 3
const JOB_MS = 180_000
/** What an idle peer may come to; the `idle` benchmark measures one alone (docs/benchmarks.md). */
const RSS_MAX = 200 * 2 ** 20

/** What a process held and used. */
interface Use {
  readonly rssBytes: number
  /** Its own, and its part of what it shares with the others. */
  readonly pssBytes: number
  /** Share of a core over the idle time. */
  readonly cpu: number
}

async function run(args: readonly string[]): Promise<{ readonly skipped: string } | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: { peers: { type: 'string' }, seconds: { type: 'string' } },
  })
  if (process.platform !== 'linux') return { skipped: 'memory and processor time are read from /proc' }
  const count = wholeNumber('peers', values.peers, PEERS)
  const seconds = wholeNumber('seconds', values.seconds, 60)
  if (count < 4) throw new Error('--peers: a job, its owners and two workers at other peers need 4')
  const grid = new ProcessGrid()
  try {
    const peers = await startPeers(grid, count)
    await idle(peers, seconds)
    await compute(grid, peers)
    return undefined
  } finally {
    await grid.close()
  }
}

async function startPeers(grid: ProcessGrid, count: number): Promise<GridMember[]> {
  const peers = [await grid.peer()]
  while (peers.length < count) {
    const known = peers.map(({ endpoint }) => endpoint.address)
    const starting = Math.min(STARTING, count - peers.length)
    peers.push(...(await Promise.all(Array.from({ length: starting }, () => grid.peer(chosen(known, JOIN_AT))))))
  }
  await Promise.all(peers.slice(1).map((peer) => peer.process.ask('joined', JOINED_MS, JOINED_MS)))
  say(`${count} peers have joined`)
  return peers
}

/** Some of `known`, at random. */
function chosen<T>(known: readonly T[], many: number): T[] {
  const left = [...known]
  return Array.from({ length: Math.min(many, left.length) }, () => left.splice(systemRandom.int(left.length), 1)[0]!)
}

async function idle(peers: readonly GridMember[], seconds: number): Promise<void> {
  await pause(systemClock, SETTLE_MS)
  const before = peers.map((peer) => ({ cpuMs: processCpuMs(peer.process.pid)!, atMs: performance.now() }))
  await pause(systemClock, seconds * 1_000)
  const uses = peers.map(({ process: { pid } }, i): Use => {
    const { cpuMs, atMs } = before[i]!
    const cpu = (processCpuMs(pid)! - cpuMs) / (performance.now() - atMs)
    return { rssBytes: rssOf(pid), pssBytes: pssOf(pid), cpu }
  })
  const line = (name: string, of: (use: Use) => number, unit: string) => {
    const sorted = uses.map(of).toSorted((a, b) => a - b)
    const sum = sorted.reduce((total, one) => total + one, 0)
    const [median, max] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!]
    say(`${name}: median ${median.toFixed(2)}, max ${max.toFixed(2)}, together ${sum.toFixed(2)} ${unit}`)
    return max
  }
  say(`idle for ${seconds} s:`)
  line('memory, shared pages divided', ({ pssBytes }) => pssBytes / 2 ** 20, 'MiB')
  const most = line('resident memory', ({ rssBytes }) => rssBytes / 2 ** 20, 'MiB')
  line('processor time', ({ cpu }) => cpu * 100, '% of a core')
  assert.ok(most < RSS_MAX / 2 ** 20, `an idle peer holds ${most.toFixed(0)} MiB`)
}

/** A job submitted at one peer is computed by workers that joined at two others. */
async function compute(grid: ProcessGrid, peers: readonly GridMember[]): Promise<void> {
  const [at, ...others] = chosen(
    peers.map(({ endpoint }) => endpoint.address),
    3,
  )
  const client = await grid.client(at!)
  await sayContacts(client, peers)
  const workers = await Promise.all(others.map((address) => grid.worker([address])))
  const submittedAt = performance.now()
  const { jobId, grid: session } = await grid.submitTrace(client, 'spread', {
    count: UNITS,
    ms: UNIT_MS,
    shardOwners: OWNERS,
  })
  const reading = (async () => {
    const seen = new Set<number>()
    const reader = new ResultsReader(session, await session.job(jobId), { order: 'settled', follow: true })
    for await (const { unit, output } of reader) {
      assert.is(new TextDecoder().decode(output?.stdout), `spread ${unit}`)
      assert.not.ok(seen.has(unit), `unit ${unit} came twice`)
      seen.add(unit)
      if (seen.size === 1)
        say(`the first result came ${(performance.now() - submittedAt).toFixed(0)} ms after submitting`)
    }
    return seen.size
  })()
  assert.is(await deadline(reading, JOB_MS, `the job ends\n${grid.processes.logs().slice(-20_000)}`), UNITS)
  const ends = grid.traces('spread').filter(({ what }) => what === 'end')
  for (const { name, process: computing } of workers) {
    const many = ends.filter(({ worker }) => worker === computing.pid).length
    say(`${name}, which joined at another peer than the submitter, computed ${many} instances`)
    assert.ok(many > 0, `${name} computes`)
  }
  say(
    `${UNITS} units of ${UNIT_MS} ms, ${ends.length} instances, in ${(performance.now() - submittedAt).toFixed(0)} ms`,
  )
}

async function sayContacts({ overlay, client }: GridProcess, peers: readonly GridMember[]): Promise<void> {
  const { parts } = client()
  const known: number[] = []
  let eligible = 0
  for (const { endpoint } of peers) {
    const status = await parts.transport.call(endpoint, methods.status, {}, { deadlineMs: 20_000 })
    known.push(status.peers)
    if (status.eligible) eligible++
  }
  known.sort((a, b) => a - b)
  say(
    `contacts of a peer: ${known[0]} to ${known.at(-1)}; ${eligible} of ${peers.length} may own; the client knows ${overlay.contacts().length}`,
  )
}

function rssOf(pid: number): number {
  return kilobytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS')
}

/** Proportional set size: see proc(5), `smaps_rollup`. */
function pssOf(pid: number): number {
  return kilobytes(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), 'Pss')
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024
}

export const manyPeers: Soak = {
  name: 'peers-100',
  summary: '100 peers (--peers N) idle for a minute (--seconds N): memory and CPU of each; then a job across them',
  run,
}
