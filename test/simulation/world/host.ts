import type { NodeId, PublicKey } from '../../../proto/model.js'
import type { Clock } from '../../../runtime/clock.js'
import type { Disk } from '../../../runtime/disk.js'
import { sha256 } from '../../../runtime/hash.js'
import { toHex } from '../../../runtime/hex.js'
import type { LogFields, Logger } from '../../../runtime/logger.js'
import type { Random } from '../../../runtime/random.js'
import type { Address, Caller, Transport } from '../../../runtime/transport.js'
import { type ClockOptions, HostClock, processClock } from './clock.js'
import { type DiskCounters, SimDisk } from './disk.js'
import type { Station } from './link.js'
import type { Network } from './network.js'
import { SimProcess } from './process.js'
import type { SeededRandom } from './random.js'

/** What a simulated process is handed: the counterpart of what `cli/` makes for a real one. */
export interface ProcessContext {
  readonly name: string
  readonly address: Address
  readonly identity: Caller
  /** How often this host has started a process, from 1. */
  readonly boot: number
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly transport: Transport
  readonly logger: Logger
}

/** What runs on a host: builds cores and drivers from the context. A rejection fails the run. */
export type Program = (context: ProcessContext) => void | Promise<void>

/**
 * How a process ends. `killed`: kill -9; its files stay as they are and its peers see connections close. `powerLoss`: the
 * machine stops; what was not synced is lost or torn and nobody is told. `diskLoss`: the same, and it comes back with an
 * empty disk and another key.
 */
export type CrashKind = 'killed' | 'powerLoss' | 'diskLoss'

export interface HostOptions {
  /** Default: `NAME:4000`. */
  readonly address?: Address
  /** False for a leaf, which nobody can dial. Default true. */
  readonly reachable?: boolean
  /** Default unlimited. */
  readonly uplinkBytesPerS?: number
  readonly clock?: ClockOptions
  /** The key of the host, and the one it makes after losing its n-th disk. Default: random bytes, good for no signature. */
  readonly identity?: (generation: number) => Caller
}

/** A machine: address, clocks, disk, and at most one process, which may crash and come back. */
export class Host implements Station {
  readonly name: string
  readonly address: Address
  readonly reachable: boolean
  readonly uplinkBytesPerS: number | undefined
  readonly clock: HostClock
  readonly disk: SimDisk
  readonly #network: Network
  readonly #random: SeededRandom
  readonly #identity: (generation: number) => Caller
  #caller: Caller
  #generation = 0
  #boot = 0
  #program: Program | undefined
  #process: SimProcess | undefined
  #poweredOn = true

  constructor(name: string, network: Network, random: SeededRandom, counters: DiskCounters, options: HostOptions = {}) {
    this.name = name
    this.address = options.address ?? `${name}:4000`
    this.reachable = options.reachable ?? true
    this.uplinkBytesPerS = options.uplinkBytesPerS
    this.#network = network
    this.#random = random
    this.clock = new HostClock(network.scheduler, options.clock)
    this.disk = new SimDisk(name, network.scheduler, random.split('disk'), network.trace, counters)
    this.#identity =
      options.identity ?? ((generation) => plainIdentity(random.split(`key ${generation}`), this.address))
    this.#caller = this.#identity(0)
  }

  get caller(): Caller {
    return this.#caller
  }

  get process(): SimProcess | undefined {
    return this.#process
  }

  get poweredOn(): boolean {
    return this.#poweredOn
  }

  /** Whether a process runs, stopped or not. */
  get running(): boolean {
    return this.#process !== undefined
  }

  /** Whether its process was stopped by {@link pause}. */
  get paused(): boolean {
    return this.#process?.stopped ?? false
  }

  /** Starts `program`; it begins with the next event. */
  start(program: Program): void {
    if (this.#process) throw new Error(`${this.name} already runs a process`)
    const { scheduler, trace } = this.#network
    this.#program = program
    this.#poweredOn = true
    this.#boot++
    const running = new SimProcess(scheduler, this.name, this.#boot)
    this.#process = running
    trace.record(scheduler.nowMs, this.name, 'start', `boot ${this.#boot}`)
    const context: ProcessContext = {
      name: this.name,
      address: this.address,
      identity: this.#caller,
      boot: this.#boot,
      clock: processClock(this.clock, running),
      random: this.#random.split(`boot ${this.#boot}`),
      disk: this.disk.open(running),
      transport: this.#network.transport(this, running),
      logger: this.#logger(''),
    }
    running.after(0, () => {
      const done = program(context)
      if (done) done.catch((error: unknown) => running.alive && scheduler.fail(error))
    })
  }

  /** Starts the program that ran last, on what is left of its disk. */
  restart(): void {
    if (!this.#program) throw new Error(`${this.name} never ran a process`)
    this.start(this.#program)
  }

  /** Ends the process without warning. No effect when none runs. */
  crash(kind: CrashKind): void {
    const ended = this.#process
    if (!ended) return
    const { scheduler, trace } = this.#network
    trace.record(scheduler.nowMs, this.name, 'crash', kind)
    ended.kill()
    this.#process = undefined
    this.#poweredOn = kind === 'killed'
    this.#network.processDied(ended, kind === 'killed' ? 'heard' : 'silently')
    if (kind === 'killed') this.disk.processDied()
    else this.disk.powerLost()
    if (kind !== 'diskLoss') return
    this.disk.erase()
    this.#generation++
    this.#caller = this.#identity(this.#generation)
  }

  /** SIGSTOP: what reaches the process waits. */
  pause(): void {
    this.#network.trace.record(this.#network.scheduler.nowMs, this.name, 'pause', '')
    this.#process?.stop()
  }

  /** SIGCONT. */
  resume(): void {
    this.#network.trace.record(this.#network.scheduler.nowMs, this.name, 'resume', '')
    this.#process?.continue()
  }

  #logger(component: string): Logger {
    const { scheduler, trace } = this.#network
    const write = (level: string) => (event: string, fields?: LogFields) => {
      trace.note(
        scheduler.nowMs,
        this.name,
        level,
        `${component} ${event} ${fields ? formatFields(fields) : ''}`.trim(),
      )
    }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (name) => this.#logger(component ? `${component}.${name}` : name),
    }
  }
}

/** An identity whose id follows from its key as real ones do, but whose key signs nothing. */
export function plainIdentity(random: Random, address: Address): Caller {
  const publicKey = random.bytes(32)
  const idNonce = random.bytes(8)
  return {
    nodeId: sha256(publicKey, idNonce).slice(0, 40) as string as NodeId,
    publicKey: toHex(publicKey) as PublicKey,
    idNonce,
    host: address.slice(0, address.lastIndexOf(':')),
  }
}

function formatFields(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${String(value).slice(0, 200)}`)
    .join(' ')
}
