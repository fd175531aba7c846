import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Clock } from '../../../runtime/clock.js'
import type { Conditions } from '../core/decision.js'
import type { PreferenceName } from '../core/preferences.js'
import { isProgram, type Sensors, type SensorWants } from './sensors.js'

/** Other programs use the machine when they take this share of its processors: BOINC's default for the same thing. */
const BUSY_SHARE = 0.25
/** The kernel keeps so much of a program's name in `comm`: 15 bytes. */
const COMM_CHARS = 15
/** Drivers that measure the processor; others measure disks, batteries and radios. */
const CPU_CHIPS =
  /^(?:coretemp|k10temp|k8temp|zenpower|cpu[_-]thermal|cpu|soc[_-]thermal|x86_pkg_temp|acpitz|arm.*|bcm.*)$/i

/**
 * Reads `/proc`, `/sys` and `/dev` below `root` (`/`, unless a container has those of its machine elsewhere). Sources: the
 * kernel's Documentation, `ABI/testing/sysfs-class-power`, `sysfs-class-thermal`, `sysfs-class-hwmon`, and proc(5).
 */
export class LinuxSensors implements Sensors {
  readonly #root: string
  readonly #clock: Pick<Clock, 'wallMs'>
  #usedAt: number | undefined
  #ticks: { readonly busy: number; readonly all: number } | undefined

  constructor(root: string, clock: Pick<Clock, 'wallMs'>) {
    this.#root = root
    this.#clock = clock
  }

  refusal(name: PreferenceName): string | undefined {
    if (name === 'max-temp' && this.#temperature() === undefined)
      return 'this machine does not tell the temperature of its processor'
    if (name === 'when-idle' && this.#readTicks() === undefined)
      return 'this machine does not tell how much its processors are used (/proc/stat)'
    if (name === 'pause-for' && this.#list('proc').every((entry) => !/^[0-9]+$/.test(entry)))
      return 'this machine does not tell which programs run (/proc)'
    return undefined
  }

  async read({ battery, temperature, idle, programs }: SensorWants): Promise<Conditions> {
    return {
      battery: battery ? this.#battery() : undefined,
      temperature: temperature ? this.#temperature() : undefined,
      idleMs: idle ? this.#idleMs() : undefined,
      running: programs.length === 0 ? [] : this.#running(programs),
    }
  }

  /** On mains as long as any mains supply is online, or no battery of the machine itself is being discharged. */
  #battery(): number | 'mains' | undefined {
    const folder = 'sys/class/power_supply'
    let charge: number | undefined
    for (const supply of this.#list(folder)) {
      const read = (file: string) => this.#text(join(folder, supply, file))
      if (read('scope') === 'Device') continue
      const type = read('type')
      if ((type === 'Mains' || type === 'USB') && read('online') === '1') return 'mains'
      if (type === 'Battery' && read('status') === 'Discharging') {
        const percent = Number(read('capacity') || Number.NaN)
        charge = Math.min(charge ?? 100, Number.isFinite(percent) ? percent : 0)
      }
    }
    return charge ?? 'mains'
  }

  /** The hottest part of the processor. */
  #temperature(): number | undefined {
    const found: number[] = []
    const add = (path: string) => {
      const text = this.#text(path)
      const degrees = Number(text) / 1_000
      // Broken sensors say 0, -273 or 255.
      if (text !== '' && degrees > 0 && degrees < 150) found.push(degrees)
    }
    for (const chip of this.#list('sys/class/hwmon')) {
      const folder = join('sys/class/hwmon', chip)
      if (!CPU_CHIPS.test(this.#text(join(folder, 'name')))) continue
      for (const file of this.#list(folder)) if (/^temp[0-9]+_input$/.test(file)) add(join(folder, file))
    }
    if (found.length === 0) {
      for (const zone of this.#list('sys/class/thermal')) {
        const folder = join('sys/class/thermal', zone)
        if (/^thermal_zone/.test(zone) && CPU_CHIPS.test(this.#text(join(folder, 'type')))) add(join(folder, 'temp'))
      }
    }
    return found.length === 0 ? undefined : Math.max(...found)
  }

  /** Time since somebody typed in a terminal, or other programs took the processors. Counts from the first look on. */
  #idleMs(): number {
    const now = this.#clock.wallMs()
    this.#usedAt ??= now
    const ticks = this.#readTicks()
    const before = this.#ticks
    if (ticks !== undefined) {
      this.#ticks = ticks
      const all = before === undefined ? 0 : ticks.all - before.all
      if (all > 0 && (ticks.busy - before!.busy) / all >= BUSY_SHARE) this.#usedAt = now
    }
    for (const typedAt of this.#typedAt()) if (typedAt > this.#usedAt && typedAt <= now) this.#usedAt = typedAt
    return Math.max(0, now - this.#usedAt)
  }

  /** Processor time since the machine started. Computing runs at the lowest priority, so the column `nice` is not of others. */
  #readTicks(): { busy: number; all: number } | undefined {
    const fields = /^cpu +(.*)$/m.exec(this.#text('proc/stat'))?.[1]?.trim().split(/ +/).map(Number)
    if (fields === undefined || fields.length < 4 || fields.some((field) => !Number.isFinite(field))) return undefined
    const [user = 0, , system = 0, , , irq = 0, softirq = 0] = fields
    // Guest time (columns 9 and 10) is within user time.
    return { busy: user + system + irq + softirq, all: fields.slice(0, 8).reduce((sum, field) => sum + field, 0) }
  }

  /** When somebody last typed: the kernel notes it as the time a terminal was read. */
  #typedAt(): number[] {
    const terminals = [
      ...this.#list('dev/pts')
        .filter((name) => /^[0-9]+$/.test(name))
        .map((name) => join('dev/pts', name)),
      ...this.#list('dev')
        .filter((name) => /^tty[0-9]+$/.test(name))
        .map((name) => join('dev', name)),
    ]
    return terminals.flatMap((path) => {
      try {
        return [statSync(join(this.#root, path)).atimeMs]
      } catch {
        return []
      }
    })
  }

  #running(programs: readonly string[]): string[] {
    const found = new Set<string>()
    for (const pid of this.#list('proc')) {
      if (!/^[0-9]+$/.test(pid)) continue
      const comm = this.#text(join('proc', pid, 'comm'))
      for (const program of programs) {
        if (found.has(program)) continue
        if (isProgram(program, [comm])) found.add(program)
        else if (
          isProgram(program.slice(0, COMM_CHARS), [comm]) ||
          isProgram(program.replace(/\.exe$/i, '').slice(0, COMM_CHARS), [comm])
        ) {
          const [command = ''] = this.#text(join('proc', pid, 'cmdline')).split('\0')
          if (isProgram(program, [basename(command.replaceAll('\\', '/'))])) found.add(program)
        }
      }
      if (found.size === programs.length) break
    }
    return programs.filter((program) => found.has(program))
  }

  #list(folder: string): string[] {
    try {
      return readdirSync(join(this.#root, folder))
    } catch {
      return []
    }
  }

  /** Empty: it cannot be read. */
  #text(path: string): string {
    try {
      return readFileSync(join(this.#root, path), 'utf8').trim()
    } catch {
      return ''
    }
  }
}
