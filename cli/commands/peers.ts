import { parseAddress } from '../../overlay/address.js'
import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { addBootPeer, bootPeers, removeBootPeers } from '../../process/boot-peers.js'
import { forgetPeers } from '../../process/join.js'
import { findLocalProcess } from '../../process/local-process.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { networkOf } from '../grid/network-of.js'
import { suggest } from '../settings/flags.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { plural, table } from '../terminal/output.js'

/** How long a peer that is added has to say who it is. Unit: ms. */
const PROBE_MS = 5_000
/** Digits of a node id that tell which peer is meant. */
const ID_DIGITS_MIN = 8

/** `manyhands peers`: who is out there, as far as this node sees; and where it joins. */
export function definePeers(commands: CommandTable): void {
  const command = commands
    .add(
      'peers [action] [peer...]',
      'list the peers that are seen from here; add or rm those to join through',
      (context, [action = 'list', ...peers]) => {
        if (action === 'list' && peers.length === 0) return list(context)
        if ((action === 'add' || action === 'rm') && peers.length > 0)
          return action === 'add' ? add(context, peers) : remove(context, peers)
        throw new GridError('invalid', `'peers ${[action, ...peers].join(' ')}' is not known`, {
          hint: "'manyhands peers', 'peers add HOST:PORT[#ID]' or 'peers rm HOST:PORT', or the first 8 digits of an id",
        })
      },
    )
    .addHelpText(
      'after',
      [
        '',
        'add: commands, and nodes and workers that start from now on, join through this peer without --join. It is asked who it',
        'is, and its id is kept: nobody else is accepted at its address. rm: takes it away, and forgets it where it was only',
        'remembered.',
        '',
        'Examples:',
        '  manyhands peers --join HOST',
        '  manyhands peers add peer.example.org:4747',
        '  manyhands peers rm peer.example.org:4747',
      ].join('\n'),
    )
  suggest(command.registeredArguments[0]!, ['list', 'add', 'rm'])
}

function list(context: CommandContext): Promise<ExitCode> {
  return withConnection(context, async ({ process }) => {
    await process.overlay.lookup(process.identity.nodeId)
    const { data, network } = context.settings
    const boot = new Set(bootPeers(data.value, network.value).map((peer) => parseAddress(peer).address))
    const peers = process.overlay.contacts().map((contact) => {
      const { nodeId, address } = process.overlay.endpoint(contact)
      return { nodeId, address, eligible: contact.eligible, boot: boot.has(address) }
    })
    context.output.answer(
      peers.length === 0
        ? 'no peers'
        : table(
            ['PEER', 'ADDRESS', 'MAY OWN JOBS', 'ADDED'],
            peers.map((peer) => [peer.nodeId, peer.address, peer.eligible ? 'yes' : 'not yet', peer.boot ? 'yes' : '']),
            context.output.width,
          ),
      { peers },
    )
    return EXIT.ok
  })
}

async function add(context: CommandContext, peers: readonly string[]): Promise<ExitCode> {
  const { output, settings } = context
  const network = networkOf(context)
  for (const peer of peers) parseAddress(peer)
  const transport = new GrpcTransport({ identity: createIdentity(network.idWorkBits), network })
  const added: { peer: string; reason?: string }[] = []
  try {
    for (const peer of peers) {
      try {
        const { address, nodeId } = await transport.probe(peer, { deadlineMs: PROBE_MS })
        added.push({ peer: `${address}#${nodeId}` })
      } catch (error) {
        const { code, message } = toGridError(error)
        // Somebody else answers there: to join through it later would be refused, too.
        if (code === 'unauthenticated') throw error
        added.push({ peer, reason: message })
      }
    }
  } finally {
    await transport.close()
  }
  for (const { peer, reason } of added) {
    addBootPeer(settings.data.value, network.name, peer)
    if (reason !== undefined) output.warn(`${peer} is added, but does not answer now: ${reason}`)
  }
  output.answer(added.map(({ peer }) => `added ${peer}`).join('\n'), { added })
  if (findLocalProcess(settings.data.value, network.name) !== undefined)
    output.note('the node that runs here joins through it when it starts again')
  return EXIT.ok
}

async function remove(context: CommandContext, peers: readonly string[]): Promise<ExitCode> {
  const { settings, output } = context
  const folder = settings.data.value
  const network = settings.network.value
  let removed = 0
  for (const peer of peers) {
    const isId = /^[0-9a-f]+$/i.test(peer) && peer.length >= ID_DIGITS_MIN
    const address = isId ? undefined : parseAddress(peer).address
    const isMeant = (other: { readonly nodeId: string | undefined; readonly address: string }) =>
      address === undefined ? other.nodeId?.startsWith(peer.toLowerCase()) === true : other.address === address
    const found = removeBootPeers(folder, network, isMeant) + (await forgetPeers(folder, network, isMeant))
    if (found === 0) throw new GridError('invalid', `no peer '${peer}' was added or is remembered here`)
    removed += found
  }
  output.answer(`removed ${plural(peers.length, 'peer')}`, { removed })
  if (findLocalProcess(folder, network) !== undefined)
    output.note('the node that runs here still knows it, until that stops or goes away')
  return EXIT.ok
}
