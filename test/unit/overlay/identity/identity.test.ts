import { createHash, createPublicKey, verify } from 'node:crypto'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createIdentity,
  createVerifier,
  ed25519Signer,
  findIdNonce,
  idWorkOf,
  nodeIdOf,
  privateKeyFromSeed,
  publicKeyOf,
  restoreIdentity,
  signedBytes,
  storedKeyOf,
  withIdNonce,
} from '../../../../overlay/identity/identity.js'
import type { PublicKey } from '../../../../proto/model.js'
import { fromHex, toHex, utf8 } from '../../../../runtime/hex.js'
import { ed25519Verifier } from '../../../support/ed25519-verifier.js'

const identityTest = suite('identity')

identityTest('the node id is the first 160 bits of SHA-256 over raw public key and nonce', () => {
  const { publicKey, idNonce, nodeId } = createIdentity()
  const expected = createHash('sha256')
    .update(Buffer.concat([fromHex(publicKey), idNonce]))
    .digest('hex')
    .slice(0, 40)
  assert.is(nodeId, expected)
  assert.is(nodeIdOf(publicKey, idNonce), expected)
})

identityTest('the key of a known seed is that of RFC 8032', () => {
  const seed = fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
  assert.is(publicKeyOf(privateKeyFromSeed(seed)), 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
})

identityTest('the nonce gives the work that was asked for, measured independently', () => {
  const { publicKey, idNonce } = createIdentity(10)
  const hash = createHash('sha256')
    .update(Buffer.concat([utf8('manyhands.v1.id-work'), fromHex(publicKey), idNonce]))
    .digest()
  assert.ok(hash[0] === 0 && (hash[1] ?? 255) < 64)
  assert.ok(idWorkOf(publicKey, idNonce) >= 10)
})

identityTest('work of an id counts leading zero bits', () => {
  const { publicKey } = createIdentity()
  const works = Array.from({ length: 512 }, () => idWorkOf(publicKey, findIdNonce(publicKey, 0)))
  const none = works.filter((work) => work === 0).length
  assert.ok(none > 150 && none < 360, `half of all nonces have no work: ${none} of 512`)
})

identityTest('a stored identity comes back the same, with a new boot id', () => {
  const identity = createIdentity(4)
  const restored = restoreIdentity(JSON.parse(JSON.stringify(storedKeyOf(identity))))
  assert.is(restored.nodeId, identity.nodeId)
  assert.is(restored.publicKey, identity.publicKey)
  assert.is.not(restored.bootId, identity.bootId)
  const signature = restored.signer.sign('test', utf8('x'))
  assert.ok(ed25519Verifier.verify(identity.publicKey, 'test', utf8('x'), signature))
})

identityTest('a key file that holds no key is corrupt', () => {
  for (const stored of [
    { privateKey: '', idNonce: '' },
    { privateKey: 'zz'.repeat(32), idNonce: '00'.repeat(8) },
    { privateKey: '00'.repeat(32), idNonce: '00' },
  ]) {
    assert.throws(
      () => restoreIdentity(stored),
      (error: { code?: string }) => error.code === 'corrupt',
    )
  }
})

identityTest('another nonce makes another node of the same key', () => {
  const identity = createIdentity()
  const other = withIdNonce(identity, fromHex('0011223344556677'))
  assert.is(other.publicKey, identity.publicKey)
  assert.is.not(other.nodeId, identity.nodeId)
})

identityTest.run()

const signatures = suite('signatures')
const signer = createIdentity().signer

signatures('a signature covers tag, zero byte and bytes, as plain Ed25519 that any program can check', () => {
  const bytes = utf8('some report')
  const signature = signer.sign('report', bytes)
  assert.is(signature.length, 64)
  const x = Buffer.from(signer.publicKey, 'hex').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  assert.ok(verify(null, Buffer.concat([Buffer.from('manyhands.v1.report\0'), bytes]), key, signature))
  assert.is(Buffer.from(signedBytes('report', bytes)).toString(), 'manyhands.v1.report\0some report')
})

signatures('a signature under one tag stands under no other', () => {
  const signature = signer.sign('grant', utf8('x'))
  assert.ok(ed25519Verifier.verify(signer.publicKey, 'grant', utf8('x'), signature))
  assert.not(ed25519Verifier.verify(signer.publicKey, 'report', utf8('x'), signature))
  assert.not(ed25519Verifier.verify(signer.publicKey, 'grant\0x', utf8(''), signature))
})

signatures('any changed bit of bytes or signature is seen, on either path', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.nat(),
      fc.boolean(),
      async (bytes, bit, inSignature) => {
        const signature = signer.sign('test', bytes)
        assert.ok(ed25519Verifier.verify(signer.publicKey, 'test', bytes, signature))
        const target = inSignature ? signature : bytes
        const at = bit % (target.length * 8)
        target[at >> 3] = (target[at >> 3] ?? 0) ^ (1 << (at & 7))
        assert.not(ed25519Verifier.verify(signer.publicKey, 'test', bytes, signature))
        assert.not(await ed25519Verifier.verifyAsync(signer.publicKey, 'test', bytes, signature))
      },
    ),
    { numRuns: 40 },
  )
})

signatures('checking in the thread pool agrees with checking here', async () => {
  const bytes = utf8('x')
  const signature = signer.sign('test', bytes)
  assert.is(await ed25519Verifier.verifyAsync(signer.publicKey, 'test', bytes, signature), true)
})

signatures('malformed keys and signatures are false, never an error', async () => {
  const bytes = utf8('x')
  const good = signer.sign('test', bytes)
  const keys = ['', 'zz', 'A'.repeat(64), '0'.repeat(64), 'f'.repeat(64), `${signer.publicKey}00`] as PublicKey[]
  for (const key of keys) {
    assert.is(ed25519Verifier.verify(key, 'test', bytes, good), false)
    assert.is(await ed25519Verifier.verifyAsync(key, 'test', bytes, good), false)
  }
  for (const signature of [
    new Uint8Array(0),
    new Uint8Array(63),
    new Uint8Array(64),
    new Uint8Array(65),
    new Uint8Array(64).fill(255),
  ]) {
    assert.is(ed25519Verifier.verify(signer.publicKey, 'test', bytes, signature), false)
    assert.is(await ed25519Verifier.verifyAsync(signer.publicKey, 'test', bytes, signature), false)
  }
})

signatures('a verifier that keeps few keys still knows them all', () => {
  const small = createVerifier(2)
  const signers = Array.from({ length: 5 }, (_, i) => ed25519Signer(privateKeyFromSeed(new Uint8Array(32).fill(i))))
  for (let round = 0; round < 2; round++) {
    for (const each of signers)
      assert.ok(small.verify(each.publicKey, 'test', utf8('x'), each.sign('test', utf8('x'))), toHex(utf8('x')))
  }
})

signatures.run()
