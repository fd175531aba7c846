import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { parseAddress } from '../../../overlay/address.js'
import { announceMethod, findNodeMethod, pingMethod } from '../../../proto/codec/overlay.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, JobId, JobSpec, Key } from '../../../proto/model.js'
import { toGridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { toHex } from '../../../runtime/hex.js'
import type { MessageStream } from '../../../runtime/transport.js'
import { deadline } from '../deadline.js'
import { type Attack, times } from './attack.js'
import { signSpec, specOf } from './lies.js'

const HOUR_MS = 3_600_000
/** Streams that one stranger leaves unread: what one connection may have. */
const UNREAD_STREAMS = 60
/** Sockets that never get through their handshake, at a time. */
const DEAD_SOCKETS = 400
const CHUNK_BYTES = 256 * 1024
/** Two bytes each in a spec. */
const EMPTY_ARGS = Array<string>(1_024).fill('')

function hex(attack: Attack, bytes: number): string {
  return toHex(attack.random.bytes(bytes))
}

/** Valid questions, as fast as they are answered. */
export async function floodOfQuestions(attack: Attack): Promise<void> {
  const { jobId } = attack.target
  await attack.each(times(20_000), async (index) => {
    const from = attack.any()
    if (index % 4 === 0) await attack.call(pingMethod, { caller: from.contact }, from)
    else if (index % 4 === 1)
      await attack.call(findNodeMethod, { caller: from.contact, target: hex(attack, 20) as Key }, from)
    else if (index % 4 === 2) await attack.call(methods.show, { jobId, withShards: true }, from)
    else await attack.call(methods.status, {}, from)
  })
}

/** Jobs of many submitters: valid ones, ones whose signature is wrong, and ones that name as many inputs, or arguments, as a spec holds. */
export async function floodOfJobs(attack: Attack): Promise<void> {
  const inputs = Array.from({ length: 256 }, (_, i) => ({
    name: `input-${i}`,
    blob: { digest: hex(attack, 32) as Digest, size: 2 ** 30 },
  }))
  await attack.each(times(3_000), async (index) => {
    const from = attack.any()
    const wide: Partial<JobSpec> = { source: { type: 'count', count: 10_000_000 } }
    const changes: Partial<JobSpec> =
      index % 3 === 0 ? wide : index % 5 === 1 ? { args: EMPTY_ARGS } : index % 50 === 2 ? { inputs } : {}
    const { signed } = signSpec(from, specOf(attack, from, changes))
    await attack.call(methods.submit, { spec: signed }, from)
    await attack.call(methods.submit, { spec: { ...signed, signature: attack.random.bytes(64) } }, from)
    await attack.call(methods.activate, { spec: signed, orders: [], shard: index % 7 }, from)
  })
}

/** Ready work that nobody has, under ever new keys' names. */
export async function floodOfAnnouncements(attack: Attack): Promise<void> {
  await attack.each(times(10_000), async () => {
    const from = attack.any()
    const announcement = {
      jobId: hex(attack, 32) as JobId,
      submitter: attack.any().identity.publicKey,
      ready: 1_000_000,
      expiresInMs: 60_000,
      header: attack.random.bytes(900),
    }
    await attack.call(announceMethod, { caller: from.contact, announcement }, from)
  })
}

/** Blobs of random bytes, whole ones and ones that are never finished, as many as the quotas take. */
export async function floodOfBlobs(attack: Attack): Promise<void> {
  const keepUntilMs = Date.now() + HOUR_MS
  await attack.each(times(400), async (index) => {
    const bytes = attack.random.bytes(CHUNK_BYTES)
    const isWhole = index % 2 === 0
    const digest: Digest = isWhole ? sha256(bytes) : (hex(attack, 32) as Digest)
    const blob = { digest, size: isWhole ? bytes.length : 4 * CHUNK_BYTES }
    await attack.stream(
      methods.blobPut,
      [
        { type: 'start', blob, keepUntilMs },
        { type: 'chunk', index: 0, bytes },
      ],
      { end: isWhole },
    )
  })
}

/** Streams full of answers that nobody reads, held until the attack is over. */
export async function slowReaders(attack: Attack): Promise<void> {
  const { signal } = attack
  const { jobId } = attack.target
  const open: MessageStream<unknown, unknown>[] = []
  for (const { transport } of attack.strangers) {
    for (const index of times(UNREAD_STREAMS)) {
      attack.sent++
      const stream =
        index % 3 === 0
          ? transport.open(attack.target.endpoint, methods.listUnits)
          : index % 3 === 1
            ? transport.open(attack.target.endpoint, methods.results)
            : transport.open(attack.target.endpoint, methods.watch)
      const any = stream as MessageStream<unknown, unknown>
      any.pause(true)
      any.onMessage(() => {})
      any.onClose((reason) => {
        if (reason === undefined) attack.note('unread', 'ok')
        else if (!signal.aborted) attack.note('unread', toGridError(reason).code, toGridError(reason).message)
      })
      const request = { jobId, shard: 0, units: [], follow: true, withOutputs: true, state: undefined, limit: 16_384 }
      any.send({ ...request, withShards: true })
      open.push(any)
    }
  }
  if (!signal.aborted) await once(signal, 'abort')
  for (const stream of open) stream.cancel()
}

/** Connections that never get past their first bytes, opened again whenever the peer hangs up, until the attack is over. */
export function silentSockets(attack: Attack): Promise<void> {
  // The beginning of a TLS record, or nothing at all.
  return deadSockets(attack, (index) => (index % 2 === 0 ? Buffer.from([22, 3, 1, 2, 0, 1]) : undefined))
}

/** Handshakes that cost the peer its half, a key exchange and a signature, and then go no further. */
export async function halfHandshakes(attack: Attack, from?: string): Promise<void> {
  const hello = await clientHello()
  return deadSockets(attack, () => hello, from)
}

/** What a TLS client says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connectTls({
    port: (server.address() as AddressInfo).port,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.3',
  })
  client.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

async function deadSockets(
  attack: Attack,
  firstBytes: (index: number) => Buffer | undefined,
  from?: string,
): Promise<void> {
  const { signal } = attack
  const { host, port } = parseAddress(attack.target.endpoint.address)
  const lane = async (index: number) => {
    while (!signal.aborted) {
      attack.sent++
      const socket: Socket = connectTcp({ host, port, ...(from === undefined ? {} : { localAddress: from }) })
      let end = 'closed'
      socket.on('error', (error: NodeJS.ErrnoException) => {
        end = error.code ?? error.message
      })
      const closed = once(socket, 'close').catch(() => {})
      const bytes = firstBytes(index)
      if (bytes !== undefined) socket.write(bytes)
      const stop = () => socket.destroy()
      signal.addEventListener('abort', stop, { once: true })
      await closed
      signal.removeEventListener('abort', stop)
      attack.note('socket', 'closed', signal.aborted ? '' : end)
      // A peer that refuses at once would otherwise be asked in a tight loop, which tries this process rather than the peer.
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await deadline(Promise.all(Array.from({ length: DEAD_SOCKETS }, (_, i) => lane(i))), 10 * 60_000, 'dead sockets')
}
