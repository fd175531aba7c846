import { readdirSync, readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { pause, systemClock } from '../../runtime/clock.js'
import { processCpuMs } from '../../worker/compute/process-cpu.js'
import { GridCluster } from '../support/processes/grid-cluster.js'
import { type Soak, say, wholeNumber } from './soak.js'

const WINDOW_MS = 60_000
/** What `cpu-time = 50%` may come to in a window, as a share of a thread. */
const LEAST = 0.45
const MOST = 0.55

/** What else runs on the machine is not to decide what is measured; without the right to, an idle machine is needed. */
function raisePriority(pid: number): void {
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) setPriority(Number(task), constants.priority.PRIORITY_HIGHEST)
  } catch {
    say('the priority cannot be raised: only an idle machine gives a result')
  }
}

/** A long unit at half of the time uses half of a thread in each window, as the kernel counts it. */
export const cpuTime: Soak = {
  name: 'cpu-time',
  summary: 'a long unit at 50 % uses 45 to 55 % of a thread in each of ten windows of 60 s (10.5 min; --windows N)',
  async run(args) {
    if (process.platform !== 'linux') return { skipped: 'processor time is read from /proc' }
    const at = args.indexOf('--windows')
    const windows = wholeNumber('windows', at < 0 ? undefined : args[at + 1], 10)
    const cluster = new GridCluster()
    try {
      await cluster.node('node')
      const submitted = await cluster.command([
        ...['submit', 'primes', '--range', '0..10^14:10^13', '--verify', 'none', '--no-trial', '--wall', '3h'],
      ])
      if (submitted.code !== 0) throw new Error(submitted.stderr)
      const worker = await cluster.worker('worker', ['--cpu-time', '50%'])
      const compute = () => {
        const children = readFileSync(`/proc/${worker.pid}/task/${worker.pid}/children`, 'utf8').trim().split(' ')
        return children.map(Number).find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('manyhands'))
      }
      await cluster.until(() => /computing primes/.test(worker.stderr), 'the unit runs', 60_000, worker)
      const pid = compute()
      if (pid === undefined) throw new Error('there is no compute process')
      raisePriority(pid)
      const wrong: string[] = []
      for (let window = 1; window <= windows; window++) {
        const startedAt = performance.now()
        const before = processCpuMs(pid)!
        await pause(systemClock, WINDOW_MS)
        const share = (processCpuMs(pid)! - before) / (performance.now() - startedAt)
        say(`window ${window}: ${(share * 100).toFixed(1)} % of a thread`)
        if (share < LEAST || share > MOST) wrong.push(`window ${window}: ${share}`)
      }
      if (wrong.length > 0) throw new Error(`outside ${LEAST} to ${MOST}: ${wrong.join(', ')}`)
    } finally {
      await cluster.close()
    }
    return undefined
  },
}
