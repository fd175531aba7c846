import { specDefaults } from '../../../job/spec/spec.js'
import type {
  Digest,
  Grant,
  JobId,
  JobSpec,
  Key,
  NodeId,
  PublicKey,
  Report,
  ReportFact,
  Signed,
  Summary,
  UnitOutput,
} from '../../../proto/model.js'
import { utf8 } from '../../../runtime/hex.js'

const hex = (digits: string, bytes: number) => digits.repeat(bytes)

export const jobId = hex('1a', 32) as JobId
export const key = hex('2b', 32) as PublicKey
export const otherKey = hex('3c', 32) as PublicKey
export const nodeId = hex('4d', 20) as NodeId
export const digest = hex('5e', 32) as Digest

export function signed(size = 100): Signed {
  return { bytes: new Uint8Array(size).fill(7), signature: new Uint8Array(64).fill(9) }
}

export function spec(changes: Partial<JobSpec> = {}): JobSpec {
  return {
    ...specDefaults,
    network: 'test',
    submitter: key,
    nonce: hex('6f', 16),
    createdAtMs: 1_750_000_000_000,
    expiresAtMs: 1_750_086_400_000,
    task: { type: 'builtin', name: 'primes', version: 1 },
    source: { type: 'count', count: 10 },
    shardUnits: 16,
    ...changes,
  }
}

/** A spec in which every field differs from its default. */
export const fullSpec: JobSpec = spec({
  profile: 3,
  requires: ['gpu'],
  name: 'a job',
  labels: [
    ['k', 'v'],
    ['k2', ''],
  ],
  task: { type: 'module', module: { digest, size: 1_000_000 } },
  source: {
    type: 'list',
    kind: 'csv',
    items: { digest, size: 2 ** 33 },
    index: { digest, size: 24 },
    indexEvery: 64,
    itemCount: 100,
    columns: ['a', 'b'],
    separator: '',
  },
  perUnit: 3,
  repeat: 2,
  selection: [
    { first: 0, count: 2 },
    { first: 5, count: 1 },
  ],
  args: ['-x', '{a}', 'line\nbreak', ''],
  environment: [['LANG', 'C']],
  seed: 2n ** 64n - 1n,
  inputs: [{ name: 'db/proteins.fasta', blob: { digest, size: 0 } }],
  policy: { type: 'quorum', quorum: 3 },
  maxErrors: 5,
  maxInstances: 12,
  delayBoundMs: 60_000,
  limits: { memoryBytes: 2 ** 32, outputBytes: 1, stderrBytes: 0, wallMs: 1, fuel: 2n ** 63n },
  okExit: [0, 1, -1],
  maxFails: { type: 'percent', value: 10 },
  priority: -100,
  isPublic: true,
  readers: [key],
  owners: [otherKey],
  workers: [key, otherKey],
  judges: [otherKey],
  shardUnits: 16_384,
  minGrantors: 2,
  ownerRadius: '0f'.repeat(20) as Key,
  parent: jobId,
})

export const grant: Grant = {
  jobId,
  shard: 7,
  grantor: key,
  grantorIdNonce: new Uint8Array(8).fill(3),
  worker: otherKey,
  age: 'younger',
  nonce: hex('ab', 8),
  runs: [
    { first: 64, count: 32, opinion: 0 },
    { first: 96, count: 1, opinion: 1 },
  ],
  durationMs: 30_000,
}

export function report(units = 3): Report {
  return {
    jobId,
    shard: 7,
    worker: otherKey,
    donor: key,
    donorSignature: new Uint8Array(64).fill(1),
    results: Array.from({ length: units }, (_, i) => ({
      unit: 64 + i,
      outcome: i === 1 ? ('trap' as const) : ('done' as const),
      digest,
      outputBytes: 100 + i,
      fuel: 2n ** 40n + BigInt(i),
    })),
  }
}

export const fact: ReportFact = { report: signed(200), grants: [signed(150), signed(151)] }

export const output: UnitOutput = {
  outcome: 'done',
  exitCode: 0,
  stdout: utf8('hello\n'),
  stderr: utf8('warn'),
  stderrLength: 100_000,
  files: [
    { name: 'a.txt', bytes: utf8('A') },
    { name: 'dir/b.bin', bytes: new Uint8Array([0, 255]) },
  ],
}

export const summary: Summary = {
  units: 10,
  open: 1,
  accepted: 2,
  settled: 3,
  disputed: 1,
  held: 1,
  failed: 2,
  leased: 4,
  granted: 50,
  answered: 45,
  disagreeing: 1,
  workers: 6,
  donors: 5,
  fuel: 2n ** 63n,
  ready: 3,
}
