import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AdminClient } from '../../process/admin/admin-client.js'
import type { WorkerState } from '../../proto/admin-messages.js'
import { type ClusterProcess, clusterTests, expectCode, GridCluster } from '../support/processes/grid-cluster.js'

/** Changes of the machine, the clock and the file are to be felt within this time. Unit: ms. */
const FELT_MS = 10_000

const cluster = new GridCluster()
const root = join(cluster.folder, 'machine')
const volunteer = suite('the considerate volunteer')
const scenario = clusterTests(cluster, (name, body) => volunteer(name, body))

/** Changes the machine that the worker sees. */
function machine(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), `${text}\n`)
}

const config = (text: string) => writeFileSync(join(cluster.folder, 'manyhands', 'config.toml'), text)

let worker: ClusterProcess
let admin: AdminClient | undefined

async function state(): Promise<WorkerState> {
  const { worker: seen } = await admin!.state()
  assert.ok(seen)
  return seen
}

const reasons = async () => (await state()).restraints.map(({ preference, reason }) => `${preference}: ${reason}`)

/** Waits until exactly these restraints hold. */
async function restrained(...expected: string[]): Promise<void> {
  let seen: string[] = []
  const isSo = async () => {
    seen = await reasons()
    return seen.join() === expected.join()
  }
  await cluster.until(isSo, `restraints become [${expected}]`, FELT_MS, worker).catch((error: Error) => {
    error.message = `${error.message}\nlast seen: [${seen}]`
    throw error
  })
}

/** Whether the compute process of the worker stands still, as the kernel has it. */
function isStopped(): boolean {
  const children = readFileSync(`/proc/${worker.pid}/task/${worker.pid}/children`, 'utf8').trim().split(' ')
  return children.some((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  })
}

const prefer = (name: string, value: string) => admin!.prefer([{ name, value }])
const command = (...args: string[]) => cluster.asked(args, { data: 'worker', alone: true })

volunteer.before(async () => {
  mkdirSync(join(cluster.folder, 'manyhands'))
  config('max-temp = 75\n')
  machine('proc/stat', 'cpu  10 0 10 1000 0 0 0 0 0 0')
  machine('proc/1/comm', 'init')
  machine('sys/class/thermal/thermal_zone0/type', 'x86_pkg_temp')
  machine('sys/class/thermal/thermal_zone0/temp', '50000')
  machine('sys/class/power_supply/BAT0/type', 'Battery')
  machine('sys/class/power_supply/BAT0/capacity', '80')
  machine('sys/class/power_supply/BAT0/status', 'Discharging')
  await cluster.node('node')
  // Units of minutes: there is always something to compute.
  expectCode(
    await cluster.asked(['submit', 'primes', '--range', '0..10^13:10^11', '--verify', 'none', '--no-trial']),
    0,
  )
  worker = await cluster.worker('worker', ['--pause-for', 'steam'], {
    environment: { MANYHANDS_SYSTEM_ROOT: root, MANYHANDS_ON_BATTERY: '' },
  })
  admin = new AdminClient(join(cluster.folder, 'worker', 'admin', 'socket'))
})

scenario('the admin socket is for its owner alone', async () => {
  const folder = join(cluster.folder, 'worker', 'admin')
  assert.is(statSync(folder).mode & 0o777, 0o700)
  assert.is(statSync(join(folder, 'socket')).mode & 0o777, 0o600)
})

scenario('on battery it computes nothing, says so, and begins once it is on mains', async () => {
  await restrained('on-battery: on battery')
  assert.is((await state()).held, 0)
  await cluster.until(() => worker.stderr.includes('nothing: on battery'), 'the line says so', FELT_MS, worker)
  machine('sys/class/power_supply/BAT0/status', 'Charging')
  await restrained()
  await cluster.until(async () => (await state()).threads.some(({ unit }) => unit !== undefined), 'it computes', 20_000)
})

scenario('heat and programs stop it where it is, and it goes on there', async () => {
  machine('sys/class/thermal/thermal_zone0/temp', '90000')
  await restrained('max-temp: 90 °C, more than 75 °C')
  await cluster.until(isStopped, 'the compute process stands still', FELT_MS)
  machine('proc/1/comm', 'steam')
  machine('sys/class/thermal/thermal_zone0/temp', '60000')
  await restrained('pause-for: steam runs')
  machine('proc/1/comm', 'init')
  await restrained()
  await cluster.until(() => !isStopped(), 'it goes on', FELT_MS)
  assert.is((await state()).held > 0, true)
})

scenario('pause and resume act at once; config shows what was said at run time', async () => {
  expectCode(await command('pause', '1h'), 0)
  await cluster.until(isStopped, 'the compute process stands still', FELT_MS)
  const { paused, held, restraints } = await state()
  assert.ok(paused && held > 0)
  assert.ok(restraints[0]!.untilMs > Date.now() + 3_500_000)
  await prefer('when-idle', '10m')
  const resumed = await command('resume')
  assert.match(resumed.stdout, /resumed, but: in use/)
  await prefer('when-idle', '')
  await restrained()
  await cluster.until(() => !isStopped(), 'it goes on', FELT_MS)
  const shown = await command('prefs', 'cpu-time=50%', '--json')
  const preferences = (JSON.parse(shown.stdout) as { preferences: { name: string; value: string; origin: string }[] })
    .preferences
  const origin = (name: string) => preferences.find((one) => one.name === name)?.origin
  assert.equal(['cpu-time', 'pause-for', 'max-temp', 'days'].map(origin), ['prefs', 'flag', 'file', 'default'])
  assert.match((await command('prefs', 'cpu-time')).stdout, /^PREFERENCE.*\ncpu-time +50% +prefs .*\n$/)
  assert.is((await state()).cpuTimeShare, 0.5)
})

scenario(
  'the file is read again when it changes; a wrong value changes nothing and is refused at run time',
  async () => {
    const hour = (new Date().getHours() + 12) % 24
    config(`max-temp = 75\nhours = "${hour}:00-${hour}:59"\n`)
    await cluster.until(async () => (await reasons())[0]?.startsWith('hours: outside') === true, 'hours hold', FELT_MS)
    config('max-temp = "hot"\n')
    const refused = await command('prefs', 'days=never')
    expectCode(refused, 2)
    assert.match(refused.stderr, /days 'never' is not understood/)
    assert.match((await reasons())[0] ?? '', /^hours: outside/)
    config('max-temp = 75\n')
    await restrained()
  },
)

scenario('who is refused gets what was begun for him back', async () => {
  const submitter = (await state()).threads.find(({ unit }) => unit !== undefined)?.unit?.submitter
  assert.ok(submitter)
  await prefer('refuse', submitter)
  await cluster.until(async () => (await state()).held === 0, 'nothing is in hand', FELT_MS)
  await cluster
    .until(
      async () => /for whom nothing is computed here|does not compute/.test((await state()).idleReason),
      'it says why',
      FELT_MS,
    )
    .catch(async (error: Error) => {
      throw new Error(`${error.message}\n${JSON.stringify((await state()).owners)} ${(await state()).idleReason}`)
    })
  await prefer('refuse', '')
  await cluster.until(async () => (await state()).held > 0, 'it computes for him again', 20_000)
})

scenario('drain ends it well, and so does the last unit that was asked for', async () => {
  await admin!.pause(0)
  expectCode(await command('drain'), 0)
  assert.is(await worker.exited, 0)
  config('')
  expectCode(await cluster.asked(['submit', 'primes', '--range', '0..4000:100', '--verify', 'none', '--no-trial']), 0)
  const few = cluster.spawn('few', ['work', '--cpus', '1', '--units', '5', '--json', '--job', 'last'], {
    data: 'submitter',
  })
  assert.is(await few.exited, 0, few.stderr)
  assert.is((JSON.parse(few.stdout.trim().split('\n').at(-1)!) as { computed: number }).computed, 5)
})

volunteer.after(async () => {
  admin?.close()
  await cluster.close()
})
volunteer.run()
