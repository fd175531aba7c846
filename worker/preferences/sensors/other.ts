import { execFile } from 'node:child_process'
import { basename } from 'node:path'
import { type Conditions, NOTHING_KNOWN } from '../core/decision.js'
import type { PreferenceName } from '../core/preferences.js'
import { isProgram, type Sensors, type SensorWants } from './sensors.js'

/** Time a tool of the system may take, and its output. Unit: ms, bytes. */
const TOOL_MS = 5_000
const TOOL_BYTES_MAX = 4 * 1024 * 1024

/** Runs a tool of the system and gives what it wrote; empty when it failed. */
type RunTool = (command: string, args: readonly string[]) => Promise<string>

const runTool: RunTool = (command, args) =>
  new Promise((resolve) => {
    execFile(command, [...args], { timeout: TOOL_MS, maxBuffer: TOOL_BYTES_MAX, windowsHide: true }, (error, stdout) =>
      resolve(error === null ? stdout : ''),
    )
  })

const NEEDS: ReadonlySet<PreferenceName> = new Set(['when-idle', 'on-battery', 'max-temp', 'pause-for'])

/** macOS, by tools that it comes with: `pmset`, `ioreg` and `ps`. */
export class MacSensors implements Sensors {
  readonly #run: RunTool

  constructor(run: RunTool = runTool) {
    this.#run = run
  }

  refusal(name: PreferenceName): string | undefined {
    return name === 'max-temp' ? 'macOS does not tell the temperature to ordinary programs' : undefined
  }

  async read({ battery, idle, programs }: SensorWants): Promise<Conditions> {
    const [power, input, processes] = await Promise.all([
      battery ? this.#run('/usr/bin/pmset', ['-g', 'batt']) : '',
      idle ? this.#run('/usr/sbin/ioreg', ['-c', 'IOHIDSystem', '-d', '4']) : '',
      programs.length > 0 ? this.#run('/bin/ps', ['-A', '-o', 'comm=']) : '',
    ])
    const names = processes.split('\n').map((line) => basename(line.trim()))
    const idleNanoseconds = /"HIDIdleTime" = ([0-9]+)/.exec(input)?.[1]
    return {
      ...NOTHING_KNOWN,
      battery: /'Battery Power'/.test(power)
        ? Number(/([0-9]{1,3})%/.exec(power)?.[1] ?? 0)
        : power === ''
          ? undefined
          : 'mains',
      idleMs: idleNanoseconds === undefined ? undefined : Number(idleNanoseconds) / 1e6,
      running: programs.filter((program) => isProgram(program, names)),
    }
  }
}

/** Windows, by `tasklist`. */
export class WindowsSensors implements Sensors {
  readonly #run: RunTool

  constructor(run: RunTool = runTool) {
    this.#run = run
  }

  refusal(name: PreferenceName): string | undefined {
    if (name === 'cpu-time') return 'Windows cannot stop and continue a process; use cpus'
    return name !== 'pause-for' && NEEDS.has(name) ? 'this cannot be found out on Windows yet' : undefined
  }

  async read({ programs }: SensorWants): Promise<Conditions> {
    if (programs.length === 0) return NOTHING_KNOWN
    const lines = (await this.#run('tasklist', ['/fo', 'csv', '/nh'])).split(/\r?\n/)
    const names = lines.map((line) => /^"([^"]*)"/.exec(line)?.[1] ?? '')
    return { ...NOTHING_KNOWN, running: programs.filter((program) => isProgram(program, names)) }
  }
}

/** Where nothing is known: preferences that need to know something are refused. */
export class NoSensors implements Sensors {
  readonly #system: string

  constructor(system: string) {
    this.#system = system
  }

  refusal(name: PreferenceName): string | undefined {
    return NEEDS.has(name) ? `this cannot be found out on ${this.#system}` : undefined
  }

  async read(): Promise<Conditions> {
    return NOTHING_KNOWN
  }
}
