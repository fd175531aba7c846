import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseAddress } from '../overlay/address.js'
import { onDisk } from '../overlay/identity/data-directory.js'
import { GridError } from '../runtime/errors.js'
import { makeFolders } from '../runtime/folders.js'
import type { Address } from '../runtime/transport.js'

/** Peers that a person may add to one network: seeds, not a directory. */
const BOOT_PEERS_MAX = 64

function fileOf(dataFolder: string, network: string): string {
  return join(dataFolder, 'client', `boot-${network}.json`)
}

/**
 * Peers that a person has told this data directory to join through, as `host:port` or `host:port#id`, besides `--join`. Entries that
 * are none, of a file that somebody edited, are passed over.
 */
export function bootPeers(dataFolder: string, network: string): readonly string[] {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(fileOf(dataFolder, network), 'utf8'))
  } catch {
    return []
  }
  const peers: unknown = typeof value === 'object' && value !== null && 'peers' in value ? value.peers : undefined
  if (!Array.isArray(peers)) return []
  return peers.slice(0, BOOT_PEERS_MAX).flatMap((peer: unknown) => {
    try {
      return typeof peer === 'string' ? [formatted(peer)] : []
    } catch {
      return []
    }
  })
}

/** Adds a peer, or replaces what stands at its address. Throws GridError `invalid` for no address, `quota` above 64, and what the disk throws. */
export function addBootPeer(dataFolder: string, network: string, peer: string): void {
  const { address } = parseAddress(peer)
  const others = bootPeers(dataFolder, network).filter((other) => parseAddress(other).address !== address)
  if (others.length >= BOOT_PEERS_MAX)
    throw new GridError('quota', `at most ${BOOT_PEERS_MAX} peers are kept`, {
      hint: 'take one away: manyhands peers rm HOST:PORT',
    })
  write(dataFolder, network, [...others, formatted(peer)])
}

/** Takes away those that `isMeant`; gives how many there were. */
export function removeBootPeers(
  dataFolder: string,
  network: string,
  isMeant: (peer: { readonly nodeId: string | undefined; readonly address: Address }) => boolean,
): number {
  const peers = bootPeers(dataFolder, network)
  const kept = peers.filter((peer) => !isMeant(parseAddress(peer)))
  if (kept.length < peers.length) write(dataFolder, network, kept)
  return peers.length - kept.length
}

function write(dataFolder: string, network: string, peers: readonly string[]): void {
  const file = fileOf(dataFolder, network)
  onDisk(dataFolder, () => {
    makeFolders(dirname(file))
    writeFileSync(`${file}.draft`, `${JSON.stringify({ v: 1, peers }, undefined, 2)}\n`, { mode: 0o600 })
    renameSync(`${file}.draft`, file)
  })
}

function formatted(peer: string): string {
  const { address, nodeId } = parseAddress(peer)
  return nodeId === undefined ? address : `${address}#${nodeId}`
}
