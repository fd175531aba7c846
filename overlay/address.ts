import { lookup } from 'node:dns/promises'
import { isIP, isIPv4, isIPv6 } from 'node:net'
import type { NodeId } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'
import type { Address } from '../runtime/transport.js'

/** Port of a peer that names none. */
export const DEFAULT_PORT = 4747
/** Addresses taken from one DNS name; a seed name lists a handful. */
const ADDRESSES_OF_NAME_MAX = 16
const HOST_CHARACTERS_MAX = 253
const HOST_PATTERN = /^(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?$/
const FORMAT_HINT = 'write host, host:port or host:port#id, with IPv6 hosts in brackets: [2001:db8::1]:4747'

/** Where to find a peer, as a person writes it. */
interface PeerAddress {
  /** `host:port`, lower case, IPv6 hosts in brackets. */
  readonly address: Address
  readonly host: string
  /** 1 to 65535; 0 only where it is allowed. */
  readonly port: number
  /** Given after `#`: nobody else is accepted there. Without it the first key seen is kept. */
  readonly nodeId: NodeId | undefined
}

/**
 * Reads `host`, `host:port` or `host:port#id`. Throws GridError `invalid` with a hint for anything else. `zeroPort` allows
 * port 0, which asks the system for a free one when listening.
 */
export function parseAddress(text: string, options: { zeroPort?: boolean } = {}): PeerAddress {
  const trimmed = text.trim().toLowerCase()
  const [place = '', id, ...rest] = trimmed.split('#')
  if (rest.length > 0) throw badAddress(text, 'has more than one #')
  if (id !== undefined && !/^[0-9a-f]{40}$/.test(id)) throw badAddress(text, 'has an id that is not 40 hex digits')
  const { host, port } = splitHost(place, text)
  if (port === 0 && options.zeroPort !== true) throw badAddress(text, 'has port 0')
  return { address: formatAddress(host, port), host, port, nodeId: id as NodeId | undefined }
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(host: string, port: number): Address {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Every address behind `address`: itself for an IP address, one per record for a DNS name, at most 16, in the order of the
 * resolver. Rejects with GridError `unreachable` when the name does not exist or the resolver is silent.
 */
export async function resolveAddresses(address: Address): Promise<Address[]> {
  const { host, port } = parseAddress(address)
  if (isIP(host) !== 0) return [address]
  try {
    const found = await lookup(host, { all: true, verbatim: true })
    const unique = new Set(found.map((entry) => formatAddress(entry.address, port)))
    return [...unique].slice(0, ADDRESSES_OF_NAME_MAX)
  } catch (cause) {
    throw new GridError('unreachable', `the name ${host} has no address`, { cause, fields: { host } })
  }
}

/** A remote host as limits count it: IPv4 as it is, IPv4 in IPv6 unwrapped, IPv6 by its /64, which one customer holds. */
export function hostGroup(host: string): string {
  const plain = plainHost(host)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = (plain.split('%')[0] ?? '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** The host a socket names, without the `::ffff:` that wraps IPv4 on a socket for both. */
export function plainHost(host: string): string {
  const inner = /^::ffff:(.+)$/i.exec(host)?.[1]
  return inner !== undefined && isIPv4(inner) ? inner : host
}

/** Whether `host` is this machine talking to itself. */
export function isLoopback(host: string): boolean {
  const plain = plainHost(host)
  return plain === '::1' || plain === 'localhost' || (isIPv4(plain) && plain.startsWith('127.'))
}

function splitHost(place: string, text: string): { host: string; port: number } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(place)
  if (bracketed !== null) {
    const host = bracketed[1] ?? ''
    if (!isIPv6(host)) throw badAddress(text, 'has no IPv6 address between the brackets')
    return { host, port: parsePort(bracketed[2], text) }
  }
  if (isIPv6(place)) throw badAddress(text, 'is an IPv6 address without brackets')
  const colon = place.indexOf(':')
  const host = colon < 0 ? place : place.slice(0, colon)
  if (host === '') throw badAddress(text, 'has no host')
  const looksLikeIp = /^[0-9.]+$/.test(host)
  if (host.length > HOST_CHARACTERS_MAX || (looksLikeIp ? !isIPv4(host) : !HOST_PATTERN.test(host))) {
    throw badAddress(text, 'has a host that is neither a name nor an IP address')
  }
  return { host, port: parsePort(colon < 0 ? undefined : place.slice(colon + 1), text) }
}

function parsePort(digits: string | undefined, text: string): number {
  if (digits === undefined) return DEFAULT_PORT
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : Number.NaN
  if (!(port <= 65535)) throw badAddress(text, 'has a port that is not a number up to 65535')
  return port
}

function badAddress(text: string, fault: string): GridError {
  return new GridError('invalid', `address ${JSON.stringify(text.slice(0, 100))} ${fault}`, { hint: FORMAT_HINT })
}
