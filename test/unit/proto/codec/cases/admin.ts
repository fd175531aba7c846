import * as admin from '../../../../../proto/codec/admin.js'
import * as s from '../../../job/samples.js'
import { type CodecCase, codecCase, jobId, nodeId } from './case.js'

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
  otherSelf: 'host:5',
  unreached: 'cannot reach host:4 (nothing listens there)',
}

/** The admin socket. */
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
