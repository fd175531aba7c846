import type { Address } from '../../../runtime/transport.js'

/** What to do about a private address on the public network, where nobody dials it: a stranger could point at one of ours. */
export const PRIVATE_ADDRESS_HINT =
  'give a network of your own a name, on every machine: --network NAME; on the public one, say your public address: --advertise HOST:PORT'

/** Host of an `host:port` address, without brackets. */
export function hostOf(address: Address): string {
  const colon = address.lastIndexOf(':')
  const host = colon < 0 || address.endsWith(']') ? address : address.slice(0, colon)
  return host.startsWith('[') ? host.slice(1, -1) : host
}

/** Whether a host is loopback, private or link-local (RFC 1918, 4193, 3927, 4291): one machine or one household. */
export function isPrivateHost(host: string): boolean {
  const text = host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
  if (text === 'localhost' || text === '::1' || /^(fc|fd|fe8|fe9|fea|feb)[0-9a-f]*:/.test(text)) return true
  const [a, b] = ipv4(text) ?? []
  if (a === undefined || b === undefined) return false
  return (
    a === 10 || a === 127 || (a === 192 && b === 168) || (a === 172 && b >= 16 && b <= 31) || (a === 169 && b === 254)
  )
}

/**
 * The group of addresses that one party easily holds together: the /24 of an IPv4 host, the /48 of an IPv6 host, a
 * name itself. Undefined for private hosts, which are not counted against each other.
 */
export function subnetOf(host: string): string | undefined {
  if (isPrivateHost(host)) return undefined
  const text = host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
  const v4 = ipv4(text)
  if (v4) return v4.slice(0, 3).join('.')
  if (!text.includes(':')) return text
  const [head = ''] = text.split('::')
  const groups = head.split(':').filter((group) => group !== '')
  return [0, 1, 2].map((i) => Number.parseInt(groups[i] ?? '0', 16).toString(16)).join(':')
}

function ipv4(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part))) return undefined
  return parts.map(Number)
}
