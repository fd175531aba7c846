import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { betterRecord, RECORD_TAG, type RecordKind, RecordStore } from '../../../../../overlay/records/core/record.js'
import { decodeRecord, encodeRecordBody } from '../../../../../proto/codec/overlay.js'
import type { Key, PublicKey } from '../../../../../proto/model.js'
import type { OverlayRecord, RecordBody } from '../../../../../proto/overlay-messages.js'
import { keyedSigner, keyedVerifier } from '../../../../support/keyed-signatures.js'

const KEY = '11'.repeat(20) as Key
const signerAt = (digit: number) => digit.toString(16).padStart(64, '0') as PublicKey
const note: RecordKind = { name: 'note', lifetimeMaxMs: 60_000, valid: ({ value }) => value[0] !== 0 }
const begin = (limits = {}) =>
  new RecordStore([note], { recordsMax: 100, recordsPerSignerMax: 3, ...limits }, keyedVerifier)

function record(changes: Partial<RecordBody> = {}, signer = changes.publicKey ?? signerAt(1)): OverlayRecord {
  const body = {
    kind: 'note',
    key: KEY,
    publicKey: signerAt(1),
    seq: 1n,
    expiresAtMs: 30_000,
    value: Uint8Array.of(1),
    ...changes,
  }
  const bytes = encodeRecordBody(body)
  return decodeRecord({ bytes, signature: keyedSigner(signer).sign(RECORD_TAG, bytes) })
}

const store = suite('RecordStore')

store('keeps the highest version and tells older ones off', () => {
  const records = begin()
  assert.equal(records.put(record({ seq: 2n }), 0), { ok: true, newer: true })
  assert.equal(records.put(record({ seq: 2n }), 0), { ok: true, newer: false })
  assert.equal(records.put(record({ seq: 1n }), 0), { ok: false, reason: 'older' })
  assert.equal(records.put(record({ seq: 2n ** 63n }), 0), { ok: true, newer: true })
  assert.equal(
    records.get(KEY, 'note', 0).map(({ seq }) => seq),
    [2n ** 63n],
  )
  records.checkInvariants()
})

store('agrees with every other holder on two bodies of one version', () => {
  const [a, b] = [record({ value: Uint8Array.of(1) }), record({ value: Uint8Array.of(2) })]
  for (const order of [
    [a, b],
    [b, a],
  ]) {
    const records = begin()
    for (const item of order) records.put(item, 0)
    assert.is(records.get(KEY, 'note', 0)[0], betterRecord(a, b))
  }
})

store('refuses what breaks the rules of its kind, and says why', () => {
  const reasons: [OverlayRecord, string][] = [
    [record({ kind: 'other' }), 'unknownKind'],
    [record({ value: Uint8Array.of(0) }), 'againstRules'],
    [record({}, signerAt(2)), 'wrongSignature'],
    [record({ expiresAtMs: 10 * 60_000 }), 'tooFarAhead'],
  ]
  for (const [item, reason] of reasons) assert.equal(begin().put(item, 0), { ok: false, reason })
  assert.equal(begin().put(record(), 30_000 + 6 * 60_000), { ok: false, reason: 'expired' })
})

store('bounds the records of one signer, of one key and of all', () => {
  const records = begin({ recordsMax: 40 })
  const keyAt = (i: number) => i.toString(16).padStart(40, '0') as Key
  const of = (i: number, signer: number) => records.put(record({ key: keyAt(i), publicKey: signerAt(signer) }), 0)
  for (let i = 0; i < 3; i++) assert.ok(of(i, 1).ok)
  assert.equal(of(3, 1), { ok: false, reason: 'signerQuota' })
  for (let signer = 100; signer < 132; signer++) assert.ok(of(9, signer).ok)
  assert.equal(of(9, 132), { ok: false, reason: 'keyFull' })
  for (let signer = 200; signer < 205; signer++) assert.ok(of(10, signer).ok)
  assert.equal(of(11, 300), { ok: false, reason: 'full' })
  records.checkInvariants()
  records.sweep(30_000 + 6 * 60_000)
  assert.is(records.size, 0)
  records.checkInvariants()
})

store('keeps names like __proto__ apart from everything else', () => {
  const odd: RecordKind = { name: '__proto__', lifetimeMaxMs: 60_000, valid: () => true }
  const records = new RecordStore(
    [odd, { ...odd, name: 'hasOwnProperty' }],
    { recordsMax: 9, recordsPerSignerMax: 9 },
    keyedVerifier,
  )
  for (const kind of ['__proto__', 'hasOwnProperty']) assert.ok(records.put(record({ kind }), 0).ok)
  assert.equal(records.get(KEY, 'note', 0), [])
  assert.is(records.get(KEY, '__proto__', 0).length, 1)
})

store.run()
