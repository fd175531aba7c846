import type { VirtualClock } from './clock.js'
import type { DescriptorTable } from './descriptors.js'
import type { GuestMemory } from './memory.js'
import type { UnitRandom } from './random.js'
import type { FileTree } from './tree.js'

/** What the calls of a unit work on. */
export interface CallContext {
  readonly memory: GuestMemory
  readonly descriptors: DescriptorTable
  readonly tree: FileTree
  readonly clock: VirtualClock
  readonly random: UnitRandom
  /** Arguments and environment, each entry encoded and ended by a NUL. */
  readonly args: readonly Uint8Array[]
  readonly environment: readonly Uint8Array[]
  /** Charges work that does not show in the program's own instructions. Unit: fuel. */
  readonly spend: (fuel: number) => void
}

/**
 * Functions of `wasi_snapshot_preview1` by name. Arguments come as the engine gives them: `i32` as signed numbers, `i64`
 * as signed bigints. A function that returns has succeeded; errors are thrown (`errno.ts`, `stop.ts`).
 */
export type Calls = Readonly<Record<string, (...args: never[]) => void>>
