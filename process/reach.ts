import { formatAddress, parseAddress } from '../overlay/address.js'
import { GrpcTransport } from '../overlay/channel/grpc-transport.js'
import { createIdentity } from '../overlay/identity/identity.js'
import type { Network } from '../overlay/identity/network.js'
import { SelfContact } from '../overlay/routing/self-contact.js'
import { dialBackMethod, pingMethod } from '../proto/codec/overlay.js'
import { systemClock } from '../runtime/clock.js'
import { toGridError } from '../runtime/errors.js'
import type { Address, Endpoint } from '../runtime/transport.js'
import { reachableHost } from './compose.js'

/** Peers asked, at most, and how long each may take: it dials, and waits for an answer. */
const ASKED_MAX = 3
const ASK_MS = 6_000

/** Where to listen for the moment, and who is to dial back. */
interface ReachRequest {
  readonly network: Network
  readonly listen: { readonly host: string; readonly port: number }
  readonly advertise: string | undefined
  readonly peers: readonly Endpoint[]
}

/** What came of it. */
interface Reached {
  /** Where they were asked to dial. */
  readonly address: Address
  /** Of {@link ReachRequest.peers} those that answered, and those that got through. */
  readonly answered: number
  readonly reached: number
  /** What the last that did not get through said. */
  readonly reason: string
}

/**
 * Listens for a moment under a key of its own and has peers dial back, as a node does when it starts. Rejects with GridError
 * `unavailable` when the address cannot be listened on.
 */
export async function tryDialBack({ network, listen, advertise, peers }: ReachRequest): Promise<Reached> {
  const identity = createIdentity(network.idWorkBits)
  const transport = new GrpcTransport({ identity, network, clock: systemClock })
  try {
    let contact: SelfContact | undefined
    transport.handleUnary(pingMethod, () => ({ contact: contact!.get(false), other: undefined }))
    const port = await transport.listen(listen)
    const address =
      advertise === undefined ? formatAddress(reachableHost(listen.host), port) : parseAddress(advertise).address
    contact = new SelfContact(identity, systemClock, [address], [])
    let answered = 0
    let reached = 0
    let reason = ''
    for (const peer of peers.slice(0, ASKED_MAX)) {
      try {
        const reply = await transport.call(peer, dialBackMethod, { caller: contact.get(false) }, { deadlineMs: ASK_MS })
        answered++
        if (reply.reached === undefined) reason = 'it could not connect'
        else reached++
      } catch (error) {
        reason = toGridError(error).message
      }
    }
    return { address, answered, reached, reason }
  } finally {
    await transport.close()
  }
}
