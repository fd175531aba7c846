import { formatDuration } from '../../job/quantity.js'
import { findLocalProcess } from '../../process/local-process.js'
import type { StatusReply } from '../../proto/messages.js'
import { methods } from '../../proto/methods.js'
import type { NodeId } from '../../proto/model.js'
import type { Endpoint } from '../../runtime/transport.js'
import { type Connection, withConnection } from '../connect.js'
import { EXIT } from '../exit-codes.js'
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
        const totals = totalsOf(answers.map(({ reply }) => reply))
        const peers = Math.max(estimated, answers.length)
        const coverage = answers.length < peers ? ` (${answers.length} of them asked)` : ''
        context.output.answer(
          [
            facts([
              ['network', `${network.name}${network.isPrivate ? ' (private)' : ''}`],
              ['peers', `${peers}${coverage}`],
              ['workers', `${rangeText(totals.workers, 'worker')}, ${rangeText(totals.threads, 'thread')}`],
              ['jobs', `${rangeText(totals.jobs, 'job')}, ${rangeText(totals.readyJobs)} with ready work`],
              ['speed', `${rangeText(totals.settledLastMinute, 'unit')} settled in the last minute`],
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
        'Peers are asked about themselves and their answers added up. A worker is connected to several owners and a job has',
        'several: what they count may be the same, so that there is a range from what one of them has to the sum.',
        '',
        'Example:',
        '  manyhands status --join HOST',
      ].join('\n'),
    )
}

/** Numbers that peers tell of themselves, and that overlap: a shard has several owners, a worker is connected to several. */
const COUNTED = ['workers', 'threads', 'jobs', 'readyJobs', 'settledLastMinute'] as const
type Counted = (typeof COUNTED)[number]

/** How many there are in all: at least what one peer has, at most the sum. */
export interface CountRange {
  readonly min: number
  readonly max: number
}

/** Adds up what peers tell, as far as counts can tell: which workers and jobs they mean, nobody says. */
export function totalsOf(replies: readonly Pick<StatusReply, Counted>[]): Readonly<Record<Counted, CountRange>> {
  const range = (name: Counted): CountRange => ({
    min: replies.reduce((most, reply) => Math.max(most, reply[name]), 0),
    max: replies.reduce((sum, reply) => sum + reply[name], 0),
  })
  return Object.fromEntries(COUNTED.map((name) => [name, range(name)])) as Record<Counted, CountRange>
}

/** `3 workers`, or `3 to 5 workers`. */
function rangeText({ min, max }: CountRange, noun?: string): string {
  const most = noun === undefined ? `${max}` : plural(max, noun)
  return min === max ? most : `${min} to ${most}`
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
