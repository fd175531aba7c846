import type { FunctionType } from './types.js'

/**
 * What the sections before the code say, as far as the code is checked against it and rewritten by it. Indices in an
 * admitted module: imports, then {@link refuelIndex}, then the program's own functions (each one higher than it was), then
 * the two functions that the pass adds. Types, globals, tables, data and elements keep their indices; more types and
 * globals stand behind them.
 */
export interface ModuleShape {
  /** The program's types, without those that the pass adds. */
  types: FunctionType[]
  /** Index of the type of each function: imports, then defined ones. */
  functionTypes: number[]
  /** Functions that the program imports. */
  imports: string[]
  /** Global variables of the program. */
  globals: number
  tables: number
  memoryPages: { readonly min: number; readonly max: number }
  /** By index of a type: that of a type without parameters and with the same results. Only for two results or more. */
  blockTypes: Map<number, number>
  /** Index of the added type (i64) -> (i64); the one after it is (i32) -> (i32). */
  addedTypes: number
}

/** The program has read nothing yet. */
export function emptyShape(): ModuleShape {
  return {
    types: [],
    functionTypes: [],
    imports: [],
    globals: 0,
    tables: 0,
    memoryPages: { min: 0, max: 0 },
    blockTypes: new Map(),
    addedTypes: 0,
  }
}

/** Index of `grid.refuel` in the admitted module. */
export function refuelIndex(shape: ModuleShape): number {
  return shape.imports.length
}

/** Index in the admitted module of what was function `index`. */
export function admittedFunction(shape: ModuleShape, index: number): number {
  return index < shape.imports.length ? index : index + 1
}

/** Index of the added function that asks for more fuel: see `added-functions.ts`. */
export function moreFuelIndex(shape: ModuleShape): number {
  return shape.functionTypes.length + 1
}

/** Index of the added function that grows the memory. */
export function growIndex(shape: ModuleShape): number {
  return shape.functionTypes.length + 2
}

/** Indices of the added globals. */
export function addedGlobals(shape: ModuleShape): { fuel: number; depth: number; starved: number; pages: number } {
  const first = shape.globals
  return { fuel: first, depth: first + 1, starved: first + 2, pages: first + 3 }
}
