import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { resolveNetwork } from '../overlay/identity/network.js'
import { type GridProcess, startProcess } from '../process/compose.js'
import { silentLogger } from '../runtime/logger.js'

/** Network that every process of a benchmark is in. */
export const BENCH_NETWORK = resolveNetwork('bench')
export const TASK_MODULE: string = fileURLToPath(new URL('./bench-tasks.js', import.meta.url))

const PROCESS_ENTRY = fileURLToPath(new URL('./process.js', import.meta.url))
const START_MS = 20_000

/** Peers and workers as processes of their own on loopback, each with its own data directory; gone after {@link stop}. */
export class BenchGrid {
  readonly folder = mkdtempSync(join(tmpdir(), 'manyhands-bench-'))
  readonly #children: ChildProcess[] = []
  #client: GridProcess | undefined

  /** Starts one peer without a worker; resolves to its address. */
  peer(join: readonly string[] = []): Promise<string> {
    return this.#start('peer', join, 0)
  }

  async worker(join: readonly string[], threads = 1): Promise<void> {
    await this.#start('worker', join, threads)
  }

  /** A client in this process. */
  async client(address: string): Promise<GridProcess> {
    this.#client = await startProcess({
      dataFolder: join(this.folder, 'client'),
      network: BENCH_NETWORK,
      join: [address],
      listen: undefined,
      advertise: undefined,
      threads: 0,
      onlyJob: undefined,
      lowPriority: false,
      memoryBytes: 256 * 2 ** 20,
      taskModules: [],
      ephemeral: true,
      logger: silentLogger,
    })
    await this.#client.overlay.whenJoined(START_MS)
    return this.#client
  }

  /** Process ids, the peer's first. */
  get pids(): readonly number[] {
    return this.#children.map(({ pid }) => pid!)
  }

  /** What passed between all processes so far, TLS included: each connection has one end that a peer accepted. */
  async wireBytes(): Promise<number> {
    const counts = await Promise.all(
      this.#children.map(
        (child) =>
          new Promise<number>((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error('a process does not say what it sent')), START_MS)
            child.once('message', (bytes) => {
              clearTimeout(timer)
              resolve(Number(bytes))
            })
            child.send('wire')
          }),
      ),
    )
    return counts.reduce((sum, bytes) => sum + bytes, 0)
  }

  async stop(): Promise<void> {
    await this.#client?.close()
    await Promise.all(
      this.#children.map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve()
            child.once('exit', () => resolve())
            child.kill('SIGKILL')
          }),
      ),
    )
    rmSync(this.folder, { recursive: true, force: true })
  }

  #start(role: 'peer' | 'worker', joinAt: readonly string[], threads: number): Promise<string> {
    const data = join(this.folder, `${role}-${this.#children.length}`)
    const child = spawn(process.execPath, [PROCESS_ENTRY, role, data, joinAt.join(','), String(threads)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    this.#children.push(child)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${role} did not start`)), START_MS)
      child.once('exit', (code) => reject(new Error(`${role} ended with ${code}`)))
      child.stdout!.once('data', (bytes: Buffer) => {
        clearTimeout(timer)
        resolve(bytes.toString().trim())
      })
    })
  }
}

/** Peers without a worker and two workers of one thread, all default but for the network's name. */
export async function withGrid<T>(run: (grid: BenchGrid, address: string) => Promise<T>, peers = 1): Promise<T> {
  const grid = new BenchGrid()
  try {
    const address = await grid.peer()
    await Promise.all(Array.from({ length: peers - 1 }, () => grid.peer([address])))
    await Promise.all([grid.worker([address]), grid.worker([address])])
    return await run(grid, address)
  } finally {
    await grid.stop()
  }
}
