import type { NodeId, PublicKey } from '../../../../../proto/model.js'
import type { Contact } from '../../../../../proto/overlay-messages.js'

/** A contact at `start`, padded with zeros; its signature is empty and no check of it is made. */
export function contactAt(start: string, changes: Partial<Contact> = {}): Contact {
  return {
    nodeId: start.padEnd(40, '0') as NodeId,
    publicKey: start.padEnd(64, '0') as PublicKey,
    idNonce: new Uint8Array(8),
    addresses: [`${start}.example:4747`],
    protocolMin: 1,
    protocolMax: 1,
    features: [],
    bootId: 1n,
    seq: 1n,
    expiresAtMs: 1_000_000,
    eligible: true,
    signed: { bytes: new Uint8Array(1), signature: new Uint8Array(64) },
    ...changes,
  }
}
