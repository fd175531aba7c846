import { createCipheriv, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { parseAddress } from '../../../overlay/address.js'
import { createCertificates } from '../../../overlay/channel/certificate.js'
import type { Identity } from '../../../overlay/identity/identity.js'
import type { Address } from '../../../runtime/transport.js'
import { testNetwork } from '../transport/grpc-nodes.js'

/** What our own listeners choose where both sides are Node: AES-256-GCM with SHA-384. */
const CIPHER = 'TLS_AES_256_GCM_SHA384'
const HASH = 'sha384'
const HASH_BYTES = 48
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Types of a record, and of a message of the handshake (RFC 8446, 5.1 and 4). */
const APPLICATION_DATA = 23
const HANDSHAKE = 22
const KEY_UPDATE = 24

/** A connection whose records are written by hand once it is let in, to change its keys as often as wanted (RFC 8446, 4.6.3). */
export class KeyChanges {
  readonly socket: Socket
  #secret: Buffer

  private constructor(socket: Socket, secret: Buffer) {
    this.socket = socket
    this.#secret = secret
  }

  /** Undefined: the peer does not let us in. */
  static async open(address: Address, identity: Identity): Promise<KeyChanges | undefined> {
    const { caPem, certificatePem, keyPem } = createCertificates(identity, testNetwork)
    const { host, port } = parseAddress(address)
    const socket = connect(port, host)
    const duplex = new Duplex({ read: () => {}, write: (bytes, _, written) => socket.write(bytes, () => written()) })
    socket.on('data', (bytes) => duplex.push(bytes))
    socket.on('error', () => {})
    const tls = connectTls({
      socket: duplex,
      ca: caPem,
      cert: certificatePem,
      key: keyPem,
      minVersion: 'TLSv1.3',
      ciphers: CIPHER,
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
    })
    tls.on('error', () => {})
    let secret: Buffer | undefined
    tls.on('keylog', (line) => {
      const [name, , value = ''] = line.toString().trim().split(' ')
      if (name === 'CLIENT_TRAFFIC_SECRET_0') secret = Buffer.from(value, 'hex')
    })
    await Promise.race([once(tls, 'secureConnect').catch(() => {}), once(socket, 'close')])
    return secret === undefined || socket.destroyed ? undefined : new KeyChanges(socket, secret)
  }

  get closed(): boolean {
    return this.socket.destroyed || !this.socket.writable
  }

  /** Changes the keys `count` times in one go, and asks that the other side does as well each time. */
  change(count: number): void {
    const records = Array.from({ length: count }, () => {
      const bytes = record(this.#secret, Buffer.of(KEY_UPDATE, 0, 0, 1, 1, HANDSHAKE))
      this.#secret = expanded(this.#secret, 'traffic upd', HASH_BYTES)
      return bytes
    })
    if (!this.closed) this.socket.write(Buffer.concat(records))
  }

  close(): void {
    this.socket.destroy()
  }
}

/** The first record under a secret (RFC 8446, 5.2): its sequence number is 0, so its nonce is the IV. */
function record(secret: Buffer, inner: Buffer): Buffer {
  const head = Buffer.of(APPLICATION_DATA, 3, 3, 0, inner.length + TAG_BYTES)
  const cipher = createCipheriv('aes-256-gcm', expanded(secret, 'key', KEY_BYTES), expanded(secret, 'iv', NONCE_BYTES))
  cipher.setAAD(head)
  return Buffer.concat([head, cipher.update(inner), cipher.final(), cipher.getAuthTag()])
}

/** HKDF-Expand-Label without a context (RFC 8446, 7.1), of one block. */
function expanded(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.of(0, length, name.length), name, Buffer.of(0, 1)])
  return createHmac(HASH, secret).update(info).digest().subarray(0, length)
}
