import type { Millis } from '../../../runtime/clock.js'
import type { CrashKind, Host } from './host.js'
import type { LinkProfile } from './link.js'
import type { Network } from './network.js'
import type { SeededRandom } from './random.js'

/** Mean time between faults of each kind over the whole world; a kind left out never happens. Unit: ms. */
export interface FaultIntervals {
  readonly killed?: Millis
  readonly powerLoss?: Millis
  readonly diskLoss?: Millis
  readonly partition?: Millis
  readonly streamBreak?: Millis
  readonly halfOpen?: Millis
  readonly clockJump?: Millis
  readonly diskFull?: Millis
  readonly diskSlow?: Millis
  readonly pause?: Millis
}

export type FaultKind = keyof FaultIntervals

export interface FaultOptions {
  readonly intervals: FaultIntervals
  /** Links while faults are on; the profile of before comes back with `stop`. Default: unchanged. */
  readonly profile?: LinkProfile
  /** Hosts that may be hit at all. Default: all. */
  readonly mayHit?: (host: Host, kind: FaultKind) => boolean
  /** Hosts that may be down or stopped at once. Default 1. */
  readonly downMax?: number
  /** Mean time until a crashed host restarts, a partition heals, a disk or process recovers. Unit: ms. Default 5,000. */
  readonly repairMs?: Millis
  /** Largest jump of a wall clock, either way. Unit: ms. Default 600,000. */
  readonly clockJumpMaxMs?: Millis
}

/** Faults that really hit something, by kind. */
export type FaultCounters = Record<FaultKind, number>

/** Every kind of fault there is. */
export const FAULT_KINDS: readonly FaultKind[] = [
  'killed',
  'powerLoss',
  'diskLoss',
  'partition',
  'streamBreak',
  'halfOpen',
  'clockJump',
  'diskFull',
  'diskSlow',
  'pause',
]

const CRASHES: ReadonlySet<FaultKind> = new Set<FaultKind>(['killed', 'powerLoss', 'diskLoss'])

/**
 * A seeded schedule of faults. While on, each kind strikes in a Poisson process of its own; `stop` repairs everything, so
 * that a scenario can ask for liveness after asking for safety.
 */
export class Faults {
  readonly counters: FaultCounters
  readonly #network: Network
  readonly #hosts: () => readonly Host[]
  readonly #random: SeededRandom
  readonly #options: FaultOptions
  readonly #repairs = new Map<Host, () => void>()
  #phase = 0
  #on = false
  #profileBefore: LinkProfile | undefined

  constructor(network: Network, hosts: () => readonly Host[], random: SeededRandom, options: FaultOptions) {
    this.counters = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as FaultCounters
    this.#network = network
    this.#hosts = hosts
    this.#random = random
    this.#options = options
  }

  get on(): boolean {
    return this.#on
  }

  /** Faults on. */
  start(): void {
    if (this.#on) return
    this.#on = true
    this.#phase++
    this.#network.trace.record(this.#network.scheduler.nowMs, '', 'faults', 'on')
    this.#profileBefore = this.#network.profile
    this.#network.profile = this.#options.profile ?? this.#network.profile
    for (const kind of FAULT_KINDS) {
      const meanMs = this.#options.intervals[kind]
      if (meanMs !== undefined) this.#arm(kind, meanMs, this.#random.split(`${kind} ${this.#phase}`))
    }
  }

  /** Faults off: links healed, disks well, every crashed or stopped host runs again. */
  stop(): void {
    if (!this.#on) return
    this.#on = false
    this.#network.trace.record(this.#network.scheduler.nowMs, '', 'faults', 'off')
    if (this.#profileBefore) this.#network.profile = this.#profileBefore
    this.#network.healAll()
    for (const host of this.#hosts()) {
      host.disk.full = false
      host.disk.slowness = 1
    }
    for (const repair of [...this.#repairs.values()]) repair()
  }

  #arm(kind: FaultKind, meanMs: Millis, random: SeededRandom): void {
    const phase = this.#phase
    const { scheduler } = this.#network
    const next = () => {
      scheduler.at(scheduler.nowMs + random.exponential(meanMs), `fault ${kind}`, () => {
        if (!this.#on || phase !== this.#phase) return
        if (this.#strike(kind, random)) this.counters[kind]++
        next()
      })
    }
    next()
  }

  /** Whether there was something to hit. */
  #strike(kind: FaultKind, random: SeededRandom): boolean {
    if (kind === 'streamBreak' || kind === 'halfOpen') return this.#hitStream(kind, random)
    if (kind === 'partition') return this.#partition(random)
    const mayHit = this.#options.mayHit ?? (() => true)
    const host = random.pick(this.#hosts().filter((each) => each.running && !each.paused && mayHit(each, kind)))
    if (!host) return false
    if (CRASHES.has(kind) || kind === 'pause') return this.#takeDown(host, kind, random)
    const { scheduler, trace } = this.#network
    trace.record(scheduler.nowMs, host.name, 'fault', kind)
    const inMs = scheduler.nowMs + random.exponential(this.#repairMs)
    if (kind === 'clockJump') {
      const largestMs = this.#options.clockJumpMaxMs ?? 600_000
      host.clock.jump(Math.round(random.between(-largestMs, largestMs)))
    } else if (kind === 'diskFull') {
      host.disk.full = true
      scheduler.at(inMs, host.name, () => {
        host.disk.full = false
      })
    } else {
      host.disk.slowness = random.between(10, 300)
      scheduler.at(inMs, host.name, () => {
        host.disk.slowness = 1
      })
    }
    return true
  }

  #takeDown(host: Host, kind: FaultKind, random: SeededRandom): boolean {
    if (this.#repairs.size >= (this.#options.downMax ?? 1)) return false
    const { scheduler } = this.#network
    if (kind === 'pause') host.pause()
    else host.crash(kind as CrashKind)
    const repair = () => {
      if (this.#repairs.get(host) !== repair) return
      this.#repairs.delete(host)
      if (kind === 'pause') host.resume()
      else if (!host.running) host.restart()
    }
    this.#repairs.set(host, repair)
    scheduler.at(scheduler.nowMs + random.exponential(this.#repairMs), host.name, repair)
    return true
  }

  #partition(random: SeededRandom): boolean {
    const hosts = this.#hosts()
    const island = hosts.filter(() => random.chance(0.5))
    if (island.length === 0 || island.length === hosts.length) return false
    const partition = this.#network.partition(island)
    const { scheduler } = this.#network
    scheduler.at(scheduler.nowMs + random.exponential(this.#repairMs), '', () => partition.heal())
    return true
  }

  #hitStream(kind: 'streamBreak' | 'halfOpen', random: SeededRandom): boolean {
    const mayHit = this.#options.mayHit
    const streams = [...this.#network.streams].filter((stream) =>
      stream.hosts.every((host) => mayHit?.(host as Host, kind) ?? true),
    )
    const stream = random.pick(streams)
    if (!stream) return false
    if (kind === 'streamBreak') stream.break()
    else stream.goHalfOpen(random.pick([undefined, ...stream.hosts]))
    return true
  }

  get #repairMs(): Millis {
    return this.#options.repairMs ?? 5_000
  }
}
