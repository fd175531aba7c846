import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { run } from '../../unit/cli/run.js'
import { deadline } from '../deadline.js'
import { removeFolder } from '../remove-folder.js'

/** The program under test: the one compiled along with this file. */
const MAIN = fileURLToPath(new URL('../../../cli/main.js', import.meta.url))
/** Time a process has to say that it is ready, and a command to end. Unit: ms. */
const READY_MS = 60_000
const COMMAND_MS = 120_000
/** How often a condition is looked at. Unit: ms. */
const LOOK_MS = 25
/** Kept output of a process. Unit: characters. */
const OUTPUT_CHARS_MAX = 100_000

/** How a command ended. */
export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProcessOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** Data directory by name, to share one or to come back to one. Default: the name of the process. */
  readonly data?: string
  readonly stdin?: string
}

/** A process that a cluster started. */
export class ClusterProcess {
  readonly name: string
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  stdout = ''
  stderr = ''
  hasExited = false

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-OUTPUT_CHARS_MAX)
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_CHARS_MAX)
    })
    this.exited = new Promise((resolve) => {
      child.once('close', (code) => {
        this.hasExited = true
        resolve(code)
      })
    })
  }

  get pid(): number {
    return this.child.pid!
  }
}

/**
 * A grid of real processes of this build, on loopback, in a network and a folder of its own. To be closed in `after`: that
 * ends every process it started and removes the folder.
 */
export class GridCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'manyhands-e2e-'))
  readonly network = `e2e-${randomBytes(6).toString('hex')}`
  readonly #processes: ClusterProcess[] = []
  #address = ''

  /** `host:port#id` of the first node. */
  get address(): string {
    return this.#address
  }

  /** Starts a peer that computes nothing unless told so, joined to the first one; resolves once it is ready. */
  async node(name: string, args: readonly string[] = [], options: ProcessOptions = {}): Promise<ClusterProcess> {
    const join = this.#address === '' ? [] : ['--join', this.#address]
    const defaults = ['--listen', '127.0.0.1:0', '--cpus', '0']
    const started = this.spawn(name, ['node', '--stop-at-eof', ...defaults, ...join, ...args], options)
    await this.until(() => started.stdout.includes('\n'), `${name} is ready`, READY_MS, started)
    if (this.#address === '') this.#address = started.stdout.trim()
    return started
  }

  /** Starts a worker with one thread, joined to the first node; resolves once it runs. */
  async worker(name: string, args: readonly string[] = [], options: ProcessOptions = {}): Promise<ClusterProcess> {
    const started = this.spawn(
      name,
      ['work', '--stop-at-eof', '--cpus', '1', '--join', this.#address, ...args],
      options,
    )
    await this.until(() => started.stderr.includes('donating'), `${name} runs`, READY_MS, started)
    return started
  }

  /** Starts any command; `--network` and `--data` are added. */
  spawn(name: string, args: readonly string[], options: ProcessOptions = {}): ClusterProcess {
    const { environment = {}, data = name, stdin } = options
    const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith('MANYHANDS_'))
    const child = spawn(process.execPath, [MAIN, ...this.#placed(args, data)], {
      cwd: this.folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(inherited), ...this.#environment(), ...environment },
    })
    child.stdin.on('error', () => {})
    if (stdin !== undefined) child.stdin.end(stdin)
    const started = new ClusterProcess(name, child)
    this.#processes.push(started)
    return started
  }

  /** Runs a command of the submitter, joined to the first node, to its end. */
  async command(args: readonly string[], options: ProcessOptions = {}): Promise<CommandResult> {
    return this.run(this.#joined(args), { data: 'submitter', ...options })
  }

  /** Runs any command to its end, without adding where to join. */
  async run(args: readonly string[], options: ProcessOptions = {}): Promise<CommandResult> {
    const started = this.spawn(args.slice(0, 2).join(' '), args, { stdin: '', ...options })
    await this.until(() => started.hasExited, `'${args.join(' ')}' ends`, COMMAND_MS, started)
    const { stdout, stderr } = started
    return { code: await started.exited, stdout, stderr }
  }

  /**
   * Runs a command to its end in this process: what it does and says is the same, and the second that a process takes to
   * start is saved. Joined to the first node, unless it is `alone`. What belongs to the process takes {@link command}: signals,
   * and that it ends.
   */
  async asked(
    args: readonly string[],
    { data = 'submitter', stdin, alone = false }: Pick<ProcessOptions, 'data' | 'stdin'> & { alone?: boolean } = {},
  ): Promise<CommandResult> {
    const argv = this.#placed(alone ? args : this.#joined(args), data)
    const environment = this.#environment()
    const running = run(argv, { home: this.folder, environment, ...(stdin !== undefined && { stdin }) })
    return deadline(running, COMMAND_MS, `'${args.join(' ')}' ends`)
  }

  #environment(): Record<string, string> {
    return { XDG_CONFIG_HOME: this.folder, MANYHANDS_ON_BATTERY: 'yes' }
  }

  #joined(args: readonly string[]): readonly string[] {
    return this.#address === '' || args.includes('--join') ? args : withFlags(args, '--join', this.#address)
  }

  #placed(args: readonly string[], data: string): readonly string[] {
    return withFlags(args, '--network', this.network, '--data', join(this.folder, data))
  }

  /** Sends a signal to a process of this cluster. */
  kill(target: ClusterProcess, signal: NodeJS.Signals): void {
    if (!target.hasExited) target.child.kill(signal)
  }

  /** Waits for a condition; when it does not come true in time, or `of` ends first, throws with the logs of all. */
  async until(
    condition: () => boolean | Promise<boolean>,
    what: string,
    deadlineMs = READY_MS,
    of?: ClusterProcess,
  ): Promise<void> {
    const endAt = performance.now() + deadlineMs
    while (!(await condition())) {
      const reason = of?.hasExited && !(await condition()) ? `${of.name} ended` : undefined
      if (reason !== undefined || performance.now() > endAt) {
        throw new Error(`${what}: ${reason ?? `not within ${deadlineMs} ms`}\n${this.logs()}`)
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  /** What every process said, for a test that failed. */
  logs(): string {
    return this.#processes
      .map(({ name, stdout, stderr }) => `--- ${name}\n${stdout.slice(-2_000)}${stderr.slice(-4_000)}`)
      .join('\n')
  }

  /** Ends all processes and removes the folder. Safe to call twice. */
  async close(): Promise<void> {
    for (const one of this.#processes) {
      // A stopped process would not see the end of its input.
      this.kill(one, 'SIGCONT')
      this.kill(one, 'SIGKILL')
    }
    await Promise.all(this.#processes.splice(0).map(({ exited }) => exited))
    await removeFolder(this.folder)
  }
}

/** A command line with flags of ours, before what it passes on to the task. */
function withFlags(args: readonly string[], ...flags: readonly string[]): readonly string[] {
  const at = args.indexOf('--')
  return at < 0 ? [...args, ...flags] : [...args.slice(0, at), ...flags, ...args.slice(at)]
}

/** Registers tests that say what the processes of `cluster` said when one fails. */
export function clusterTests(
  cluster: GridCluster,
  register: (name: string, body: () => Promise<void>) => void,
): (name: string, body: () => Promise<void>) => void {
  return (name, body) =>
    register(name, async () => {
      try {
        await body()
      } catch (error) {
        if (error instanceof Error) error.message += `\n${cluster.logs()}`
        throw error
      }
    })
}

export function expectCode(result: CommandResult, code: number): void {
  assert.is(result.code, code, `${result.stdout}${result.stderr}`)
}
