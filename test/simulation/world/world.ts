import type { Millis } from '../../../runtime/clock.js'
import { type DiskCounters, newDiskCounters } from './disk.js'
import { type FaultOptions, Faults } from './faults.js'
import { installGuard } from './guard.js'
import { Host, type HostOptions } from './host.js'
import { type LinkProfile, linkProfiles } from './link.js'
import { Network } from './network.js'
import { SeededRandom } from './random.js'
import { Scheduler } from './scheduler.js'
import { formatTraceLine, Trace } from './trace.js'

export interface WorldOptions {
  /** Named in the command that repeats a failed run. */
  readonly scenario?: string
  /** Links of the world. Default `linkProfiles.wan`. */
  readonly profile?: LinkProfile
}

/** A run that went wrong; its message holds the cause, the command that repeats it and the last things that happened. */
export class SimulationFailure extends Error {
  /** The command that repeats the run. */
  readonly repeat: string

  constructor(message: string, repeat: string, cause: unknown) {
    super(message, { cause })
    this.name = 'SimulationFailure'
    this.repeat = repeat
  }
}

/**
 * A whole grid in one process and in virtual time, from one seed. Every host draws from randomness of its own, so
 * that adding a host or a consumer leaves the others as they were. Only one world of a process may run at a time.
 */
export class World {
  readonly seed: number
  readonly random: SeededRandom
  readonly scheduler = new Scheduler()
  readonly trace = new Trace()
  readonly network: Network
  readonly diskCounters: DiskCounters = newDiskCounters()
  readonly #scenario: string | undefined
  readonly #hosts = new Map<string, Host>()
  readonly #counts = new Map<string, number>()
  #faults: Faults | undefined

  constructor(seed: number, options: WorldOptions = {}) {
    this.seed = seed
    this.#scenario = options.scenario
    this.random = new SeededRandom(`${options.scenario ?? ''} ${seed}`)
    this.network = new Network(
      this.scheduler,
      this.random.split('network'),
      this.trace,
      options.profile ?? linkProfiles.wan,
    )
  }

  /** Virtual time since the start. Unit: ms. */
  get nowMs(): Millis {
    return this.scheduler.nowMs
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts.values()]
  }

  addHost(name: string, options: HostOptions = {}): Host {
    if (this.#hosts.has(name)) throw new Error(`two hosts called ${name}`)
    const host = new Host(name, this.network, this.random.split(`host ${name}`), this.diskCounters, options)
    this.#hosts.set(name, host)
    this.network.join(host)
    return host
  }

  /** The schedule of faults of this world; made once, off until started. */
  faults(options: FaultOptions): Faults {
    if (this.#faults) throw new Error('a world has one schedule of faults')
    this.#faults = new Faults(this.network, () => this.hosts, this.random.split('faults'), options)
    return this.#faults
  }

  /** Adds to a counter of the scenario's own, shown with the others. */
  count(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by)
  }

  /** Every counter: network, disks, faults, the scenario's own. */
  counters(): Readonly<Record<string, number>> {
    return {
      ...this.network.counters,
      ...this.diskCounters,
      ...this.#faults?.counters,
      ...Object.fromEntries(this.#counts),
    }
  }

  /** Notes `error` as the reason why this run failed; the first one counts. */
  fail(error: unknown): void {
    this.scheduler.fail(error)
  }

  /** Fails the run unless `condition` holds: for oracles that watch from outside the hosts. */
  check(condition: boolean, message: string): void {
    if (!condition) throw new Error(message)
  }

  /**
   * Runs until virtual time `until`, or until the condition holds, which is asked between events. Rejects with
   * {@link SimulationFailure} when anything fails in a host, or when the condition does not hold `limitMs` from now.
   */
  async run(until: Millis | (() => boolean), limitMs: Millis = 600_000): Promise<void> {
    const condition = typeof until === 'number' ? () => false : until
    const endMs = typeof until === 'number' ? until : this.nowMs + limitMs
    const onStray = (error: unknown) => this.scheduler.fail(error)
    const removeGuard = installGuard(() => this.scheduler.inEvent)
    process.on('unhandledRejection', onStray)
    process.on('uncaughtException', onStray)
    try {
      const end = await this.scheduler.run(condition, endMs)
      if (end === 'reached' || typeof until === 'number' || condition()) return
      const why = end === 'idle' ? 'nothing is left that could happen' : `waited ${limitMs} ms`
      throw new Error(`the condition does not hold: ${why}`)
    } catch (error) {
      throw this.failure(error)
    } finally {
      process.off('unhandledRejection', onStray)
      process.off('uncaughtException', onStray)
      removeGuard()
    }
  }

  /** Ends every process, so that nothing of this world is called again. Safe to call twice. */
  close(): void {
    for (const host of this.hosts) host.crash('killed')
  }

  /** `error` with everything needed to find out why, and the command that repeats the run. */
  failure(error: unknown): SimulationFailure {
    if (error instanceof SimulationFailure) return error
    const repeat = `npm run sim -- --seed ${this.seed}${this.#scenario === undefined ? '' : ` --scenario ${this.#scenario}`}`
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const deeper = error instanceof Error && error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : ''
    const message = [
      `seed ${this.seed}, ${this.nowMs.toFixed(3)} ms, event ${this.scheduler.eventCount} (${this.scheduler.owner || 'world'})`,
      `${cause}${deeper}`,
      'last events:',
      ...this.trace.tail().map(formatTraceLine),
      `repeat with: ${repeat}`,
    ].join('\n')
    return new SimulationFailure(message, repeat, error)
  }
}
