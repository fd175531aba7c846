import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LinuxSensors } from '../../../../worker/preferences/sensors/linux.js'
import { MacSensors, NoSensors, WindowsSensors } from '../../../../worker/preferences/sensors/other.js'

const folders: string[] = []
const ALL = { battery: true, temperature: true, idle: true, programs: [] }

/** A machine made of files. */
function machine() {
  const root = mkdtempSync(join(tmpdir(), 'manyhands-root-'))
  folders.push(root)
  let now = 1_700_000_000_000
  const sensors = new LinuxSensors(root, { wallMs: () => now })
  const write = (path: string, text: string | number) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${text}\n`)
  }
  const supply = (name: string, files: Readonly<Record<string, string>>) => {
    for (const [file, text] of Object.entries(files)) write(`sys/class/power_supply/${name}/${file}`, text)
  }
  return {
    root,
    sensors,
    write,
    supply,
    pass: (ms: number) => {
      now += ms
    },
    now: () => now,
    look: (programs: readonly string[] = []) => sensors.read({ ...ALL, programs }),
  }
}

const linux = suite('LinuxSensors')

linux(
  'a machine without a battery is on mains; one is on battery while it is discharged and no mains is on',
  async () => {
    const { supply, look } = machine()
    assert.is((await look()).battery, 'mains')
    supply('mouse', { type: 'Battery', scope: 'Device', status: 'Discharging', capacity: '9' })
    supply('AC', { type: 'Mains', online: '0' })
    supply('BAT0', { type: 'Battery', status: 'Discharging', capacity: '81' })
    supply('BAT1', { type: 'Battery', status: 'Discharging', capacity: '63' })
    assert.is((await look()).battery, 63)
    supply('AC', { online: '1' })
    assert.is((await look()).battery, 'mains')
  },
)

linux('the temperature is that of the hottest part of the processor, not of disks or broken sensors', async () => {
  const { write, look, sensors } = machine()
  assert.match(sensors.refusal('max-temp') ?? '', /does not tell/)
  write('sys/class/thermal/thermal_zone0/type', 'x86_pkg_temp')
  write('sys/class/thermal/thermal_zone0/temp', 61_000)
  write('sys/class/thermal/thermal_zone1/type', 'iwlwifi_1')
  write('sys/class/thermal/thermal_zone1/temp', 99_000)
  assert.is((await look()).temperature, 61)
  write('sys/class/hwmon/hwmon0/name', 'nvme')
  write('sys/class/hwmon/hwmon0/temp1_input', 90_000)
  write('sys/class/hwmon/hwmon1/name', 'coretemp')
  write('sys/class/hwmon/hwmon1/temp1_input', 70_000)
  write('sys/class/hwmon/hwmon1/temp2_input', 72_500)
  write('sys/class/hwmon/hwmon1/temp3_input', 255_000)
  assert.is((await look()).temperature, 72.5)
  assert.is(sensors.refusal('max-temp'), undefined)
})

linux(
  'a machine is in use while others take its processors or somebody types; what runs at low priority is not others',
  async () => {
    const { root, write, look, pass, sensors, now } = machine()
    assert.match(sensors.refusal('when-idle') ?? '', /proc.stat/)
    write('proc/stat', 'cpu  1000 0 500 8000 0 0 0 0 0 0')
    assert.is((await look()).idleMs, 0)
    pass(60_000)
    write('proc/stat', 'cpu  1010 9000 510 8000 0 0 0 0 0 0')
    assert.is((await look()).idleMs, 60_000)
    pass(60_000)
    write('proc/stat', 'cpu  4010 15000 510 8000 0 0 0 0 0 0')
    assert.is((await look()).idleMs, 0)
    pass(60_000)
    write('dev/pts/3', '')
    utimesSync(join(root, 'dev/pts/3'), (now() - 20_000) / 1_000, 0)
    write('proc/stat', 'cpu  4010 21000 510 8000 0 0 0 0 0 0')
    assert.is((await look()).idleMs, 20_000)
  },
)

linux('programs are found by their names, long ones by all of it', async () => {
  const { write, look, sensors } = machine()
  assert.match(sensors.refusal('pause-for') ?? '', /which programs run/)
  write('proc/1/comm', 'init')
  write('proc/20/comm', 'Steam')
  write('proc/21/comm', 'a-program-with-')
  write('proc/21/cmdline', '/opt/a-program-with-a-long-name\0--flag')
  write('proc/22/comm', 'game.exe')
  assert.equal(
    (await look(['steam', 'a-program-with-a-long-name', 'a-program-with-another', 'game', 'init', 'no'])).running,
    ['steam', 'a-program-with-a-long-name', 'game', 'init'],
  )
})

const others = suite('other systems')

others('macOS is asked by its own tools, and the temperature refused', async () => {
  const said: Record<string, string> = {
    pmset:
      "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t84%; discharging; 4:12 remaining present: true\n",
    ioreg: '    | |   "HIDIdleTime" = 61000000000\n',
    ps: '/sbin/launchd\n/Applications/Blender.app/Contents/MacOS/Blender\n',
  }
  const mac = new MacSensors(async (command) => said[command.split('/').at(-1)!] ?? '')
  assert.equal(await mac.read({ ...ALL, programs: ['blender', 'steam'] }), {
    battery: 84,
    temperature: undefined,
    idleMs: 61_000,
    running: ['blender'],
  })
  assert.match(mac.refusal('max-temp') ?? '', /macOS/)
  said.pmset = "Now drawing from 'AC Power'\n"
  assert.is((await mac.read({ ...ALL })).battery, 'mains')
  said.pmset = ''
  assert.is((await mac.read({ ...ALL })).battery, undefined)
})

others('Windows tells of programs alone, an unknown system of nothing; all else is refused', async () => {
  const windows = new WindowsSensors(
    async () => '"System","4","Services","0","144 K"\r\n"Game.exe","77","Console","1","9 K"\r\n',
  )
  assert.equal((await windows.read({ ...ALL, programs: ['game', 'steam'] })).running, ['game'])
  for (const name of ['cpu-time', 'when-idle', 'on-battery', 'max-temp'] as const)
    assert.match(windows.refusal(name) ?? '', /Windows/)
  assert.is(windows.refusal('pause-for'), undefined)
  assert.is(windows.refusal('hours'), undefined)
  assert.match(new NoSensors('plan9').refusal('pause-for') ?? '', /plan9/)
})

linux.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
linux.run()
others.run()
