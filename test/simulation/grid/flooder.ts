import { grantCodec, reportCodec, reportFactCodec } from '../../../proto/codec/facts.js'
import type { OfferedFact, ReconcileRequest } from '../../../proto/exchange-messages.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, NodeId } from '../../../proto/model.js'
import type { Endpoint, Transport } from '../../../runtime/transport.js'
import type { ProcessContext } from '../world/host.js'
import type { SeededRandom } from '../world/random.js'
import type { GridKeys } from './keys.js'
import { wrongOutput } from './task.js'

/** Rounds in which a flooder offers so many facts to each co-owner, and the time between them. Unit of the last: ms. */
const ROUNDS = 20
const FACTS_A_ROUND = 64
const ROUND_MS = 2_000
/** Units of each shard that it invents votes on: few, so that on each they are far more than there is room for. */
const UNITS = 2

interface Target {
  readonly jobId: JobId
  readonly shard: number
}

/**
 * What an owner says that fills the disks of the others: valid reports by workers that it makes up, under its own grants, to each
 * co-owner others. All of one unit say the same, as different answers would only have the unit disputed.
 */
export function floodingTransport(
  transport: Transport,
  context: ProcessContext,
  keys: GridKeys,
  random: SeededRandom,
  offered: (facts: number) => void,
): Transport {
  const peers = new Map<NodeId, Endpoint>()
  const targets = new Map<string, Target>()
  const { clock, identity } = context
  const made = { nonce: 0 }
  const round = (left: number) => {
    if (left === 0) return
    clock.setTimer(ROUND_MS, () => round(peers.size > 0 && targets.size > 0 ? left - 1 : left))
    for (const to of peers.values()) {
      const facts = Array.from({ length: targets.size === 0 ? 0 : FACTS_A_ROUND }, () =>
        inventedFact(random.pick([...targets.values()])!),
      )
      offered(facts.length)
      if (facts.length > 0) transport.call(to, methods.offer, { facts }, { deadlineMs: ROUND_MS }).catch(() => {})
    }
  }
  clock.setTimer(ROUND_MS, () => round(ROUNDS))

  function inventedFact({ jobId, shard }: Target): OfferedFact {
    const worker = keys.identity(random, 'nowhere:1').publicKey
    const unit = shard * 16 + random.int(UNITS)
    const { digest, output } = wrongOutput(`flooded ${unit}`)
    const grant = grantCodec.encode({
      jobId,
      shard,
      grantor: identity.publicKey,
      grantorIdNonce: identity.idNonce,
      worker,
      age: 'older',
      nonce: (++made.nonce).toString(16).padStart(16, '0'),
      runs: [{ first: unit, count: 1, opinion: 0 }],
      durationMs: 60_000,
    })
    const report = reportCodec.encode({
      jobId,
      shard,
      worker,
      donor: worker,
      donorSignature: new Uint8Array(0),
      results: [{ unit, outcome: 'done', digest, outputBytes: output.length, fuel: 1n }],
    })
    const fact = reportFactCodec.encode({
      report: { bytes: report, signature: keys.signer(worker).sign('report', report) },
      grants: [{ bytes: grant, signature: keys.signer(identity.publicKey).sign('grant', grant) }],
    })
    return { fact, outputs: [{ unit, bytes: output }] }
  }

  return {
    call: (to, method, request, options) => {
      if (method.path === methods.reconcile.path) {
        peers.set(to.nodeId, to)
        for (const { jobId, shard } of (request as unknown as ReconcileRequest).shards)
          targets.set(`${jobId}/${shard}`, { jobId, shard })
      }
      return transport.call(to, method, request, options)
    },
    open: (to, method, signal) => transport.open(to, method, signal),
    probe: (address, options) => transport.probe(address, options),
    handleUnary: (method, handler) => transport.handleUnary(method, handler),
    handleStream: (method, handler) => transport.handleStream(method, handler),
  }
}
