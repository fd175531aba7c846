import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import type { NodeId, PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { fromHex, toHex } from '../../runtime/hex.js'
import { type Identity, idWorkOf, nodeIdOf, privateKeyFromSeed, publicKeyOf } from '../identity/identity.js'
import type { Network } from '../identity/network.js'

/**
 * Certificates of the open CA (RFC 5280, with Ed25519 as in RFC 8410), written as DER by hand: one fixed shape, and no
 * library on the way of a handshake. Everyone in a network can sign anything with its CA, so names in a certificate prove
 * nothing. A peer is the key that it proved to hold, with the id nonce of its subject.
 */
export interface ChannelCertificates {
  /** The CA of the network, PEM: the only root either side accepts. */
  readonly caPem: string
  /** This node's certificate, PEM. Subject CN: the id nonce as 16 hex digits. SAN: the node id, for clients that check names. */
  readonly certificatePem: string
  /** Private key of the certificate, PEM. */
  readonly keyPem: string
}

/** Who a certificate belongs to. */
export interface CertifiedPeer {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  /** 8 bytes. */
  readonly idNonce: Uint8Array
}

/** What goes into a leaf certificate; given apart from {@link Identity} so that tests can forge. */
interface LeafFields {
  /** Key that the certificate is for; any type, so that tests can ask for one that is refused. */
  readonly subjectKey: KeyObject
  readonly subjectName: string
  readonly issuerKey: KeyObject
  readonly issuerName: string
  /** Subject alternative name, a DNS name. */
  readonly alternativeName: string
}

/** Before any clock that a wrong date is likely to show, and never: certificates here do not expire, keys are replaced. */
const NOT_BEFORE = '200101000000Z'
const NOT_AFTER = '99991231235959Z'
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const SUBJECT_PATTERN = /^CN=([0-9a-f]{16})$/

/** The certificates one node needs for its channels in `network`. About 1 ms. */
export function createCertificates(identity: Identity, network: Network): ChannelCertificates {
  const caKey = privateKeyFromSeed(network.caSeed)
  const issuerName = caNameOf(caKey)
  return {
    caPem: caCertificate(caKey, issuerName),
    certificatePem: leafCertificate({
      subjectKey: identity.privateKey,
      subjectName: toHex(identity.idNonce),
      issuerKey: caKey,
      issuerName,
      alternativeName: identity.nodeId,
    }),
    keyPem: identity.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}

/**
 * Who holds the certificate `der`: read from the key and the nonce, whatever else it names. Throws GridError
 * `unauthenticated` for a key that is not Ed25519, a subject that is no nonce, or an id with less than `idWorkBits` of work.
 */
export function readPeer(der: Uint8Array, idWorkBits: number): CertifiedPeer {
  let subject: string
  let spki: Buffer
  try {
    const certificate = new X509Certificate(der)
    subject = certificate.subject
    spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  } catch (cause) {
    throw new GridError('unauthenticated', 'the certificate of the peer cannot be read', { cause })
  }
  if (spki.length !== SPKI_PREFIX.length + 32 || !spki.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX)) {
    throw new GridError('unauthenticated', 'the key of the peer is not an Ed25519 key')
  }
  const nonce = SUBJECT_PATTERN.exec(subject)?.[1]
  if (nonce === undefined) throw new GridError('unauthenticated', 'the certificate of the peer carries no id nonce')
  const publicKey = spki.subarray(SPKI_PREFIX.length).toString('hex') as PublicKey
  const idNonce = fromHex(nonce)
  if (idWorkOf(publicKey, idNonce) < idWorkBits) {
    throw new GridError(
      'unauthenticated',
      `the id of the peer has less than the ${idWorkBits} bits of work this network asks for`,
    )
  }
  return { nodeId: nodeIdOf(publicKey, idNonce), publicKey, idNonce }
}

/** Name of a CA: a digest of its key, so that it tells a stranger nothing about the network. */
export function caNameOf(caKey: KeyObject): string {
  return `manyhands ${createHash('sha256').update(publicKeyOf(caKey), 'hex').digest('hex').slice(0, 16)}`
}

/** Self-signed certificate of the CA key, the same bytes at every node. PEM. */
function caCertificate(caKey: KeyObject, name: string): string {
  const authority = sequence(oid('0603551d13'), TRUE, octets(sequence(TRUE)))
  const signsCertificates = sequence(oid('0603551d0f'), TRUE, octets(Buffer.from('03020204', 'hex')))
  return certificate({
    serial: Buffer.from([1]),
    subjectKey: caKey,
    subjectName: name,
    issuerKey: caKey,
    issuerName: name,
    extensions: [authority, signsCertificates],
  })
}

/** Certificate of any key under any name. PEM. */
export function leafCertificate(fields: LeafFields): string {
  const alternative = sequence(oid('0603551d11'), octets(sequence(tagged(0x82, Buffer.from(fields.alternativeName)))))
  const noAuthority = sequence(oid('0603551d13'), TRUE, octets(sequence()))
  const spki = createPublicKey(fields.subjectKey).export({ type: 'spki', format: 'der' })
  const serial = createHash('sha256').update(spki).update(fields.subjectName).digest().subarray(0, 16)
  // A positive integer without leading zeros, as DER wants it.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return certificate({ ...fields, serial, extensions: [noAuthority, alternative] })
}

interface CertificateFields {
  readonly serial: Buffer
  readonly subjectKey: KeyObject
  readonly subjectName: string
  readonly issuerKey: KeyObject
  readonly issuerName: string
  readonly extensions: readonly Buffer[]
}

function certificate(fields: CertificateFields): string {
  const algorithm = sequence(oid('06032b6570'))
  const body = sequence(
    tagged(0xa0, Buffer.from('020102', 'hex')),
    tagged(0x02, fields.serial),
    algorithm,
    commonName(fields.issuerName),
    sequence(tagged(0x17, Buffer.from(NOT_BEFORE)), tagged(0x18, Buffer.from(NOT_AFTER))),
    commonName(fields.subjectName),
    createPublicKey(fields.subjectKey).export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...fields.extensions)),
  )
  const signature = sign(null, body, fields.issuerKey)
  const der = sequence(body, algorithm, tagged(0x03, Buffer.from([0]), signature))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

const TRUE = Buffer.from('0101ff', 'hex')

function oid(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

function tagged(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const size = content.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tagged(0x30, ...contents)
}

function octets(content: Buffer): Buffer {
  return tagged(0x04, content)
}

function commonName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('0603550403'), tagged(0x0c, Buffer.from(name)))))
}
