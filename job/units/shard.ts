import { SHARD_UNITS_MAX, SHARD_UNITS_MIN } from '../../proto/limits.js'
import type { JobId, JobSpec, Key, UnitRange } from '../../proto/model.js'
import type { Sha256 } from '../../runtime/hash.js'
import { fromHex } from '../../runtime/hex.js'
import { clipRanges, contains, count, mergeRanges } from './selection.js'
import { type UnitShape, unitCount } from './unit-source.js'

/** Hex digits of 160 bits. */
const KEY_DIGITS = 40
/** Outputs of a shard together. */
const SHARD_OUTPUT_BYTES_MAX = 2 ** 30
/** Work of a shard on the threads expected. */
const SHARD_WORK_MS_MAX = 10 * 60 * 1000
/** A job large enough is cut into at least this many shards, so that several owners share it. */
const SPREAD_SHARDS = 16
/** Below this, a shard costs its owners more than it spreads. */
const SPREAD_UNITS_MIN = 1_024

type ShardShape = UnitShape & Pick<JobSpec, 'shardUnits'>

/** Shards of the whole job; those without a selected unit count, too, so that indices stay those of the whole. */
export function shardCount(spec: ShardShape): number {
  return Math.ceil(unitCount(spec) / spec.shardUnits)
}

/** The shard that holds `unit`. */
export function shardOf(spec: Pick<JobSpec, 'shardUnits'>, unit: number): number {
  return Math.floor(unit / spec.shardUnits)
}

/** The selected units of `shard`, ascending and disjoint; empty when the selection leaves it out. */
export function shardUnits(spec: ShardShape & Pick<JobSpec, 'selection'>, shard: number): UnitRange[] {
  const first = shard * spec.shardUnits
  const end = Math.min(first + spec.shardUnits, unitCount(spec))
  if (first >= end) return []
  return spec.selection.length === 0 ? [{ first, count: end - first }] : clipRanges(spec.selection, first, end)
}

/** Shards with a selected unit, ascending. */
export function selectedShards(spec: ShardShape & Pick<JobSpec, 'selection'>): number[] {
  if (spec.selection.length === 0) return Array.from({ length: shardCount(spec) }, (_, shard) => shard)
  const shards = new Set<number>()
  for (const { first, count } of spec.selection) {
    for (let shard = shardOf(spec, first); shard <= shardOf(spec, first + count - 1); shard++) shards.add(shard)
  }
  return [...shards]
}

/** Shards in ascending order. Arrays are such lists. */
export interface ShardList {
  readonly length: number
  at(index: number): number | undefined
  includes(shard: number): boolean
}

/** {@link selectedShards} without making the list: a spec of a few hundred bytes can have 625,000 shards. */
export function shardList(spec: ShardShape & Pick<JobSpec, 'selection'>): ShardList {
  const whole = { first: 0, count: shardCount(spec) }
  const ranges =
    spec.selection.length === 0
      ? [whole]
      : mergeRanges(
          spec.selection.map(({ first, count }) => {
            const shard = shardOf(spec, first)
            return { first: shard, count: shardOf(spec, first + count - 1) - shard + 1 }
          }),
        )
  return {
    length: count(ranges),
    at: (index) => {
      let left = index
      for (const range of ranges) {
        if (left < range.count) return range.first + left
        left -= range.count
      }
      return undefined
    },
    includes: (shard) => contains(ranges, shard),
  }
}

/** Units of the job that are to be computed. */
export function selectedUnitCount(spec: UnitShape & Pick<JobSpec, 'selection'>): number {
  return spec.selection.length === 0 ? unitCount(spec) : count(spec.selection)
}

/** Where the home of a job lies: the first 160 bits of its id. */
export function homeKey(jobId: JobId): Key {
  return jobId.slice(0, KEY_DIGITS) as Key
}

/** Where a shard lies: the first 160 bits of SHA-256 over the job id (32 bytes) and the shard as u32 big-endian. */
export function shardKey(sha256: Sha256, jobId: JobId, shard: number): Key {
  const bytes = new Uint8Array(36)
  bytes.set(fromHex(jobId))
  new DataView(bytes.buffer).setUint32(32, shard)
  return sha256(bytes).slice(0, KEY_DIGITS) as Key
}

/** What a submitter expects of its units. */
interface ShardEstimate {
  readonly units: number
  /** Encoded output of a unit; 0 when unknown. */
  readonly outputBytes: number
  /** Time of a unit on one thread; 0 or absent when unknown. */
  readonly unitMs?: number
  /** Threads expected on the job; 1 when absent. */
  readonly threads?: number
}

/**
 * Units a shard: the largest power of two from 16 to 16,384 with which outputs of a shard stay under 1 GiB, its work
 * under ten minutes, and a job of many thousand units is spread over at least 16 shards; no larger than the job needs.
 */
export function chooseShardUnits({ units, outputBytes, unitMs = 0, threads = 1 }: ShardEstimate): number {
  let size = SHARD_UNITS_MAX
  const isTooLarge = () =>
    size * outputBytes > SHARD_OUTPUT_BYTES_MAX ||
    (size > SPREAD_UNITS_MIN && units / size < SPREAD_SHARDS) ||
    (size * unitMs) / threads > SHARD_WORK_MS_MAX ||
    size / 2 >= units
  while (size > SHARD_UNITS_MIN && isTooLarge()) size /= 2
  return size
}
