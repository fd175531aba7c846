import { sha256 } from '../../runtime/hash.js'
import type { StreamMethod, UnaryMethod } from '../../runtime/transport.js'
import type { WireMessage } from '../load.js'
import { wireType } from '../load.js'
import type { NodeId, Signed } from '../model.js'
import type {
  Announcement,
  AnnounceReply,
  AnnounceRequest,
  BoardUpdate,
  Contact,
  ContactBody,
  DialBackReply,
  DialBackRequest,
  FindNodeReply,
  FindNodeRequest,
  FindRecordReply,
  FindRecordRequest,
  OverlayRecord,
  PingReply,
  PingRequest,
  RecordBody,
  StoreRecordReply,
  StoreRecordRequest,
  WatchBoardRequest,
} from '../overlay-messages.js'
import * as limits from '../overlay-messages.js'
import { messageCodec, signedToWire } from './common.js'
import { decodeMessage, type Fields, hexToWire, uint64ToWire } from './fields.js'

/** Most bytes of a request that carries one contact and one record or announcement. */
const REQUEST_BYTES_MAX = 4_096
const FIND_REPLY_BYTES_MAX = 48 * 1024
const BOARD_UPDATE_BYTES_MAX = 128 * 1024
const PROTOCOL_VERSION_MAX = 1_000_000
const WALL_MS_MAX = Number.MAX_SAFE_INTEGER

const contactType = wireType('ContactRecord')
const recordType = wireType('RecordBody')

/** The bytes of a contact record, to be signed with tag `contact`. */
export function encodeContactBody(body: ContactBody): Uint8Array {
  return contactType.encode({
    publicKey: hexToWire(body.publicKey),
    idNonce: body.idNonce,
    addresses: body.addresses,
    protocolMin: body.protocolMin,
    protocolMax: body.protocolMax,
    features: body.features,
    bootId: uint64ToWire(body.bootId),
    seq: uint64ToWire(body.seq),
    expiresAtMs: body.expiresAtMs,
    eligible: body.eligible,
  })
}

/** The bytes of a record, to be signed with tag `record`. */
export function encodeRecordBody(body: RecordBody): Uint8Array {
  return recordType.encode({
    kind: body.kind,
    key: hexToWire(body.key),
    publicKey: hexToWire(body.publicKey),
    seq: uint64ToWire(body.seq),
    expiresAtMs: body.expiresAtMs,
    value: body.value,
  })
}

/**
 * Contacts decoded lately, by signature. The same few thousand records come again and again, twenty in each reply:
 * one object for each saves their decoding, and lets their signatures be checked once.
 */
const contacts = new Map<string, Contact>()
/** About 20 MB; a node meets a few thousand. */
let contactsKeptMax = 16_384
/** Bytes of the signature that tell contacts apart well enough to find one; all bytes are compared then. */
const CONTACT_NAME_BYTES = 12

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** For a process that runs thousands of nodes: decoded contacts to keep, at least as many as there are nodes. */
export function keepContacts(max: number): void {
  contactsKeptMax = max
}

/** The contact a signed record describes. Throws GridError `invalid`; does not check the signature. */
export function decodeContact(signed: Signed): Contact {
  const { buffer, byteOffset, length } = signed.signature
  const name = Buffer.from(buffer, byteOffset, Math.min(length, CONTACT_NAME_BYTES)).toString('latin1')
  const known = contacts.get(name)
  if (
    known !== undefined &&
    sameBytes(known.signed.bytes, signed.bytes) &&
    sameBytes(known.signed.signature, signed.signature)
  ) {
    return known
  }
  const own: Signed = { bytes: new Uint8Array(signed.bytes), signature: new Uint8Array(signed.signature) }
  const contact = decodeMessage(contactType, 'ContactRecord', own.bytes, limits.CONTACT_BYTES_MAX, (fields) =>
    parseContact(fields, own),
  )
  if (contacts.size >= contactsKeptMax) contacts.clear()
  contacts.set(name, contact)
  return contact
}

function parseContact(fields: Fields, signed: Signed): Contact {
  const publicKey = fields.publicKey('publicKey')
  const idNonce = fields.bytes('idNonce', { length: 8 })
  const protocolMin = fields.uint32('protocolMin', { min: 1, max: PROTOCOL_VERSION_MAX })
  return {
    nodeId: sha256(hexToWire(publicKey), idNonce).slice(0, 40) as NodeId,
    publicKey,
    idNonce,
    addresses: fields.textList(
      'addresses',
      { min: 1, max: limits.CONTACT_ADDRESSES_MAX },
      { min: 1, max: limits.CONTACT_ADDRESS_BYTES_MAX, controls: 'refuse' },
    ),
    protocolMin,
    protocolMax: fields.uint32('protocolMax', { min: protocolMin, max: PROTOCOL_VERSION_MAX }),
    features: fields.textList(
      'features',
      { max: limits.CONTACT_FEATURES_MAX },
      { min: 1, max: limits.CONTACT_FEATURE_BYTES_MAX, controls: 'refuse' },
    ),
    bootId: fields.uint64('bootId'),
    seq: fields.uint64('seq'),
    expiresAtMs: fields.safeInteger('expiresAtMs', { max: WALL_MS_MAX }),
    eligible: fields.bool('eligible'),
    signed,
  }
}

/** The record a signed body describes. Throws GridError `invalid`; does not check the signature. */
export function decodeRecord(signed: Signed): OverlayRecord {
  return decodeMessage(recordType, 'RecordBody', signed.bytes, limits.RECORD_BYTES_MAX, (fields) => ({
    kind: fields.text('kind', { min: 1, max: limits.RECORD_KIND_BYTES_MAX, controls: 'refuse' }),
    key: fields.key('key'),
    publicKey: fields.publicKey('publicKey'),
    seq: fields.uint64('seq'),
    expiresAtMs: fields.safeInteger('expiresAtMs', { max: WALL_MS_MAX }),
    value: fields.bytes('value', { max: limits.RECORD_VALUE_BYTES_MAX }),
    signed,
  }))
}

function readContact(fields: Fields): Contact {
  const bytes = fields.view('bytes', { min: 1, max: limits.CONTACT_BYTES_MAX - 64 })
  return decodeContact({ bytes, signature: fields.view('signature', { length: 64 }) })
}

function readRecord(fields: Fields): OverlayRecord {
  const bytes = fields.bytes('bytes', { min: 1, max: limits.RECORD_BYTES_MAX - 64 })
  return decodeRecord({ bytes, signature: fields.bytes('signature', { length: 64 }) })
}

function readAnnouncement(fields: Fields): Announcement {
  return {
    jobId: fields.jobId('jobId'),
    submitter: fields.publicKey('submitter'),
    ready: fields.uint32('ready', { max: 2 ** 32 - 1 }),
    expiresInMs: fields.safeInteger('expiresInMs', { max: limits.ANNOUNCEMENT_LIFETIME_MS }),
    header: fields.bytes('header', { max: limits.ANNOUNCEMENT_HEADER_BYTES_MAX }),
  }
}

function announcementToWire(announcement: Announcement): WireMessage {
  return {
    jobId: hexToWire(announcement.jobId),
    submitter: hexToWire(announcement.submitter),
    ready: announcement.ready,
    expiresInMs: Math.round(announcement.expiresInMs),
    header: announcement.header,
  }
}

const contactToWire = (contact: Contact): WireMessage => signedToWire(contact.signed)
const callerToWire = (caller: Contact | undefined): WireMessage =>
  caller === undefined ? {} : { caller: contactToWire(caller) }
const readCaller = (fields: Fields): { caller: Contact | undefined } => ({
  caller: fields.optional('caller', readContact),
})

const path = (name: string): string => `/manyhands.v1.Overlay/${name}`

/** Whether a peer lives, and who it is. */
export const pingMethod: UnaryMethod<PingRequest, PingReply> = {
  path: path('Ping'),
  request: messageCodec('PingRequest', REQUEST_BYTES_MAX, ({ caller }) => callerToWire(caller), readCaller),
  response: messageCodec(
    'PingReply',
    REQUEST_BYTES_MAX,
    ({ contact, other }) => ({
      ...(contact !== undefined && { contact: contactToWire(contact) }),
      ...(other !== undefined && { other: contactToWire(other) }),
    }),
    (fields) => ({ contact: fields.optional('contact', readContact), other: fields.optional('other', readContact) }),
  ),
}

/** The up to 20 peers nearest to a key that the other knows (Kademlia, FIND_NODE). */
export const findNodeMethod: UnaryMethod<FindNodeRequest, FindNodeReply> = {
  path: path('FindNode'),
  request: messageCodec(
    'FindNodeRequest',
    REQUEST_BYTES_MAX,
    ({ caller, target }) => ({ ...callerToWire(caller), target: hexToWire(target) }),
    (fields) => ({ ...readCaller(fields), target: fields.key('target') }),
  ),
  response: messageCodec(
    'FindNodeReply',
    FIND_REPLY_BYTES_MAX,
    ({ contacts: found, contact }) => ({
      contacts: found.map(contactToWire),
      ...(contact === undefined ? {} : { contact: contactToWire(contact) }),
    }),
    (fields) => ({
      contacts: fields.list('contacts', { max: limits.REPLY_CONTACTS_MAX }, readContact),
      contact: fields.optional('contact', readContact),
    }),
  ),
}

/** The up to 32 records of one kind under a key (Kademlia, FIND_VALUE). */
export const findRecordMethod: UnaryMethod<FindRecordRequest, FindRecordReply> = {
  path: path('FindRecord'),
  request: messageCodec(
    'FindRecordRequest',
    REQUEST_BYTES_MAX,
    ({ caller, key, kind }) => ({ ...callerToWire(caller), key: hexToWire(key), kind }),
    (fields) => ({
      ...readCaller(fields),
      key: fields.key('key'),
      kind: fields.text('kind', { min: 1, max: limits.RECORD_KIND_BYTES_MAX, controls: 'refuse' }),
    }),
  ),
  response: messageCodec(
    'FindRecordReply',
    FIND_REPLY_BYTES_MAX,
    ({ records }) => ({ records: records.map((record) => signedToWire(record.signed)) }),
    (fields) => ({ records: fields.list('records', { max: limits.RECORDS_PER_KEY_MAX }, readRecord) }),
  ),
}

/** Hands a record over to be kept; the reply says whether it was news to the other (Kademlia, STORE). */
export const storeRecordMethod: UnaryMethod<StoreRecordRequest, StoreRecordReply> = {
  path: path('StoreRecord'),
  request: messageCodec(
    'StoreRecordRequest',
    REQUEST_BYTES_MAX,
    ({ caller, record }) => ({ ...callerToWire(caller), record: signedToWire(record.signed) }),
    (fields) => ({ ...readCaller(fields), record: fields.message('record', readRecord) }),
  ),
  response: messageCodec(
    'StoreRecordReply',
    REQUEST_BYTES_MAX,
    ({ newer }) => ({ newer }),
    (fields) => ({ newer: fields.bool('newer') }),
  ),
}

/** Asks to be dialled at one's own addresses; the reply names the one that was reached. */
export const dialBackMethod: UnaryMethod<DialBackRequest, DialBackReply> = {
  path: path('DialBack'),
  request: messageCodec(
    'DialBackRequest',
    REQUEST_BYTES_MAX,
    ({ caller }) => callerToWire(caller),
    (fields) => ({ caller: fields.message('caller', readContact) }),
  ),
  response: messageCodec(
    'DialBackReply',
    REQUEST_BYTES_MAX,
    ({ reached }) => ({ reached: reached !== undefined, address: reached ?? '' }),
    (fields) => {
      const address = fields.text('address', { max: limits.CONTACT_ADDRESS_BYTES_MAX, controls: 'refuse' })
      return { reached: fields.bool('reached') ? address : undefined }
    },
  ),
}

/** Puts a job with ready work onto the board. */
export const announceMethod: UnaryMethod<AnnounceRequest, AnnounceReply> = {
  path: path('Announce'),
  request: messageCodec(
    'AnnounceRequest',
    REQUEST_BYTES_MAX,
    ({ caller, announcement }) => ({ ...callerToWire(caller), announcement: announcementToWire(announcement) }),
    (fields) => ({
      caller: fields.message('caller', readContact),
      announcement: fields.message('announcement', readAnnouncement),
    }),
  ),
  response: messageCodec(
    'AnnounceReply',
    REQUEST_BYTES_MAX,
    () => ({}),
    () => ({}),
  ),
}

const WATCHING_THREADS_MAX = 4_096
const VERSION_BYTES_MAX = 64

/** Boards to be told of, as bits, and what comes up and goes on them from then on. */
export const watchBoardMethod: StreamMethod<WatchBoardRequest, BoardUpdate> = {
  path: path('WatchBoard'),
  up: messageCodec(
    'WatchBoardRequest',
    128,
    ({ boards, worker }) => ({ boards, ...worker }),
    (fields) => {
      const threads = fields.uint32('threads', { max: WATCHING_THREADS_MAX })
      const version = fields.text('version', { max: VERSION_BYTES_MAX, controls: 'strip' })
      return {
        boards: fields.uint32('boards', { max: 2 ** limits.BOARDS - 1 }),
        worker: threads === 0 ? undefined : { version, threads },
      }
    },
  ),
  down: messageCodec(
    'BoardUpdate',
    BOARD_UPDATE_BYTES_MAX,
    ({ entries, withdrawn }) => ({
      entries: entries.map(({ announcement, owner }) => ({
        announcement: announcementToWire(announcement),
        owner: contactToWire(owner),
      })),
      withdrawn: withdrawn.map(({ jobId, owner }) => ({ jobId: hexToWire(jobId), owner: hexToWire(owner) })),
    }),
    (fields) => ({
      entries: fields.list('entries', { max: limits.BOARD_UPDATE_MAX }, (entry) => ({
        announcement: entry.message('announcement', readAnnouncement),
        owner: entry.message('owner', readContact),
      })),
      withdrawn: fields.list('withdrawn', { max: limits.BOARD_UPDATE_MAX }, (entry) => ({
        jobId: entry.jobId('jobId'),
        owner: entry.nodeId('owner'),
      })),
    }),
  ),
}
