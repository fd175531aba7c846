import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CommandContext } from '../context.js'
import { DemoProcess } from './demo-process.js'

/** Peers that compute nothing. */
export const DEMO_PEERS = 3
/** Volunteers with one thread each, the liar not counted. */
export const DEMO_WORKERS = 4
/** Time for one process to say that it runs. Unit: ms. */
const READY_MS = 30_000
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))
const LYING_TASKS = fileURLToPath(new URL('./lying-primes.js', import.meta.url))

/** What the liar says of itself in the end. */
export interface Liar {
  readonly publicKey: string
  readonly computed: number
  readonly agreed: number
  readonly disagreed: number
}

/** The processes of the demo, and how to reach them. */
export class DemoGrid {
  readonly #folder: string
  readonly #network = `demo-${randomBytes(6).toString('hex')}`
  readonly #processes: DemoProcess[] = []
  #liar: DemoProcess | undefined
  #liarKey = ''

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Starts everything; gives the address of the first peer. */
  async start(withLiar: boolean): Promise<string> {
    const first = await this.#peer('peer 1', []).ready(READY_MS)
    const address = String(first.address)
    const others = Array.from({ length: DEMO_PEERS - 1 }, (_, i) => this.#peer(`peer ${i + 2}`, ['--join', address]))
    const workers = Array.from({ length: DEMO_WORKERS }, (_, i) => this.#worker(`worker ${i + 1}`, address, {}))
    if (withLiar) {
      this.#liar = this.#worker('the liar', address, { MANYHANDS_TASKS: LYING_TASKS })
      workers.push(this.#liar)
    }
    await Promise.all([...others, ...workers].map((one) => one.ready(READY_MS)))
    if (this.#liar !== undefined) this.#liarKey = String((await this.#liar.ready(READY_MS)).publicKey)
    return address
  }

  /** The settings of a command that joins this grid. */
  contextOf(context: CommandContext, address: string): CommandContext {
    const settings = {
      ...context.settings,
      data: { value: join(this.#folder, 'submitter'), origin: 'flag' as const },
      network: { value: this.#network, origin: 'flag' as const },
      'secret-file': { value: undefined, origin: 'default' as const },
      join: { value: [address], origin: 'flag' as const },
      quorum: { value: undefined, origin: 'default' as const },
      tasks: { value: [], origin: 'default' as const },
    }
    return { ...context, settings, passed: undefined }
  }

  /** What the liar says of itself in the end: how many of its answers were confirmed, and how many were not. */
  async stopLiar(): Promise<Liar> {
    const said = await this.#liar?.stop()
    return {
      publicKey: this.#liarKey,
      computed: Number(said?.computed ?? 0),
      agreed: Number(said?.agreed ?? 0),
      disagreed: Number(said?.disagreed ?? 0),
    }
  }

  /** Ends all at once. */
  async kill(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.kill()))
  }

  /** What processes that ended on their own had to say. */
  logs(): string {
    return this.#processes
      .filter((one) => one.hasExited && one.log !== '')
      .map((one) => `${one.name}: ${one.log.trim()}`)
      .join('\n')
  }

  #peer(name: string, more: readonly string[]): DemoProcess {
    return this.#spawn(name, ['node', '--listen', '127.0.0.1:0', '--cpus', '0', ...more], {})
  }

  #worker(name: string, address: string, environment: Readonly<Record<string, string>>): DemoProcess {
    return this.#spawn(name, ['work', '--cpus', '1', '--join', address], environment)
  }

  #spawn(name: string, args: readonly string[], environment: Readonly<Record<string, string>>): DemoProcess {
    const data = join(this.#folder, name.replaceAll(' ', '-'))
    // Nothing of this person's settings, and on battery, too: somebody waits for it.
    const config = { XDG_CONFIG_HOME: this.#folder, LOCALAPPDATA: this.#folder, MANYHANDS_ON_BATTERY: 'yes' }
    // A process that is killed cannot clear up; what it leaves goes with the folder of the demo.
    const temporary = { TMPDIR: this.#folder, TEMP: this.#folder, TMP: this.#folder }
    const shared = ['--data', data, '--network', this.#network, '--json', '--quiet', '--stop-at-eof']
    const started = new DemoProcess(name, MAIN, [...args, ...shared], { ...config, ...temporary, ...environment })
    this.#processes.push(started)
    return started
  }
}
