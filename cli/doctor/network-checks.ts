import { parseAddress } from '../../overlay/address.js'
import { findLocalProcess } from '../../process/local-process.js'
import { tryDialBack } from '../../process/reach.js'
import { methods } from '../../proto/methods.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Endpoint } from '../../runtime/transport.js'
import { type CommandContext, firstPeerFlags } from '../context.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { networkOf } from '../grid/network-of.js'
import { listenAt } from '../grid/process-settings.js'
import { plural } from '../terminal/output.js'
import { bad, type CheckFinding, type Health } from './check-finding.js'
import { clocksOf, judgeClock, plainClock } from './clock-check.js'

const STATUS_MS = 3_000

/** Peers, port, reachability and clock: what takes a network to see. In the order in which they are shown. */
export async function checkNetwork(context: CommandContext): Promise<readonly CheckFinding[]> {
  const alone = async (peers: CheckFinding) => [
    peers,
    await checkPort(context, undefined, []),
    judgeClock([], plainClock(context.clock.wallMs())),
  ]
  try {
    for (const address of context.settings.join.value) parseAddress(address)
    return await withConnection(context, async (connection) => {
      const { overlay } = connection.process
      const peers = overlay.contacts().map((contact) => overlay.endpoint(contact))
      const [first] = peers
      const where = first === undefined ? '' : `: ${plural(peers.length, 'peer')} seen, such as ${first.address}`
      const joined = {
        name: 'peers',
        health: 'ok',
        says: `joined '${context.settings.network.value}'${where}`,
      } as const
      const clocks = await clocksOf(connection.client, peers, context.clock)
      return [
        joined,
        await checkPort(context, connection, peers),
        judgeClock(clocks, plainClock(context.clock.wallMs())),
      ]
    })
  } catch (error) {
    const { message, code, hint } = toGridError(error)
    // Whoever wants to found a network has no peer yet.
    const health: Health = code === 'unreachable' && context.settings.join.value.length === 0 ? 'warn' : 'bad'
    return alone({
      name: 'peers',
      health,
      says: message,
      hint: hint ?? `name a peer with --join HOST, or start a first one: manyhands node${firstPeerFlags(context)}`,
    })
  }
}

/** Whether others can reach a node here: the one that runs, or one that would. */
async function checkPort(
  context: CommandContext,
  connection: Connection | undefined,
  peers: readonly Endpoint[],
): Promise<CheckFinding> {
  const { settings } = context
  const { host, port } = listenAt(context)
  const local = findLocalProcess(settings.data.value, settings.network.value)
  if (local?.address !== undefined) return runningNode(connection, local.address)
  try {
    const advertise = settings.advertise.value
    const { address, answered, reached, reason } = await tryDialBack({
      network: networkOf(context),
      listen: { host, port },
      advertise,
      peers,
    })
    return judgeReach({ where: `${host}:${port}`, address, asked: peers.length, answered, reached, reason })
  } catch (error) {
    if (error instanceof GridError && error.code === 'invalid') return bad('port', error)
    return {
      name: 'port',
      health: 'warn',
      says: toGridError(error).message,
      hint: 'a node needs another: --listen HOST:PORT; work and submit need none',
    }
  }
}

/** What came of asking peers to dial back. */
interface ReachSeen {
  readonly where: string
  readonly address: string
  /** Peers there are, those that answered, and those that got through. */
  readonly asked: number
  readonly answered: number
  readonly reached: number
  readonly reason: string
}

/** What dial-backs say of a port. That nobody gets through matters to a node alone. */
export function judgeReach({ where, address, asked, answered, reached, reason }: ReachSeen): CheckFinding {
  const name = 'port'
  if (reached > 0)
    return { name, health: 'ok', says: `${where} is free; ${plural(reached, 'peer')} dialled back ${address}` }
  if (asked === 0) return { name, health: 'ok', says: `${where} is free for a node; nobody is there to dial back` }
  const port = address.slice(address.lastIndexOf(':') + 1)
  const why = answered === 0 ? `no peer could be asked to dial back (${reason})` : `peers cannot dial back ${address}`
  return {
    name,
    health: 'warn',
    says: `${where} is free, but ${why}`,
    hint: [
      `for a node: open TCP port ${port} in the firewall and forward it on the router;`,
      'where others know this machine by another address: --advertise HOST:PORT;',
      "work and submit need no port: 'manyhands work' dials out",
    ].join('\n'),
  }
}

async function runningNode(connection: Connection | undefined, local: string): Promise<CheckFinding> {
  const { address, nodeId } = parseAddress(local)
  const name = 'port'
  if (connection === undefined || nodeId === undefined)
    return {
      name,
      health: 'warn',
      says: `a node of this directory listens at ${address}, and does not answer`,
      hint: 'look at its log; restart it',
    }
  try {
    const { eligible, peers } = await connection.client.parts.transport.call(
      { nodeId, address },
      methods.status,
      {},
      { deadlineMs: STATUS_MS },
    )
    const says = `the node of this directory listens at ${address}`
    if (peers === 0) return { name, health: 'ok', says: `${says}; nobody is there to dial back` }
    if (eligible) return { name, health: 'ok', says: `${says}; peers have dialled it back` }
    return {
      name,
      health: 'bad',
      says: `${says}, but no peer has dialled it back: it owns no jobs`,
      hint: `wait a minute if it has just started; else open TCP port ${address.slice(address.lastIndexOf(':') + 1)} in the firewall, or start it with --advertise HOST:PORT`,
    }
  } catch (error) {
    return bad(name, error, 'look at the log of the node; restart it')
  }
}
