import { overlayFace } from '../../../client/session/overlay-face.js'
import { jobListKinds } from '../../../client/submit/job-records.js'
import { readAnnouncementHeader } from '../../../coordinator/home/announcement-header.js'
import type { OwnerDirectory } from '../../../coordinator/index.js'
import { Overlay, resolveOptions } from '../../../overlay/index.js'
import type { Key } from '../../../proto/model.js'
import type { Endpoint } from '../../../runtime/transport.js'
import type { Host, ProcessContext } from '../world/host.js'
import type { GridDirectory } from './directory.js'
import type { GridKeys } from './keys.js'

/** File in which a simulated peer remembers others. */
const PEERS_FILE = 'peers.json'

/** The real overlay of one process, joined through `seeds`. */
export function overlayDirectory(
  context: ProcessContext,
  keys: GridKeys,
  isPeer: boolean,
  seeds: readonly Host[],
): GridDirectory {
  const { clock, random, transport, logger, identity, address, boot, disk } = context
  const overlay = new Overlay({
    clock,
    random,
    transport,
    logger,
    identity: { ...identity, signer: keys.signer(identity.publicKey), bootId: BigInt(boot) },
    verifier: keys.verifier,
    idWorkBits: 0,
    options: resolveOptions('lan', { privateAddresses: true, eligibleAgeMs: 0, dialBacksPerMinute: 1_000 }),
    recordKinds: jobListKinds,
    memory: {
      load: async () => {
        const bytes = await disk.read(PEERS_FILE)
        return bytes && new TextDecoder().decode(bytes)
      },
      save: (text) => disk.write(PEERS_FILE, new TextEncoder().encode(text)),
    },
    ...(isPeer && { listen: { addresses: [address], features: [] } }),
  })
  const others = seeds.filter((seed) => seed.name !== context.name)
  void overlay.start(others.map((seed) => ({ address: seed.address })))
  const owners = async (key: Key, count: number) =>
    (await overlay.owners(key, count)).map((contact) => overlay.endpoint(contact))
  return {
    owners,
    client: overlayFace(overlay),
    asOwner: (self) => asOwner(overlay, owners, self),
    watchBoard: (handler) =>
      overlay.watchBoard((news) => {
        if (news.type === 'withdrawn') return
        const { entry } = news
        if (!readAnnouncementHeader(entry.announcement.header).task.startsWith('builtin ')) return
        const { jobId, ready } = entry.announcement
        handler({ owner: overlay.endpoint(entry.owner), jobId, ready })
      }),
  }
}

function asOwner(overlay: Overlay, owners: GridDirectory['owners'], self: Endpoint): OwnerDirectory {
  return {
    self,
    owners,
    ownersSeen: (key, count) => overlay.ownersSeen(key, count).map((contact) => overlay.endpoint(contact)),
    keepers: (key, count) => overlay.keepers(key, count),
    guards: (key, nodeId) => overlay.guards(key, nodeId),
    announce: ({ jobId, submitter, ready, header }) => {
      if (ready === 0) overlay.withdraw(jobId)
      else overlay.announce({ jobId, submitter, ready, header, expiresInMs: 60_000 })
    },
    onNeighboursChanged: (handler) => void overlay.onNeighboursChanged(handler),
    get peerCount() {
      return overlay.contacts().length
    },
    get eligible() {
      return overlay.eligible
    },
  }
}
