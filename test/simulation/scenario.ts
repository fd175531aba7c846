import type { World, WorldOptions } from './world/world.js'

/** A situation to run from many seeds. */
export interface Scenario {
  /** As given to `--scenario`; kebab-case. */
  readonly name: string
  /** What it shows, in one sentence. */
  readonly promise: string
  readonly options?: WorldOptions
  /** Takes so long that it only runs when it is named. */
  readonly onRequest?: boolean
  /** Builds the world and runs it; a rejection is a failure of this seed. */
  run(world: World): Promise<void>
  /**
   * Counters that must be above 0 over all seeds of a run of 20 or more: a scenario in which its faults never happened
   * has shown nothing.
   */
  readonly mustHappen?: readonly string[]
}
