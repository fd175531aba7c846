import { processKeyInTwoPlaces } from '../../client/explain/explain.js'
import { formatDuration } from '../../job/quantity.js'
import { findLocalProcess } from '../../process/local-process.js'
import type { StatusReply, WorkerCount } from '../../proto/job-messages.js'
import { methods } from '../../proto/methods.js'
import type { NodeId } from '../../proto/model.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { CommandTable } from '../command-table.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { stateHere } from '../grid/local-admin.js'
import { EXIT } from '../terminal/exit-codes.js'
import { facts, plural, table } from '../terminal/output.js'

/** Peers asked about themselves, at most: on a larger network the sums cover a part, and it is said. */
const ASKED_MAX = 32
const ASK_MS = 3_000

/** `manyhands status`: the network as a whole, by asking its peers. */
export function defineStatus(commands: CommandTable): void {
  commands
    .add('status', 'show the network: peers, workers, threads, jobs', async (context) =>
      withConnection(context, async (connection) => {
        const { process, network, client } = connection
        const estimated = await client.parts.overlay.estimatePeers()
        const [answers, state] = await Promise.all([askPeers(connection), stateHere(context)])
        const local = findLocalProcess(context.settings.data.value, network.name)
        const twoPlaces = state && processKeyInTwoPlaces(state, context.clock.wallMs())
        const totals = totalsOf(answers.map(({ reply }) => reply))
        const peers = Math.max(estimated, answers.length)
        const coverage = answers.length < peers ? ` (${answers.length} of them asked)` : ''
        context.output.answer(
          [
            facts([
              ['network', `${network.name}${network.isPrivate ? ' (private)' : ''}`],
              ['peers', `${peers}${coverage}`],
              ['workers', `${plural(totals.workers, 'worker')}, ${plural(totals.threads, 'thread')}`],
              ['jobs', `${plural(totals.jobs, 'job')} under way, ${totals.readyJobs} with ready work`],
              ['speed', `${plural(totals.settledLastMinute, 'unit')} settled in the last minute`],
              [
                'this machine',
                local === undefined
                  ? 'no node runs here'
                  : (local.address ??
                    `a worker, process ${local.pid}${state === undefined ? '' : `, node ${state.nodeId.slice(0, 12)}`}`),
              ],
              ['my key', process.identity.publicKey],
              ['', twoPlaces?.sentence ?? ''],
            ]),
            ...(totals.versions.length === 0
              ? []
              : [
                  '',
                  table(
                    ['WORKERS', 'VERSION', 'THREADS'],
                    totals.versions.map(({ version, workers, threads }) => [workers, version || 'others', threads]),
                  ),
                ]),
            '',
            table(
              ['PEER', 'ADDRESS', 'UP', 'VERSION', 'WORKERS', 'THREADS', 'JOBS', 'READY', 'PER MIN', 'OWNS'],
              answers.map(({ endpoint, reply }) => [
                endpoint.nodeId.slice(0, 8),
                endpoint.address,
                formatDuration(reply.uptimeMs),
                reply.version,
                reply.workers,
                reply.threads,
                reply.jobs,
                reply.readyJobs,
                reply.settledLastMinute,
                reply.eligible ? 'yes' : 'no',
              ]),
              context.output.width,
            ),
          ].join('\n'),
          {
            network: network.name,
            private: network.isPrivate,
            peers,
            asked: answers.length,
            ...totals,
            publicKey: process.identity.publicKey,
            nodeId: state?.nodeId ?? null,
            local: local ?? null,
            keyInTwoPlaces: twoPlaces ?? null,
            answers: answers.map(({ endpoint, reply }) => ({ ...reply, ...endpoint })),
          },
        )
        return EXIT.ok
      }),
    )
    .addHelpText(
      'after',
      [
        '',
        'Peers are asked, and what each counts for the network is added up: a worker is counted by one holder of the board that it',
        'watches, a job by its first home, a unit by the owner that was to grant it first. The list of peers shows what each sees by',
        'itself: workers connected to it, jobs with a shard there, units that it saw settled.',
        '',
        'Example:',
        '  manyhands status --join HOST',
      ].join('\n'),
    )
}

/** The network as a whole. */
interface StatusTotals {
  readonly workers: number
  readonly threads: number
  readonly jobs: number
  readonly readyJobs: number
  readonly settledLastMinute: number
  /** Workers by version, the most frequent first. */
  readonly versions: readonly WorkerCount[]
}

type Counted = 'firstJobs' | 'firstReadyJobs' | 'firstSettledLastMinute' | 'countedWorkers'

/** Adds up what each peer counts for all: every worker, job and unit is counted by one peer. */
export function totalsOf(replies: readonly Pick<StatusReply, Counted>[]): StatusTotals {
  const sum = (count: (reply: Pick<StatusReply, Counted>) => number) =>
    replies.reduce((total, reply) => total + count(reply), 0)
  const versions = new Map<string, WorkerCount>()
  for (const { countedWorkers } of replies) {
    for (const { version, workers, threads } of countedWorkers) {
      const known = versions.get(version) ?? { workers: 0, threads: 0 }
      versions.set(version, { version, workers: known.workers + workers, threads: known.threads + threads })
    }
  }
  const all = [...versions.values()].sort((a, b) => b.workers - a.workers)
  return {
    workers: all.reduce((total, { workers }) => total + workers, 0),
    threads: all.reduce((total, { threads }) => total + threads, 0),
    jobs: sum(({ firstJobs }) => firstJobs),
    readyJobs: sum(({ firstReadyJobs }) => firstReadyJobs),
    settledLastMinute: sum(({ firstSettledLastMinute }) => firstSettledLastMinute),
    versions: all,
  }
}

interface Answer {
  readonly endpoint: Endpoint
  readonly reply: StatusReply
}

async function askPeers({ process, client }: Connection): Promise<readonly Answer[]> {
  const own = process.identity.nodeId
  await process.overlay.lookup(own)
  const seen = new Map<NodeId, Endpoint>()
  // Those that count the workers first, should there be more than are asked.
  for (const contact of await process.overlay.workerCounters())
    seen.set(contact.nodeId, process.overlay.endpoint(contact))
  for (const contact of process.overlay.contacts()) seen.set(contact.nodeId, process.overlay.endpoint(contact))
  seen.delete(own)
  const asked = [...seen.values()].slice(0, ASKED_MAX).map(async (endpoint): Promise<Answer | undefined> => {
    try {
      return {
        endpoint,
        reply: await client.parts.transport.call(endpoint, methods.status, {}, { deadlineMs: ASK_MS }),
      }
    } catch {
      // A peer that is going away is not part of the sum; how many answered is shown.
      return undefined
    }
  })
  return (await Promise.all(asked)).filter((answer) => answer !== undefined)
}
