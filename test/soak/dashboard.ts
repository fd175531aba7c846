import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pause, systemClock } from '../../runtime/clock.js'
import type { Endpoint } from '../../runtime/transport.js'
import { type TestProcess, TestProcesses } from '../support/processes/processes.js'
import { hasTmux, TmuxScreen } from '../support/processes/tmux.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'
import type { MadeJob, Pace } from './dashboard-grid.js'
import { type Soak, say, wholeNumber } from './soak.js'

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
/** Most of one core that the dashboard may take. */
const SHARE_MAX = 0.05
/** Ticks of the clock of /proc in a second: USER_HZ is 100 on all that Node runs on. */
const TICKS = 100
/** Rows of each page that are printed. */
const SHOWN_ROWS = 8
/** Time for the peers to join, and for a page to settle before anything is measured. Unit: ms. */
const START_MS = 600_000
const JOIN_MS = 120_000
/** The peers are at rest when they take less than this of a core, for so long; time for that. Unit: ms. */
const CALM_SHARE = 1
const CALM_WINDOW_MS = 10_000
const CALM_MS = 400_000
/** Peers that the dashboard is told of. */
const JOIN_THROUGH = 4
const SETTLE_MS = 8_000
/** Processes that share the peers: with more listeners in one, handshakes wait for one another past their deadlines. */
const PROCESSES = 8
/** On a busy machine some peers come late: so many more are started than have to be in. */
const STARTED_SHARE = 1.1

/** Time that a process has spent on a core so far. Unit: s. See proc(5), fields 14 and 15. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** Peers in several processes; resolves to their job, and where to join them. Rejects when too few are in. */
async function startGrid(processes: TestProcesses, wanted: number, pace: Pace) {
  const groups = Array.from({ length: PROCESSES }, (_, i) =>
    processes.start(`grid ${i}`, new URL('./dashboard-grid.js', import.meta.url), []),
  )
  const job = await groups[0]!.ask<MadeJob>('make', pace, START_MS)
  const peers = Math.ceil((wanted * STARTED_SHARE) / PROCESSES)
  const seeds: Endpoint[] = []
  for (const group of groups) seeds.push(...(await group.ask<Endpoint[]>('start', { job, peers, seeds }, START_MS)))
  let joined = 0
  for (const endAt = performance.now() + JOIN_MS; joined < wanted && performance.now() < endAt; ) {
    const counts = await Promise.all(groups.map((group) => group.ask<number>('joined')))
    joined = counts.reduce((sum, count) => sum + count, 0)
    if (joined < wanted) await pause(systemClock, 1_000)
  }
  say(`${joined} of ${seeds.length} peers have joined; job ${job.jobId.slice(0, 12)} has ${pace.units} units`)
  if (joined < wanted) throw new Error('too few peers have joined')
  await calm(groups)
  const some = seeds.filter((_, i) => i % Math.ceil(seeds.length / JOIN_THROUGH) === 0)
  return { jobId: job.jobId, join: some.map(({ address, nodeId }) => `${address}#${nodeId}`).join(',') }
}

/** Waits until the peers have met one another: thousands of handshakes would keep the dashboard from joining. */
async function calm(groups: readonly TestProcess[]): Promise<void> {
  const spent = () => groups.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
  for (const endAt = performance.now() + CALM_MS; performance.now() < endAt; ) {
    const before = spent()
    await pause(systemClock, CALM_WINDOW_MS)
    const share = ((spent() - before) * 1_000) / CALM_WINDOW_MS
    if (share < CALM_SHARE) return
    say(`the peers take ${share.toFixed(2)} cores to meet`)
  }
  throw new Error('the peers do not come to rest')
}

/** What the dashboard costs on each of its pages, as a share of one core. */
async function run(args: readonly string[]): Promise<{ readonly skipped: string } | undefined> {
  if (process.platform !== 'linux' || !hasTmux()) return { skipped: 'it reads /proc and needs tmux' }
  const { values } = parseArgs({
    args: [...args],
    options: { peers: { type: 'string' }, units: { type: 'string' }, seconds: { type: 'string' } },
  })
  const wanted = wholeNumber('peers', values.peers, 200)
  const pace: Pace = { units: wholeNumber('units', values.units, 1_000_000), begun: 300_000, perSecond: 1_500 }
  const seconds = wholeNumber('seconds', values.seconds, 60)
  const processes = new TestProcesses()
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-soak-'))
  let screen: TmuxScreen | undefined
  try {
    const { jobId, join: through } = await startGrid(processes, wanted, pace)
    const where = `--network ${testNetwork.name} --join '${through}' --data '${join(folder, 'data')}'`
    screen = new TmuxScreen(folder, `exec '${process.execPath}' '${MAIN}' top ${jobId} ${where}`, 200, 60)
    await screen.until(/running .*a million/, 'the job')
    const pid = Number(screen.variable('pane_pid'))
    const pages = [
      ['jobs', '1', /running .*a million/],
      ['units', '2', /settled .*done/],
      ['peers', '3', / 0\.1\.0|\d+ answered/],
    ] as const
    const shares: string[] = []
    let spent = 0
    let most = 0
    for (const [name, key, pattern] of pages) {
      screen.press(key)
      await screen.until(pattern, name)
      await pause(systemClock, SETTLE_MS)
      const before = cpuSeconds(pid)
      const startedAt = performance.now()
      await pause(systemClock, (seconds * 1_000) / pages.length)
      const used = cpuSeconds(pid) - before
      spent += used
      const share = used / ((performance.now() - startedAt) / 1_000)
      most = Math.max(most, share)
      shares.push(`${name} ${(share * 100).toFixed(1)} %`)
      say(`${name}: ${(share * 100).toFixed(1)} % of a core`)
      console.log(screen.rows().slice(0, SHOWN_ROWS).join('\n'))
    }
    const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    const share = spent / seconds
    say(`in all ${(share * 100).toFixed(1)} % of a core (${shares.join(', ')}), ${Math.round(Number(rss) / 1024)} MiB`)
    if (most > SHARE_MAX) throw new Error(`a page of the dashboard took more than ${SHARE_MAX * 100} % of a core`)
    return undefined
  } finally {
    screen?.close()
    await processes.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

export const dashboard: Soak = {
  name: 'dashboard',
  summary:
    'what `manyhands top` costs with 200 peers and a million units: at most 5 % of a core; 3 minutes [--seconds N]',
  run,
}
