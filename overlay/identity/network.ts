import { randomBytes, scryptSync } from 'node:crypto'
import { GridError } from '../../runtime/errors.js'
import { fromHex } from '../../runtime/hex.js'

/** The public network. */
export const MAIN_NETWORK = 'main'
/** Work an id must show on the public network. Unit: leading zero bits; about 0.1 s of one core for each identity. */
export const MAIN_ID_WORK_BITS = 16
/** Shortest secret taken from a person: as long as 128 bits in base 64. A short one could be guessed offline. Unit: characters. */
const SECRET_CHARACTERS_MIN = 22
const SECRET_CHARACTERS_MAX = 256
const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** scrypt as its paper advises for interactive logins, doubled: 32 MiB and about 0.1 s (Percival 2009; RFC 7914). */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const
/** What scrypt makes of the name of the public network and no secret. Everybody can compute it; nobody should have to wait for it. */
const MAIN_CA_SEED = '9ec3a943daf9893e75f02ee6cf991d4b1635df1fccffc713c29d5620a2828339'
/** Seeds kept: a process is in one network, tests in a few. */
const SEEDS_MAX = 16

/** Which nodes find one another: all that were given the same name and the same secret. */
export interface Network {
  readonly name: string
  /** Whether joining takes a secret. */
  readonly isPrivate: boolean
  /** Whether it is the network of everybody, where strangers meet and no private addresses are dialled. */
  readonly isPublic: boolean
  /** Leading zero bits that every id must show. Range: 0 to 24. */
  readonly idWorkBits: number
  /** Ed25519 seed of the CA whose key all members can derive. It tells networks apart, and no member from another. 32 bytes. */
  readonly caSeed: Uint8Array
}

/**
 * The network of a name and an optional secret. The CA seed is scrypt(secret or empty, "manyhands|" + name), computed once
 * a process and pair (about 0.1 s, blocking), and known beforehand of the public network. Throws GridError `invalid` for a bad name or a secret that is too short.
 */
export function resolveNetwork(name: string, secret = ''): Network {
  if (!NAME_PATTERN.test(name)) {
    throw new GridError('invalid', `network name ${JSON.stringify(name.slice(0, 80))} is not usable`, {
      hint: 'use 1 to 64 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit',
    })
  }
  const trimmed = secret.trim()
  if (trimmed !== '' && (trimmed.length < SECRET_CHARACTERS_MIN || trimmed.length > SECRET_CHARACTERS_MAX)) {
    throw new GridError(
      'invalid',
      `the network secret has ${trimmed.length} characters, needs ${SECRET_CHARACTERS_MIN} to 256`,
      {
        hint: "make one with 'manyhands network new'",
      },
    )
  }
  const isPrivate = trimmed !== ''
  const isPublic = name === MAIN_NETWORK && !isPrivate
  return Object.freeze({
    name,
    isPrivate,
    isPublic,
    idWorkBits: isPublic ? MAIN_ID_WORK_BITS : 0,
    caSeed: isPublic ? fromHex(MAIN_CA_SEED) : caSeedOf(trimmed, name),
  })
}

/** A new secret for a private network: 160 random bits in 32 letters and digits that are hard to mistake. */
export function createNetworkSecret(): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789'
  let secret = ''
  for (const byte of randomBytes(32)) secret += alphabet[byte & 31]
  return secret
}

const seeds = new Map<string, Uint8Array>()

function caSeedOf(secret: string, name: string): Uint8Array {
  const key = `${name}|${secret}`
  let seed = seeds.get(key)
  if (seed === undefined) {
    seed = new Uint8Array(scryptSync(secret, `manyhands|${name}`, 32, SCRYPT))
    if (seeds.size >= SEEDS_MAX) seeds.clear()
    seeds.set(key, seed)
  }
  return seed
}
