/**
 * What the admission pass writes into a module and what the host that runs it relies on. Pure, as all of `sandbox/`: no
 * `node:` module, so that a browser can run it.
 */

/** Version of the sandbox rules: the pass, the host's answers and what fuel counts. Stands in a spec as `profile`. */
export const PROFILE = 1

/** Module name of the imports that the pass adds; programs may not import from it or export its names. */
export const GRID_MODULE = 'grid'

/**
 * `grid.refuel: (remaining: i64) -> i64`: called where fuel is checked once the fuel at hand is below 0. The host gives the
 * fuel to go on with (more is left), or throws (the limit is passed). Where that happens is the same on every engine and
 * for every size of the portions.
 */
export const REFUEL_IMPORT = 'refuel'

/** `grid_fuel: mutable i64`, exported by an admitted module: fuel at hand. Set by the host before `_start`, read after. */
export const FUEL_EXPORT = 'grid_fuel'

/** `grid_depth: mutable i32`, exported by an admitted module: stack slots left; below 0 after a depth trap. */
export const DEPTH_EXPORT = 'grid_depth'

/**
 * `grid_starved: mutable i32`, exported by an admitted module: 1 after a trap because this host could not give memory that the
 * limit allows. That is the host's failure, never the unit's.
 */
export const STARVED_EXPORT = 'grid_starved'

/** Stack slots of a unit (operands, locals and frames of functions that call). Enough on every engine's thread of 1 MiB or more. */
export const DEPTH_SLOTS = 60_000

/** The memory that every program exports. */
export const MEMORY_EXPORT = 'memory'
/** The function that runs a program; every program exports it. */
export const START_EXPORT = '_start'

/** Bytes of a WebAssembly page. */
export const PAGE_BYTES = 65_536
