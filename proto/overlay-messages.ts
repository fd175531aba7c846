import type { Millis } from '../runtime/clock.js'
import type { Address } from '../runtime/transport.js'
import type { JobId, Key, NodeId, Point, PublicKey, Signed } from './model.js'

/** What peers of the overlay say to one another. Pure; `codec/overlay.ts` converts and checks. */

/** Bytes of a contact record with its signature. */
export const CONTACT_BYTES_MAX = 512
/** Addresses of a contact. */
export const CONTACT_ADDRESSES_MAX = 4
/** One address of a contact. Unit: bytes. */
export const CONTACT_ADDRESS_BYTES_MAX = 96
/** Features of a contact. */
export const CONTACT_FEATURES_MAX = 8
/** One feature of a contact. Unit: bytes. */
export const CONTACT_FEATURE_BYTES_MAX = 24
/** Contacts of one FindNode reply (Kademlia's k). */
export const REPLY_CONTACTS_MAX = 20
/** A record with its signature. Unit: bytes. */
export const RECORD_BYTES_MAX = 1024
/** The value of a record (BEP 44 allows 1,000). Unit: bytes. */
export const RECORD_VALUE_BYTES_MAX = 800
/** The name of a record's kind. Unit: bytes. */
export const RECORD_KIND_BYTES_MAX = 24
/** Records of different signers under one key and kind that are held and answered. */
export const RECORDS_PER_KEY_MAX = 32
/** Boards the jobs are spread over, by the first hex digit of their id. */
export const BOARDS = 16
/** How long an announcement stands without being renewed, at most. */
export const ANNOUNCEMENT_LIFETIME_MS: Millis = 60_000
/** Bytes of the header of a spec in an announcement. */
export const ANNOUNCEMENT_HEADER_BYTES_MAX = 1024
/** Announcements, and withdrawals, in one message to a watcher. */
export const BOARD_UPDATE_MAX = 64

/** What a peer that listens says of itself, before it is signed. */
export interface ContactBody {
  readonly publicKey: PublicKey
  /** 8 bytes. */
  readonly idNonce: Uint8Array
  /** Where it listens, the preferred one first; 1 to {@link CONTACT_ADDRESSES_MAX}. */
  readonly addresses: readonly Address[]
  /** Oldest and newest protocol version it speaks. */
  readonly protocolMin: number
  readonly protocolMax: number
  readonly features: readonly string[]
  /** 64 bits drawn at each start. */
  readonly bootId: bigint
  /** Rises with each record of this key: of two records the higher one counts. */
  readonly seq: bigint
  /** Wall clock, ms since 1970. */
  readonly expiresAtMs: Millis
  /** Other peers have dialled it back, so it may own. */
  readonly eligible: boolean
}

/** A signed contact record as others keep and forward it. Decoding derives the id; the signature is not yet checked. */
export interface Contact extends ContactBody {
  readonly nodeId: NodeId
  readonly signed: Signed
}

/** What a record says, before it is signed. */
export interface RecordBody {
  readonly kind: string
  readonly key: Key
  readonly publicKey: PublicKey
  /** Rises with each version; a lower one never replaces a higher one. */
  readonly seq: bigint
  /** Wall clock, ms since 1970. */
  readonly expiresAtMs: Millis
  readonly value: Uint8Array
}

/** A signed record as holders keep it. The signature is not yet checked by decoding. */
export interface OverlayRecord extends RecordBody {
  readonly signed: Signed
}

/** Ready work of one job at one owner. */
export interface Announcement {
  readonly jobId: JobId
  readonly submitter: PublicKey
  /** Instances that could be granted now, 0 to 2^32 - 1; 0 withdraws. */
  readonly ready: number
  /** From the moment it is sent; at most {@link ANNOUNCEMENT_LIFETIME_MS}. */
  readonly expiresInMs: Millis
  /** Signed header of the spec, to be verified by whoever uses it. */
  readonly header: Uint8Array
}

/** Carried by every request of a peer that listens; leaves leave it out. */
interface FromCaller {
  readonly caller: Contact | undefined
}

/** Is the peer there? */
export type PingRequest = FromCaller
/** Undefined from a leaf, which nobody pings on purpose. */
export interface PingReply {
  readonly contact: Contact | undefined
  /** What another process signed with the key of the caller: newer than the caller's, or not yet replaced by it. */
  readonly other: Contact | undefined
}

/** The contacts nearest to `target` that the peer knows. */
export interface FindNodeRequest extends FromCaller {
  readonly target: Point
}

/** Nearest first, at most {@link REPLY_CONTACTS_MAX}. */
export interface FindNodeReply {
  readonly contacts: readonly Contact[]
  /** Of the peer that answers: others may know an older one. */
  readonly contact: Contact | undefined
}

/** Records of one kind under a key. */
export interface FindRecordRequest extends FromCaller {
  readonly key: Key
  readonly kind: string
}

/** Of different signers, at most {@link RECORDS_PER_KEY_MAX}. */
export interface FindRecordReply {
  readonly records: readonly OverlayRecord[]
}

/** Asks the peer to hold a record. */
export interface StoreRecordRequest extends FromCaller {
  readonly record: OverlayRecord
}

/** What became of the record. */
export interface StoreRecordReply {
  /** False: it held this version already. */
  readonly newer: boolean
}

/** Asks the peer to dial the caller at the addresses of its contact. */
export interface DialBackRequest {
  readonly caller: Contact
}

/** What came of the dialling. */
export interface DialBackReply {
  /** The address that answered, undefined when none did. */
  readonly reached: Address | undefined
}

/** Puts ready work of the caller onto the board. */
export interface AnnounceRequest {
  readonly caller: Contact
  readonly announcement: Announcement
}

/** The announcement stands. */
export type AnnounceReply = Readonly<Record<never, never>>

/** Asks for what stands on some boards, and for changes from then on. */
export interface WatchBoardRequest {
  /** One bit for each board. */
  readonly boards: number
  /** Of a worker, where it is to be counted. */
  readonly worker?: WatchingWorker | undefined
}

/** A worker as the boards count it. */
export interface WatchingWorker {
  readonly version: string
  /** 1 to 4,096. */
  readonly threads: number
}

/** An announcement, and who made it. */
export interface BoardEntry {
  readonly announcement: Announcement
  readonly owner: Contact
}

/** Changes of the boards watched; at most {@link BOARD_UPDATE_MAX} of each kind. */
export interface BoardUpdate {
  readonly entries: readonly BoardEntry[]
  readonly withdrawn: readonly { readonly jobId: JobId; readonly owner: NodeId }[]
}
