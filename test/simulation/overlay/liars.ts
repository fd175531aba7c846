import { CONTACT_LIFETIME_MS, CONTACT_TAG } from '../../../overlay/routing/core/contact.js'
import { compareDistance } from '../../../overlay/routing/core/node-id.js'
import { decodeContact, encodeContactBody, findNodeMethod } from '../../../proto/codec/overlay.js'
import type { Point } from '../../../proto/model.js'
import { type Contact, REPLY_CONTACTS_MAX } from '../../../proto/overlay-messages.js'
import { keyedSigner } from '../../support/keyed-signatures.js'
import type { Host } from '../world/host.js'
import { plainIdentity } from '../world/host.js'
import type { World } from '../world/world.js'
import type { OverlayGrid } from './overlay-grid.js'

/**
 * How a lying peer answers FindNode. `fakes`: with peers that do not exist, nearer to the target than any that does.
 * `collusion`: with fellow liars only.
 */
export type Lie = 'fakes' | 'collusion'

/** Invented identities: so many that the 20 nearest to any target beat every peer of a network of thousands. */
const INVENTED = 40_000

/** Peers that exist, are asked, and lie from the next event on. Each goes on answering pings and keeping its table. */
export function turnIntoLiars(grid: OverlayGrid, hosts: readonly Host[], lie: Lie): void {
  const { world } = grid
  const suggestions = lie === 'fakes' ? inventedContacts(world) : []
  for (const host of hosts) {
    const contact = grid.overlay(host).self.contact!
    if (lie === 'collusion') suggestions.push(contact)
    const transport = world.network.transportOf(host.process!)!
    transport.handleUnary(findNodeMethod, ({ target }) => ({ contacts: nearest(suggestions, target), contact }))
  }
}

/** Contact records with good signatures of peers at an address where nothing answers, not even to refuse. */
function inventedContacts(world: World): Contact[] {
  const dark = world.addHost('dark')
  dark.start(() => {})
  dark.crash('powerLoss')
  const random = world.random.split('invented')
  const wallMs = world.hosts[0]!.clock.wallMs()
  return Array.from({ length: INVENTED }, () => {
    const { publicKey, idNonce } = plainIdentity(random, dark.address)
    const bytes = encodeContactBody({
      publicKey,
      idNonce,
      addresses: [dark.address],
      protocolMin: 1,
      protocolMax: 1,
      features: [],
      bootId: 1n,
      seq: 1n,
      expiresAtMs: wallMs + CONTACT_LIFETIME_MS,
      eligible: true,
    })
    return decodeContact({ bytes, signature: keyedSigner(publicKey).sign(CONTACT_TAG, bytes) })
  })
}

/** The {@link REPLY_CONTACTS_MAX} of `contacts` nearest to `target`. */
function nearest(contacts: readonly Contact[], target: Point): Contact[] {
  const found: Contact[] = []
  for (const contact of contacts) {
    const last = found[REPLY_CONTACTS_MAX - 1]
    if (last !== undefined && compareDistance(target, last.nodeId, contact.nodeId) < 0) continue
    const at = found.findIndex((other) => compareDistance(target, contact.nodeId, other.nodeId) < 0)
    found.splice(at < 0 ? found.length : at, 0, contact)
    if (found.length > REPLY_CONTACTS_MAX) found.pop()
  }
  return found
}
