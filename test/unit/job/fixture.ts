import { type FactContext, grantId } from '../../../job/facts/facts.js'
import type { SignatureTag, SignatureVerifier } from '../../../job/facts/signature.js'
import type { Vote } from '../../../job/facts/votes.js'
import type { VerdictRules } from '../../../job/verdict/rules.js'
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
  UnitResult,
} from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { fromHex, toHex, utf8 } from '../../../runtime/hex.js'

export const jobId = 'aa'.repeat(32) as JobId
export const noDigest = '0'.repeat(64) as Digest

export const keyOf = (name: string): PublicKey => sha256(utf8(`key ${name}`)) as string as PublicKey
export const digestOf = (name: string): Digest => sha256(utf8(`digest ${name}`))

export function specWith(changes: Partial<JobSpec> = {}): JobSpec {
  return {
    format: 1,
    verdict: 1,
    profile: 0,
    requires: [],
    network: 'test',
    submitter: keyOf('submitter'),
    nonce: '00'.repeat(16),
    createdAtMs: 1_000,
    expiresAtMs: 2_000,
    name: 'job',
    labels: [],
    task: { type: 'builtin', name: 'primes', version: 1 },
    source: { type: 'count', count: 1_000 },
    perUnit: 1,
    repeat: 1,
    selection: [],
    args: [],
    environment: [],
    seed: 0n,
    inputs: [],
    policy: { type: 'quorum', quorum: 2 },
    maxErrors: 3,
    maxInstances: 10,
    delayBoundMs: 0,
    limits: { memoryBytes: 1 << 20, outputBytes: 1_000, stderrBytes: 100, wallMs: 1_000, fuel: 500n },
    okExit: [],
    maxFails: { type: 'count', value: 0 },
    priority: 0,
    isPublic: false,
    readers: [],
    owners: [],
    workers: [],
    judges: [],
    shardUnits: 64,
    minGrantors: 1,
    ownerRadius: 'f'.repeat(40) as Key,
    parent: undefined,
    ...changes,
  }
}

/** Rules as `verdictRules` makes them, for tests of the verdict alone. */
export function rulesWith(quorum: number, minGrantors = 1, maxInstances = 10): VerdictRules {
  return {
    policy: { type: 'quorum', quorum },
    quorum,
    minGrantors,
    grantorVotesMax: minGrantors === 1 ? Number.POSITIVE_INFINITY : Math.ceil(quorum / minGrantors),
    maxErrors: 3,
    maxInstances,
    grantorAnswersMax: Math.ceil(maxInstances / minGrantors),
  }
}

let votesMade = 0

/** A vote on unit 0; report ids rise from call to call unless given. */
export function voteOf(donor: string, answer: string, changes: Partial<Vote> = {}): Vote {
  const bare = answer === 'host' || answer === 'wall'
  return {
    unit: 0,
    donor: donor as PublicKey,
    worker: donor as PublicKey,
    grantor: 'g1' as NodeId,
    age: 'older',
    outcome: bare ? answer : 'done',
    digest: bare ? noDigest : (answer as Digest),
    reportId: String(++votesMade).padStart(8, '0') as Digest,
    factId: String(votesMade).padStart(8, '0') as Digest,
    outputBytes: bare ? 0 : 10,
    fuel: 5n,
    ...changes,
  }
}

/** Signs with a hash over the public key: enough where the test is not about signatures themselves. */
export function signAs(tag: SignatureTag, key: PublicKey, bytes: Uint8Array): Signed {
  const half = fromHex(sha256(utf8(`${tag} ${key} `), bytes))
  return { bytes, signature: Uint8Array.from([...half, ...half]) }
}

/** Checks what {@link signAs} signed and counts how often it was asked. */
export function countingVerifier(): SignatureVerifier & { calls: SignatureTag[] } {
  const calls: SignatureTag[] = []
  return {
    calls,
    verify(tag, publicKey, signed) {
      calls.push(tag)
      return toHex(signAs(tag, publicKey, signed.bytes).signature) === toHex(signed.signature)
    },
    nodeIdOf: (publicKey, idNonce) => sha256(fromHex(publicKey), idNonce).slice(0, 40) as NodeId,
  }
}

const replacer = (_name: string, value: unknown) =>
  typeof value === 'bigint' ? { big: String(value) } : value instanceof Uint8Array ? { hex: toHex(value) } : value
const reviver = (_name: string, value: unknown) => {
  if (typeof value !== 'object' || value === null) return value
  if ('big' in value) return BigInt(String(value.big))
  return 'hex' in value ? fromHex(String(value.hex)) : value
}
const encode = (value: unknown): Uint8Array => utf8(JSON.stringify(value, replacer))
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes), reviver)

export function contextWith(changes: Partial<FactContext> = {}): FactContext {
  return {
    spec: specWith(),
    jobId,
    sha256,
    verifier: countingVerifier(),
    decoders: { decodeGrant: (bytes) => decode(bytes) as Grant, decodeReport: (bytes) => decode(bytes) as Report },
    shardKey: (shard) => sha256(utf8(`shard ${shard}`)).slice(0, 40) as Key,
    hasUnit: (unit) => unit < 1_000,
    ...changes,
  }
}

export function grantWith(changes: Partial<Grant> = {}): Grant {
  return {
    jobId,
    shard: 0,
    grantor: keyOf('owner 1'),
    grantorIdNonce: new Uint8Array(8),
    worker: keyOf('worker 1'),
    age: 'older',
    nonce: '01'.repeat(8),
    runs: [{ first: 0, count: 4, opinion: 0 }],
    durationMs: 1_000,
    ...changes,
  }
}

export function resultWith(unit: number, changes: Partial<UnitResult> = {}): UnitResult {
  return { unit, outcome: 'done', digest: digestOf(`right ${unit}`), outputBytes: 10, fuel: 100n, ...changes }
}

export function reportWith(changes: Partial<Report> = {}): Report {
  const worker = changes.worker ?? keyOf('worker 1')
  return {
    jobId,
    shard: 0,
    worker,
    donor: worker,
    donorSignature: new Uint8Array(0),
    results: [resultWith(0), resultWith(1)],
    ...changes,
  }
}

export const signGrant = (grant: Grant): Signed => signAs('grant', grant.grantor, encode(grant))
export const signReport = (report: Report): Signed => signAs('report', report.worker, encode(report))

export function factOf(report: Report = reportWith(), grants: readonly Grant[] = [grantWith()]): ReportFact {
  const ordered = grants
    .map(signGrant)
    .map((signed) => ({ signed, id: grantId(signed, sha256) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  return { report: signReport(report), grants: ordered.map(({ signed }) => signed) }
}

/** A whole answer by one worker under a grant of one owner. */
export function answerOf(worker: string, owner: string, results: readonly UnitResult[]): ReportFact {
  const units = results.map(({ unit }) => unit)
  const runs = [{ first: Math.min(...units), count: Math.max(...units) - Math.min(...units) + 1, opinion: 0 }]
  return factOf(reportWith({ worker: keyOf(worker), results }), [
    grantWith({ worker: keyOf(worker), grantor: keyOf(owner), runs }),
  ])
}
