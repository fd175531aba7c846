import { jobIdOf } from '../../../job/spec/spec.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { healthCheck, healthWatch } from '../../../overlay/channel/health.js'
import type { Identity } from '../../../overlay/identity/identity.js'
import { grantCodec, orderCodec, reportCodec, reportFactCodec } from '../../../proto/codec/facts.js'
import * as overlayMethods from '../../../proto/codec/overlay.js'
import { decodeRecord, encodeRecordBody } from '../../../proto/codec/overlay.js'
import { methods } from '../../../proto/methods.js'
import type { BootId, Digest, Key, ReportFact, Signed } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'
import type { WorkerMessage } from '../../../proto/work-messages.js'
import { sha256 } from '../../../runtime/hash.js'
import type { StreamMethod, UnaryMethod } from '../../../runtime/transport.js'

/** What whoever wants to copy an answer knows, or guesses. */
export interface Known {
  readonly spec: Signed
  readonly identity: Identity
  /** As a peer would send it; of an address where nobody listens. */
  readonly contact: Contact
  /** Digests that the answer may have. */
  readonly guesses: readonly Digest[]
  /** Ids that the peer has named. */
  readonly factIds: readonly Digest[]
}

/** Requests to each method with a path in `Methods`: those of unary ones, and what is sent on a stream. */
type Questions<Methods> = {
  readonly [Name in keyof Methods as Methods[Name] extends { readonly path: string }
    ? Name
    : never]: Methods[Name] extends UnaryMethod<infer Request, unknown>
    ? readonly Request[]
    : Methods[Name] extends StreamMethod<infer Up, unknown>
      ? readonly (readonly Up[])[]
      : never
}

/** One thing that is asked, with the method it is asked of. */
export interface Question {
  readonly name: string
  readonly method: UnaryMethod<unknown, unknown> | StreamMethod<unknown, unknown>
  /** What is sent: one request, or the messages of a stream. */
  readonly messages: readonly unknown[]
}

/** Streams on which a peer goes on saying what is new: opened before there is an answer, and read to the end. */
export const FOLLOWED: ReadonlySet<string> = new Set(['watch', 'watchBoard', 'watchHealth'])

const NO_BYTES = new Uint8Array(0)
const NOWHERE = '127.0.0.1:9'
const HOUR_MS = 3_600_000

/**
 * Everything that can be asked of a peer over the network about unit 0 of a job. The types demand an entry of each method,
 * so that a new one is thought of here.
 */
export function questionsOf(known: Known): readonly Question[] {
  const { spec, identity, contact, guesses, factIds } = known
  const jobId = jobIdOf(sha256, spec.bytes)
  const key = jobId.slice(0, 40) as Key
  const blobs = guesses.map((digest) => ({ digest, size: 1_000 }))
  const outputs = guesses.map((digest) => ({ jobId, shard: 0, unit: 0, digest }))
  const facts = guesses.map((digest) => forgedFact(known, digest))
  const order = {
    jobId,
    seq: 1,
    createdAtMs: 0,
    body: { type: 'release', units: [{ first: 0, count: 1 }] },
  } as const
  const orderBytes = orderCodec.encode(order)
  const status = {
    shard: 0,
    owner: identity.nodeId,
    ownerAddress: NOWHERE,
    summary: { ...EMPTY_SUMMARY, units: 1, open: 1 },
    waiting: '',
    summaryAgeMs: 0,
    firstGrantAgoMs: 1,
  }
  const record = {
    kind: 'jobs.0',
    key,
    publicKey: identity.publicKey,
    seq: 1n,
    expiresAtMs: Date.now() + HOUR_MS,
    value: new Uint8Array(32),
  }
  const recordBytes = encodeRecordBody(record)
  const everything = {
    prints: [{ prefix: '', prints: new Uint8Array(16) }],
    wanted: [{ prefix: '', after: undefined }],
  }

  const ofJobs: Questions<typeof methods> = {
    submit: [{ spec }],
    give: [{ order: { bytes: orderBytes, signature: identity.signer.sign('order', orderBytes) } }],
    show: [
      { jobId, withShards: true },
      { jobId, withShards: false },
    ],
    watch: [[{ jobId, withShards: true }]],
    listUnits: (['open', 'accepted', 'settled', 'disputed', 'held', 'failed', undefined] as const).map((state) => [
      { jobId, shard: 0, state, limit: 16 },
    ]),
    results: [true, false].map((withOutputs) => [{ jobId, shard: 0, units: [], follow: false, withOutputs }]),
    output: outputs.map((output) => [output]),
    activate: [{ spec, orders: [], shard: 0 }],
    summarize: [
      { jobId, shards: [], orders: undefined },
      { jobId, shards: [status], orders: guesses[0] },
    ],
    attest: [{ jobId, shard: 0 }],
    status: [{}],
    explain: [
      { jobId, unit: undefined, events: true },
      { jobId, unit: 0, events: true },
    ],
    work: facts.map((fact): readonly WorkerMessage[] => [
      {
        type: 'hello',
        bootId: '11'.repeat(8) as BootId,
        slots: 1,
        tasks: [],
        memoryBytes: 1,
        jobId: undefined,
        donor: undefined,
        donorSignature: NO_BYTES,
        tickets: [],
        profile: 0,
      },
      { type: 'handBack', jobId, shard: 0, units: [0], reason: '' },
      { type: 'report', fact, outputs: [], wallMs: 1 },
    ]),
    putOutput: outputs.map((start) => [{ start, bytes: new Uint8Array(100) }]),
    offer: [{ facts: facts.map((fact) => ({ fact: reportFactCodec.encode(fact), outputs: [] })) }],
    reconcile: [{ shards: [{ jobId, shard: 0, ranges: everything }] }],
    fetchFacts: [{ jobId, shard: 0, factIds: factIds.length > 0 ? factIds : guesses }],
    outstanding: [
      {
        grants: [
          {
            jobId,
            shard: 0,
            worker: identity.publicKey,
            runs: [{ first: 0, count: 1, opinion: 1 }],
            believedMs: 8_000,
            kept: false,
          },
        ],
      },
    ],
    copyOutput: outputs.map((output) => [output]),
    keepJob: [{ spec, orders: [], shards: [status] }],
    compareJobs: [{ jobs: [{ jobId, orders: guesses[0], finished: 0 }] }],
    blobStat: blobs.map((blob) => ({ blob })),
    blobPut: blobs.map((blob) => [
      { type: 'start', blob, keepUntilMs: Date.now() + HOUR_MS },
      { type: 'hashes', hashes: new Uint8Array(32) },
    ]),
    blobManifest: blobs.map((blob) => [{ blob }]),
    blobGet: blobs.map((blob) => [{ blob, chunks: [0] }]),
    adminWatch: [[{ everyMs: 100 }]],
    adminLog: [[{ past: 1_000 }]],
    adminPrefer: [{ values: [] }],
    adminPause: [{ forMs: 60_000 }],
    adminResume: [{}],
    adminDrain: [{}],
  }
  const ofOverlay: Questions<typeof overlayMethods> = {
    pingMethod: [{ caller: contact }, { caller: undefined }],
    findNodeMethod: [{ caller: undefined, target: key }],
    findRecordMethod: [{ caller: undefined, key, kind: 'jobs.0' }],
    storeRecordMethod: [
      {
        caller: undefined,
        record: decodeRecord({ bytes: recordBytes, signature: identity.signer.sign('record', recordBytes) }),
      },
    ],
    dialBackMethod: [{ caller: contact }],
    announceMethod: [
      {
        caller: contact,
        announcement: {
          jobId,
          submitter: identity.publicKey,
          ready: 1,
          expiresInMs: 1_000,
          header: new Uint8Array(20),
        },
      },
    ],
    watchBoardMethod: [[{ boards: 0xffff }]],
  }
  const health = { checkHealth: healthCheck, watchHealth: healthWatch }
  const ofHealth: Questions<typeof health> = { checkHealth: [''], watchHealth: [['']] }
  return [
    ...listed(methods, ofJobs as Listed),
    ...listed(overlayMethods, ofOverlay as Listed),
    ...listed(health, ofHealth as Listed),
  ]
}

type Listed = Readonly<Record<string, readonly unknown[]>>

function listed(table: object, questions: Listed): readonly Question[] {
  return Object.entries(table).flatMap(([name, method]: [string, unknown]) => {
    if (typeof method !== 'object' || method === null || !('path' in method)) return []
    return questions[name]!.map((asked): Question => {
      const messages = 'request' in method ? [asked] : (asked as readonly unknown[])
      return { name: name.replace(/Method$/, ''), method: method as Question['method'], messages }
    })
  })
}

/** A report of unit 0 that names `digest`, on a grant that its worker gave itself. */
function forgedFact({ spec, identity }: Known, digest: Digest): ReportFact {
  const jobId = jobIdOf(sha256, spec.bytes)
  const { publicKey, idNonce, signer } = identity
  const grant = grantCodec.encode({
    jobId,
    shard: 0,
    grantor: publicKey,
    grantorIdNonce: idNonce,
    worker: publicKey,
    age: 'older',
    nonce: '22'.repeat(8),
    runs: [{ first: 0, count: 1, opinion: 1 }],
    durationMs: 60_000,
  })
  const report = reportCodec.encode({
    jobId,
    shard: 0,
    worker: publicKey,
    donor: publicKey,
    donorSignature: NO_BYTES,
    results: [{ unit: 0, outcome: 'done', digest, outputBytes: 10, fuel: 1n }],
  })
  return {
    report: { bytes: report, signature: signer.sign('report', report) },
    grants: [{ bytes: grant, signature: signer.sign('grant', grant) }],
  }
}
