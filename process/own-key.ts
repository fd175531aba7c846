import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SignatureVerifier } from '../job/facts/signature.js'
import { KEY_FILE, openDataDirectory } from '../overlay/identity/data-directory.js'
import {
  findIdNonce,
  type Identity,
  idWorkOf,
  nodeIdOf,
  restoreIdentity,
  type StoredKey,
  type Verifier,
  withIdNonce,
} from '../overlay/identity/identity.js'
import type { Network } from '../overlay/identity/network.js'
import type { PublicKey, Signed } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'

/** The key of a data directory that another process may hold; made when there is none. */
export function readIdentity(folder: string, network: Network): Identity {
  try {
    const stored = JSON.parse(readFileSync(join(folder, KEY_FILE), 'utf8')) as StoredKey
    return visitorOf(restoreIdentity(stored), network)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT')
      throw new GridError(
        'unavailable',
        `the key in ${folder} cannot be read${code === undefined ? '' : ` (${code})`}`,
        {
          cause: error,
          hint: 'restore it from a backup (manyhands id import), or move it away to start with a new key',
        },
      )
  }
  const directory = openDataDirectory(folder)
  try {
    return visitorOf(directory.identity(network.idWorkBits), network)
  } finally {
    directory.close()
  }
}

/** The same key under another node id: a node would not see the node of its own data directory, taking it for itself. */
function visitorOf(identity: Identity, { idWorkBits }: Network): Identity {
  return withIdNonce(identity, findIdNonce(identity.publicKey, idWorkBits))
}

/** Checks what facts carry, and any other signature. */
export interface FactVerifier extends SignatureVerifier {
  verify(tag: string, publicKey: PublicKey, signed: Signed): boolean
}

/** By the rules of a network. */
export function signatureVerifier(verifier: Verifier, { idWorkBits }: Network): FactVerifier {
  return {
    verify: (tag: string, publicKey: PublicKey, { bytes, signature }: Signed) =>
      verifier.verify(publicKey, tag, bytes, signature),
    nodeIdOf,
    meetsIdWork: (publicKey, idNonce) => idWorkBits === 0 || idWorkOf(publicKey, idNonce) >= idWorkBits,
  }
}
