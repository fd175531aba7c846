import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  CheckedFacts,
  checkGrant,
  checkReportFact,
  type FactContext,
  factContext,
  factId,
  grantId,
  isWithin,
  RecentGrants,
} from '../../../../job/facts/facts.js'
import { applyOrders } from '../../../../job/facts/orders.js'
import type { SignatureTag } from '../../../../job/facts/signature.js'
import { publicKeyOf, signedBytes } from '../../../../overlay/identity/identity.js'
import { grantCodec, reportCodec } from '../../../../proto/codec/facts.js'
import type {
  Digest,
  Grant,
  JobId,
  Key,
  NodeId,
  PublicKey,
  Report,
  ReportFact,
  Signed,
} from '../../../../proto/model.js'
import { sha256 } from '../../../../runtime/hash.js'
import { fromHex, utf8 } from '../../../../runtime/hex.js'
import { ed25519Verifier } from '../../../support/ed25519-verifier.js'
import {
  contextWith,
  countingVerifier,
  digestOf,
  factOf,
  grantWith,
  keyOf,
  noDigest,
  reportWith,
  resultWith,
  signAs,
  signGrant,
  signReport,
  specWith,
} from '../fixture.js'

function reasonOf(fact: ReportFact, context: FactContext = contextWith()): string {
  const checked = checkReportFact(fact, context)
  return checked.ok ? 'ok' : checked.reason
}

/** The reason why a report with these results is void under limits of 1,000 bytes and 500 steps. */
const reasonOfResult = (changes: Parameters<typeof resultWith>[1], unit = 0) =>
  reasonOf(factOf(reportWith({ results: [resultWith(unit, changes)] })))

const spoiled = ({ bytes, signature }: Signed): Signed => ({ bytes, signature: signature.map((byte) => byte ^ 1) })

const facts = suite('checkReportFact')

facts('a sound fact gives one vote a unit', () => {
  const fact = factOf()
  const checked = checkReportFact(fact, contextWith())
  assert.ok(checked.ok)
  assert.is(checked.reportId, sha256(fact.report.bytes))
  assert.equal(
    checked.votes.map((vote) => [vote.unit, vote.digest, vote.reportId === checked.reportId, vote.donor]),
    [0, 1].map((unit) => [unit, digestOf(`right ${unit}`), true, keyOf('worker 1')]),
  )
  assert.is(checked.votes[0]?.grantor, sha256(fromHex(keyOf('owner 1')), new Uint8Array(8)).slice(0, 40))
})

facts('signatures of report and grant must hold', () => {
  const fact = factOf()
  assert.is(reasonOf({ ...fact, report: spoiled(fact.report) }), 'reportSignature')
  assert.is(reasonOf({ ...fact, grants: [spoiled(fact.grants[0]!)] }), 'grantSignature')
})

facts('a signature under another tag is none', () => {
  const { bytes } = factOf().report
  assert.is(reasonOf({ ...factOf(), report: signAs('grant', keyOf('worker 1'), bytes) }), 'reportSignature')
})

facts('bytes that are no report or no grant void the fact', () => {
  const nonsense = { bytes: utf8('{'), signature: new Uint8Array(64) }
  assert.is(reasonOf({ ...factOf(), report: nonsense }), 'reportMalformed')
  assert.is(reasonOf({ ...factOf(), grants: [nonsense] }), 'grantMalformed')
})

facts('job, shard and worker of report and grant must be the same', () => {
  const other = 'bb'.repeat(32) as JobId
  assert.is(reasonOf(factOf(reportWith({ jobId: other }))), 'reportOtherJob')
  assert.is(reasonOf(factOf(reportWith(), [grantWith({ jobId: other })])), 'grantOtherJob')
  const elsewhere = grantWith({ shard: 1, runs: [{ first: 64, count: 4, opinion: 0 }] })
  assert.is(reasonOf(factOf(reportWith(), [elsewhere])), 'grantOtherShard')
  assert.is(reasonOf(factOf(reportWith(), [grantWith({ worker: keyOf('worker 2') })])), 'grantOtherWorker')
})

facts('every unit needs a grant and every grant a unit', () => {
  const one = grantWith({ runs: [{ first: 0, count: 1, opinion: 0 }] })
  const next = grantWith({ runs: [{ first: 1, count: 1, opinion: 0 }] })
  const third = grantWith({ runs: [{ first: 2, count: 60, opinion: 0 }] })
  assert.is(reasonOf(factOf(reportWith(), [])), 'unitNotGranted')
  assert.is(reasonOf(factOf(reportWith(), [one])), 'unitNotGranted')
  assert.is(reasonOf(factOf(reportWith(), [one, next])), 'ok')
  assert.is(reasonOf(factOf(reportWith(), [one, next, third])), 'grantUnused')
})

facts('grants have one order, and none stands twice: else anybody could make many facts of one', () => {
  const [one, other] = [grantWith(), grantWith({ nonce: 'ee'.repeat(8) })]
  const both = factOf(reportWith(), [one, other])
  assert.is(reasonOf(both), 'ok')
  assert.is(reasonOf({ ...both, grants: [...both.grants].reverse() }), 'grantOrder')
  assert.is(reasonOf(factOf(reportWith(), [one])), 'ok')
  assert.is(reasonOf(factOf(reportWith(), [one, one])), 'grantOrder')
})

facts('runs of a grant must lie in its shard', () => {
  assert.is(reasonOf(factOf(reportWith(), [grantWith({ runs: [{ first: 0, count: 65, opinion: 0 }] })])), 'grantUnits')
  assert.is(reasonOf(factOf(reportWith(), [grantWith({ runs: [{ first: 0, count: 0, opinion: 0 }] })])), 'grantUnits')
})

facts('units must be in the shard, ascend, exist and be selected', () => {
  const reasonOfUnits = (units: number[], context?: FactContext) =>
    reasonOf(factOf(reportWith({ results: units.map((unit) => resultWith(unit)) })), context)
  assert.is(reasonOfUnits([64]), 'unitOtherShard')
  assert.is(reasonOfUnits([1, 0]), 'unitOrder')
  assert.is(reasonOfUnits([1, 1]), 'unitOrder')
  assert.is(reasonOfUnits([]), 'reportEmpty')
  assert.is(reasonOfUnits([0, 1], contextWith({ hasUnit: (unit) => unit !== 1 })), 'unitUnknown')
  assert.is(reasonOfUnits(Array.from({ length: 65 }, (_, unit) => unit)), 'tooManyUnits')
})

facts('more grants than a fact may hold are refused before any is read', () => {
  const many = Array.from({ length: 65 }, () => grantWith())
  const verifier = countingVerifier()
  assert.is(reasonOf(factOf(reportWith(), many), contextWith({ verifier })), 'tooManyGrants')
  assert.equal(verifier.calls, [])
})

facts('a host failure and a wall limit have no digest and no bytes, all else has a digest', () => {
  assert.is(reasonOfResult({ digest: noDigest }), 'digestMissing')
  assert.is(reasonOfResult({ outcome: 'host' }), 'digestUnexpected')
  assert.is(reasonOfResult({ outcome: 'wall', digest: noDigest }), 'outputTooLarge')
  assert.is(reasonOfResult({ outcome: 'wall', digest: noDigest, outputBytes: 0 }), 'ok')
})

facts('sizes and fuel must keep the limits of the job', () => {
  assert.is(reasonOfResult({ outputBytes: 1_100 }), 'ok')
  assert.is(reasonOfResult({ outputBytes: 8 * 1024 * 1024 }), 'outputTooLarge')
  assert.is(reasonOfResult({ fuel: 500n }), 'ok')
  assert.is(reasonOfResult({ fuel: 501n }), 'fuelTooHigh')
  const unlimited = contextWith({ spec: specWith({ limits: { ...specWith().limits, fuel: 0n } }) })
  assert.is(reasonOf(factOf(reportWith({ results: [resultWith(0, { fuel: 2n ** 63n })] })), unlimited), 'ok')
})

facts('only allowed owners grant and only allowed workers or donors report', () => {
  const owners = (name: string) => contextWith({ spec: specWith({ owners: [keyOf(name)] }) })
  const workers = (name: string) => contextWith({ spec: specWith({ workers: [keyOf(name)] }) })
  assert.is(reasonOf(factOf(), owners('owner 1')), 'ok')
  assert.is(reasonOf(factOf(), owners('owner 2')), 'grantorNotAllowed')
  assert.is(reasonOf(factOf(), workers('worker 1')), 'ok')
  assert.is(reasonOf(factOf(), workers('worker 2')), 'workerNotAllowed')
})

facts('a donor must have signed the key of the worker', () => {
  const donor = keyOf('donor')
  const worker = keyOf('worker 1')
  const { signature } = signAs('donor', donor, fromHex(worker))
  const signed = reportWith({ donor, donorSignature: signature })
  assert.is(reasonOf(factOf(signed)), 'ok')
  assert.is(reasonOf(factOf(signed), contextWith({ spec: specWith({ workers: [donor] }) })), 'ok')
  assert.is(reasonOf(factOf({ ...signed, donor: keyOf('somebody else') })), 'donorSignature')
  assert.is(reasonOf(factOf({ ...signed, donorSignature: new Uint8Array(64) })), 'donorSignature')
  assert.is(reasonOf(factOf(reportWith({ donorSignature: signature }))), 'donorSignature')
})

facts('of several grants for a unit the smallest grantor counts', () => {
  const grants = ['owner 1', 'owner 2', 'owner 3'].map((name) => grantWith({ grantor: keyOf(name) }))
  const grantorsOf = (fact: ReportFact) => {
    const checked = checkReportFact(fact, contextWith())
    return checked.ok ? checked.votes.map((vote) => vote.grantor) : []
  }
  const ids = grants.map(({ grantor }) => sha256(fromHex(grantor), new Uint8Array(8)).slice(0, 40)).sort()
  assert.equal(grantorsOf(factOf(reportWith(), grants)), [ids[0], ids[0]])
})

facts('signatures are looked at only when all else is right', () => {
  const verifier = countingVerifier()
  reasonOf(factOf(reportWith({ results: [resultWith(0, { fuel: 501n })] })), contextWith({ verifier }))
  assert.equal(verifier.calls, [])
})

facts('a context made from the spec knows its shards and its selected units', () => {
  const spec = specWith({ source: { type: 'count', count: 70 }, selection: [{ first: 1, count: 200 }] })
  const { jobId, sha256, verifier, decoders } = contextWith()
  const context = factContext({ spec, jobId, sha256, verifier, decoders })
  assert.equal(
    [0, 1, 69, 70].map((unit) => context.hasUnit(unit)),
    [false, true, true, false],
  )
  assert.is.not(context.shardKey(0), context.shardKey(1))
  assert.is(reasonOf(factOf(reportWith({ results: [resultWith(1)] })), context), 'ok')
  assert.is(reasonOf(factOf(), context), 'unitUnknown')
})

facts.run()

const grants = suite('checkGrant')

/** The owner's distance from the shard key, moved by `by`. */
function radiusBeside(by: bigint): Key {
  const { verifier, shardKey } = contextWith()
  const { grantor, grantorIdNonce } = grantWith()
  const distance = BigInt(`0x${verifier.nodeIdOf(grantor, grantorIdNonce)}`) ^ BigInt(`0x${shardKey(0)}`)
  return (distance + by).toString(16).padStart(40, '0') as Key
}

grants('a grantor just within the radius counts, one just outside voids the whole fact', () => {
  const at = (by: bigint) => contextWith({ spec: specWith({ ownerRadius: radiusBeside(by) }) })
  assert.ok(checkGrant(signGrant(grantWith()), at(0n)).ok)
  assert.is(reasonOf(factOf(), at(-1n)), 'grantorTooFar')
  const both = [grantWith({ grantor: keyOf('owner 2') }), grantWith()]
  assert.is(reasonOf(factOf(reportWith(), both), at(-1n)), 'grantorTooFar')
})

grants('an order that widens the radius makes a grant valid', () => {
  const spec = specWith({ ownerRadius: radiusBeside(-1n) })
  const ownerRadius = radiusBeside(0n)
  const body = {
    type: 'amend' as const,
    expiresAtMs: undefined,
    priority: undefined,
    maxInstances: undefined,
    ownerRadius,
  }
  const order = { jobId: contextWith().jobId, seq: 1, createdAtMs: 0, body }
  const orders = applyOrders(spec, [{ id: digestOf('order'), order }])
  assert.ok(checkGrant(signGrant(grantWith()), contextWith({ spec, orders })).ok)
})

grants('a key without the id work of the network does not grant', () => {
  const verifier = { ...countingVerifier(), meetsIdWork: () => false }
  assert.is(reasonOf(factOf(), contextWith({ verifier })), 'grantorIdWork')
})

grants('a grant is checked once for all the facts that carry it', () => {
  const verifier = countingVerifier()
  const context = contextWith({ verifier, checked: new CheckedFacts() })
  for (const unit of [0, 1, 2, 3]) {
    assert.is(reasonOf(factOf(reportWith({ results: [resultWith(unit)] })), context), 'ok')
  }
  assert.is(verifier.calls.filter((tag) => tag === 'grant').length, 1)
  assert.is(verifier.calls.filter((tag) => tag === 'report').length, 4)
})

grants('a donor signature is checked once, and only for what it covers', () => {
  const donor = keyOf('donor')
  const { signature } = signAs('donor', donor, fromHex(keyOf('worker 1')))
  const verifier = countingVerifier()
  const context = contextWith({ verifier, checked: new CheckedFacts() })
  for (const unit of [0, 1]) {
    reasonOf(factOf(reportWith({ donor, donorSignature: signature, results: [resultWith(unit)] })), context)
  }
  assert.is(verifier.calls.filter((tag) => tag === 'donor').length, 1)
  const forged = reportWith({ donor, donorSignature: new Uint8Array(64) })
  assert.is(reasonOf(factOf(forged), context), 'donorSignature')
})

grants('an owner need not check its own signature, but a copy with a false one is still void', () => {
  const verifier = countingVerifier()
  const own = signGrant(grantWith())
  const ownId = grantId(own, sha256)
  const context = contextWith({ verifier, knownGrants: (id) => (id === ownId ? grantWith() : undefined) })
  assert.is(reasonOf(factOf(), context), 'ok')
  assert.equal(verifier.calls, ['report'])
  assert.is(reasonOf({ ...factOf(), grants: [spoiled(own)] }, context), 'grantSignature')
})

grants('a grant known from another job is void here', () => {
  const other = grantWith({ jobId: 'bb'.repeat(32) as JobId })
  assert.is(reasonOf(factOf(reportWith(), [other]), contextWith({ knownGrants: () => other })), 'grantOtherJob')
})

grants('what is remembered is bounded, and forgetting only costs a check', () => {
  const verifier = countingVerifier()
  const context = contextWith({ verifier, checked: new CheckedFacts(4) })
  const nonces = Array.from({ length: 20 }, (_, i) => String(i).padStart(16, '0'))
  for (const nonce of [...nonces, ...nonces]) assert.ok(checkGrant(signGrant(grantWith({ nonce })), context).ok)
  assert.is(verifier.calls.length, 40)
})

grants('a grant that was found valid for another job is void here: what is remembered is shared by all jobs', () => {
  const checked = new CheckedFacts()
  const grant = signGrant(grantWith())
  assert.ok(checkGrant(grant, contextWith({ checked })).ok)
  const jobId = 'bb'.repeat(32) as JobId
  const refused = checkGrant(grant, contextWith({ checked, jobId }))
  assert.is(refused.ok === false && refused.reason, 'grantOtherJob')
})

grants('a grant of many runs counts for more: strangers sign what they like', () => {
  const recent = new RecentGrants<{ readonly grant: Grant }>(100)
  const keep = (name: string, runs: number) => {
    const run = { first: 0, count: 1, opinion: 0 }
    const grant = grantWith({ runs: Array(runs).fill(run) })
    recent.keep(digestOf(name), { grant })
  }
  const kept = (name: string) => recent.get(digestOf(name)) !== undefined
  for (let i = 0; i < 100; i++) keep(`small ${i}`, 1)
  assert.ok(kept('small 0') && kept('small 99'))
  // A second time it is the same one.
  keep('small 99', 1)
  assert.ok(kept('small 0'))
  keep('large', 256)
  const left = Array.from({ length: 100 }, (_, i) => kept(`small ${i}`)).filter(Boolean).length
  assert.is(left, 50 - 17)
  assert.ok(kept('small 99') && kept('large'))
})

grants('distance is by XOR and the radius itself is within', () => {
  const point = (last: string) => last.padStart(40, '0') as Key & NodeId
  assert.ok(isWithin(point('3'), point('5'), point('6')))
  assert.not(isWithin(point('2'), point('5'), point('6')))
  assert.ok(isWithin('f'.repeat(40) as Key, point('0'), 'f'.repeat(40) as Key))
})

grants.run()

const ids = suite('factId')

ids('facts with the same bytes have one id; any other byte gives another', () => {
  const fact = factOf()
  assert.is(factId(fact, sha256), factId(factOf(), sha256))
  const others = [
    { ...fact, report: spoiled(fact.report) },
    { ...fact, grants: [spoiled(fact.grants[0]!)] },
    { ...fact, grants: [] },
    { ...fact, grants: [fact.grants[0]!, fact.grants[0]!] },
  ]
  assert.is(new Set([fact, ...others].map((other) => factId(other, sha256))).size, 5)
})

ids('bytes cannot move from one part to the next', () => {
  const part = (bytes: string, signature: string): Signed => ({ bytes: utf8(bytes), signature: utf8(signature) })
  const a = factId({ report: part('ab', 'c'), grants: [] }, sha256)
  assert.is.not(a, factId({ report: part('a', 'bc'), grants: [] }, sha256))
})

ids.run()

const wire = suite('checkReportFact with Ed25519 and the wire format')

interface Keys {
  readonly publicKey: PublicKey
  readonly privateKey: KeyObject
}

function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

const signWith = (keys: Keys, tag: SignatureTag, bytes: Uint8Array): Signed => ({
  bytes,
  signature: new Uint8Array(sign(null, signedBytes(tag, bytes), keys.privateKey)),
})

wire('accepts what honest parties sign and nothing that was touched since', () => {
  const [owner, worker, donor] = [makeKeys(), makeKeys(), makeKeys()]
  const context = contextWith({
    decoders: { decodeGrant: grantCodec.decode, decodeReport: reportCodec.decode },
    verifier: {
      ...countingVerifier(),
      verify: (tag, key, { bytes, signature }) => ed25519Verifier.verify(key, tag, bytes, signature),
    },
  })
  const grant: Grant = grantWith({ grantor: owner.publicKey, worker: worker.publicKey })
  const report: Report = reportWith({
    worker: worker.publicKey,
    donor: donor.publicKey,
    donorSignature: signWith(donor, 'donor', fromHex(worker.publicKey)).signature,
    results: [resultWith(0), resultWith(3, { outcome: 'wall', digest: noDigest as Digest, outputBytes: 0 })],
  })
  const fact = {
    report: signWith(worker, 'report', reportCodec.encode(report)),
    grants: [signWith(owner, 'grant', grantCodec.encode(grant))],
  }
  assert.is(reasonOf(fact, context), 'ok')
  for (let i = 0; i < fact.report.bytes.length; i += 7) {
    const bytes = fact.report.bytes.map((byte, at) => (at === i ? byte ^ 1 : byte))
    assert.is.not(reasonOf({ ...fact, report: { ...fact.report, bytes } }, context), 'ok', `byte ${i}`)
  }
  assert.is(reasonOf({ ...fact, grants: [spoiled(fact.grants[0]!)] }, context), 'grantSignature')
  const bySomebody = signWith(makeKeys(), 'report', fact.report.bytes)
  assert.is(reasonOf({ ...fact, report: bySomebody }, context), 'reportSignature')
})

wire('a report signed by hand in the test format is not one of the wire', () => {
  const context = contextWith({ decoders: { decodeGrant: grantCodec.decode, decodeReport: reportCodec.decode } })
  assert.is(reasonOf({ report: signReport(reportWith()), grants: [] }, context), 'reportMalformed')
})

wire.run()
