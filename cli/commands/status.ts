import { formatDuration } from '../../job/quantity.js'
import type { StatusReply } from '../../proto/messages.js'
import { methods } from '../../proto/methods.js'
import type { NodeId } from '../../proto/model.js'
import type { Endpoint } from '../../runtime/transport.js'
import { type Connection, withConnection } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { findLocalProcess } from '../local-process.js'
import { facts, plural, table } from '../output.js'
import type { CommandTable } from '../program.js'

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
        const answers = await askPeers(connection)
        const local = findLocalProcess(context.settings.data.value, network.name)
        const sum = (pick: (reply: StatusReply) => number) =>
          answers.reduce((total, { reply }) => total + pick(reply), 0)
        const totals = {
          workers: sum(({ workers }) => workers),
          threads: sum(({ threads }) => threads),
          jobs: sum(({ jobs }) => jobs),
          readyJobs: sum(({ readyJobs }) => readyJobs),
          settledLastMinute: sum(({ settledLastMinute }) => settledLastMinute),
        }
        const peers = Math.max(estimated, answers.length)
        const coverage = answers.length < peers ? ` (${answers.length} of them asked)` : ''
        context.output.answer(
          [
            facts([
              ['network', `${network.name}${network.isPrivate ? ' (private)' : ''}`],
              ['peers', `${peers}${coverage}`],
              [
                'workers',
                `${plural(totals.workers, 'connection')} of workers to owners, ${plural(totals.threads, 'thread')}`,
              ],
              ['jobs', `${totals.jobs} shares of jobs, ${totals.readyJobs} with ready work`],
              ['speed', `${plural(totals.settledLastMinute, 'unit')} settled in the last minute`],
              [
                'this machine',
                local === undefined ? 'no node runs here' : (local.address ?? `a worker, process ${local.pid}`),
              ],
              ['my id', process.identity.nodeId],
            ]),
            '',
            table(
              ['PEER', 'ADDRESS', 'UP', 'VERSION', 'WORKERS', 'THREADS', 'JOBS', 'READY', 'UNITS/MIN', 'MAY OWN'],
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
                reply.eligible ? 'yes' : 'not yet',
              ]),
            ),
          ].join('\n'),
          {
            network: network.name,
            private: network.isPrivate,
            peers,
            asked: answers.length,
            ...totals,
            nodeId: process.identity.nodeId,
            local: local ?? null,
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
        'Peers are asked about themselves and their answers added up. A worker that is connected to several owners counts',
        'with each of them.',
        '',
        'Example:',
        '  manyhands status --join HOST',
      ].join('\n'),
    )
}

interface Answer {
  readonly endpoint: Endpoint
  readonly reply: StatusReply
}

async function askPeers({ process, client }: Connection): Promise<readonly Answer[]> {
  const own = process.identity.nodeId
  await process.overlay.lookup(own as string as Parameters<typeof process.overlay.lookup>[0])
  const seen = new Map<NodeId, Endpoint>()
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
