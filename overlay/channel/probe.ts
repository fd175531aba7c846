import { connect } from 'node:tls'
import type { NodeId } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Address, CallOptions, Endpoint } from '../../runtime/transport.js'
import { parseAddress } from '../address.js'
import type { Network } from '../identity/network.js'
import { type ChannelCertificates, readPeer } from './certificate.js'

interface ProbeOptions extends CallOptions {
  readonly certificates: ChannelCertificates
  readonly network: Network
  readonly clock: Clock
}

/**
 * Learns which node answers at `address`, by a connection that reads its key and closes: the one place that looks at a
 * key before it checks it. Rejects with GridError `unreachable`, `timeout` or `closed`, `notFound` for a name that
 * does not exist, and `unauthenticated` when a node of another network answers, one whose id shows too little work, or another
 * than the id in the address (`#id`) says.
 */
export async function probePeer(address: Address, options: ProbeOptions): Promise<Endpoint> {
  const { certificates, network, clock } = options
  const { host, port, address: plain, nodeId: wanted } = parseAddress(address)
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      ca: certificates.caPem,
      cert: certificates.certificatePem,
      key: certificates.keyPem,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      // Here alone: nothing is sent, and the chain is looked at below. With checks on, the key could not be read.
      rejectUnauthorized: false,
      // Names prove nothing here, so `authorized` is to speak of the chain alone.
      checkServerIdentity: () => undefined,
    })
    const finish = (error: GridError | undefined, nodeId?: NodeId) => {
      timer.cancel()
      options.signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      if (nodeId !== undefined) resolve({ nodeId, address: plain })
      else reject(error)
    }
    const onAbort = () => finish(new GridError('closed', 'the call was cancelled'))
    const timer = clock.setTimer(options.deadlineMs, () =>
      finish(new GridError('timeout', `no answer from ${plain} within ${options.deadlineMs} ms`)),
    )
    if (options.signal?.aborted) return onAbort()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (cause: NodeJS.ErrnoException) =>
      finish(
        new GridError(
          // The name service has answered; all else may pass.
          cause.code === 'ENOTFOUND' ? 'notFound' : 'unreachable',
          `cannot reach ${plain} (${connectProblem(cause)})`,
          { cause, ...(cause.code === 'ENOTFOUND' && { hint: `check how ${host} is spelt` }) },
        ),
      ),
    )
    socket.once('close', () => finish(new GridError('unreachable', `${plain} closed the connection`)))
    socket.once('secureConnect', () => {
      if (!socket.authorized) {
        finish(
          new GridError('unauthenticated', `the node at ${plain} is not in network ${network.name}`, {
            hint: 'check --network and --secret-file: they must be the same on both sides',
          }),
        )
        return
      }
      try {
        const { nodeId } = readPeer(socket.getPeerCertificate().raw, network.idWorkBits)
        if (wanted === undefined || wanted === nodeId) finish(undefined, nodeId)
        else
          finish(
            new GridError('unauthenticated', `the node at ${plain} is ${nodeId}, not ${wanted}`, {
              hint: `if that is the one you mean: --join ${plain}#${nodeId}`,
            }),
          )
      } catch (error) {
        finish(toGridError(error))
      }
    })
  })
}

/** Codes of the system when a connection does not come about (POSIX connect, getaddrinfo), for people. */
const CONNECT_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it closes the connection: no peer, or one that is busy',
  EHOSTUNREACH: 'no way leads there',
  ENETUNREACH: 'no way leads there',
  ETIMEDOUT: 'no answer',
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'the name cannot be looked up now',
  EPROTO: 'what listens there is no peer',
}

function connectProblem(cause: NodeJS.ErrnoException): string {
  const code = cause.code ?? ''
  return CONNECT_PROBLEMS[code] ?? (code.startsWith('ERR_SSL_') ? CONNECT_PROBLEMS.EPROTO! : cause.message)
}
