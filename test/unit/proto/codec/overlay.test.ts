import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createIdentity } from '../../../../overlay/identity/identity.js'
import { resolveOptions } from '../../../../overlay/options.js'
import { CONTACT_TAG, ContactBook } from '../../../../overlay/routing/core/contact.js'
import { formatPeers, parsePeers } from '../../../../overlay/routing/remembered-peers.js'
import {
  announceMethod,
  decodeContact,
  dialBackMethod,
  encodeContactBody,
  findNodeMethod,
  findRecordMethod,
  pingMethod,
  storeRecordMethod,
  watchBoardMethod,
} from '../../../../proto/codec/overlay.js'
import type { JobId, Key, NodeId, PublicKey } from '../../../../proto/model.js'
import { CONTACT_BYTES_MAX, type Contact, type ContactBody } from '../../../../proto/overlay-messages.js'
import { GridError } from '../../../../runtime/errors.js'
import type { Codec } from '../../../../runtime/transport.js'
import { ed25519Verifier } from '../../../support/ed25519-verifier.js'

const identity = createIdentity()
const body = (changes: Partial<ContactBody> = {}): ContactBody => ({
  publicKey: identity.publicKey,
  idNonce: identity.idNonce,
  addresses: ['203.0.113.9:4747'],
  protocolMin: 1,
  protocolMax: 1,
  features: ['a'],
  bootId: 2n ** 64n - 1n,
  seq: 2n ** 63n,
  expiresAtMs: 3_600_000,
  eligible: true,
  ...changes,
})
function contactOf(changes: Partial<ContactBody> = {}): Contact {
  const bytes = encodeContactBody(body(changes))
  return decodeContact({ bytes, signature: identity.signer.sign(CONTACT_TAG, bytes) })
}
const contact = contactOf()
const invalid = (action: () => unknown) => {
  try {
    action()
  } catch (error) {
    return error instanceof GridError && error.code === 'invalid'
  }
  return false
}

const contacts = suite('contact records')

contacts('come back as they were signed, under the id of their key', () => {
  const { nodeId, signed, ...rest } = contact
  assert.equal(rest, body())
  assert.is(nodeId, identity.nodeId)
  assert.ok(signed.bytes.length + signed.signature.length <= CONTACT_BYTES_MAX)
})

contacts(
  'are one object as long as their bytes are the same, and never mistaken for others with that signature',
  () => {
    assert.is(
      decodeContact({ bytes: contact.signed.bytes.slice(), signature: contact.signed.signature.slice() }),
      contact,
    )
    const forged = decodeContact({ bytes: encodeContactBody(body({ seq: 1n })), signature: contact.signed.signature })
    assert.is(forged.seq, 1n)
  },
)

contacts('are believed only with work, signature and a time near ours', () => {
  const book = new ContactBook({ verify: ed25519Verifier.verify, enoughIdWork: () => true })
  assert.is(book.problem(contact, 0), undefined)
  assert.is(book.problem(contact, 3_600_000 + 300_001), 'expired')
  assert.is(book.problem(contact, -300_001), 'tooFarAhead')
  const forged = decodeContact({ bytes: encodeContactBody(body({ seq: 7n })), signature: contact.signed.signature })
  assert.is(book.problem(forged, 0), 'wrongSignature')
  assert.is(book.problem(contactOf({ protocolMin: 2, protocolMax: 3 }), 0), 'protocol')
  assert.is(new ContactBook({ verify: () => true, enoughIdWork: () => false }).problem(contact, 0), 'idWork')
})

contacts('are refused when a field is out of bounds', () => {
  for (const changes of [
    { addresses: [] },
    { addresses: Array(5).fill('a:1') },
    { addresses: ['x'.repeat(97)] },
    { addresses: ['a\n:1'] },
    { features: Array(9).fill('f') },
    { protocolMin: 0 },
    { protocolMin: 2, protocolMax: 1 },
    { idNonce: new Uint8Array(7) },
  ] satisfies Partial<ContactBody>[]) {
    assert.ok(
      invalid(() => contactOf(changes)),
      JSON.stringify(changes),
    )
  }
})

contacts.run()

const key = 'cd'.repeat(20) as Key
const announcement = {
  jobId: 'ab'.repeat(32) as JobId,
  submitter: 'ef'.repeat(32) as PublicKey,
  ready: 2 ** 32 - 1,
  expiresInMs: 60_000,
  header: Uint8Array.of(1, 2),
}
const samples: [string, Codec<unknown>, unknown][] = [
  ['PingRequest', pingMethod.request, { caller: contact }],
  ['PingRequest of a leaf', pingMethod.request, { caller: undefined }],
  ['PingReply', pingMethod.response, { contact, other: undefined }],
  ['PingReply that tells of another process', pingMethod.response, { contact, other: contact }],
  ['FindNodeRequest', findNodeMethod.request, { caller: contact, target: key }],
  ['FindNodeReply', findNodeMethod.response, { contacts: Array(20).fill(contact), contact }],
  ['FindRecordRequest', findRecordMethod.request, { caller: contact, key, kind: 'note' }],
  ['FindRecordReply', findRecordMethod.response, { records: [] }],
  ['StoreRecordReply', storeRecordMethod.response, { newer: true }],
  ['DialBackRequest', dialBackMethod.request, { caller: contact }],
  ['DialBackReply', dialBackMethod.response, { reached: 'a:1' }],
  ['DialBackReply without success', dialBackMethod.response, { reached: undefined }],
  ['AnnounceRequest', announceMethod.request, { caller: contact, announcement }],
  ['WatchBoardRequest', watchBoardMethod.up, { boards: 0xffff, worker: { version: '1.2.3', threads: 8 } }],
  [
    'BoardUpdate',
    watchBoardMethod.down,
    {
      entries: [{ announcement, owner: contact }],
      withdrawn: [{ jobId: announcement.jobId, owner: identity.nodeId as NodeId }],
    },
  ],
] as [string, Codec<unknown>, unknown][]
const codecs = [...new Set(samples.map(([, codec]) => codec)), storeRecordMethod.request as Codec<unknown>]

const messages = suite('overlay messages')

for (const [name, codec, value] of samples) {
  messages(`${name} comes back as it was sent`, () => assert.equal(codec.decode(codec.encode(value)), value))
}

messages('are refused beyond their bounds', () => {
  const tooMany = { contacts: Array(21).fill(contact), contact }
  assert.ok(invalid(() => findNodeMethod.response.decode(findNodeMethod.response.encode(tooMany))))
  const tooLong = { caller: contact, announcement: { ...announcement, expiresInMs: 60_001 } }
  assert.ok(invalid(() => announceMethod.request.decode(announceMethod.request.encode(tooLong))))
  assert.ok(invalid(() => watchBoardMethod.up.decode(watchBoardMethod.up.encode({ boards: 0x10000 }))))
})

messages(
  'never fail with anything but an invalid error, whatever the bytes, also when one byte of a good one is wrong',
  () => {
    const decode = (codec: Codec<unknown>, bytes: Uint8Array) => {
      try {
        codec.decode(bytes)
      } catch (error) {
        assert.ok(error instanceof GridError && error.code === 'invalid', String(error))
      }
    }
    const any = fc.constantFrom(...codecs)
    fc.assert(
      fc.property(any, fc.uint8Array({ maxLength: 300 }), (codec, bytes) => decode(codec, bytes)),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        ([, codec, value], place, flip) => {
          const bytes = codec.encode(value)
          if (bytes.length === 0) return
          bytes[place % bytes.length]! ^= flip
          decode(codec, bytes)
        },
      ),
      { numRuns: 3_000 },
    )
  },
)

messages.run()

const remembered = suite('remembered peers')

remembered('come back from their file, and a damaged file holds none', () => {
  const peers = [{ nodeId: identity.nodeId, address: 'a.example:4747' }]
  assert.equal(parsePeers(formatPeers(peers)), peers)
  for (const text of ['', '{', '[]', '{"v":2,"peers":[]}', '{"v":1,"peers":[{"nodeId":"x","address":"a:1"}]}']) {
    assert.equal(parsePeers(text), [])
  }
})

remembered.run()

const options = suite('overlay options')

options('are complete, frozen, and refuse what is out of range by name', () => {
  assert.ok(Object.isFrozen(resolveOptions('lan')))
  assert.is(resolveOptions('test', { k: 4 }).k, 4)
  for (const changes of [{ k: 21 }, { tickMs: 99 }, { parallel: 1.5 }, { quickNeed: 0 }]) {
    assert.ok(
      invalid(() => resolveOptions('wan', changes)),
      JSON.stringify(changes),
    )
  }
})

options.run()
