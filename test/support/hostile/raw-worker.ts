import { digestOutput } from '../../../job/facts/digest.js'
import type { GrpcTransport } from '../../../overlay/channel/grpc-transport.js'
import type { Identity } from '../../../overlay/identity/identity.js'
import { grantCodec, reportCodec, unitOutputCodec } from '../../../proto/codec/facts.js'
import { INLINE_OUTPUT_BYTES_MAX } from '../../../proto/limits.js'
import { methods } from '../../../proto/methods.js'
import type { BootId, Digest, Report, ReportFact, Signed, UnitOutput } from '../../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../../proto/work-messages.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Endpoint, MessageStream } from '../../../runtime/transport.js'
import { rawBytes } from './messages.js'

const NO_BYTES = new Uint8Array(0)

/** An answer, with what would give it away. */
export interface Answer {
  readonly output: UnitOutput
  readonly encoded: Uint8Array
  readonly digest: Digest
  readonly fuel: bigint
}

export function answerOf(output: UnitOutput, fuel: bigint): Answer {
  return { output, encoded: unitOutputCodec.encode(output), digest: digestOutput(sha256, output), fuel }
}

/** A worker that computes nothing: takes what it is granted and answers what it is told to. */
export class RawWorker {
  readonly grants: Signed[] = []
  /** What the owner said, as it came. */
  readonly heard: Uint8Array[] = []
  isWelcome = false
  settled = 0
  readonly #identity: Identity
  readonly #onGrant: (grant: Signed) => void
  readonly #stream: MessageStream<Uint8Array, Uint8Array>

  constructor(
    transport: GrpcTransport,
    to: Endpoint,
    { slots, task, onGrant = () => {} }: { slots: number; task: string; onGrant?: (grant: Signed) => void },
  ) {
    this.#identity = transport.identity
    this.#onGrant = onGrant
    this.#stream = transport.open(to, { path: methods.work.path, up: rawBytes, down: rawBytes })
    this.#stream.onMessage((bytes) => {
      this.heard.push(bytes)
      this.#on(methods.work.down.decode(bytes))
    })
    this.#stream.onClose(() => {})
    const hello: WorkerMessage = {
      type: 'hello',
      bootId: '33'.repeat(8) as BootId,
      slots,
      tasks: [{ name: task, version: 1 }],
      memoryBytes: 2 ** 40,
      jobId: undefined,
      donor: undefined,
      donorSignature: NO_BYTES,
      tickets: [],
      profile: 0,
    }
    this.#say(hello)
    this.#say({ type: 'want', instances: slots, busy: false })
  }

  /** Reports all units of a grant. */
  answer(grant: Signed, answerOf: (unit: number) => Answer): void {
    const { publicKey, signer } = this.#identity
    const { jobId, shard } = grantCodec.decode(grant.bytes)
    const answers = unitsOf(grant).map((unit) => ({ unit, ...answerOf(unit) }))
    const report: Report = {
      jobId,
      shard,
      worker: publicKey,
      donor: publicKey,
      donorSignature: NO_BYTES,
      results: answers.map(({ unit, output, encoded, digest, fuel }) => ({
        unit,
        outcome: output.outcome,
        digest,
        outputBytes: encoded.length,
        fuel,
      })),
    }
    const bytes = reportCodec.encode(report)
    const fact: ReportFact = { report: { bytes, signature: signer.sign('report', bytes) }, grants: [grant] }
    const outputs = answers.flatMap(({ unit, encoded }) =>
      encoded.length <= INLINE_OUTPUT_BYTES_MAX ? [{ unit, bytes: encoded }] : [],
    )
    this.#say({ type: 'report', fact, outputs, wallMs: 10 })
  }

  #on(message: OwnerMessage): void {
    if (message.type === 'welcome') this.isWelcome = true
    if (message.type === 'grant') {
      this.grants.push(message.grant)
      this.#onGrant(message.grant)
    }
    if (message.type === 'settled') this.settled += message.agreed.length
  }

  #say(message: WorkerMessage): void {
    this.#stream.send(methods.work.up.encode(message))
  }
}

/** Units that a grant speaks of, ascending. */
export function unitsOf(grant: Signed): readonly number[] {
  const { runs } = grantCodec.decode(grant.bytes)
  const units = runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i))
  return units.sort((a, b) => a - b)
}
