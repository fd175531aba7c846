import type { Codec } from '../../runtime/transport.js'
import { fileNameProblem } from '../file-name.js'
import {
  ARGS_BYTES_MAX,
  ARGS_MAX,
  COLUMNS_MAX,
  CONFIDENCE_ERROR_PPM_MAX,
  DURATION_MS_MAX,
  INPUTS_MAX,
  ITEMS_MAX,
  JUDGES_MAX,
  MEMORY_BYTES_MAX,
  MODULE_BYTES_MAX,
  OUTPUT_BYTES_MAX,
  PRIORITY_MAX,
  SELECTION_RANGES_MAX,
  SHARD_UNITS_MAX,
  SHARD_UNITS_MIN,
  SPEC_BYTES_MAX,
  STDERR_BYTES_MAX,
  UNITS_MAX,
} from '../limits.js'
import type { WireMessage } from '../load.js'
import type { JobId, JobSpec, Limits, ListKind, Policy, PublicKey, SharedInput, TaskRef, UnitSource } from '../model.js'
import {
  blobRefToWire,
  messageCodec,
  optionalHex,
  optionalHexToWire,
  rangesToWire,
  readBlobRef,
  readRanges,
  UINT32_MAX,
} from './common.js'
import { type Fields, hexToWire, uint64ToWire } from './fields.js'

type Pair = readonly [string, string]

const KEYS_MAX = 256
const INT32_MAX = 2 ** 31 - 1
const INTEGER = /^(0|-?[1-9][0-9]{0,39})$/
const LIST_KINDS: readonly string[] = ['lines', 'csv', 'records', 'files'] satisfies readonly ListKind[]
const TASK_NAME = /^[a-z0-9][a-z0-9._-]*$/

/**
 * A spec, with every bound that holds for it alone; `job/spec/spec.ts` checks how its fields fit together. Owners and workers
 * keep the bytes as they came: encoding what was decoded need not give the same bytes.
 */
export const jobSpecCodec: Codec<JobSpec> = messageCodec('JobSpec', SPEC_BYTES_MAX, specToWire, readSpec)

function specToWire(spec: JobSpec): WireMessage {
  return {
    format: spec.format,
    verdict: spec.verdict,
    profile: spec.profile,
    requires: spec.requires,
    network: spec.network,
    submitter: hexToWire(spec.submitter),
    nonce: hexToWire(spec.nonce),
    createdAtMs: spec.createdAtMs,
    expiresAtMs: spec.expiresAtMs,
    name: spec.name,
    labels: spec.labels.map(pairToWire),
    ...taskToWire(spec.task),
    ...sourceToWire(spec.source),
    perUnit: spec.perUnit,
    repeat: spec.repeat,
    selection: rangesToWire(spec.selection),
    args: spec.args,
    environment: spec.environment.map(pairToWire),
    seed: uint64ToWire(spec.seed),
    inputs: spec.inputs.map(({ name, blob }) => ({ name, blob: blobRefToWire(blob) })),
    quorum: spec.policy.type === 'quorum' ? spec.policy.quorum : 0,
    confidenceErrorPpm: spec.policy.type === 'confidence' ? spec.policy.errorPpm : 0,
    maxErrors: spec.maxErrors,
    maxInstances: spec.maxInstances,
    delayBoundMs: spec.delayBoundMs,
    limits: { ...spec.limits, fuel: uint64ToWire(spec.limits.fuel) },
    okExit: spec.okExit,
    maxFailsCount: spec.maxFails.type === 'count' ? spec.maxFails.value : 0,
    maxFailsPercent: spec.maxFails.type === 'percent' ? spec.maxFails.value : 0,
    priority: spec.priority,
    public: spec.isPublic,
    readers: spec.readers.map(hexToWire),
    owners: spec.owners.map(hexToWire),
    workers: spec.workers.map(hexToWire),
    shardUnits: spec.shardUnits,
    minGrantors: spec.minGrantors,
    ownerRadius: hexToWire(spec.ownerRadius),
    parent: optionalHexToWire(spec.parent),
    judges: spec.judges.map(hexToWire),
  }
}

function readSpec(fields: Fields): JobSpec {
  return {
    format: fields.uint32('format', { max: UINT32_MAX }),
    verdict: fields.uint32('verdict', { max: UINT32_MAX }),
    profile: fields.uint32('profile', { max: UINT32_MAX }),
    requires: fields.textList('requires', { max: 16 }, { min: 1, max: 64, controls: 'refuse' }),
    network: fields.text('network', { min: 1, max: 64, controls: 'refuse' }),
    submitter: fields.publicKey('submitter'),
    nonce: fields.hex('nonce', 16),
    createdAtMs: fields.safeInteger('createdAtMs'),
    expiresAtMs: fields.safeInteger('expiresAtMs'),
    name: fields.text('name', { max: 200, controls: 'strip' }),
    labels: fields.list('labels', { max: 32 }, (label) => [
      label.text('name', { min: 1, max: 64, controls: 'refuse' }),
      label.text('value', { max: 256, controls: 'strip' }),
    ]),
    task: readTask(fields),
    source: readSource(fields),
    perUnit: fields.uint32('perUnit', { min: 1, max: ITEMS_MAX }),
    repeat: fields.uint32('repeat', { min: 1, max: UNITS_MAX }),
    selection: readRanges(fields, 'selection', { max: SELECTION_RANGES_MAX }),
    args: readArgs(fields),
    environment: fields.list('environment', { max: 256 }, readVariable),
    seed: fields.uint64('seed'),
    inputs: readInputs(fields),
    policy: readPolicy(fields),
    maxErrors: fields.uint32('maxErrors', { min: 1, max: 100 }),
    maxInstances: fields.uint32('maxInstances', { min: 1, max: 1_000 }),
    delayBoundMs: fields.safeInteger('delayBoundMs', { max: DURATION_MS_MAX }),
    limits: fields.message('limits', readLimits),
    okExit: fields.uint32List('okExit', { max: 255 }, { min: -INT32_MAX - 1, max: INT32_MAX }),
    maxFails: readMaxFails(fields),
    priority: fields.uint32('priority', { min: -PRIORITY_MAX, max: PRIORITY_MAX }),
    isPublic: fields.bool('public'),
    readers: fields.hexList('readers', { max: KEYS_MAX }, 32) as PublicKey[],
    owners: fields.hexList('owners', { max: KEYS_MAX }, 32) as PublicKey[],
    workers: fields.hexList('workers', { max: KEYS_MAX }, 32) as PublicKey[],
    judges: fields.hexList('judges', { max: JUDGES_MAX }, 32) as PublicKey[],
    shardUnits: readShardUnits(fields),
    minGrantors: fields.uint32('minGrantors', { min: 1, max: 8 }),
    ownerRadius: fields.key('ownerRadius'),
    parent: optionalHex<JobId>(fields, 'parent', 32),
  }
}

function pairToWire([name, value]: Pair): WireMessage {
  return { name, value }
}

/** A program takes neither NUL in a variable nor `=` in its name. */
function readVariable(fields: Fields): Pair {
  const name = fields.text('name', { min: 1, max: 256, controls: 'refuse' })
  if (name.includes('=')) fields.fail('name', 'must not contain =')
  const value = fields.text('value', { max: ARGS_BYTES_MAX, controls: 'keep' })
  if (value.includes('\0')) fields.fail('value', 'must not contain a NUL character')
  return [name, value]
}

function readArgs(fields: Fields): string[] {
  const args = fields.textList('args', { max: ARGS_MAX }, { max: ARGS_BYTES_MAX, controls: 'keep' })
  const bytes = args.reduce((sum, arg) => sum + Buffer.byteLength(arg), 0)
  if (bytes > ARGS_BYTES_MAX) fields.fail('args', `has ${bytes} bytes, at most ${ARGS_BYTES_MAX} allowed`)
  if (args.some((arg) => arg.includes('\0'))) fields.fail('args', 'must not contain a NUL character')
  return args
}

function readInputs(fields: Fields): SharedInput[] {
  const names = new Set<string>()
  return fields.list('inputs', { max: INPUTS_MAX }, (input) => {
    const name = input.text('name', { min: 1, max: 1_024, controls: 'refuse' })
    const problem = fileNameProblem(name)
    if (problem !== undefined) input.fail('name', problem)
    if (names.has(name)) input.fail('name', 'stands twice')
    names.add(name)
    return { name, blob: input.message('blob', readBlobRef) }
  })
}

function readPolicy(fields: Fields): Policy {
  const quorum = fields.uint32('quorum', { max: 15 })
  const errorPpm = fields.uint32('confidenceErrorPpm', { max: CONFIDENCE_ERROR_PPM_MAX })
  if (quorum > 0) {
    if (errorPpm > 0) fields.fail('confidenceErrorPpm', 'stands beside a quorum')
    return { type: 'quorum', quorum }
  }
  return errorPpm === 0 ? { type: 'none' } : { type: 'confidence', errorPpm }
}

function readMaxFails(fields: Fields): JobSpec['maxFails'] {
  const count = fields.uint32('maxFailsCount', { max: UNITS_MAX })
  const percent = fields.uint32('maxFailsPercent', { max: 100 })
  if (count !== 0 && percent !== 0) fields.fail('maxFailsPercent', 'must be 0 when maxFailsCount is set')
  return percent === 0 ? { type: 'count', value: count } : { type: 'percent', value: percent }
}

function readLimits(fields: Fields): Limits {
  return {
    memoryBytes: fields.safeInteger('memoryBytes', { min: 1, max: MEMORY_BYTES_MAX }),
    outputBytes: fields.safeInteger('outputBytes', { max: OUTPUT_BYTES_MAX }),
    stderrBytes: fields.safeInteger('stderrBytes', { max: STDERR_BYTES_MAX }),
    wallMs: fields.safeInteger('wallMs', { min: 1, max: DURATION_MS_MAX }),
    fuel: fields.uint64('fuel'),
  }
}

function readShardUnits(fields: Fields): number {
  const units = fields.uint32('shardUnits', { min: SHARD_UNITS_MIN, max: SHARD_UNITS_MAX })
  if ((units & (units - 1)) !== 0) fields.fail('shardUnits', `is ${units}, must be a power of two`)
  return units
}

function taskToWire(task: TaskRef): WireMessage {
  return task.type === 'builtin'
    ? { builtin: { name: task.name, version: task.version } }
    : { module: blobRefToWire(task.module) }
}

function readTask(fields: Fields): TaskRef {
  return fields.oneof<TaskRef>('task', {
    builtin: (builtin) => ({ type: 'builtin', ...readBuiltinTask(builtin) }),
    module: (module) => {
      const blob = readBlobRef(module)
      if (blob.size > MODULE_BYTES_MAX) module.fail('size', `is ${blob.size}, at most ${MODULE_BYTES_MAX} allowed`)
      return { type: 'module', module: blob }
    },
  })
}

/** Name and version of a built-in task: lower-case letters, digits, `.`, `_` and `-`; version 1 or more. */
export function readBuiltinTask(fields: Fields): { name: string; version: number } {
  const name = fields.text('name', { min: 1, max: 64, controls: 'refuse' })
  if (!TASK_NAME.test(name)) fields.fail('name', 'must be lower-case letters, digits, dots, underscores and hyphens')
  return { name, version: fields.uint32('version', { min: 1, max: UINT32_MAX }) }
}

function sourceToWire(source: UnitSource): WireMessage {
  switch (source.type) {
    case 'count':
      return { count: { count: source.count } }
    case 'array':
      return { array: { from: `${source.from}`, to: `${source.to}`, step: `${source.step}` } }
    case 'range':
      return { range: { start: `${source.start}`, end: `${source.end}`, step: `${source.step}` } }
    case 'list': {
      const { type: _, items, index, ...rest } = source
      return { list: { ...rest, items: blobRefToWire(items), index: blobRefToWire(index) } }
    }
  }
}

function readSource(fields: Fields): UnitSource {
  return fields.oneof<UnitSource>('source', {
    count: (count) => ({ type: 'count', count: count.uint32('count', { max: ITEMS_MAX }) }),
    array: (array) => ({
      type: 'array',
      from: readInteger(array, 'from'),
      to: readInteger(array, 'to'),
      step: readStep(array),
    }),
    range: (range) => ({
      type: 'range',
      start: readInteger(range, 'start'),
      end: readInteger(range, 'end'),
      step: readStep(range),
    }),
    list: (list) => {
      const kind = list.text('kind', { max: 16, controls: 'refuse' })
      if (!LIST_KINDS.includes(kind)) list.fail('kind', `must be one of ${LIST_KINDS.join(', ')}`)
      return {
        type: 'list',
        kind: kind as ListKind,
        items: list.message('items', readBlobRef),
        index: list.message('index', readBlobRef),
        indexEvery: list.uint32('indexEvery', { min: 1, max: 2 ** 20 }),
        itemCount: list.uint32('itemCount', { max: ITEMS_MAX }),
        columns: list.textList('columns', { max: COLUMNS_MAX }, { max: 256, controls: 'refuse' }),
        separator: list.text('separator', { max: 256, controls: 'keep' }),
      }
    },
  })
}

function readInteger(fields: Fields, name: string): bigint {
  const text = fields.text(name, { max: 41, controls: 'refuse' })
  if (!INTEGER.test(text)) fields.fail(name, 'must be a decimal integer of at most 40 digits')
  return BigInt(text)
}

function readStep(fields: Fields): bigint {
  const step = readInteger(fields, 'step')
  if (step < 1n) fields.fail('step', `is ${step}, must be 1 or more`)
  return step
}
