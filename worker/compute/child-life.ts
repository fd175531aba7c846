import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, realpathSync, rmdirSync } from 'node:fs'
import { constants, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { makeFolders } from '../../runtime/folders.js'
import type { Logger } from '../../runtime/logger.js'
import { FrameReader } from './frames.js'
import { type Launch, launches, NOBODY, thisMachine } from './launch.js'
import { decodeFacts, FRAME } from './messages.js'
import { isStopped } from './process-cpu.js'
import { type Restrictions, readRestrictions } from './restrictions.js'

/** Wait before a dead child is replaced; doubles with each that dies without an answer. */
const RESTART_MS_MIN = 100
const RESTART_MS_MAX = 30_000
/** Kept of what the child writes to standard error. */
const STDERR_CHARS_MAX = 2000

interface ChildOptions {
  /** For {@link ChildLife.replace}: what a child is started with may change. */
  readonly threads: () => number
  /** Inherited by the child as its descriptor 4. */
  readonly content: number
  /** The child loads tasks of the machine's own. */
  readonly ownTasks: boolean
  /** All that it finds in its environment. */
  readonly environment: Readonly<Record<string, string>>
  readonly lowPriority: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** What its owner does about a child. */
interface ChildEvents {
  /** A new child can be written to. */
  started(pipe: Duplex): void
  frame(type: number, body: Uint8Array<ArrayBuffer>): void
  /** The child is gone. `blameless`: it never came up, so that no unit can be to blame. */
  died(blameless: boolean): void
  /** The child goes on after it was stopped for so long. */
  continuing(stoppedMs: Millis): void
}

/** One life of the child. */
interface Child {
  readonly process: ChildProcess
  readonly pipe: Duplex
  readonly launch: Launch
  isReady: boolean
  stderr: string
  /** Lets the child go on if this process dies while it is stopped, so that it can see that and end. */
  watcher: ChildProcess | undefined
  stoppedAt: Millis | undefined
}

/**
 * Starts the compute process, with as little as the platform lets it have (`launch.ts`), and starts it anew when it dies.
 * starting -> ready -> dead -> (a growing wait) -> starting. A way to start that does not lead to `ready` is given up for
 * the next one at once.
 */
export class ChildLife {
  readonly #options: ChildOptions
  readonly #events: ChildEvents
  readonly #folder: string
  #launches: readonly Launch[]
  #launch = 0
  #child: Child | undefined
  /** Children in a row that died without an answer. */
  #deaths = 0
  #restart: Timer | undefined
  #paused = false
  #closed = false
  #restrictions: Restrictions | undefined
  readonly #waiting = new Set<(restrictions: Restrictions | undefined) => void>()

  constructor(options: ChildOptions, events: ChildEvents) {
    this.#options = options
    this.#events = events
    this.#folder = realpathSync(mkdtempSync(join(tmpdir(), 'manyhands-compute-')))
    this.#launches = this.#ways()
  }

  /** Process id of the child, undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.process.pid
  }

  /** Process id of the child while it stands still though nobody here has paused it. */
  get stoppedPid(): number | undefined {
    const child = this.#child
    const pid = child?.process.pid
    return pid !== undefined && child?.stoppedAt === undefined && isStopped(pid) ? pid : undefined
  }

  /** What is kept from the child, once it is ready; undefined when that never happened before {@link close}. */
  restrictions(): Promise<Restrictions | undefined> {
    if (this.#restrictions !== undefined || this.#closed) return Promise.resolve(this.#restrictions)
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  /** The child has done something of use: the next death is a first one. */
  proved(): void {
    this.#deaths = 0
  }

  /** Never throws: what the system cannot give now (memory, processes, open files) it is asked for again. */
  start(): void {
    try {
      this.#spawn()
    } catch (error) {
      this.#options.logger.warn('computeNotStarted', { reason: toGridError(error).message })
      this.#startLater()
    }
  }

  #spawn(): void {
    this.#prepareFolder()
    this.#launches = this.#ways()
    const { environment, lowPriority, content } = this.#options
    const launch = this.#launches[this.#launch]!
    const childProcess = spawn(launch.command, launch.args, {
      cwd: this.#folder,
      env: { ...environment },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', content],
    })
    // Without open files left there are no pipes, and the error comes after that has thrown.
    childProcess.on('error', () => {})
    const pipe = childProcess.stdio[3] as Duplex
    const child: Child = {
      process: childProcess,
      pipe,
      launch,
      isReady: false,
      stderr: '',
      watcher: undefined,
      stoppedAt: undefined,
    }
    this.#child = child
    const reader = new FrameReader((type, body) => this.#onFrame(child, type, body))
    pipe.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        if (!(error instanceof GridError) || error.code !== 'corrupt') throw error
        childProcess.kill('SIGKILL')
      }
    })
    pipe.on('error', () => {})
    childProcess.stderr!.setEncoding('utf8').on('data', (text: string) => {
      child.stderr = (child.stderr + text).slice(-STDERR_CHARS_MAX)
      this.#options.logger.debug('computeTrouble', { text: text.slice(0, STDERR_CHARS_MAX) })
    })
    childProcess.on('error', (error) => this.#onDeath(child, error.message, true))
    childProcess.on('exit', (code, signal) => this.#onDeath(child, signal ?? `exit ${code}`, signal === null))
    if (lowPriority) this.#lower(childProcess)
    this.#events.started(pipe)
    if (this.#paused) this.#stop(child)
  }

  /** Right after it was started, before it has threads: they inherit the priority, those of the engine included. */
  #lower(child: ChildProcess): void {
    try {
      if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW)
    } catch (error) {
      // It ended already, or is not to compute at all.
      this.#options.logger.debug('priorityNotLowered', { reason: toGridError(error).message })
      child.kill('SIGKILL')
    }
  }

  /** Ends the child for a fresh one, at once. What was in it is its owner's to remember. */
  replace(): void {
    const child = this.#child
    if (child === undefined || this.#closed) return
    this.#child = undefined
    child.process.kill('SIGKILL')
    child.pipe.destroy()
    child.watcher?.kill('SIGKILL')
    this.start()
  }

  pause(): void {
    if (this.#paused || this.#closed) return
    if (process.platform === 'win32') throw new GridError('unsupported', 'Windows cannot stop and continue a process')
    this.#paused = true
    if (this.#child !== undefined) this.#stop(this.#child)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    const child = this.#child
    if (child?.stoppedAt !== undefined) {
      // Written before it goes on: what it reads first is how long it stood.
      this.#events.continuing(this.#options.clock.now() - child.stoppedAt)
      child.stoppedAt = undefined
    }
    child?.process.kill('SIGCONT')
    if (this.#child === undefined && this.#restart === undefined && !this.#closed) this.start()
  }

  /** Ends the child for good. Safe to call twice. */
  async close(): Promise<void> {
    this.#restart?.cancel()
    const child = this.#child
    this.#closed = true
    this.#tell()
    if (child !== undefined) {
      const exited = once(child.process, 'exit')
      child.process.kill('SIGKILL')
      if (child.process.exitCode === null && child.process.signalCode === null) await exited
    }
    try {
      rmdirSync(this.#folder)
    } catch {
      // Already removed, by an earlier call or by the child.
    }
  }

  #ways(): readonly Launch[] {
    const { threads, ownTasks } = this.#options
    return launches(thisMachine(this.#folder, threads(), ownTasks))
  }

  /** Made anew each time: cleaners of temporary files take empty folders. The child owns it, to be able to remove it. */
  #prepareFolder(): void {
    makeFolders(this.#folder)
    if (process.getuid?.() !== 0) return
    try {
      chownSync(this.#folder, NOBODY, NOBODY)
      chmodSync(this.#folder, 0o500)
    } catch {
      // It stays when this process is killed, empty.
    }
  }

  #onFrame(child: Child, type: number, body: Uint8Array<ArrayBuffer>): void {
    if (this.#closed || this.#child !== child) return
    if (type !== FRAME.ready) {
      this.#events.frame(type, body)
      return
    }
    child.isReady = true
    const restrictions = readRestrictions(child.process.pid!, child.launch.takes, decodeFacts(body))
    const isFirst = this.#restrictions === undefined
    this.#restrictions = restrictions
    if (isFirst) this.#options.logger.info('sandbox', { ...restrictions })
    this.#tell()
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve(this.#restrictions)
    this.#waiting.clear()
  }

  #stop(child: Child): void {
    child.watcher ??= spawn('/bin/sh', ['-c', 'read _; kill -CONT "$0"', String(child.process.pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {},
    }).on('error', () => {})
    child.process.kill('SIGSTOP')
    child.stoppedAt ??= this.#options.clock.now()
  }

  #onDeath(child: Child, reason: string, byItself: boolean): void {
    child.watcher?.kill('SIGKILL')
    if (this.#child !== child) return
    this.#child = undefined
    child.pipe.destroy()
    if (this.#closed) return
    const { logger } = this.#options
    const refused = byItself && !child.isReady && this.#launch < this.#launches.length - 1
    if (refused) {
      this.#launch++
      const { takes } = this.#launches[this.#launch]!
      logger.info('sandbox step refused', {
        wanted: child.launch.takes,
        next: takes,
        stderr: child.stderr.slice(0, 200),
      })
    } else logger.warn('computeDied', { reason, stderr: child.stderr })
    this.#startLater(refused)
    this.#events.died(!child.isReady && byItself)
  }

  /** Starts another child after a wait, or `atOnce`. */
  #startLater(atOnce = false): void {
    const delayMs = atOnce ? 0 : Math.min(RESTART_MS_MIN * 2 ** Math.min(this.#deaths++, 16), RESTART_MS_MAX)
    this.#restart = this.#options.clock.setTimer(delayMs, () => {
      this.#restart = undefined
      if (!this.#paused) this.start()
    })
  }
}
