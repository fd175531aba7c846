import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deadline } from '../deadline.js'
import { removeFolder } from '../remove-folder.js'

/** Kept output of one process. Unit: characters. */
const OUTPUT_CHARS_MAX = 20_000

/** A process of a test: answers messages one by one, in any order, and its output is kept for when something fails. */
export class TestProcess {
  readonly child: ChildProcess
  readonly name: string
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #next = 1
  #output = ''
  #exited: string | undefined

  constructor(name: string, module: string, args: readonly string[], under: readonly string[] = []) {
    this.name = name
    const [command, ...words] = [...under, process.execPath, '--expose-gc']
    this.child = fork(module, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execPath: command!, execArgv: words })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX)
      })
    }
    this.child.on('message', (message: { id: number; value?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.error === undefined) waiting?.resolve(message.value)
      else waiting?.reject(new Error(`${name}: ${message.error}`))
    })
    this.child.on('exit', (code, signal) => {
      this.#exited = `${name} ended with ${signal ?? code}`
      for (const { reject } of this.#waiting.values()) reject(new Error(`${this.#exited}\n${this.#output}`))
      this.#waiting.clear()
    })
  }

  get pid(): number {
    return this.child.pid!
  }

  /** How the process ended; undefined while it lives. */
  get exited(): string | undefined {
    return this.#exited
  }

  /** The end of what it wrote. */
  get output(): string {
    return this.#output
  }

  /** Sends a question to the module, see {@link answerParent}. Rejects when the process ends or after `ms`. */
  ask<T>(question: string, argument?: unknown, ms = 20_000): Promise<T> {
    if (this.#exited !== undefined) return Promise.reject(new Error(`${this.#exited}\n${this.#output}`))
    const id = this.#next++
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.child.send({ id, question, argument })
    return deadline(answer as Promise<T>, ms, `${this.name}: ${question}`)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Ends it with `signal` and resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()))
    // A stopped process takes no other signal.
    this.child.kill('SIGCONT')
    this.child.kill(signal)
    await gone
  }
}

/** Processes and their data directories, all gone after {@link close}. */
export class TestProcesses {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'manyhands-test-'))
  readonly #all: TestProcess[] = []

  /** Runs the compiled `module`; `under`: a command that becomes what follows it. */
  start(name: string, module: URL, args: readonly string[], under: readonly string[] = []): TestProcess {
    const started = new TestProcess(name, fileURLToPath(module), args, under)
    this.#all.push(started)
    return started
  }

  /** What every process wrote last, for a test that failed. */
  logs(): string {
    return this.#all.map(({ name, exited, output }) => `--- ${name} (${exited ?? 'alive'})\n${output}`).join('\n')
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.splice(0).map((one) => one.kill()))
    await removeFolder(this.folder)
  }
}

/** In the process: answers each question of the parent with what its handler resolves to; ends when the parent is gone. */
export function answerParent(handlers: Readonly<Record<string, (argument: never) => unknown>>): void {
  process.on('message', (message: { id: number; question: string; argument: never }) => {
    void (async () => {
      try {
        const value = await handlers[message.question]!(message.argument)
        process.send!({ id: message.id, value })
      } catch (error) {
        process.send!({ id: message.id, error: error instanceof Error ? error.message : String(error) })
      }
    })()
  })
  process.on('disconnect', () => process.exit(0))
}
