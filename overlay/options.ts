import { REPLY_CONTACTS_MAX } from '../proto/overlay-messages.js'
import type { Millis } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'

/** Every setting of the overlay. Sources are named where a value is not ours: Kademlia = Maymounkov and Mazieres 2002. */
export interface OverlayOptions {
  /** Contacts of a bucket, of a lookup's list and of a reply. Range: 1 to 20. Kademlia: k = 20. */
  readonly k: number
  /** Requests a lookup has open. Range: 1 to 16. Raising it costs traffic and saves time. Kademlia: alpha = 3. */
  readonly parallel: number
  /** The same while joining, when nearly everything found is new. Range: 1 to 16. */
  readonly joinParallel: number
  /** After this a lookup starts another request beside one that is slow. Unit: ms. Range: 10 to 10,000. */
  readonly softTimeoutMs: Millis
  /** How many of the closest must answer a quick and a careful lookup. Range: 1 to k. */
  readonly quickNeed: number
  readonly carefulNeed: number
  /** Bounds of one lookup. */
  readonly quickRequestsMax: number
  readonly carefulRequestsMax: number
  readonly quickDurationMaxMs: Millis
  readonly carefulDurationMaxMs: Millis
  /** Dead contacts a peer may name in one lookup before its other suggestions are dropped. Range: 1 to 20. */
  readonly blame: number
  /** Lookups of this node at a time; more wait in line. Range: 1 to 1,024. */
  readonly lookupsMax: number
  /** Lookups that may wait; beyond it they are refused with `quota`. Range: 1 to 65,536. */
  readonly lookupsWaitingMax: number
  /** Deadline of a request to a peer not met before, and the bounds of four times its measured round trip after that. */
  readonly rpcTimeoutMs: Millis
  readonly rpcTimeoutMinMs: Millis
  readonly rpcTimeoutMaxMs: Millis

  /** One round of probes, jittered by ± 20 %. Unit: ms. Range: 100 to 600,000. Half of it halves the time to notice a death. */
  readonly tickMs: Millis
  /** Nearest contacts pinged each round; leaves ping none. Range: 0 to 64. */
  readonly nearest: number
  /** Stalest others pinged each round, if silent for `staleMs`. Range: 0 to 64. */
  readonly sweep: number
  readonly staleMs: Millis
  readonly selfLookupMs: Millis
  /** A range of ids idle for so long is refreshed. Unit: ms. go-libp2p: 10 min. */
  readonly bucketIdleMs: Millis
  /** Unanswered requests in a row that evict. Range: 1 to 10. */
  readonly missesMax: number
  /** Pause before a contact that missed is asked again. Unit: ms. */
  readonly reprobeMs: Millis
  /** Evicted contacts remembered, probed `graveProbes` a round with doubling pauses, and when they are given up. */
  readonly graveyardMax: number
  readonly graveProbes: number
  readonly graveRetryMinMs: Millis
  readonly graveRetryMaxMs: Millis
  readonly graveLifetimeMs: Millis
  /** Contacts named to others answered us within this time. Unit: ms. */
  readonly verifiedMs: Millis
  /** Contacts of one /24 (IPv6 /48) in a bucket and in the table; private addresses are exempt. discv5: 2 and 10. */
  readonly subnetBucketMax: number
  readonly subnetTableMax: number
  /** Callers being checked at a time before they enter the table. Range: 1 to 1,024. */
  readonly checksMax: number

  /** First pause after a seed did not answer, doubling to the cap; the eager cap holds for private addresses at first. */
  readonly seedRetryMinMs: Millis
  readonly seedRetryMaxMs: Millis
  readonly seedEagerRetryMaxMs: Millis
  readonly seedEagerMs: Millis
  /** Seeds are dialled again this often for ever, so that a healed network finds together again. */
  readonly seedRedialMs: Millis
  /** Peers kept for the next start. Range: 0 to 256. */
  readonly rememberedPeersMax: number
  readonly rememberEveryMs: Millis
  /** Whether contacts at private and loopback addresses are dialled: on a public network a stranger could point at ours. */
  readonly privateAddresses: boolean
  /** With `eligibleAgePeers` contacts or more, time a peer is up before it owns. Unit: ms. 0: no wait. */
  readonly eligibleAgeMs: Millis
  readonly eligibleAgePeers: number
  /** Dial-backs served per calling address and minute. Range: 1 to 1,000. */
  readonly dialBacksPerMinute: number

  /** Holders of a record; records held for others, and of one signer. */
  readonly recordCopies: number
  readonly recordsMax: number
  readonly recordsPerSignerMax: number
  /** Own records are stored anew this often: holders come and go. Unit: ms. */
  readonly recordRepublishMs: Millis

  /** Holders of a board. Range: 1 to 8. */
  readonly boardCopies: number
  /** Own announcements; beyond it submitters share them evenly. */
  readonly announcedMax: number
  /** Bounds of the boards held for others. */
  readonly announcementsMax: number
  readonly announcementsPerSubmitterMax: number
  readonly announcementsPerHostMax: number
  readonly announcementsPerJobMax: number
  readonly watchersMax: number
  readonly watchersPerHostMax: number
  /** Fewest watchers told of a job. Range: 1 to 1,024. */
  readonly audienceMin: number
}

/** Over the Internet. */
const wan: OverlayOptions = Object.freeze({
  k: REPLY_CONTACTS_MAX,
  parallel: 3,
  joinParallel: 10,
  softTimeoutMs: 300,
  quickNeed: 8,
  carefulNeed: 20,
  quickRequestsMax: 64,
  carefulRequestsMax: 128,
  quickDurationMaxMs: 10_000,
  carefulDurationMaxMs: 20_000,
  blame: 3,
  lookupsMax: 64,
  lookupsWaitingMax: 4_096,
  rpcTimeoutMs: 1_000,
  rpcTimeoutMinMs: 300,
  rpcTimeoutMaxMs: 2_000,
  tickMs: 10_000,
  nearest: 8,
  sweep: 8,
  staleMs: 30_000,
  selfLookupMs: 60_000,
  bucketIdleMs: 10 * 60_000,
  missesMax: 2,
  reprobeMs: 1_000,
  graveyardMax: 64,
  graveProbes: 2,
  graveRetryMinMs: 10_000,
  graveRetryMaxMs: 60 * 60_000,
  graveLifetimeMs: 24 * 60 * 60_000,
  verifiedMs: 10 * 60_000,
  subnetBucketMax: 2,
  subnetTableMax: 10,
  checksMax: 64,
  seedRetryMinMs: 250,
  seedRetryMaxMs: 10_000,
  seedEagerRetryMaxMs: 1_000,
  seedEagerMs: 5 * 60_000,
  seedRedialMs: 10 * 60_000,
  rememberedPeersMax: 64,
  rememberEveryMs: 5 * 60_000,
  privateAddresses: false,
  eligibleAgeMs: 10 * 60_000,
  eligibleAgePeers: 64,
  dialBacksPerMinute: 30,
  recordCopies: 5,
  recordsMax: 65_536,
  recordsPerSignerMax: 256,
  recordRepublishMs: 20 * 60_000,
  boardCopies: 3,
  announcedMax: 256,
  announcementsMax: 4_096,
  announcementsPerSubmitterMax: 128,
  announcementsPerHostMax: 1_024,
  announcementsPerJobMax: 16,
  watchersMax: 4_096,
  watchersPerHostMax: 1_024,
  audienceMin: 8,
})

/**
 * Settings by kind of network. `lan`: machines of one owner or one machine, where a busy process, not the wire, makes an
 * answer late. `test`: quick rounds, for tests that wait for upkeep.
 */
export const overlayProfiles = Object.freeze({
  wan,
  lan: Object.freeze({
    ...wan,
    rpcTimeoutMs: 2_000,
    rpcTimeoutMinMs: 1_000,
    privateAddresses: true,
    eligibleAgeMs: 0,
    dialBacksPerMinute: 600,
  }),
  test: Object.freeze({
    ...wan,
    rpcTimeoutMs: 2_000,
    rpcTimeoutMinMs: 1_000,
    tickMs: 1_000,
    staleMs: 3_000,
    selfLookupMs: 5_000,
    graveRetryMinMs: 1_000,
    seedRedialMs: 10_000,
    privateAddresses: true,
    eligibleAgeMs: 0,
    dialBacksPerMinute: 600,
  }),
})

/** Name of a set of options that fit together: `lan`, `wan`, `test`. */
export type OverlayProfile = keyof typeof overlayProfiles

/** Allowed range of every option that is a number; what is not listed is 1 to 2^31 - 1. */
const RANGES: { readonly [Name in keyof OverlayOptions]?: readonly [number, number] } = {
  k: [1, REPLY_CONTACTS_MAX],
  parallel: [1, 16],
  joinParallel: [1, 16],
  softTimeoutMs: [10, 10_000],
  quickNeed: [1, 20],
  carefulNeed: [1, 20],
  blame: [1, 20],
  lookupsMax: [1, 1_024],
  lookupsWaitingMax: [1, 65_536],
  tickMs: [100, 600_000],
  nearest: [0, 64],
  sweep: [0, 64],
  missesMax: [1, 10],
  graveProbes: [0, 64],
  checksMax: [1, 1_024],
  rememberedPeersMax: [0, 256],
  eligibleAgeMs: [0, 24 * 60 * 60_000],
  dialBacksPerMinute: [1, 1_000],
  recordCopies: [1, 20],
  boardCopies: [1, 8],
  audienceMin: [1, 1_024],
}

/** A complete set of options. Throws GridError `invalid` naming the option, its value and its range. */
export function resolveOptions(profile: OverlayProfile, changes: Partial<OverlayOptions> = {}): OverlayOptions {
  const options: OverlayOptions = Object.freeze({ ...overlayProfiles[profile], ...changes })
  for (const name of Object.keys(wan) as (keyof OverlayOptions)[]) {
    const value = options[name]
    if (typeof value === 'boolean') continue
    const [min, max] = RANGES[name] ?? [1, 2 ** 31 - 1]
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new GridError('invalid', `overlay option ${name} is ${value}, allowed is ${min} to ${max}`, {
        fields: { option: name },
      })
    }
  }
  return options
}
