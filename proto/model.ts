/** Our own types for what is said on the wire. Pure; `codec/` converts and checks. */

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** 160-bit id of a node, 40 lower-case hex digits: first 20 bytes of SHA-256(public key, id nonce). */
export type NodeId = Brand<string, 'NodeId'>
/** A 160-bit point of the id space that records, jobs and shards are placed at; 40 lower-case hex digits. */
export type Key = Brand<string, 'Key'>
/** Any point of the id space: where a node stands, or what has a key. Lookups go to either. */
export type Point = NodeId | Key
/** Raw Ed25519 public key, 32 bytes as 64 lower-case hex digits. */
export type PublicKey = Brand<string, 'PublicKey'>
/** SHA-256 of the bytes of a spec, 64 lower-case hex digits. */
export type JobId = Brand<string, 'JobId'>
/** A SHA-256, 64 lower-case hex digits. */
export type Digest = Brand<string, 'Digest'>
/** 64 bits drawn at each start of a process, 16 lower-case hex digits. */
export type BootId = Brand<string, 'BootId'>

/** Bytes as they were signed, kept and forwarded as they came; `signature` covers a domain tag and `bytes`. */
export interface Signed {
  readonly bytes: Uint8Array
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array
}

// ---------------------------------------------------------------------------------------------------------------- jobs

/** Content cut into chunks of 256 KiB; the digest covers the size and the SHA-256 of each chunk (`job/blob.ts`). */
export interface BlobRef {
  readonly digest: Digest
  /** Bytes, up to 2^53. */
  readonly size: number
}

/** A half-open range of unit indices. */
export interface UnitRange {
  readonly first: number
  readonly count: number
}

/** What the items of a job are; items become units in groups of `perUnit`. */
export type UnitSource =
  | { readonly type: 'count'; readonly count: number }
  /** Inclusive, as Slurm's job arrays. */
  | { readonly type: 'array'; readonly from: bigint; readonly to: bigint; readonly step: bigint }
  /** Half-open [start, end), cut every `step`; the last item may be shorter. */
  | { readonly type: 'range'; readonly start: bigint; readonly end: bigint; readonly step: bigint }
  /**
   * Items that stand in a blob, one after another. `index` is a blob of little-endian u64 offsets: one for the start of
   * each group of `indexEvery` items, and a last one for the end of the content.
   */
  | {
      readonly type: 'list'
      readonly kind: ListKind
      readonly items: BlobRef
      readonly index: BlobRef
      readonly indexEvery: number
      readonly itemCount: number
      /** Names of the columns (`csv`); empty otherwise. */
      readonly columns: readonly string[]
      /** Text that starts each record or ends each line, as the splitter of `job/units/list.ts` needs it. */
      readonly separator: string
    }

/** How a list is cut into items: text lines, rows of a CSV file, records after a separator, whole files with names. */
export type ListKind = 'lines' | 'csv' | 'records' | 'files'

/** The program of a job: built in by name and version, or a WebAssembly module by digest. */
export type TaskRef =
  | { readonly type: 'builtin'; readonly name: string; readonly version: number }
  | { readonly type: 'module'; readonly module: BlobRef }

/** When a unit's result is accepted (`job/verdict/verdict.ts`). `none`: the first valid report. */
export type Policy =
  | { readonly type: 'quorum'; readonly quorum: number }
  | { readonly type: 'none' }
  /** The first answer that is right with this confidence, by what its donors have shown; `errorPpm`: millionths it may be wrong. */
  | { readonly type: 'confidence'; readonly errorPpm: number }

/** What an owner of a shard says that a worker key has given to it: settled units on which the worker agreed. */
export interface Attestation {
  readonly jobId: JobId
  readonly shard: number
  readonly owner: PublicKey
  readonly ownerIdNonce: Uint8Array
  readonly worker: PublicKey
  readonly units: number
  /** Of these units together. */
  readonly fuel: bigint
  /** Wall clock of the owner, ms since 1970. */
  readonly attestedAtMs: number
}

/** What one instance may use. */
export interface Limits {
  readonly memoryBytes: number
  /** Standard output and `/out` together. */
  readonly outputBytes: number
  /** Of standard error this much is kept and covered by the digest, plus its total length. */
  readonly stderrBytes: number
  readonly wallMs: number
  /** Steps of work; 0 = unlimited. */
  readonly fuel: bigint
}

/** A file that every unit of a job sees. */
export interface SharedInput {
  readonly name: string
  readonly blob: BlobRef
}

/** Immutable, signed description of a job. Its bytes hash to the job id. */
export interface JobSpec {
  /** Version of this message; 1. */
  readonly format: number
  /** Version of the rules of `job/verdict/verdict.ts`; 1. */
  readonly verdict: number
  /** Version of the sandbox rules; 0 for built-in tasks. */
  readonly profile: number
  /** Features that owner and worker must know to touch this job. */
  readonly requires: readonly string[]
  readonly network: string
  readonly submitter: PublicKey
  /** 16 random bytes, 32 hex digits. */
  readonly nonce: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly name: string
  readonly labels: readonly (readonly [string, string])[]
  readonly task: TaskRef
  readonly source: UnitSource
  readonly perUnit: number
  readonly repeat: number
  /** Units to compute, ascending and disjoint; empty = all. Indices stay those of the whole. */
  readonly selection: readonly UnitRange[]
  readonly args: readonly string[]
  readonly environment: readonly (readonly [string, string])[]
  readonly seed: bigint
  readonly inputs: readonly SharedInput[]
  readonly policy: Policy
  /** Different hosts that may fail a unit before it is held. */
  readonly maxErrors: number
  /** Answered instances of a unit before it is left disputed. */
  readonly maxInstances: number
  /** Submitter's estimate of an instance's time without progress; 0 = adaptive. */
  readonly delayBoundMs: number
  readonly limits: Limits
  /** Exit codes that count as success; 0 is always one. */
  readonly okExit: readonly number[]
  /** Failed units after which granting stops: a number, a percentage of all units, or 0 for the default rule. */
  readonly maxFails: { readonly type: 'count' | 'percent'; readonly value: number }
  /** Orders one submitter's own jobs; higher first, -100 to 100. */
  readonly priority: number
  /** Results may be read by everyone. */
  readonly isPublic: boolean
  readonly readers: readonly PublicKey[]
  /** Keys that may own or work on the job; empty = everyone. */
  readonly owners: readonly PublicKey[]
  readonly workers: readonly PublicKey[]
  /** Keys that may rule on units by replaying them, besides the submitter. At most 8. */
  readonly judges: readonly PublicKey[]
  /** Units a shard, a power of two from 16 to 16,384. */
  readonly shardUnits: number
  /** Different owners whose grants must stand behind an accepted result. */
  readonly minGrantors: number
  /** XOR distance from the shard key within which a grant's signer must lie; 40 hex digits. */
  readonly ownerRadius: Key
  /** The job that this one retries. */
  readonly parent: JobId | undefined
}

// --------------------------------------------------------------------------------------------------------------- facts

/** Whether the worker's key was known to its owner before the job was made. */
export type AgeClass = 'older' | 'younger'

/** Consecutive units of one opinion number. */
export interface GrantRun extends UnitRange {
  /** 0 for the first opinion on a unit. */
  readonly opinion: number
}

/** Owner-signed ticket to compute instances; portable: any owner of the shard can check it. Tag `grant`. */
export interface Grant {
  readonly jobId: JobId
  readonly shard: number
  readonly grantor: PublicKey
  readonly grantorIdNonce: Uint8Array
  readonly worker: PublicKey
  readonly age: AgeClass
  /** 8 random bytes, 16 hex digits. */
  readonly nonce: string
  readonly runs: readonly GrantRun[]
  /** Time the owner keeps the lease without progress. */
  readonly durationMs: number
}

/**
 * How an instance ended. Deterministic ends are votes: `done` (exit code allowed), `exit` (exit code not allowed), `trap`,
 * `fuel`, `memory`, `output`, `depth`. `wall` lies between (`job/verdict/verdict.ts`). `host` is the host's fault and never a vote.
 */
export type Outcome = (typeof OUTCOMES)[number]

/** By their number on the wire and between processes. */
export const OUTCOMES = ['done', 'exit', 'trap', 'fuel', 'memory', 'output', 'depth', 'wall', 'host'] as const

/** What a report says of one unit. */
export interface UnitResult {
  readonly unit: number
  readonly outcome: Outcome
  /** Digest of the output (`job/facts/digest.ts`); all zero for `host` and `wall`. */
  readonly digest: Digest
  /** Bytes of the encoded output. */
  readonly outputBytes: number
  readonly fuel: bigint
}

/** Worker-signed answer to grants. Tag `report`. */
export interface Report {
  readonly jobId: JobId
  readonly shard: number
  readonly worker: PublicKey
  /** The person behind the worker; one vote a unit. */
  readonly donor: PublicKey
  /** The donor's signature (tag `donor`) over the worker's raw key; empty when donor and worker are one key. */
  readonly donorSignature: Uint8Array
  /** Ascending by unit, no unit twice. At most 64. */
  readonly results: readonly UnitResult[]
}

/** A report with the grants it answers: the fact that owners keep and exchange. */
export interface ReportFact {
  readonly report: Signed
  /** At most 64; each unit of the report is covered by one of them. */
  readonly grants: readonly Signed[]
}

/** What a replay of one unit gave: the true answer, and what follows from it for those who answered otherwise. */
export interface Ruling {
  readonly unit: number
  /** A deterministic one: `wall` depends on the machine. */
  readonly outcome: Outcome
  readonly digest: Digest
  /** Workers and donors of two or more donors' reports that shared an answer other than this one. Ascending. */
  readonly convicted: readonly PublicKey[]
  /**
   * Owners that granted the right and the false votes on the unit, one entry a vote. Only of units drawn at random: a
   * sample of disputed units would be unfair to their grantors. Both empty otherwise.
   */
  readonly rightGrantors: readonly NodeId[]
  readonly wrongGrantors: readonly NodeId[]
  /** Owners that nobody can find, whose grants brought false votes: they count no more. Absent: none. */
  readonly dismissed?: readonly NodeId[]
}

/** What a submitter, or for rulings a judge, may say about a job after it was made. */
export type OrderBody =
  | { readonly type: 'cancel' }
  /** Only ever wider. Absent fields stay as they are. */
  | {
      readonly type: 'amend'
      readonly expiresAtMs: number | undefined
      readonly priority: number | undefined
      readonly maxInstances: number | undefined
      readonly ownerRadius: Key | undefined
    }
  /** Held units may be granted again. */
  | { readonly type: 'release'; readonly units: readonly UnitRange[] }
  /** Results were fetched and verified: bytes may be dropped a day later. */
  | { readonly type: 'seal' }
  /** Cancels, and lets owners drop facts and outputs at once: nobody wants the job any more. */
  | { readonly type: 'remove' }
  /** What replays gave. Signed by `judge`: the submitter, or a key that the spec names. */
  | {
      readonly type: 'rulings'
      readonly judge: PublicKey
      /** Sandbox rules that the units were replayed under. */
      readonly profile: number
      /** Ascending by unit, no unit twice. At most 128. */
      readonly rulings: readonly Ruling[]
    }

/** Signed statement about a job, the submitter's but for rulings. Tag `order`. Cancel beats all, then the highest seq. */
export interface Order {
  readonly jobId: JobId
  readonly seq: number
  readonly createdAtMs: number
  readonly body: OrderBody
}

/** What a unit wrote: the bytes behind a digest. */
export interface UnitOutput {
  readonly outcome: Outcome
  readonly exitCode: number
  readonly stdout: Uint8Array
  /** The first `stderrBytes` of standard error. */
  readonly stderr: Uint8Array
  /** Total bytes written to standard error. */
  readonly stderrLength: number
  /** Files of `/out`, sorted by name. */
  readonly files: readonly OutputFile[]
}

/** A file that a unit wrote to `/out`. Its name is a stranger's: `proto/file-name.ts` says which are let in. */
export interface OutputFile {
  readonly name: string
  readonly bytes: Uint8Array
}

// ------------------------------------------------------------------------------------------------------------- verdict

/** State of a unit. `settled` = accepted (or failed by quorum) and its bytes are stored. */
export type UnitState = 'open' | 'accepted' | 'settled' | 'disputed' | 'held' | 'failed'

/** Units by state, plus what has been spent on them. Counts of one shard or of a whole job. */
export interface Summary {
  readonly units: number
  readonly open: number
  readonly accepted: number
  readonly settled: number
  readonly disputed: number
  readonly held: number
  readonly failed: number
  /** Instances being computed now. */
  readonly leased: number
  /** Instances granted so far, and answered. */
  readonly granted: number
  readonly answered: number
  /** Answers that were outvoted or cancelled out. */
  readonly disagreeing: number
  /** Keys connected that may work on it. */
  readonly workers: number
  /** Of them, different donors: what a quorum needs. */
  readonly donors: number
  /** Steps of the settled results. */
  readonly fuel: bigint
  /** Instances that could be granted now. */
  readonly ready: number
}
