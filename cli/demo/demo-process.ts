import { type ChildProcess, spawn } from 'node:child_process'
import { GridError } from '../../runtime/errors.js'

/** Kept of what a process writes to stderr, for when it fails. Unit: characters. */
const LOG_CHARS_MAX = 8_000
/** Time to finish what is in hand before it is killed. Unit: ms. */
const STOP_MS = 4_000

/** One process of the demo grid: this program again, with a role. */
export class DemoProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #lines: string[] = []
  #rest = ''
  #log = ''
  #hasExited = false
  #onLine: () => void = () => {}

  /** `script`: entry of this program. Its own settings come from `args` and `environment` alone. */
  constructor(name: string, script: string, args: readonly string[], environment: Readonly<Record<string, string>>) {
    this.name = name
    const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith('MANYHANDS_'))
    this.#child = spawn(process.execPath, [script, ...args], {
      // Its standard input ends when this process does, whatever ends it; then the child stops, too (--stop-at-eof).
      stdio: ['pipe', 'pipe', 'pipe'],
      // Out of the reach of the terminal's Ctrl-C: this process decides when its children stop.
      detached: true,
      env: { ...Object.fromEntries(inherited), ...environment },
    })
    this.#child.stdin?.on('error', () => {})
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_CHARS_MAX)
    })
    this.#exited = new Promise((resolve) => {
      const done = () => {
        this.#hasExited = true
        this.#onLine()
        resolve()
      }
      this.#child.once('exit', done)
      this.#child.once('error', done)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get hasExited(): boolean {
    return this.#hasExited
  }

  /** What it last wrote to stderr. */
  get log(): string {
    return this.#log
  }

  /** The first value it prints, which says that it runs. Rejects with GridError when it ends before, or takes too long. */
  async ready(timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    const deadline = setTimeout(() => this.#onLine(), timeoutMs)
    const endAt = performance.now() + timeoutMs
    try {
      while (this.#lines.length === 0 && !this.#hasExited && performance.now() < endAt) {
        await new Promise<void>((resolve) => {
          this.#onLine = resolve
        })
      }
    } finally {
      clearTimeout(deadline)
    }
    const [line] = this.#lines
    if (line !== undefined) {
      const value = JSON.parse(line) as Readonly<Record<string, unknown>>
      if (value.error === undefined) return value
    }
    throw new GridError('unavailable', `${this.name} did not start`, {
      hint: (line ?? this.#log.trim()) || 'it said nothing',
    })
  }

  /** Lets it finish what is in hand, for a moment; gives the last value it printed. Safe to call twice. */
  async stop(): Promise<Readonly<Record<string, unknown>> | undefined> {
    this.#child.kill('SIGTERM')
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#exited
    clearTimeout(deadline)
    const last = this.#lines.at(-1)
    return last === undefined ? undefined : (JSON.parse(last) as Readonly<Record<string, unknown>>)
  }

  /** Ends it at once. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#hasExited) this.#child.kill('SIGKILL')
    await this.#exited
  }

  #read(text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = parts.pop() ?? ''
    this.#lines.push(...parts)
    this.#onLine()
  }
}
