import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as assert from 'uvu/assert'
import { printRandom } from '../../cli/sandbox-check/programs.js'
import { AdminClient } from '../../process/admin/admin-client.js'
import type { WorkerState } from '../../proto/admin-messages.js'
import { pause, systemClock } from '../../runtime/clock.js'
import { type ClusterProcess, expectCode, GridCluster, type ProcessOptions } from '../support/processes/grid-cluster.js'
import { type Soak, say } from './soak.js'

/** Changes are to be felt within this time. Unit: ms. */
const FELT_MS = 10_000
/** Time for a worker to find work. */
const WORK_MS = 60_000
const MIB = 2 ** 20
const SHIFTED = `--import=${new URL('../support/processes/shifted-clock.js', import.meta.url).href}`

/** One worker with its preferences, on a grid of one peer. */
class Stage {
  readonly cluster = new GridCluster()
  readonly root = join(this.cluster.folder, 'machine')
  readonly #clock = join(this.cluster.folder, 'clock')
  #environment: Readonly<Record<string, string>> = {}
  #admin: AdminClient | undefined
  worker!: ClusterProcess

  /** All processes have this wall clock from now on, in this time zone. */
  clock(instant: string, zone = 'UTC'): void {
    // Whole at once: processes read it all the time.
    writeFileSync(this.#clock, String(Date.parse(instant) - Date.now()).padEnd(24))
    this.#environment = { NODE_OPTIONS: SHIFTED, SHIFTED_CLOCK: this.#clock, TZ: zone }
  }

  /** Changes the machine that the worker sees. */
  machine(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), `${text}\n`)
  }

  async peer(name = 'node'): Promise<void> {
    await this.cluster.node(name, [], { environment: this.#environment })
  }

  async start(args: readonly string[] = [], environment: Record<string, string> = {}): Promise<void> {
    this.worker = await this.cluster.worker('worker', args, { environment: { ...this.#environment, ...environment } })
    this.#admin = new AdminClient(join(this.cluster.folder, 'worker', 'admin', 'socket'))
  }

  async submit(args: readonly string[], options: ProcessOptions = {}): Promise<string> {
    const check = args.includes('--quorum') ? [] : ['--verify', 'none']
    const result = await this.cluster.command(['submit', ...args, ...check, '--no-trial'], {
      ...options,
      environment: { ...this.#environment, ...options.environment },
    })
    expectCode(result, 0)
    return result.stdout.trim()
  }

  /** Units that take hours: there is always something to compute. */
  async endless(): Promise<string> {
    return this.submit(['primes', '--range', '0..10^14:10^12', '--wall', '1d'])
  }

  async prefer(name: string, value: string): Promise<void> {
    await this.#admin!.prefer([{ name, value }])
  }

  async state(): Promise<WorkerState> {
    const { worker } = await this.#admin!.state()
    assert.ok(worker)
    return worker
  }

  /** Waits until it computes, or until these restraints hold and no others. */
  async computes(): Promise<void> {
    await this.until(async () => {
      const { restraints, threads } = await this.state()
      return restraints.length === 0 && threads.some(({ unit }) => unit !== undefined)
    }, 'it computes')
  }

  async restrained(expected: RegExp): Promise<number> {
    let seen: WorkerState['restraints'] = []
    const isSo = async () => {
      seen = (await this.state()).restraints
      return seen.length === 1 && expected.test(`${seen[0]!.preference}: ${seen[0]!.reason}`)
    }
    await this.until(isSo, `${expected} holds`, FELT_MS).catch((error: Error) => {
      throw new Error(`${error.message}\nseen: ${JSON.stringify(seen)}`)
    })
    return seen[0]!.untilMs
  }

  async until(condition: () => boolean | Promise<boolean>, what: string, withinMs = WORK_MS): Promise<void> {
    await this.cluster.until(condition, what, withinMs)
  }

  get computePid(): number {
    const children = readFileSync(`/proc/${this.worker.pid}/task/${this.worker.pid}/children`, 'utf8').trim().split(' ')
    return children.map(Number).find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('manyhands'))!
  }

  async close(): Promise<void> {
    this.#admin?.close()
    await this.cluster.close()
  }
}

type Part = (stage: Stage) => Promise<void>

/** In Berlin clocks went from 2:00 to 3:00 on 29 March 2026, at 1:00 UTC. */
const forward: Part = async (stage) => {
  stage.clock('2026-03-29T00:45:00Z', 'Europe/Berlin')
  await stage.peer()
  await stage.endless()
  await stage.start(['--hours', '01:30-02:30'])
  await stage.computes()
  stage.clock('2026-03-29T01:00:10Z', 'Europe/Berlin')
  const untilMs = await stage.restrained(/^hours: outside 01:30-02:30$/)
  assert.is(untilMs, Date.parse('2026-03-29T23:30:00Z'), 'the next evening, in summer time')
  await stage.prefer('hours', '03:00-04:00')
  await stage.computes()
  await stage.prefer('days', 'mon-fri')
  await stage.restrained(/^hours: outside 03:00-04:00 mon,tue,wed,thu,fri$|^hours: outside 03:00-04:00 mon-fri$/)
  stage.clock('2026-03-30T01:30:00Z', 'Europe/Berlin')
  await stage.computes()
}

/** On 25 October 2026 from 3:00 back to 2:00, at 1:00 UTC: the hour from 2:00 to 3:00 is there twice. */
const backward: Part = async (stage) => {
  stage.clock('2026-10-25T00:30:00Z', 'Europe/Berlin')
  await stage.peer()
  await stage.endless()
  await stage.start(['--hours', '02:00-03:00'])
  await stage.computes()
  stage.clock('2026-10-25T01:30:00Z', 'Europe/Berlin')
  await stage.prefer('cpu-time', '100%')
  await stage.computes()
  stage.clock('2026-10-25T02:00:10Z', 'Europe/Berlin')
  const untilMs = await stage.restrained(/^hours: outside 02:00-03:00$/)
  assert.is(untilMs, Date.parse('2026-10-26T01:00:00Z'), 'the next night, in winter time')
}

/** Bytes that do not compress, as an input of all units. */
function input(stage: Stage, name: string, bytes: number): string {
  const path = join(stage.cluster.folder, name)
  const content = Buffer.alloc(bytes)
  for (let i = 0; i < bytes; i += 4) content.writeUInt32LE(Math.imul(i + name.length, 2_654_435_761) >>> 0, i)
  writeFileSync(path, content)
  return path
}

function program(stage: Stage): string {
  const path = join(stage.cluster.folder, 'random.wasm')
  writeFileSync(path, printRandom())
  return path
}

const rate: Part = async (stage) => {
  await stage.peer()
  const bytes = 4 * MIB
  await stage.start(['--rate', '512KiB'])
  const startedAt = performance.now()
  const job = await stage.submit([program(stage), '--count', '1', '--in', input(stage, 'in', bytes)])
  expectCode(await stage.cluster.command(['wait', job]), 0)
  const tookMs = performance.now() - startedAt
  say(`rate: ${bytes / MIB} MiB at 512 KiB a second took ${(tookMs / 1_000).toFixed(1)} s`)
  assert.ok(tookMs > 6_000, 'seven eighths of what that takes at least')
}

/** Bytes of all files below a folder. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((one) => one.isFile())
    .reduce((sum, one) => sum + statSync(join(one.parentPath, one.name)).size, 0)
}

const disk: Part = async (stage) => {
  await stage.peer()
  await stage.start(['--disk', '64MiB'])
  const wasm = program(stage)
  const kept = join(stage.cluster.folder, 'worker')
  for (const name of ['a', 'bb', 'ccc', 'dddd']) {
    const job = await stage.submit([wasm, '--count', '2', '--in', input(stage, name, 24 * MIB)])
    expectCode(await stage.cluster.command(['wait', job]), 0)
    const mib = sizeOf(kept) / MIB
    say(`disk: ${mib.toFixed(2)} MiB in the data directory after a job with 24 MiB of input`)
    // What a job that is not closed yet holds stays, and everything else besides inputs is small.
    assert.ok(mib < 64 + 1, `${mib} MiB`)
  }
}

const whenIdle: Part = async (stage) => {
  let busy = 0
  let rest = 1_000
  const tell = () => stage.machine('proc/stat', `cpu  ${busy} 0 10 ${rest} 0 0 0 0 0 0`)
  tell()
  await stage.peer()
  await stage.endless()
  await stage.start(['--when-idle', '8s'], { MANYHANDS_SYSTEM_ROOT: stage.root })
  await stage.restrained(/^when-idle: in use/)
  await stage.computes()
  const use = setInterval(() => {
    busy += 300
    rest += 10
    tell()
  }, 500)
  try {
    await stage.restrained(/^when-idle: in use/)
  } finally {
    clearInterval(use)
  }
  await stage.computes()
}

const forWhile: Part = async (stage) => {
  await stage.peer()
  await stage.submit(['primes', '--range', '0..10^12:10^8'])
  await stage.start(['--for', '15s'])
  const startedAt = performance.now()
  assert.is(await stage.worker.exited, 0, stage.worker.stderr)
  const ranMs = performance.now() - startedAt
  say(`for: ended after ${(ranMs / 1_000).toFixed(1)} s, having been told 15 s`)
  assert.ok(ranMs > 10_000 && ranMs < 45_000, `${ranMs} ms`)
  const [settled] = await settledOf(stage, [{ data: 'submitter', job: 'last' }])
  assert.ok(settled! > 0, 'what it computed counts')
}

/** Settled units of each of two submitters. */
async function settledOf(stage: Stage, jobs: readonly { data: string; job: string }[]): Promise<number[]> {
  const counts: number[] = []
  for (const { data, job } of jobs) {
    // On a machine with its hands full no peer may answer in time.
    const isShown = async () => {
      const { code, stdout } = await stage.cluster.command(['show', job, '--json'], { data })
      if (code === 0) counts.push((JSON.parse(stdout) as { summary: { settled: number } }).summary.settled)
      return code === 0
    }
    await stage.until(isShown, `${job} of ${data} is shown`)
  }
  return counts
}

async function keyOf(stage: Stage, data: string): Promise<string> {
  const { stdout } = await stage.cluster.command(['id', '--json'], { data })
  return (JSON.parse(stdout) as { publicKey: string }).publicKey
}

/** Their units are of `sizes` numbers each. With two peers each gives out the job of one. */
async function twoSubmitters(
  stage: Stage,
  peers = 1,
  sizes: readonly [number, number] = [20_000_000, 20_000_000],
  quorum = 1,
): Promise<{ data: string; job: string }[]> {
  const owners: string[] = []
  for (let i = 0; i < peers; i++) {
    await stage.peer(`node-${i}`)
    owners.push(await keyOf(stage, `node-${i}`))
  }
  const jobs: { data: string; job: string }[] = []
  for (const [i, data] of ['alice', 'bob'].entries()) {
    const shared = quorum === 1 ? [] : ['--quorum', String(quorum)]
    const apart = peers === 1 || quorum > 1 ? shared : ['--owners', owners[i]!]
    jobs.push({ data, job: await stage.submit(['primes', '--range', `0..10^12:${sizes[i]}`, ...apart], { data }) })
  }
  return jobs
}

/** No owner sees both jobs, and units of one take five times as long. */
const weightApart: Part = (stage) => sharesByWeight(stage, 2, [20_000_000, 100_000_000])
const weight: Part = (stage) => sharesByWeight(stage, 1, [20_000_000, 20_000_000])
/** Each unit takes two workers, which wait for one another's answers, and three owners share both jobs. */
const weightQuorum: Part = (stage) => sharesByWeight(stage, 3, [20_000_000, 60_000_000], 2)

async function sharesByWeight(
  stage: Stage,
  peers: number,
  sizes: readonly [number, number],
  quorum = 1,
): Promise<void> {
  const jobs = await twoSubmitters(stage, peers, sizes, quorum)
  mkdirSync(join(stage.cluster.folder, 'manyhands'), { recursive: true })
  const names = [`alice = "${await keyOf(stage, 'alice')}"`, `bob = "${await keyOf(stage, 'bob')}"`]
  const file = ['[names]', ...names, '[weight]', 'alice = 3', ''].join('\n')
  writeFileSync(join(stage.cluster.folder, 'manyhands', 'config.toml'), file)
  await stage.start()
  for (let i = 1; i < quorum; i++) await stage.cluster.worker(`worker-${i}`)
  // Weights count work, and how long a unit takes is not known at first. How long all take is the machine's.
  const reach = async (units: number) => {
    let counts = await settledOf(stage, jobs)
    for (let had = counts[0]! + counts[1]!; had < units; had = counts[0]! + counts[1]!) {
      const hasGained = async () => {
        counts = await settledOf(stage, jobs)
        return counts[0]! + counts[1]! > had
      }
      await stage.until(hasGained, `more than ${had} of ${units} units are settled`)
    }
    return counts as [number, number]
  }
  const before = await reach(100)
  const after = await reach(before[0] + before[1] + 160)
  const [alice, bob] = [after[0] - before[0], after[1] - before[1]]
  const ratio = (alice * sizes[0]) / (bob * sizes[1])
  say(`weight: ${alice} units of alice with weight 3, ${bob} of bob; ${ratio.toFixed(2)} to 1 in time`)
  // By the time that units take, as it was measured: on a busy machine that is not the same for both.
  assert.ok(ratio > 1.5 && ratio < 8, `${ratio} to 1`)
}

const acceptRefuse: Part = async (stage) => {
  const jobs = await twoSubmitters(stage)
  const alice = await keyOf(stage, 'alice')
  const gains = async (alices: boolean, bobs: boolean, what: string) => {
    // What was in hand before may still come.
    await stage.until(async () => (await stage.state()).held > 0, `${what}: there is something in hand`)
    await pause(systemClock, 3_000)
    const before = await settledOf(stage, jobs)
    const hasGained = async () => {
      const [a, b] = await settledOf(stage, jobs)
      return (!alices || a! > before[0]! + 5) && (!bobs || b! > before[1]! + 5)
    }
    await stage.until(hasGained, `${what}: who is computed for gets on`)
    const now = await settledOf(stage, jobs)
    if (!alices) assert.is(now[0], before[0], `${what}: nothing for alice`)
    if (!bobs) assert.is(now[1], before[1], `${what}: nothing for bob`)
    say(`accept, refuse: ${what}: ${now[0]! - before[0]!} of alice, ${now[1]! - before[1]!} of bob`)
  }
  await stage.start()
  await stage.prefer('accept', alice)
  await gains(true, false, 'alice is accepted')
  await stage.prefer('accept', '')
  await stage.prefer('refuse', alice)
  await gains(false, true, 'alice is refused')
  await stage.prefer('refuse', '')
}

/** Stopped by hand, for longer than a unit may take. */
const stopped: Part = async (stage) => {
  if (process.platform !== 'linux') return
  await stage.peer()
  const job = await stage.submit(['primes', '--range', '0..800000000:400000000', '--wall', '20s'])
  await stage.start()
  await stage.computes()
  const pid = stage.computePid
  process.kill(pid, 'SIGSTOP')
  try {
    await stage.restrained(new RegExp(`^stopped: .*'kill -CONT ${pid}' lets it go on$`))
    await stage.until(() => stage.worker.stderr.includes('was stopped from outside'), 'the line says so', FELT_MS)
    await pause(systemClock, 30_000)
    assert.ok((await stage.state()).held > 0, 'what is in hand is kept')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  expectCode(await stage.cluster.command(['wait', job]), 0)
  const { stdout } = await stage.cluster.command(['units', job, '--json'])
  say(`stopped: for 30 s, and nothing was lost: ${stdout.trim().split('\n').length} units settled`)
  const { agreed, disagreed } = await stage.state()
  assert.equal([agreed, disagreed], [2, 0])
}

const parts: Readonly<Record<string, Part>> = {
  forward,
  backward,
  rate,
  disk,
  'when-idle': whenIdle,
  for: forWhile,
  weight,
  'weight-apart': weightApart,
  'weight-quorum': weightQuorum,
  accept: acceptRefuse,
  stopped,
}

/** Preferences that take long to see, each with a real worker on a grid of its own. */
export const preferences: Soak = {
  name: 'preferences',
  summary: `a volunteer's preferences with real processes: ${Object.keys(parts).join(', ')}; all, or those named; 5 min`,
  async run(args) {
    const failures: string[] = []
    for (const name of args.length === 0 ? Object.keys(parts) : args) {
      const part = parts[name]
      if (part === undefined) throw new Error(`there is no part ${name}: ${Object.keys(parts).join(', ')}`)
      const stage = new Stage()
      const startedAt = performance.now()
      let end = 'ok'
      await part(stage)
        .catch((error: Error) => {
          end = 'FAIL'
          failures.push(`${name}: ${error.message}\n${stage.cluster.logs()}`)
        })
        .finally(() => stage.close())
      say(`${end.padEnd(4)}  ${name}, ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`)
    }
    if (failures.length > 0) throw new Error(failures.join('\n\n'))
    return undefined
  },
}
