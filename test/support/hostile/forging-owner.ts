import { digestOutput } from '../../../job/facts/digest.js'
import { factId } from '../../../job/facts/facts.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import type { GridProcess } from '../../../process/compose.js'
import { grantCodec, reportCodec, reportFactCodec, unitOutputCodec } from '../../../proto/codec/facts.js'
import { REPORT_UNITS_MAX } from '../../../proto/limits.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, ReportFact, UnitOutput } from '../../../proto/model.js'
import type { UnitBytes } from '../../../proto/work-messages.js'
import { sha256 } from '../../../runtime/hash.js'
import { toHex, utf8 } from '../../../runtime/hex.js'
import { systemRandom } from '../../../runtime/random.js'

/** What an owner forges, of shard 0. */
export interface Forgery {
  readonly jobId: JobId
  readonly units: number
  /** Volunteers that it makes up, all of whom say the same of each unit. */
  readonly sybils: number
}

/** The false output of a unit. */
function forgedOutput(unit: number): UnitOutput {
  const stdout = utf8(`forged ${unit}`)
  return { outcome: 'done', exitCode: 0, stdout, stderr: new Uint8Array(0), stderrLength: 0, files: [] }
}

/**
 * An owner that lies with all it has: grants signed with its own key to volunteers that it makes up, and their reports. It keeps
 * them itself and offers them to the other owners as it would any fact. Resolves to how many of its facts others took.
 */
export async function forge({ identity, coordinator, client }: GridProcess, forgery: Forgery): Promise<number> {
  const { jobId, units, sybils } = forgery
  const { transport } = client().parts
  const owners = (await client().shardOwners(jobId, 0)).filter(({ nodeId }) => nodeId !== identity.nodeId)
  let taken = 0
  for (let i = 0; i < sybils; i++) {
    const sybil = createIdentity()
    for (let first = 0; first < units; first += REPORT_UNITS_MAX) {
      const { fact, outputs } = forgedFact(identity, sybil, jobId, first, Math.min(REPORT_UNITS_MAX, units - first))
      const refusal = await coordinator!.owner.takeFact(fact, outputs, 1, undefined)
      if (refusal !== undefined) throw new Error(`fact ${factId(fact, sha256)}: ${refusal}`)
      const offered = { fact: reportFactCodec.encode(fact), outputs }
      for (const owner of owners) {
        const { states } = await transport.call(owner, methods.offer, { facts: [offered] }, { deadlineMs: 10_000 })
        if (states[0] === 'kept') taken++
      }
    }
  }
  return taken
}

/** A false report of a made-up volunteer on units of shard 0, under a grant of `owner`, with its outputs. */
export function forgedFact(owner: Identity, sybil: Identity, jobId: JobId, first: number, count: number) {
  const all = Array.from({ length: count }, (_, i) => ({ unit: first + i, output: forgedOutput(first + i) }))
  const outputs: UnitBytes[] = all.map(({ unit, output }) => ({ unit, bytes: unitOutputCodec.encode(output) }))
  const grant = grantCodec.encode({
    jobId,
    shard: 0,
    grantor: owner.publicKey,
    grantorIdNonce: owner.idNonce,
    worker: sybil.publicKey,
    age: 'older',
    nonce: toHex(systemRandom.bytes(8)),
    runs: [{ first, count, opinion: 0 }],
    durationMs: 60_000,
  })
  const report = reportCodec.encode({
    jobId,
    shard: 0,
    worker: sybil.publicKey,
    donor: sybil.publicKey,
    donorSignature: new Uint8Array(0),
    results: all.map(({ unit, output }, i) => ({
      unit,
      outcome: 'done' as const,
      digest: digestOutput(sha256, output),
      outputBytes: outputs[i]!.bytes.length,
      fuel: 1n,
    })),
  })
  const fact: ReportFact = {
    report: { bytes: report, signature: sybil.signer.sign('report', report) },
    grants: [{ bytes: grant, signature: owner.signer.sign('grant', grant) }],
  }
  return { fact, outputs }
}
