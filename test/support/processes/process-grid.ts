import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { buildJob, type GridClient, type JobRequest, submitJob } from '../../../client/index.js'
import { type GridProcess, startProcess } from '../../../process/compose.js'
import type { JobId } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { systemRandom } from '../../../runtime/random.js'
import type { Endpoint } from '../../../runtime/transport.js'
import { eventually } from '../deadline.js'
import { testNetwork } from '../transport/grpc-nodes.js'
import type { GridProcessSettings } from './grid-process.js'
import { type TestProcess, TestProcesses } from './processes.js'
import { testSettings } from './test-settings.js'

const START_MS = 60_000

/** A peer or worker in a process of its own, and how to run it again on the same data. */
export interface GridMember {
  readonly name: string
  readonly settings: GridProcessSettings
  /** Words before its command line, see {@link Place}. */
  readonly under: readonly string[]
  process: TestProcess
  endpoint: Endpoint
}

/** Where a member runs, when not on loopback. */
export interface Place {
  /** Address that peers listen at. */
  readonly host: string
  /** A command that becomes what follows it, and has it run there. */
  readonly under: readonly string[]
}

/** One line of the `trace` task. */
export interface Trace {
  readonly what: 'begin' | 'end'
  readonly job: string
  readonly unit: number
  /** Process id of the worker. */
  readonly worker: number
}

/** Peers and workers as processes on loopback, each with its own data directory; clients are in the process of the test. */
export class ProcessGrid {
  readonly processes = new TestProcesses()
  readonly traceFile: string = join(this.processes.folder, 'trace')
  /** Where owners write down what they grant; undefined: nowhere. */
  readonly grantFile: string | undefined
  readonly #clients: GridProcess[] = []
  #members = 0

  constructor({ tapGrants = false }: { readonly tapGrants?: boolean } = {}) {
    this.grantFile = tapGrants ? join(this.processes.folder, 'grants') : undefined
  }

  /** A free port of loopback, for a peer that does not listen yet. */
  static freePort(): Promise<number> {
    return new Promise((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number }
        server.close(() => resolve(port))
      })
    })
  }

  async peer(joinAt: readonly string[] = [], port?: number, place?: Place): Promise<GridMember> {
    const { grantFile } = this
    const chosen = port ?? (await ProcessGrid.freePort())
    const settings = { join: joinAt, port: chosen, host: place?.host, threads: 0, grantFile }
    return this.#start('peer', settings, place?.under)
  }

  worker(joinAt: readonly string[], threads = 1, place?: Place): Promise<GridMember> {
    return this.#start('worker', { join: joinAt, port: undefined, threads }, place?.under)
  }

  /** Runs a member that has ended on the data it left. */
  async restart(member: GridMember): Promise<void> {
    member.process = this.#run(member.name, member.settings, member.under)
    member.endpoint = await member.process.ask('start', undefined, START_MS)
  }

  async client(...joinAt: readonly string[]): Promise<GridProcess> {
    const dataFolder = join(this.processes.folder, `client-${this.#clients.length}`)
    const client = await startProcess(testSettings({ dataFolder, join: joinAt, ephemeral: true }))
    this.#clients.push(client)
    await client.overlay.whenJoined(START_MS)
    return client
  }

  /** Submits a job of the `trace` task: `count` units of `ms` each. */
  async submitTrace(
    client: GridProcess,
    name: string,
    { count, ms, shardOwners = 1, ...rest }: { count: number; ms: number; shardOwners?: number } & Partial<JobRequest>,
  ): Promise<{ jobId: JobId; grid: GridClient }> {
    const grid = client.client()
    const request: JobRequest = {
      task: { type: 'builtin', name: 'trace', version: 1 },
      source: { type: 'count', count },
      args: [this.traceFile, name, String(ms)],
      name,
      ...rest,
    }
    const jobId = await submitRequest(client, request, shardOwners)
    return { jobId, grid }
  }

  /** What units of a job have written so far. */
  traces(job: string): Trace[] {
    let text = ''
    try {
      text = readFileSync(this.traceFile, 'utf8')
    } catch {
      // No unit has begun.
    }
    return text.split('\n').flatMap((line) => {
      const [what, name, unit, worker] = line.split(' ')
      return name === job && worker !== undefined
        ? [{ what: what as Trace['what'], job, unit: Number(unit), worker: Number(worker) }]
        : []
    })
  }

  /** Resolves once `found` gives something; rejects naming `what`, with the logs of all processes, after `ms`. */
  async until<T>(found: () => T | undefined, ms: number, what: string): Promise<T> {
    let value: T | undefined
    try {
      const look = () => {
        value = found()
        return value !== undefined
      }
      await eventually(look, ms, what)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.processes.logs()}`)
    }
    return value as T
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()))
    await this.processes.close()
  }

  async #start(
    role: string,
    settings: Omit<GridProcessSettings, 'dataFolder'>,
    under: readonly string[] = [],
  ): Promise<GridMember> {
    const name = `${role}-${this.#members++}`
    const whole = { ...settings, dataFolder: join(this.processes.folder, name) }
    const process = this.#run(name, whole, under)
    const endpoint = await process.ask<Endpoint>('start', undefined, START_MS)
    return { name, settings: whole, under, process, endpoint }
  }

  #run(name: string, settings: GridProcessSettings, under: readonly string[]): TestProcess {
    return this.processes.start(name, new URL('./grid-process.js', import.meta.url), [JSON.stringify(settings)], under)
  }
}

/** Builds and submits a job as `client`, which takes it that a shard has so many owners. */
async function submitRequest(client: GridProcess, request: JobRequest, shardOwners = 1): Promise<JobId> {
  const built = await buildJob(request, {
    sha256,
    random: systemRandom,
    nowMs: Date.now(),
    network: testNetwork.name,
    submitter: client.identity.publicKey,
    peers: 1,
    shardOwners,
  })
  return (await submitJob(client.client(), built)).jobId
}
