import { digestOutput } from '../../../job/facts/digest.js'
import { specDefaults } from '../../../job/spec/spec.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import { SelfContact } from '../../../overlay/routing/self-contact.js'
import { grantCodec, reportCodec, unitOutputCodec } from '../../../proto/codec/facts.js'
import { findNodeMethod } from '../../../proto/codec/overlay.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import type { ResultsReply, ShowReply } from '../../../proto/job-messages.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, JobSpec, Key, ReportFact, Signed, UnitOutput } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import type { Endpoint } from '../../../runtime/transport.js'
import type { GrpcNodes } from '../transport/grpc-nodes.js'
import { testNetwork } from '../transport/grpc-nodes.js'

/** What is false about the one unit of a job. */
export type Lie =
  | 'nothing'
  | 'tamperedOutput'
  | 'noGrant'
  | 'grantOutsideRadius'
  | 'twoReportsOfOneKey'
  | 'twoAnswersOfOneKey'
  | 'forgedGrant'
  | 'forgedReport'

const UNIT = 0
const SHARD = 0
const UNITS = 16

/** A peer that is home and owner of any job, alone in its network, and says what it was told to. */
export class LyingOwner {
  readonly identity: Identity
  readonly #submitter = createIdentity()
  readonly #jobs = new Map<JobId, { readonly shown: ShowReply; readonly results: ResultsReply }>()
  #endpoint: Endpoint | undefined

  private constructor(identity: Identity) {
    this.identity = identity
  }

  /** Starts one on a free port of loopback, in the network of tests. */
  static async start(nodes: GrpcNodes): Promise<LyingOwner> {
    const owner = new LyingOwner(createIdentity())
    let contact: SelfContact | undefined
    const { endpoint } = await nodes.peer(
      (transport) => {
        transport.handleUnary(findNodeMethod, () => {
          contact ??= new SelfContact(owner.identity, systemClock, [owner.endpoint.address], [])
          return { contacts: [], contact: contact.get(true) }
        })
        transport.handleUnary(methods.show, ({ jobId }) => owner.#job(jobId).shown)
        transport.handleStream(methods.results, (stream) => {
          stream.onMessage(({ jobId }) => {
            stream.send(owner.#job(jobId).results)
            stream.end()
          })
        })
      },
      { identity: owner.identity },
    )
    owner.#endpoint = endpoint
    return owner
  }

  get endpoint(): Endpoint {
    if (this.#endpoint === undefined) throw new Error('the owner has not started')
    return this.#endpoint
  }

  /** Makes a job of one selected unit, whose result two donors seem to agree on. */
  add(lie: Lie): JobId {
    const spec: JobSpec = {
      ...specDefaults,
      network: testNetwork.name,
      submitter: this.#submitter.publicKey,
      nonce: Buffer.from(lie.padEnd(16).slice(0, 16)).toString('hex'),
      createdAtMs: Date.now(),
      expiresAtMs: Date.now() + 3_600_000,
      task: { type: 'builtin', name: 'primes', version: 1 },
      source: { type: 'count', count: 1 },
      shardUnits: UNITS,
      ...(lie === 'grantOutsideRadius' ? { ownerRadius: '1'.padStart(40, '0') as Key } : {}),
    }
    const bytes = jobSpecCodec.encode(spec)
    const jobId = sha256(bytes) as string as JobId
    const truth = outputOf('truth')
    const told = lie === 'tamperedOutput' ? outputOf('tampered') : truth
    const first = createIdentity()
    const second = lie === 'twoReportsOfOneKey' || lie === 'twoAnswersOfOneKey' ? first : createIdentity()
    const facts = [
      this.#fact(jobId, first, truth, 1n, lie),
      this.#fact(jobId, second, truth, 2n, lie),
      ...(lie === 'twoAnswersOfOneKey' ? [this.#fact(jobId, first, outputOf('other'), 3n, lie)] : []),
    ]
    this.#jobs.set(jobId, {
      shown: {
        spec: { bytes, signature: this.#submitter.signer.sign('spec', bytes) },
        orders: [],
        summary: { ...EMPTY_SUMMARY, units: 1, settled: 1 },
        shards: [],
        waiting: '',
        ageMs: 1,
        firstGrantAgeMs: 1,
        holders: [],
        wanted: 0,
      },
      results: {
        facts,
        settled: [
          {
            unit: UNIT,
            digest: digestOutput(sha256, truth),
            outcome: 'done',
            output: unitOutputCodec.encode(told),
            outputBytes: unitOutputCodec.encode(told).length,
          },
        ],
        done: true,
      },
    })
    return jobId
  }

  #job(jobId: JobId) {
    const job = this.#jobs.get(jobId)
    if (job === undefined) throw new GridError('notFound', 'no such job')
    return job
  }

  #fact(jobId: JobId, worker: Identity, output: UnitOutput, fuel: bigint, lie: Lie): ReportFact {
    const grant = grantCodec.encode({
      jobId,
      shard: SHARD,
      grantor: this.identity.publicKey,
      grantorIdNonce: this.identity.idNonce,
      worker: worker.publicKey,
      age: 'older',
      nonce: '0123456789abcdef',
      runs: [{ first: UNIT, count: 1, opinion: 0 }],
      durationMs: 60_000,
    })
    const report = reportCodec.encode({
      jobId,
      shard: SHARD,
      worker: worker.publicKey,
      donor: worker.publicKey,
      donorSignature: new Uint8Array(0),
      results: [
        {
          unit: UNIT,
          outcome: 'done',
          digest: digestOutput(sha256, output),
          outputBytes: unitOutputCodec.encode(output).length,
          fuel,
        },
      ],
    })
    const signedBy = (identity: Identity, tag: string, bytes: Uint8Array): Signed => ({
      bytes,
      signature: identity.signer.sign(tag, bytes),
    })
    const grantor = lie === 'forgedGrant' ? worker : this.identity
    return {
      report: signedBy(lie === 'forgedReport' ? this.identity : worker, 'report', report),
      grants: lie === 'noGrant' ? [] : [signedBy(grantor, 'grant', grant)],
    }
  }
}

function outputOf(text: string): UnitOutput {
  const bytes = utf8(text)
  return {
    outcome: 'done',
    exitCode: 0,
    stdout: bytes,
    stderr: new Uint8Array(0),
    stderrLength: 0,
    files: [],
  }
}
