import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { caNameOf, createCertificates, leafCertificate, readPeer } from '../../../../overlay/channel/certificate.js'
import { createIdentity, privateKeyFromSeed } from '../../../../overlay/identity/identity.js'
import { resolveNetwork } from '../../../../overlay/identity/network.js'
import { toHex } from '../../../../runtime/hex.js'

const network = resolveNetwork('test')
const identity = createIdentity(6)
const caKey = privateKeyFromSeed(network.caSeed)
const derOf = (pem: string): Uint8Array => new X509Certificate(pem).raw
const forge = (subjectName: string, subjectKey = identity.privateKey) =>
  derOf(
    leafCertificate({ subjectKey, subjectName, issuerKey: caKey, issuerName: caNameOf(caKey), alternativeName: 'x' }),
  )
const isUnauthenticated = (error: { code?: string }) => error.code === 'unauthenticated'

const test = suite('certificate')

test('the certificate of a node is signed by the CA of its network, and by no other', () => {
  const { caPem, certificatePem } = createCertificates(identity, network)
  const leaf = new X509Certificate(certificatePem)
  const ca = new X509Certificate(caPem)
  assert.ok(leaf.verify(ca.publicKey))
  assert.ok(leaf.checkIssued(ca))
  assert.ok(ca.verify(ca.publicKey))
  assert.is(ca.ca, true)
  assert.is(leaf.ca, false)
  const other = new X509Certificate(createCertificates(identity, resolveNetwork('other')).caPem)
  assert.not(leaf.verify(other.publicKey))
})

test('all nodes of a network derive the same CA certificate', () => {
  assert.is(createCertificates(identity, network).caPem, createCertificates(createIdentity(), network).caPem)
})

test('neither certificate names the network', () => {
  const { caPem, certificatePem } = createCertificates(identity, resolveNetwork('very-private'))
  for (const pem of [caPem, certificatePem]) assert.not(Buffer.from(derOf(pem)).includes('very-private'))
})

test('it carries key and nonce, and the node id for clients that check names', () => {
  const { certificatePem } = createCertificates(identity, network)
  const leaf = new X509Certificate(certificatePem)
  assert.equal(readPeer(leaf.raw, 6), {
    nodeId: identity.nodeId,
    publicKey: identity.publicKey,
    idNonce: identity.idNonce,
  })
  assert.is(leaf.subject, `CN=${toHex(identity.idNonce)}`)
  assert.is(leaf.checkHost(identity.nodeId), identity.nodeId)
})

test('it is valid from 2020 on and for ever, whatever a wrong clock says', () => {
  const leaf = new X509Certificate(createCertificates(identity, network).certificatePem)
  assert.is(new Date(leaf.validFrom).getUTCFullYear(), 2020)
  assert.is(new Date(leaf.validTo).getUTCFullYear(), 9999)
})

test('an id with too little work is refused', () => {
  const der = derOf(createCertificates(identity, network).certificatePem)
  assert.throws(() => readPeer(der, 24), isUnauthenticated)
})

test('a subject that is not exactly a nonce is refused', () => {
  for (const name of [
    '',
    'node',
    identity.nodeId,
    'ABCDEF0123456789',
    '0123456789abcde',
    '0123456789abcdef\nCN=0123456789abcdef',
  ]) {
    assert.throws(() => readPeer(forge(name), 0), isUnauthenticated, name)
  }
})

test('keys of other kinds are refused', () => {
  const nonce = toHex(identity.idNonce)
  const keys = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('x25519'),
    generateKeyPairSync('ed448'),
  ]
  for (const { privateKey } of keys) assert.throws(() => readPeer(forge(nonce, privateKey), 0), isUnauthenticated)
})

test('bytes that are no certificate are refused', () => {
  const der = derOf(createCertificates(identity, network).certificatePem)
  for (const bytes of [new Uint8Array(0), new Uint8Array(100), der.slice(0, -1), der.slice(1)]) {
    assert.throws(() => readPeer(bytes, 0), isUnauthenticated)
  }
})

test.run()
