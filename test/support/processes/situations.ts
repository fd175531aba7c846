import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { FindingCode } from '../../../client/explain/explain.js'
import { type ClusterProcess, expectCode, GridCluster } from './grid-cluster.js'

/** Time for a situation to be seen, and to be seen to be over. Unit: ms. */
const SEEN_MS = 60_000

const moduleAt = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const LIAR = { MANYHANDS_TASKS: moduleAt('../../../cli/demo/lying-primes.js') }
const BROKEN = { MANYHANDS_TASKS: moduleAt('../compute/tasks/broken-primes.js') }
const NEWER = { MANYHANDS_TASKS: moduleAt('../compute/tasks/newer-primes.js') }
const AHEAD = { NODE_OPTIONS: `--import=${new URL('./shifted-clock.js', import.meta.url).href}` }

/** Something that keeps a job or a worker waiting: staged with processes and commands, seen with `explain`, and undone. */
export interface Situation {
  readonly name: string
  readonly code: FindingCode
  /** Brings it about. Returns how to undo it, after which the finding must go. */
  readonly stage: (grid: SituationGrid) => Promise<Staged>
}

interface Staged {
  /** Words of `explain`, and the data directory that it is asked from. Default: `last`, asked by the submitter. */
  readonly ask?: readonly string[]
  readonly data?: string
  readonly environment?: Readonly<Record<string, string>>
  /** May change how it is asked from then on. */
  readonly undo: () => Promise<Partial<Staged> | undefined>
}

/** Peers that only route and own, with a submitter and workers that come and go. */
export class SituationGrid {
  readonly cluster = new GridCluster()
  readonly #peers = new Map<string, { process: ClusterProcess; address: string }>()
  readonly #workers = new Map<string, ClusterProcess>()
  #submitter = ''

  async start(peers: number): Promise<void> {
    for (let i = 1; i <= peers; i++) await this.peer(`peer-${i}`)
  }

  /** Public key of the submitter. */
  async submitter(): Promise<string> {
    if (this.#submitter === '') {
      const { stdout } = await this.cluster.asked(['id', '--json'])
      this.#submitter = (JSON.parse(stdout) as { publicKey: string }).publicKey
    }
    return this.#submitter
  }

  /** Starts a peer, or starts it again where it was. */
  async peer(name: string, args: readonly string[] = [], environment: Record<string, string> = {}): Promise<void> {
    const known = this.#peers.get(name)
    const at = known === undefined ? [] : ['--listen', known.address.split('#')[0]!]
    const process = await this.cluster.node(name, [...at, ...args], { environment })
    this.#peers.set(name, { process, address: process.stdout.trim().split('\n')[0]! })
  }

  async killPeer(name: string): Promise<void> {
    const { process } = this.#peers.get(name)!
    this.cluster.kill(process, 'SIGKILL')
    await process.exited
  }

  /** The peer that answers at an address. */
  peerAt(address: string): string {
    for (const [name, peer] of this.#peers) if (peer.address.startsWith(`${address}#`)) return name
    throw new Error(`no peer at ${address}`)
  }

  async worker(
    name: string,
    args: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Promise<ClusterProcess> {
    const process = await this.cluster.worker(name, args, { environment })
    this.#workers.set(name, process)
    return process
  }

  async stop(...names: readonly string[]): Promise<void> {
    for (const name of names.length === 0 ? [...this.#workers.keys()] : names) {
      const process = this.#workers.get(name)!
      this.#workers.delete(name)
      this.cluster.kill(process, 'SIGCONT')
      this.cluster.kill(process, 'SIGKILL')
      await process.exited
    }
  }

  /** Submits primes in ten units. Resolves to the id. */
  async submit(args: readonly string[] = [], environment?: Record<string, string>): Promise<string> {
    const task = args.find((word) => word.startsWith('primes')) ?? 'primes'
    const rest = args.filter((word) => word !== task)
    const argv = ['submit', task, '--range', '0..10^6:10^5', '--no-trial', ...rest]
    const result = await (environment === undefined
      ? this.cluster.asked(argv)
      : this.cluster.command(argv, { environment }))
    expectCode(result, 0)
    return result.stdout.trim()
  }

  async command(...args: readonly string[]): Promise<void> {
    expectCode(await this.cluster.asked(args), 0)
  }

  /** Runs a command on the data directory of a worker. */
  async on(worker: string, ...args: readonly string[]): Promise<void> {
    expectCode(await this.cluster.asked(args, { data: worker, alone: true }), 0)
  }

  /** What `explain` finds. */
  async explain({ ask = ['last'], data = 'submitter', environment }: Partial<Staged> = {}): Promise<Explained> {
    const argv = ['explain', ...ask, '--json']
    const { stdout, stderr, code } =
      environment === undefined
        ? await this.cluster.asked(argv, { data })
        : await this.cluster.command(argv, { data, environment })
    if (code !== 0) throw new Error(`explain ${ask.join(' ')} ended with ${code}\n${stdout}${stderr}`)
    return JSON.parse(stdout) as Explained
  }
}

/** JSON of `explain`, as far as the test reads it. */
export interface Explained {
  readonly findings: readonly {
    readonly code: FindingCode
    readonly sentence: string
    readonly by: readonly string[]
    readonly value: string
    readonly cure: string
  }[]
  readonly answered?: readonly { readonly address: string; readonly shards: readonly number[] }[]
}

/** Stages a situation, waits until it is explained, undoes it and waits until the finding is gone. */
export async function playSituation(grid: SituationGrid, { code, stage }: Situation): Promise<void> {
  let staged = await stage(grid)
  let last: Explained = { findings: [] }
  const has = async () => {
    last = await grid.explain(staged)
    return last.findings.some((finding) => finding.code === code)
  }
  const told = () => JSON.stringify(last.findings, undefined, 1)
  await grid.cluster.until(has, `${code} is found`, SEEN_MS).catch((error: Error) => {
    throw new Error(`${error.message}\nfound: ${told()}`)
  })
  const finding = last.findings.find((one) => one.code === code)!
  assert.ok(finding.sentence !== '' && finding.by.length > 0, `${code} says who says so: ${told()}`)
  staged = { ...staged, ...(await staged.undo()) }
  await grid.cluster
    .until(async () => !(await has()), `${code} is gone`, SEEN_MS)
    .catch((error: Error) => {
      throw new Error(`${error.message}\nfound: ${told()}`)
    })
}

// ---------------------------------------------------------------------------------------------------------- situations

export const situations: readonly Situation[] = [
  {
    name: 'no worker',
    code: 'no-worker',
    stage: async (grid) => {
      await grid.submit(['--quorum', '1'])
      return { undo: async () => void (await grid.worker('first')) }
    },
  },
  {
    name: 'one worker, but quorum 2',
    code: 'quorum',
    stage: async (grid) => {
      await grid.worker('first')
      await grid.submit()
      return { undo: async () => void (await grid.worker('second')) }
    },
  },
  {
    name: 'memory too small',
    code: 'memory',
    stage: async (grid) => {
      await grid.worker('small', ['--memory', '64MiB'])
      await grid.submit(['--quorum', '1'])
      return {
        undo: async () => {
          await grid.stop('small')
          await grid.worker('small', ['--memory', '512MiB'])
          return undefined
        },
      }
    },
  },
  {
    name: 'all paused',
    code: 'paused',
    stage: async (grid) => {
      await grid.worker('first')
      await grid.on('first', 'pause')
      await grid.submit(['--quorum', '1'])
      return { undo: async () => void (await grid.on('first', 'resume')) }
    },
  },
  {
    name: 'this machine is paused',
    code: 'paused',
    stage: async (grid) => {
      await grid.worker('first')
      await grid.on('first', 'pause')
      return { ask: ['--me'], data: 'first', undo: async () => void (await grid.on('first', 'resume')) }
    },
  },
  {
    name: 'submitter refused',
    code: 'submitter-refused',
    stage: async (grid) => {
      await grid.worker('first', ['--refuse', await grid.submitter()])
      await grid.submit(['--quorum', '1'])
      return {
        undo: async () => {
          await grid.stop('first')
          await grid.worker('first')
          return undefined
        },
      }
    },
  },
  {
    name: 'waiting for a second opinion',
    code: 'second-opinion',
    stage: async (grid) => {
      const second = await grid.worker('second')
      const job = await grid.submit()
      // It has work in hand, and stands still from then on: what it is drawn for waits.
      const isGranted = async () =>
        (await grid.explain()).findings.some(({ code }) => code === 'computing' || code === 'second-opinion')
      await grid.cluster.until(isGranted, 'the second worker is known to the owners', SEEN_MS)
      grid.cluster.kill(second, 'SIGSTOP')
      await grid.worker('first')
      return { ask: [job], undo: async () => grid.cluster.kill(second, 'SIGCONT') as undefined }
    },
  },
  {
    name: 'disputed',
    code: 'disputed',
    stage: async (grid) => {
      await grid.worker('liar', [], LIAR)
      await grid.worker('first')
      await grid.submit()
      return {
        undo: async () => {
          // Two: where both honest answers were granted by one owner, only one of them counts.
          await grid.worker('second')
          await grid.worker('third')
          return undefined
        },
      }
    },
  },
  {
    name: 'held unit',
    code: 'held',
    stage: async (grid) => {
      await grid.worker('broken', [], BROKEN)
      const job = await grid.submit(['--quorum', '1', '--max-errors', '1'])
      return {
        undo: async () => {
          await grid.stop('broken')
          await grid.worker('first')
          await grid.command('retry', job, '--held')
          return undefined
        },
      }
    },
  },
  {
    name: 'expired',
    code: 'expired',
    stage: async (grid) => {
      const job = await grid.submit(['--expires', '3s'])
      return { ask: [job], undo: async () => void (await grid.command('extend', job, '1d')) }
    },
  },
  {
    name: 'version too old',
    code: 'version-old',
    stage: async (grid) => {
      await grid.worker('first')
      await grid.submit(['primes@2', '--quorum', '1'], NEWER)
      return {
        undo: async () => {
          await grid.stop('first')
          await grid.worker('first', [], NEWER)
          return undefined
        },
      }
    },
  },
  {
    name: 'clock off',
    code: 'clock-here',
    stage: async (grid) => {
      await grid.submit()
      return { environment: AHEAD, undo: async () => ({ environment: {} }) }
    },
  },
  { name: 'key in use elsewhere', code: 'key-in-use', stage: (grid) => keyInTwoPlaces(grid, 'copy', 'first') },
  {
    name: 'key in use elsewhere, told to the first',
    code: 'key-in-use',
    stage: (grid) => keyInTwoPlaces(grid, 'first', 'copy'),
  },
  {
    name: 'two peers on one key',
    code: 'key-in-use',
    stage: async (grid) => {
      const { folder } = grid.cluster
      mkdirSync(join(folder, 'twin'), { recursive: true, mode: 0o700 })
      cpSync(join(folder, 'peer-3', 'identity.json'), join(folder, 'twin', 'identity.json'))
      await grid.peer('twin')
      return { ask: ['--me'], data: 'peer-3', undo: async () => void (await grid.killPeer('twin')) }
    },
  },
  {
    name: 'quota reached',
    code: 'quota',
    stage: async (grid) => {
      // One that keeps no second job of the submitter; the others do.
      const owner = await ownerOf(grid, await grid.submit())
      await grid.killPeer(owner)
      await grid.peer(owner, ['--jobs-per-submitter', '1'])
      await grid.submit()
      return {
        undo: async () => {
          await grid.killPeer(owner)
          await grid.peer(owner)
          return undefined
        },
      }
    },
  },
  {
    name: 'owner gone',
    code: 'owner-gone',
    stage: async (grid) => {
      const owner = await ownerOf(grid, await grid.submit())
      await grid.killPeer(owner)
      return { undo: async () => void (await grid.peer(owner)) }
    },
  },
  {
    name: 'minGrantors unmet',
    code: 'min-grantors',
    stage: async (grid) => {
      const job = await grid.submit()
      const others = ['peer-2', 'peer-3', 'peer-4', 'peer-5']
      await ownerOf(grid, job)
      for (const name of others) await grid.killPeer(name)
      return {
        ask: [job],
        undo: async () => {
          for (const name of others) await grid.peer(name)
          return undefined
        },
      }
    },
  },
]

/** Two workers on one key, the first one first: `asked` is to know of it until `other` is stopped. */
async function keyInTwoPlaces(grid: SituationGrid, asked: string, other: string): Promise<Staged> {
  const { folder } = grid.cluster
  await grid.worker('first')
  await grid.submit(['--quorum', '2'])
  mkdirSync(join(folder, 'copy'), { recursive: true, mode: 0o700 })
  cpSync(join(folder, 'first', 'identity.json'), join(folder, 'copy', 'identity.json'))
  await grid.worker('copy')
  return { ask: ['--me'], data: asked, undo: async () => void (await grid.stop(other)) }
}

/** An owner of the job that others do not join by. */
async function ownerOf(grid: SituationGrid, job: string): Promise<string> {
  let owner: string | undefined
  const isFound = async () => {
    const { answered = [] } = await grid.explain({ ask: [job] })
    owner = answered
      .filter(({ shards }) => shards.length > 0)
      .map(({ address }) => grid.peerAt(address))
      .find((name) => name !== 'peer-1')
    return owner !== undefined
  }
  await grid.cluster.until(isFound, `job ${job.slice(0, 8)} has an owner`, SEEN_MS)
  return owner!
}
