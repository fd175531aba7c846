import { parseArray, parseCount, parseRange } from '../../job/quantity.js'
import { checkSpec, JOB_LIFE_MS, specDefaults, WHOLE_RADIUS } from '../../job/spec/spec.js'
import { ListIndexer } from '../../job/units/list.js'
import { parseSelection } from '../../job/units/selection.js'
import { chooseShardUnits } from '../../job/units/shard.js'
import { recordSeparator } from '../../job/units/splitter.js'
import { unitCount } from '../../job/units/unit-source.js'
import { donorsNeeded } from '../../job/verdict/rules.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { JUDGES_MAX, MODULE_BYTES_MAX, SPEC_BYTES_MAX } from '../../proto/limits.js'
import type {
  JobId,
  JobSpec,
  Key,
  Limits,
  Policy,
  PublicKey,
  TaskRef,
  UnitRange,
  UnitSource,
} from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { toHex } from '../../runtime/hex.js'
import type { Random } from '../../runtime/random.js'
import { PROFILE } from '../../sandbox/contract.js'
import {
  type BlobContent,
  type Content,
  filesContent,
  hashContent,
  memoryContent,
  type NamedContent,
} from '../content/content.js'

/**
 * What the units of a job are made from, exactly one: `range` is `A..B[:STEP]`, `array` is `A-B[:S]`, `count` a number
 * (text may be `10^6`), `sep` is fasta, fastq, sdf or the text that ends a record.
 */
export type SourceRequest =
  | { readonly type: 'count'; readonly count: number | string }
  | { readonly type: 'array'; readonly array: string }
  | { readonly type: 'range'; readonly range: string }
  | { readonly type: 'lines' | 'csv'; readonly content: Content; readonly label?: string }
  | { readonly type: 'records'; readonly content: Content; readonly sep: string; readonly label?: string }
  | { readonly type: 'files'; readonly files: readonly NamedContent[] }

/** The program of a job: built in, a module that the network has already, or one that is to be uploaded. */
export type TaskRequest =
  | TaskRef
  | { readonly type: 'upload'; readonly content: Content /** For messages: `geng.wasm`. */; readonly label: string }

/** A job as a submitter describes it. What is absent has the default of `job/spec/spec.ts`. */
export interface JobRequest {
  readonly task: TaskRequest
  readonly source: SourceRequest
  readonly args?: readonly string[]
  readonly perUnit?: number
  readonly repeat?: number
  /** Indices and ranges as `parseSelection` reads them, or ranges. */
  readonly units?: string | readonly UnitRange[]
  readonly inputs?: readonly NamedContent[]
  readonly environment?: readonly (readonly [string, string])[]
  readonly seed?: bigint
  readonly policy?: Policy
  readonly limits?: Partial<Limits>
  readonly okExit?: readonly number[]
  readonly maxFails?: JobSpec['maxFails']
  readonly maxErrors?: number
  readonly maxInstances?: number
  readonly delayBoundMs?: number
  readonly name?: string
  readonly labels?: readonly (readonly [string, string])[]
  /** Life of the job. Unit: ms. Default 30 days, which is also the most. */
  readonly expiresInMs?: number
  readonly priority?: number
  readonly isPublic?: boolean
  readonly readers?: readonly PublicKey[]
  readonly owners?: readonly PublicKey[]
  readonly workers?: readonly PublicKey[]
  /** Keys that may rule besides the submitter, at most 8. */
  readonly judges?: readonly PublicKey[]
  /** Power of two from 16 to 16,384. Default: {@link chooseShardUnits}. */
  readonly shardUnits?: number
  /** For choosing `shardUnits`: time of a unit on one thread, and bytes of its output. */
  readonly estimate?: { readonly unitMs?: number; readonly outputBytes?: number }
  /** Version of the sandbox rules. Default: the newest for modules, 0 for what is built in. */
  readonly profile?: number
  readonly parent?: JobId
}

/** What building a spec depends on besides the request. */
export interface BuildContext {
  readonly sha256: Sha256
  readonly random: Random
  /** Wall clock, ms since 1970. */
  readonly nowMs: number
  readonly network: string
  readonly submitter: PublicKey
  /** Peers of the network, estimated; see `ClientOverlay`. */
  readonly peers: number
  /** Owners that a shard has here (`GridClient.ownersHere`). Default 1. */
  readonly shardOwners?: number
  /** What this network sets instead of the general defaults. */
  readonly defaults?: { readonly policy?: Policy; readonly limits?: Partial<Limits> }
  /** Called while content is read, with bytes read and in all. */
  readonly onRead?: (label: string, doneBytes: number, totalBytes: number) => void
}

/** A spec that is ready to be signed, with the content that it names. */
export interface BuiltJob {
  readonly spec: JobSpec
  readonly units: number
  /** To be uploaded before the spec is submitted. */
  readonly blobs: readonly BlobContent[]
}

/** Peers that the owner radius is expected to hold. */
const RADIUS_PEERS = 64
/** Below this many peers every node may grant: estimates are coarse, and a radius is only ever for large networks. */
const WHOLE_NETWORK_PEERS = 4 * RADIUS_PEERS
const NONCE_BYTES = 16
/** Encoded output of a unit when nothing is known about it. Unit: bytes. */
const OUTPUT_BYTES_GUESS = 16 * 1024

/**
 * Checks a request and makes the spec and blobs of it. Content of any size streams through once, for its index and hashes.
 * Throws GridError `invalid` that says what is wrong; `quota` for more than the limits of a job.
 */
export async function buildJob(request: JobRequest, context: BuildContext): Promise<BuiltJob> {
  const blobs: BlobContent[] = []
  const task = await buildTask(request.task, context, blobs)
  const source = await buildSource(request.source, context, blobs)
  const inputs: JobSpec['inputs'][number][] = []
  for (const { name, content } of request.inputs ?? []) {
    const made = await hash(context, content, `input ${name}`)
    blobs.push(made)
    inputs.push({ name, blob: made.blob })
  }
  const spec = assemble(request, context, task, source, inputs)
  const problem = checkSpec(spec, { nowMs: context.nowMs, network: context.network })
  if (problem !== undefined) throw new GridError('invalid', problem)
  // The codec knows the bounds of each field: whatever it refuses, every peer would refuse.
  const bytes = jobSpecCodec.encode(spec)
  if (bytes.length > SPEC_BYTES_MAX) {
    throw new GridError(
      'invalid',
      `the job takes ${bytes.length} bytes to describe, at most ${SPEC_BYTES_MAX} are allowed`,
      {
        hint: 'name, labels, arguments and environment count; what is long goes into a source or an input file',
      },
    )
  }
  jobSpecCodec.decode(bytes)
  return { spec, units: unitCount(spec), blobs }
}

function assemble(
  request: JobRequest,
  context: BuildContext,
  task: TaskRef,
  source: UnitSource,
  inputs: JobSpec['inputs'],
): JobSpec {
  const { random, nowMs, network, submitter, defaults, shardOwners = 1 } = context
  const perUnit = request.perUnit ?? specDefaults.perUnit
  const repeat = request.repeat ?? specDefaults.repeat
  const policy = request.policy ?? defaults?.policy ?? specDefaults.policy
  const limits: Limits = { ...specDefaults.limits, ...defined(defaults?.limits), ...defined(request.limits) }
  const { outputBytes = OUTPUT_BYTES_GUESS, unitMs = 0 } = request.estimate ?? {}
  const units = unitCount({ source, perUnit, repeat })
  const selection = typeof request.units === 'string' ? parseSelection(request.units) : (request.units ?? [])
  const quorum = donorsNeeded(policy)
  const judges = request.judges ?? specDefaults.judges
  if (judges.length > JUDGES_MAX) throw new GridError('invalid', `a job names at most ${JUDGES_MAX} judges`)
  return {
    ...specDefaults,
    network,
    submitter,
    nonce: toHex(random.bytes(NONCE_BYTES)),
    createdAtMs: nowMs,
    expiresAtMs: nowMs + (request.expiresInMs ?? JOB_LIFE_MS),
    profile: request.profile ?? (task.type === 'module' ? PROFILE : specDefaults.profile),
    name: request.name ?? specDefaults.name,
    labels: request.labels ?? specDefaults.labels,
    task,
    source,
    perUnit,
    repeat,
    selection,
    args: request.args ?? specDefaults.args,
    environment: request.environment ?? specDefaults.environment,
    seed: request.seed ?? specDefaults.seed,
    inputs,
    policy,
    limits,
    okExit: request.okExit ?? specDefaults.okExit,
    maxFails: request.maxFails ?? specDefaults.maxFails,
    maxErrors: request.maxErrors ?? specDefaults.maxErrors,
    maxInstances: request.maxInstances ?? Math.max(specDefaults.maxInstances, quorum),
    delayBoundMs: request.delayBoundMs ?? specDefaults.delayBoundMs,
    priority: request.priority ?? specDefaults.priority,
    isPublic: request.isPublic ?? specDefaults.isPublic,
    readers: request.readers ?? specDefaults.readers,
    owners: request.owners ?? specDefaults.owners,
    workers: request.workers ?? specDefaults.workers,
    judges,
    requires: [...(judges.length > 0 ? ['judges'] : []), ...(policy.type === 'confidence' ? ['confidence'] : [])],
    shardUnits:
      request.shardUnits ?? chooseShardUnits({ units, outputBytes: Math.min(outputBytes, limits.outputBytes), unitMs }),
    minGrantors: minGrantorsOf(policy, request.owners?.length ? 1 : shardOwners),
    ownerRadius: ownerRadius(context.peers),
    parent: request.parent,
  }
}

/** Owners from whom votes are needed before they can lose one and go on. */
const OWNERS_FOR_TWO = 3

/**
 * Different owners whose grants must stand behind a result: two, so that no owner settles a unit alone, where there are
 * three owners a shard, so that any one of them may be gone. Under `confidence:P`: behind what makes a donor believed. `shardOwners`: owners that the submitter sees.
 */
export function minGrantorsOf(policy: Policy, shardOwners: number): number {
  return shardOwners >= OWNERS_FOR_TWO && donorsNeeded(policy) >= 2 ? 2 : 1
}

/**
 * XOR distance expected to hold 64 of `peers` peers: that share of the id space; everything on a network of fewer than
 * 256, where an estimate that is off by some peers would shut out honest owners.
 */
export function ownerRadius(peers: number): Key {
  if (!(peers >= WHOLE_NETWORK_PEERS)) return WHOLE_RADIUS
  const radius = (2n ** 160n * BigInt(RADIUS_PEERS)) / BigInt(Math.floor(peers)) - 1n
  return radius.toString(16).padStart(40, '0') as Key
}

async function buildTask(task: TaskRequest, context: BuildContext, blobs: BlobContent[]): Promise<TaskRef> {
  if (task.type !== 'upload') return task
  if (task.content.size > MODULE_BYTES_MAX) {
    throw new GridError('invalid', `${task.label} has ${task.content.size} bytes, a module at most ${MODULE_BYTES_MAX}`)
  }
  const made = await hash(context, task.content, task.label)
  blobs.push(made)
  return { type: 'module', module: made.blob }
}

async function buildSource(request: SourceRequest, context: BuildContext, blobs: BlobContent[]): Promise<UnitSource> {
  switch (request.type) {
    case 'count':
      return { type: 'count', count: parseCount(String(request.count)) }
    case 'array':
      return { type: 'array', ...parseArray(request.array) }
    case 'range':
      return { type: 'range', ...parseRange(request.range) }
    case 'lines':
    case 'csv':
      return buildList(request.type, '', request.content, request.label ?? `--${request.type}`, context, blobs)
    case 'records': {
      const separator = recordSeparator(request.sep)
      return buildList('records', separator, request.content, request.label ?? '--records', context, blobs)
    }
    case 'files':
      if (request.files.length === 0) throw new GridError('invalid', 'the source is empty: no files')
      return buildList('files', '', filesContent(request.files), '--files', context, blobs)
    default:
      request satisfies never
      throw new GridError('invalid', 'unknown kind of source')
  }
}

async function buildList(
  kind: 'lines' | 'csv' | 'records' | 'files',
  separator: string,
  content: Content,
  label: string,
  context: BuildContext,
  blobs: BlobContent[],
): Promise<UnitSource> {
  const indexer = new ListIndexer(kind, separator)
  const items = await hash(context, content, label, (piece) => indexer.push(piece))
  const list = indexer.finish()
  if (list.itemCount === 0) throw new GridError('invalid', `the source is empty: ${label} has no items`)
  const index = await hash(context, memoryContent(list.index), `index of ${label}`)
  blobs.push(items, index)
  const { indexEvery, itemCount, columns } = list
  return { type: 'list', kind, items: items.blob, index: index.blob, indexEvery, itemCount, columns, separator }
}

function hash(
  { sha256, onRead }: BuildContext,
  content: Content,
  label: string,
  onPiece?: (bytes: Uint8Array) => void,
): Promise<BlobContent> {
  let done = 0
  return hashContent(sha256, content, label, (piece) => {
    onPiece?.(piece)
    done += piece.length
    onRead?.(label, done, content.size)
  })
}

/** Fields that are set: a spread of an absent one would hide the default. */
function defined(limits: Partial<Limits> | undefined): Partial<Limits> {
  return Object.fromEntries(Object.entries(limits ?? {}).filter(([, value]) => value !== undefined))
}
