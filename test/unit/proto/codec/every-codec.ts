import * as admin from '../../../../proto/codec/admin.js'
import * as attest from '../../../../proto/codec/attestation.js'
import * as blobs from '../../../../proto/codec/blobs.js'
import { blobRefCodec, signedCodec } from '../../../../proto/codec/common.js'
import * as coordinator from '../../../../proto/codec/coordinator.js'
import * as exchange from '../../../../proto/codec/exchange.js'
import * as explain from '../../../../proto/codec/explain.js'
import * as facts from '../../../../proto/codec/facts.js'
import * as jobs from '../../../../proto/codec/jobs.js'
import { jobSpecCodec } from '../../../../proto/codec/spec.js'
import type { ExplainReply, UnitSight } from '../../../../proto/explain-messages.js'
import type { Codec } from '../../../../runtime/transport.js'
import * as s from '../../job/samples.js'

/** A codec with values that reach every field and every case of it. */
export interface CodecCase {
  readonly name: string
  readonly codec: Codec<unknown>
  readonly values: readonly unknown[]
}

function codecCase<T>(name: string, codec: Codec<T>, ...values: readonly T[]): CodecCase {
  return { name, codec: codec as Codec<unknown>, values }
}

const { jobId, nodeId, digest, summary } = s
const attestation = {
  jobId,
  shard: 7,
  owner: s.otherKey,
  ownerIdNonce: new Uint8Array(8).fill(4),
  worker: s.otherKey,
  units: 16_384,
  fuel: 2n ** 64n - 1n,
  attestedAtMs: 1_700_000_000_000,
}
const bytes = new Uint8Array([1, 2, 3])
const blob = { digest, size: 300_000 }
const status = {
  shard: 3,
  owner: nodeId,
  ownerAddress: '[::1]:7000',
  summary,
  waiting: 'no workers',
  summaryAgeMs: 900,
  firstGrantAgoMs: 40,
}
const stored = { holders: [nodeId], wanted: 2 }

export const factCases: readonly CodecCase[] = [
  codecCase('Attestation', attest.attestationCodec, attestation, { ...attestation, units: 0, fuel: 0n }),
  codecCase('AttestRequest', attest.attestRequestCodec, { jobId, shard: 7 }),
  codecCase('AttestReply', attest.attestReplyCodec, { attestation: s.signed() }),
  codecCase('Signed', signedCodec, s.signed()),
  codecCase('BlobRef', blobRefCodec, blob),
  codecCase('Grant', facts.grantCodec, s.grant, { ...s.grant, age: 'older' }),
  codecCase('Report', facts.reportCodec, s.report(1), s.report(64), {
    ...s.report(),
    donor: s.otherKey,
    donorSignature: new Uint8Array(0),
  }),
  codecCase('ReportFact', facts.reportFactCodec, s.fact),
  codecCase(
    'Order',
    facts.orderCodec,
    ...(
      [
        { type: 'cancel' },
        { type: 'seal' },
        { type: 'remove' },
        { type: 'release', units: [{ first: 3, count: 4 }] },
        {
          type: 'amend',
          expiresAtMs: 5,
          priority: -3,
          maxInstances: 7,
          ownerRadius: s.nodeId as string as typeof s.fullSpec.ownerRadius,
        },
        {
          type: 'rulings',
          judge: s.otherKey,
          profile: 1,
          rulings: [
            { unit: 0, outcome: 'done', digest, convicted: [], rightGrantors: [], wrongGrantors: [] },
            {
              unit: 9_999_999,
              outcome: 'trap',
              digest,
              convicted: [s.key, s.otherKey],
              rightGrantors: [nodeId, nodeId],
              wrongGrantors: [nodeId],
            },
          ],
        },
        { type: 'amend', expiresAtMs: undefined, priority: 0, maxInstances: undefined, ownerRadius: undefined },
      ] as const
    ).map((body) => ({ jobId, seq: 2 ** 50, createdAtMs: 1_750_000_000_000, body })),
  ),
  codecCase('UnitOutput', facts.unitOutputCodec, s.output, { ...s.output, outcome: 'exit', exitCode: -1, files: [] }),
  codecCase('Summary', facts.summaryCodec, summary),
]

export const specCases: readonly CodecCase[] = [
  codecCase(
    'JobSpec',
    jobSpecCodec,
    s.spec(),
    s.fullSpec,
    s.spec({ source: { type: 'array', from: -3n, to: 10n ** 30n, step: 7n }, policy: { type: 'none' } }),
    s.spec({ policy: { type: 'confidence', errorPpm: 1_000 }, requires: ['confidence'] }),
    s.spec({
      source: { type: 'range', start: 10n ** 16n, end: 10n ** 16n + 10n ** 8n, step: 10n ** 7n },
      maxFails: { type: 'count', value: 5 },
    }),
  ),
]

export const jobsCases: readonly CodecCase[] = [
  codecCase('SubmitRequest', jobs.submitRequestCodec, { spec: s.signed(2_000) }),
  codecCase('SubmitReply', jobs.submitReplyCodec, { jobId, ...stored }),
  codecCase('OrderRequest', jobs.orderRequestCodec, { order: s.signed() }),
  codecCase('OrderReply', jobs.orderReplyCodec, stored),
  codecCase('ShowRequest', jobs.showRequestCodec, { jobId, withShards: true }),
  codecCase(
    'ShowReply',
    jobs.showReplyCodec,
    {
      spec: s.signed(),
      orders: [s.signed()],
      summary,
      shards: [status],
      waiting: '',
      ageMs: 5,
      firstGrantAgeMs: 1,
      ...stored,
    },
    {
      spec: s.signed(),
      orders: [],
      summary,
      shards: [],
      waiting: 'x',
      ageMs: 5,
      firstGrantAgeMs: undefined,
      holders: [],
      wanted: 0,
    },
  ),
  codecCase(
    'UnitsRequest',
    jobs.unitsRequestCodec,
    { jobId, shard: 0, state: 'failed', limit: 100 },
    { jobId, shard: 0, state: undefined, limit: 16_384 },
    { jobId, shard: 7, state: 'open', limit: 200, fromUnit: 458_752 },
  ),
  codecCase('UnitsReply', jobs.unitsReplyCodec, {
    units: [
      {
        unit: 5,
        state: 'settled',
        instances: 0,
        answers: 2,
        errors: 1,
        result: { digest, outcome: 'exit' },
        waiting: '',
      },
      { unit: 6, state: 'held', instances: 1, answers: 0, errors: 3, result: undefined, waiting: 'three hosts failed' },
    ],
  }),
  codecCase('ResultsRequest', jobs.resultsRequestCodec, {
    jobId,
    shard: 1,
    units: [{ first: 1, count: 2 }],
    follow: true,
    withOutputs: true,
  }),
  codecCase('ResultsReply', jobs.resultsReplyCodec, {
    facts: [s.fact],
    settled: [
      { unit: 1, digest, outcome: 'done', output: bytes, outputBytes: 3 },
      { unit: 2, digest, outcome: 'trap', output: undefined, outputBytes: 5_000 },
      { unit: 3, digest, outcome: 'done', output: new Uint8Array(0), outputBytes: 0 },
    ],
    done: true,
  }),
  codecCase('OutputRequest', jobs.outputRequestCodec, { jobId, shard: 2, unit: 9, digest }),
  codecCase('Chunk', jobs.chunkCodec, { bytes }, { bytes: new Uint8Array(256 * 1024) }),
  codecCase(
    'ActivateRequest',
    jobs.activateRequestCodec,
    { spec: s.signed(), orders: [s.signed()], shard: 4 },
    { spec: s.signed(), orders: [], shard: 0 },
  ),
  codecCase('ActivateReply', jobs.activateReplyCodec, { summary }),
  codecCase('SummarizeRequest', jobs.summarizeRequestCodec, {
    jobId,
    shards: [status, { ...status, ownerAddress: '' }],
    orders: digest,
  }),
  codecCase('SummarizeRequest', jobs.summarizeRequestCodec, { jobId, shards: [], orders: undefined }),
  codecCase('SummarizeReply', jobs.summarizeReplyCodec, { orders: [s.signed()], stopped: '' }),
  codecCase('StatusRequest', jobs.statusRequestCodec, {}),
  codecCase('StatusReply', jobs.statusReplyCodec, {
    peers: 3,
    workers: 4,
    threads: 8,
    jobs: 2,
    readyJobs: 1,
    settledLastMinute: 1_000,
    wallMs: 1_750_000_000_000,
    firstJobs: 2,
    firstReadyJobs: 1,
    firstSettledLastMinute: 400,
    countedWorkers: [{ version: '1.2.3', workers: 3, threads: 24 }],
    uptimeMs: 5_000,
    version: '0.1.0',
    address: 'host:7000',
    eligible: true,
    shards: 12,
    storedBytes: 2 ** 40,
  }),
]

export const coordinatorCases: readonly CodecCase[] = [
  codecCase(
    'WorkerMessage',
    coordinator.workerMessageCodec,
    {
      type: 'hello',
      bootId: '0123456789abcdef' as never,
      slots: 8,
      tasks: [{ name: 'primes', version: 1 }],
      memoryBytes: 2 ** 33,
      jobId,
      donor: s.key,
      donorSignature: new Uint8Array(64),
      tickets: [s.signed()],
      profile: 1,
      weights: [{ submitter: s.otherKey, weight: 2.5 }],
    },
    {
      type: 'hello',
      bootId: '0123456789abcdef' as never,
      slots: 1,
      tasks: [],
      memoryBytes: 0,
      jobId: undefined,
      donor: undefined,
      donorSignature: new Uint8Array(0),
      tickets: [],
      profile: 0,
      protocol: { protocolMin: 1, protocolMax: 3 },
    },
    { type: 'want', instances: 0, restraint: undefined, declined: [], busy: true, jobs: [], ofNew: 0 },
    {
      type: 'want',
      instances: 0,
      restraint: 'on-battery',
      declined: [{ jobId, reason: 'refuse' }],
      busy: false,
      jobs: [{ jobId, instances: 3 }],
      ofNew: 2,
    },
    { type: 'report', fact: s.fact, outputs: [{ unit: 4, bytes }], wallMs: 12 },
    { type: 'progress', running: [{ jobId, unit: 5, fuel: 2n ** 60n }] },
    { type: 'handBack', jobId, shard: 1, units: [1, 2], reason: 'paused' },
  ),
  codecCase(
    'OwnerMessage',
    coordinator.ownerMessageCodec,
    { type: 'welcome', bootId: '0123456789abcdef' as never },
    { type: 'welcome', bootId: '0123456789abcdef' as never, sameKeyAt: '10.1.2.3' },
    { type: 'spec', spec: s.signed(256 * 1024) },
    { type: 'grant', grant: s.signed() },
    { type: 'ack', reports: [digest], holders: [nodeId], wanted: 2 },
    { type: 'settled', jobId, shard: 1, agreed: [1, 2], disagreed: [3] },
    { type: 'withdraw', jobId, shard: 1, units: [1], wholeJob: true, reason: 'cancelled' },
    { type: 'noWork', reason: 'no ready work', retryAfterMs: 1_500 },
    { type: 'fetch', jobId, shard: 1, unit: 17, digest },
    { type: 'refused', report: digest, reason: 'grant unknown' },
  ),
  codecCase(
    'OutputChunk',
    coordinator.outputChunkCodec,
    { start: { jobId, shard: 1, unit: 2, digest }, bytes },
    { start: undefined, bytes },
  ),
  codecCase('PutOutputReply', coordinator.putOutputReplyCodec, { stored: true }),
]

const ranges = { prints: [{ prefix: '', prints: new Uint8Array(16) }], wanted: [{ prefix: '0a', after: digest }] }
const answers = { answered: 1, prints: [], ids: [{ prefix: '5e', ids: [digest], complete: true }] }
const offered = { fact: bytes, outputs: [{ unit: 3, bytes }] }

export const exchangeCases: readonly CodecCase[] = [
  codecCase('OfferRequest', exchange.offerRequestCodec, { facts: [offered, { fact: bytes, outputs: [] }] }),
  codecCase('OfferReply', exchange.offerReplyCodec, { states: ['kept', 'unknown', 'refused', 'notNow'] }),
  codecCase('ReconcileRequest', exchange.reconcileRequestCodec, { shards: [{ jobId, shard: 4, ranges }] }),
  codecCase('ReconcileReply', exchange.reconcileReplyCodec, {
    shards: [{ state: 'answered', ranges: answers }, { state: 'unknown' }, { state: 'notNow' }],
  }),
  codecCase('FetchFactsRequest', exchange.fetchFactsRequestCodec, { jobId, shard: 4, factIds: [digest] }),
  codecCase('FetchFactsReply', exchange.fetchFactsReplyCodec, { facts: [offered] }, { facts: [] }),
  codecCase(
    'OutstandingRequest',
    exchange.outstandingRequestCodec,
    { grants: [{ jobId, shard: 4, worker: s.key, runs: s.grant.runs, believedMs: 8_000, kept: true }] },
    { grants: [] },
  ),
  codecCase('OutstandingReply', exchange.outstandingReplyCodec, {}),
]

const unitSight: UnitSight = {
  unit: 17,
  shard: 1,
  state: 'open',
  wait: 'drawn',
  sinceMs: 900,
  answers: 1,
  errors: 2,
  instancesMax: 10,
  errorsMax: 3,
  leases: [{ worker: nodeId, sinceMs: 40, movedMs: 4, fuel: 2n ** 60n }],
  drawn: nodeId,
  drawnMs: 30,
  restingMs: 20,
  elsewhere: [{ worker: undefined, sinceMs: 0, movedMs: 0, fuel: 0n }],
}
const explained: ExplainReply = {
  version: '1.2.3',
  wallMs: 1_750_000_000_000,
  uptimeMs: 5_000,
  refusal: 'expired',
  home: {
    rank: 1,
    guarding: 'acting',
    troubles: [
      { nodeId, address: '[::1]:7000', what: 'shard', code: 'quota', reason: 'full', sinceMs: 1, shards: 3 },
      { nodeId, address: '', what: 'silent', code: '', reason: '', sinceMs: 11_000, shards: 1 },
    ],
  },
  shards: [
    {
      shard: 1,
      summary,
      owners: 3,
      minGrantors: 2,
      quietMs: 1_500,
      groups: [{ wait: 'donor', units: 3, examples: [1, 2, 3], sinceMs: 8_000 }],
      lastGrantMs: 7,
      lastAnswerMs: undefined,
    },
  ],
  workers: [
    { bar: 'memory', value: '67108864', workers: 2, threads: 8, examples: [nodeId], sinceMs: 60_000 },
    { bar: 'none', value: '', workers: 1, threads: 1, examples: [], sinceMs: undefined },
  ],
  workersAble: 1,
  donorsAble: 1,
  refusedKeys: [{ nodeId, reason: 'this key already runs', code: 'unsupported', agoMs: 9 }],
  unit: unitSight,
  events: [
    { unit: 17, agoMs: 3, what: 'granted', worker: nodeId, detail: '' },
    { unit: 17, agoMs: 2, what: 'returned', worker: undefined, detail: 'paused' },
  ],
}

export const explainCases: readonly CodecCase[] = [
  codecCase(
    'ExplainRequest',
    explain.explainRequestCodec,
    { jobId, unit: undefined, events: true },
    { jobId, unit: 0, events: false },
  ),
  codecCase('ExplainReply', explain.explainReplyCodec, explained, {
    ...explained,
    home: undefined,
    unit: undefined,
    shards: [],
    workers: [],
    refusedKeys: [],
    events: [],
  }),
]

export const blobsCases: readonly CodecCase[] = [
  codecCase('BlobStatRequest', blobs.blobStatRequestCodec, { blob }),
  codecCase('BlobStatReply', blobs.blobStatReplyCodec, { complete: false, present: bytes }),
  codecCase(
    'BlobPut',
    blobs.blobPutCodec,
    { type: 'start', blob, keepUntilMs: 1_750_000_000_000 },
    { type: 'hashes', hashes: new Uint8Array(64) },
    { type: 'chunk', index: 1, bytes },
  ),
  codecCase('BlobPutReply', blobs.blobPutReplyCodec, { complete: true, holder: nodeId }),
  codecCase('BlobManifestRequest', blobs.blobManifestRequestCodec, { blob }),
  codecCase('BlobManifestPart', blobs.blobManifestPartCodec, { hashes: new Uint8Array(32) }),
  codecCase('BlobGetRequest', blobs.blobGetRequestCodec, { blob, chunks: [1, 0] }),
  codecCase('BlobChunk', blobs.blobChunkCodec, { index: 0, bytes }),
]

const preference = { name: 'hours', value: '22:00-07:00', origin: 'prefs' }
const workerState = {
  threads: [
    { thread: 0, unit: undefined },
    {
      thread: 1,
      unit: {
        jobId,
        jobName: 'a name',
        submitter: s.otherKey,
        unit: 7,
        task: 'primes@1',
        sinceMs: 1_750_000_000_000,
        fuel: 2n ** 63n,
        fuelMax: 0n,
      },
    },
  ],
  owners: [
    {
      nodeId,
      address: '[::1]:7000',
      connected: true,
      held: 3,
      reason: 'quota',
      reasonAtMs: 1_750_000_000_000,
      code: 'quota' as const,
    },
  ],
  restraints: [{ preference: 'on-battery', reason: 'on battery', untilMs: 0 }],
  threadsAllowed: 0,
  cpuTimeShare: 0.5,
  paused: true,
  draining: true,
  held: 3,
  unsettled: 1,
  computed: 2 ** 40,
  agreed: 4,
  disagreed: 5,
  fuel: 2n ** 63n,
  idleReason: 'none',
  preferences: [preference],
  sameKey: { host: '10.1.2.3', owner: nodeId, atMs: 1_750_000_000_000 },
}
const processState = {
  nodeId,
  publicKey: s.otherKey,
  version: '0.1.0',
  network: 'main',
  startedMs: 1_750_000_000_000,
  address: 'host:1',
  eligible: true,
  peers: [
    { nodeId, address: 'host:2', roundTripMs: 1.5, lastSeenMs: 1_750_000_000_000, version: '0.1.0' },
    { nodeId, address: 'host:3', roundTripMs: undefined, lastSeenMs: 0, version: '' },
  ],
  shards: 3,
  storedBytes: 2 ** 40,
  worker: workerState,
}

export const adminCases: readonly CodecCase[] = [
  codecCase('WatchProcessRequest', admin.watchProcessRequestCodec, { everyMs: 100 }),
  codecCase('ProcessState', admin.processStateCodec, processState, { ...processState, worker: undefined }),
  codecCase('LogRequest', admin.logRequestCodec, { past: 1_000 }),
  codecCase('LogEntry', admin.logEntryCodec, {
    atMs: 1_750_000_000_000,
    level: 'warn',
    scope: 'overlay',
    message: 'seed is silent',
    fields: '{"a":1}',
  }),
  codecCase('PreferRequest', admin.preferRequestCodec, { values: [{ name: 'hours', value: '' }] }),
  codecCase('PreferReply', admin.preferReplyCodec, { preferences: [preference] }),
  codecCase('PauseRequest', admin.pauseRequestCodec, { forMs: 60_000 }),
  codecCase('ResumeRequest', admin.resumeRequestCodec, {}),
  codecCase('DrainRequest', admin.drainRequestCodec, {}),
  codecCase('AdminReply', admin.adminReplyCodec, {}),
]

export const allCases: readonly CodecCase[] = [
  ...adminCases,
  ...specCases,
  ...factCases,
  ...jobsCases,
  ...coordinatorCases,
  ...exchangeCases,
  ...explainCases,
  ...blobsCases,
]
