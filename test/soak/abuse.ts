import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { healthCheck } from '../../overlay/channel/health.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import type { GridProcess } from '../../process/compose.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import { pause, systemClock } from '../../runtime/clock.js'
import { stopOfMany } from '../../runtime/stop.js'
import { deadline } from '../support/deadline.js'
import { Attack, type Target } from '../support/hostile/attack.js'
import type { Health } from '../support/processes/grid-process.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import { seededRandom } from '../support/seeded-random.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'
import { type Row, abuseRows as rows } from './abuse-rows.js'
import { type Soak, say, wholeNumber } from './soak.js'

/**
 * Units of the honest jobs take this long, without computing. So both grids together take about half of two cores in peace: where
 * they take all, a peer that has an attack to refuse beside its work is held up by the workers of the other one. Unit: ms.
 */
const UNIT_MS = 80
const WORKERS = 2
const WORKER_THREADS = 8
/** The honest job keeps at least this share of its pace, against that of a grid beside it that nobody attacks. */
const PACE_MIN = 0.5
/** The pace in peace is measured for so long before each row. Unit: ms. */
const CALM_MS = 5_000
/** What is alive in the peer, all that its quotas let strangers leave there included: the sum in docs/limits.md. Unit: bytes. */
const HEAP_MAX = 320 * 2 ** 20
/** What the system has lent it more than before: what is alive, what calls make it hold, and connections. Unit: bytes. */
const RSS_GROWTH_MAX = HEAP_MAX + 128 * 2 ** 20 + 200 * 2 ** 20
/** Health is answered within this time, or this many times what the grid beside it takes, on a busy machine. Unit: ms. */
const HEALTH_MS = 1_000
const HEALTH_RATIO_MAX = 4
/** Time between looks at the memory of the peer, and the pages it is counted in on x64 and arm64. Units: ms, bytes. */
const MEMORY_MS = 200
const PAGE_BYTES = 4_096
/** How long a peer under attack may take to say how a job stands. Unit: ms. */
const ASK_MS = 20_000
/** Calls of an attack may wait for so long: whoever floods stands behind everybody else. Unit: ms. */
const CALL_MS = 30_000
/** An attack is over a little after its time, when what it has under way is answered. Unit: ms. */
const END_MS = 60_000
/** Refusals that are shown of a row. */
const REFUSALS_SHOWN = 4

/** Attacks one peer, one way after the other, while an honest job runs there, and another in a grid beside it. */
export const abuse: Soak = {
  name: 'abuse',
  summary: `attacks on a peer while an honest job runs: ${Object.keys(rows).length} ways, 60 s each  [--seconds N] [--rows A,B] [--seed N]`,
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: { seconds: { type: 'string' }, rows: { type: 'string' }, seed: { type: 'string' } },
    })
    const seconds = wholeNumber('seconds', values.seconds, 60)
    const seed = wholeNumber('seed', values.seed, 1)
    const names = values.rows?.split(',') ?? Object.keys(rows)
    const unknown = names.find((name) => rows[name] === undefined)
    if (unknown !== undefined) throw new Error(`--rows: no '${unknown}'; known: ${Object.keys(rows).join(' ')}`)
    const stage = await Stage.set(names.length * (seconds + 30) + 60)
    try {
      await stage.attackedBy(names, seconds, seed)
      return undefined
    } finally {
      await stage.close()
    }
  },
}

/** A grid with a peer, honest workers and an honest job on it, and how it is doing. */
class Site {
  readonly peer: GridMember
  readonly jobId: JobId
  readonly client: GridProcess
  readonly #grid: ProcessGrid
  readonly #honest = new GrpcTransport({ identity: createIdentity(), network: testNetwork })

  private constructor(grid: ProcessGrid, peer: GridMember, client: GridProcess, jobId: JobId) {
    this.#grid = grid
    this.peer = peer
    this.client = client
    this.jobId = jobId
  }

  /** With work for so many `seconds`. */
  static async set(seconds: number): Promise<Site> {
    const grid = new ProcessGrid()
    const peer = await grid.peer()
    const { address } = peer.endpoint
    for (let i = 0; i < WORKERS; i++) await grid.worker([address], WORKER_THREADS)
    const client = await grid.client(address)
    const count = Math.ceil((2 * seconds * WORKERS * WORKER_THREADS * 1_000) / UNIT_MS)
    // Small shards: a place for the next one has to be found while the attack goes on.
    const shape = { count, ms: UNIT_MS, maxInstances: 100, shardUnits: 1_024 }
    const { jobId } = await grid.submitTrace(client, 'honest', shape)
    return new Site(grid, peer, client, jobId)
  }

  /** Units of the honest job that settle a second. */
  async pace(forMs: number): Promise<number> {
    const settled = async () => {
      const request = { jobId: this.jobId, withShards: false }
      const ask = () => this.#honest.call(this.peer.endpoint, methods.show, request, { deadlineMs: ASK_MS })
      // A connection may be lost on a busy machine; that it comes back at once is what counts.
      const { summary } = await ask().catch((error: unknown) => {
        say(`asked once more: ${error instanceof Error ? error.message : String(error)}`)
        return ask()
      })
      return { settled: summary.settled, atMs: performance.now() }
    }
    const first = await settled()
    await pause(systemClock, forMs)
    const last = await settled()
    return (1_000 * (last.settled - first.settled)) / (last.atMs - first.atMs)
  }

  /** How long the peer takes to say that it is well. Unit: ms. */
  async answers(): Promise<number> {
    const asked = performance.now()
    await this.#honest.call(this.peer.endpoint, healthCheck, '', { deadlineMs: ASK_MS })
    return performance.now() - asked
  }

  health(): Promise<Health> {
    return this.peer.process.ask<Health>('health')
  }

  async close(): Promise<void> {
    await this.#honest.close()
    await this.#grid.close()
  }
}

/** Two sites alike, one of which is attacked: what the machine has to do besides slows both. */
class Stage {
  readonly #attacked: Site
  readonly #beside: Site

  private constructor(attacked: Site, beside: Site) {
    this.#attacked = attacked
    this.#beside = beside
  }

  static async set(seconds: number): Promise<Stage> {
    return new Stage(await Site.set(seconds), await Site.set(seconds))
  }

  async attackedBy(names: readonly string[], seconds: number, seed: number): Promise<void> {
    const { peer, client, jobId } = this.#attacked
    const { signed } = await client.client().job(jobId)
    const target: Target = { endpoint: peer.endpoint, jobId, spec: signed }
    // The first seconds are spent on getting to know one another.
    await this.#paces(CALM_MS)
    const before = await this.#attacked.health()
    // All times of peace together: what else the machine has to do makes a short one say little.
    let calm = await this.#paces(2 * CALM_MS)
    say(`in peace: ${shown(calm)}, ${memoryOf(before)}`)
    const faults: string[] = []
    for (const name of names) {
      const peace = await this.#paces(CALM_MS)
      calm = { attacked: calm.attacked + peace.attacked, beside: calm.beside + peace.beside }
      const over = stopOfMany()
      const row = rows[name]!
      const attack = new Attack(target, seededRandom(seed), { signal: over.signal, callMs: CALL_MS, ...row.options })
      const run = this.#rounds(row, attack)
      // Awaited below; an attack that fails at once is not to end the process meanwhile.
      run.catch(() => {})
      const { pid } = peer.process
      const memory = watchMemory(pid)
      const cpuBefore = cpuSeconds(pid)
      const ownBefore = process.cpuUsage()
      const paces = await this.#paces(seconds * 1_000)
      const peakBytes = memory()
      const own = process.cpuUsage(ownBefore)
      const share = (cpu: number) => `${((100 * cpu) / seconds).toFixed(0)} %`
      const cpu = `${share(cpuSeconds(pid) - cpuBefore)} of a core, attacker ${share((own.user + own.system) / 1e6)}`
      over.abort()
      await deadline(run, END_MS, `${name} ends`)
      await attack.close()
      const [healthMs, besideMs] = await Promise.all([this.#attacked.answers(), this.#beside.answers()])
      const after = await this.#attacked.health()
      const kept = paces.attacked / paces.beside / (calm.attacked / calm.beside)
      say(
        `${name.padEnd(16)} ${String(attack.sent).padStart(8)} messages, pace ${(kept * 100).toFixed(0)} % (${shown(paces)}; ` +
          `before, ${shown(peace)}), health ${healthMs.toFixed(0)} ms (${besideMs.toFixed(0)}), ` +
          `${memoryOf(after)} (at most ${mib(peakBytes)}), peer ${cpu}; ${attack.held > 0 ? `${attack.held} held; ` : ''}${attack.summary()}`,
      )
      console.log(`             limit: ${row.limit}`)
      for (const { text, count } of attack.refusals().slice(0, REFUSALS_SHOWN))
        console.log(`             ${count} x ${text}`)
      const expect = (holds: boolean, what: string) => {
        if (!holds) faults.push(`${name}: ${what}`)
      }
      expect(kept >= PACE_MIN, `the honest job kept ${(kept * 100).toFixed(0)} % of its pace`)
      expect(after.heapBytes < HEAP_MAX, `${mib(after.heapBytes)} MiB are alive`)
      const most = Math.max(peakBytes, after.rssBytes)
      expect(most - before.rssBytes < RSS_GROWTH_MAX, `memory grew to ${mib(most)} MiB`)
      expect(healthMs < Math.max(HEALTH_MS, HEALTH_RATIO_MAX * besideMs), `health took ${healthMs.toFixed(0)} ms`)
      expect(after.unhandled.length === 0, `unhandled: ${after.unhandled[0]}`)
      expect(after.errors.length === 0, `logged as a fault: ${after.errors[0]}`)
      expect(attack.undocumented.length === 0, `undocumented: ${attack.undocumented[0]}`)
    }
    if (faults.length > 0) throw new Error(faults.join('\n'))
  }

  async close(): Promise<void> {
    await this.#attacked.close()
    await this.#beside.close()
  }

  async #rounds({ round }: Row, attack: Attack): Promise<void> {
    while (!attack.signal.aborted) await round(attack)
  }

  /** Of both sites, at the same time. */
  async #paces(forMs: number): Promise<Paces> {
    const [attacked, beside] = await Promise.all([this.#attacked.pace(forMs), this.#beside.pace(forMs)])
    return { attacked, beside }
  }
}

/** Units a second. */
interface Paces {
  readonly attacked: number
  readonly beside: number
}

function shown({ attacked, beside }: Paces): string {
  return `${attacked.toFixed(0)} and ${beside.toFixed(0)} units/s`
}

/** Watches what the system has lent a process until it is called: the most of it. Unit: bytes; 0 where there is no /proc. */
function watchMemory(pid: number | undefined): () => number {
  let most = 0
  const look = () => {
    try {
      const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
      most = Math.max(most, pages * PAGE_BYTES)
    } catch {
      // No such system, or the process has ended, which its next question tells.
    }
  }
  const timer = setInterval(look, MEMORY_MS)
  return () => {
    clearInterval(timer)
    return most
  }
}

/** Processor time of a process, its threads included. Unit: s, to a hundredth; 0 where there is no /proc. */
function cpuSeconds(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return 0
  }
}

/** Where the memory of a peer is after a collection: what the system lent, what is alive, and what lies beside the heap. */
function memoryOf({ rssBytes, heapBytes, heapTotalBytes, externalBytes, buffersBytes }: Health): string {
  return (
    `${mib(rssBytes)} MiB, heap ${mib(heapBytes)} of ${mib(heapTotalBytes)} MiB, ` +
    `external ${mib(externalBytes)} (buffers ${mib(buffersBytes)})`
  )
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}
