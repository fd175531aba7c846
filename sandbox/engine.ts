/**
 * What the sandbox uses of the WebAssembly JavaScript interface (W3C), typed here because it belongs neither to the
 * language nor to Node alone: browsers have the same. Names are those of the specification.
 */

declare const WebAssembly: Engine

/** A compiled module. Can be posted to other threads. */
export interface Module {
  readonly [Symbol.toStringTag]?: string
}

/** Linear memory of an instance. */
export interface Memory {
  /** A new object after each growth; the old one is then detached. */
  readonly buffer: ArrayBuffer
}

/** A global of an instance: `i64` is a bigint, the others numbers. */
export interface Global {
  value: number | bigint
}

/** Functions, memories, tables and globals by name. */
export type Exports = Readonly<Record<string, unknown>>

/** Functions by module and name. */
type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** An instance of a module. */
export interface ModuleInstance {
  readonly exports: Exports
}

/** Constructors of the interface. */
interface Engine {
  /** Whether `bytes` are a valid module. */
  validate(bytes: Uint8Array): boolean
  /** Compiles at once; throws a `CompileError` for an invalid module. */
  readonly Module: new (
    bytes: Uint8Array,
  ) => Module
  /** Instantiates at once; throws a `LinkError`, a `RuntimeError` (a segment out of bounds) or a `RangeError` (no memory). */
  readonly Instance: new (
    module: Module,
    imports: Imports,
  ) => ModuleInstance
  readonly Memory: new (limits: {
    readonly initial: number
    readonly maximum?: number
  }) => Memory & {
    grow(pages: number): number
  }
  readonly Global: new (
    type: { readonly value: 'i32' | 'i64'; readonly mutable: boolean },
    value: number | bigint,
  ) => Global
  /** What a trap throws. */
  readonly RuntimeError: new (
    message?: string,
  ) => Error
}

/** The engine that this code runs in. */
export const engine: Engine = WebAssembly
