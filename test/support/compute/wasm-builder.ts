import { text, u32 } from '../../../cli/sandbox-check/assemble.js'

/** Bytes of WebAssembly modules, written by hand: enough for tests of what looks at modules. */

/** Value types by the letters that the text format gives them. */
const TYPES = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f } as const

/** Name of a value type. */
export type TypeName = keyof typeof TYPES

/** A list of bytes in which lists may stand. */
export type Bytes = readonly (number | Bytes)[]

/** A function: its type, locals as [count, type], and instructions without the last `end`. */
export interface FunctionParts {
  readonly params?: readonly TypeName[]
  readonly results?: readonly TypeName[]
  readonly locals?: readonly (readonly [count: number, type: TypeName])[]
  readonly body: Bytes
}

/** A module. What is not given is not in it; `types` come before those of imports and functions. */
export interface ModuleParts {
  readonly types?: readonly Bytes[]
  readonly imports?: readonly {
    module: string
    name: string
    params?: readonly TypeName[]
    results?: readonly TypeName[]
  }[]
  readonly functions: readonly FunctionParts[]
  /** Contents of sections, each entry an item of its vector. */
  readonly tables?: readonly Bytes[]
  readonly memories?: readonly Bytes[]
  readonly globals?: readonly Bytes[]
  readonly exports?: readonly (readonly [name: string, kind: number, index: number])[]
  readonly elements?: readonly Bytes[]
  readonly data?: readonly Bytes[]
  /** Whole sections as [id, content], by the id before which they stand; 99 is the end of the module. */
  readonly extra?: Readonly<Record<number, readonly (readonly [id: number, content: Bytes])[]>>
  /** Says how many data segments there are, as `memory.init` needs it. */
  readonly dataCount?: number
}

/** The bytes of a number of 64 bits, little end first. */
export function f64(bits: bigint): number[] {
  return [...new Uint8Array(BigUint64Array.of(bits).buffer)]
}

function flat(bytes: Bytes, out: number[] = []): number[] {
  for (const part of bytes) {
    if (typeof part === 'number') out.push(part)
    else flat(part, out)
  }
  return out
}

function vector(items: readonly Bytes[]): number[] {
  return [...u32(items.length), ...flat(items)]
}

function functionType(params: readonly TypeName[] = [], results: readonly TypeName[] = []): Bytes {
  return [0x60, vector(params.map((type) => [TYPES[type]])), vector(results.map((type) => [TYPES[type]]))]
}

/** The module's bytes. Function indices: imports, then functions. */
export function buildModule(parts: ModuleParts): Uint8Array {
  const types: Bytes[] = [...(parts.types ?? [])]
  const typeOf = (params?: readonly TypeName[], results?: readonly TypeName[]) =>
    u32(types.push(functionType(params, results)) - 1)
  const imports = (parts.imports ?? []).map(({ module, name, params, results }) => [
    text(module),
    text(name),
    0,
    typeOf(params, results),
  ])
  const functions = parts.functions.map(({ params, results }) => typeOf(params, results))
  const bodies = parts.functions.map(({ locals = [], body }) => {
    const bytes = flat([vector(locals.map(([count, type]) => [u32(count), TYPES[type]])), body, 0x0b])
    return [u32(bytes.length), bytes]
  })
  const sections: [id: number, content: readonly Bytes[] | undefined][] = [
    [1, types],
    [2, parts.imports && imports],
    [3, functions],
    [4, parts.tables],
    [5, parts.memories],
    [6, parts.globals],
    [7, parts.exports?.map(([name, kind, index]) => [text(name), kind, u32(index)])],
    [9, parts.elements],
    [10, bodies],
    [11, parts.data],
  ]
  const out = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  const put = (id: number, content: number[]) => {
    out.push(id, ...u32(content.length))
    for (const byte of content) out.push(byte)
  }
  const extra = (before: number) => {
    for (const [id, content] of parts.extra?.[before] ?? []) put(id, flat(content))
  }
  for (const [id, content] of sections) {
    extra(id)
    if (id === 10 && parts.dataCount !== undefined) put(12, u32(parts.dataCount))
    if (content !== undefined) put(id, vector(content))
  }
  extra(99)
  return Uint8Array.from(out)
}

/** Parts of a WASI command whose function 0 is `_start`, with `more` in place of what stands there. */
export function command(
  body: Bytes,
  more: Partial<ModuleParts> & Partial<Omit<FunctionParts, 'body'>> = {},
): ModuleParts {
  const { locals = [], params = [], results = [], functions = [], ...rest } = more
  const imported = rest.imports?.length ?? 0
  return {
    memories: [[0, 1]],
    exports: [
      ['memory', 2, 0],
      ['_start', 0, imported],
    ],
    ...rest,
    functions: [{ locals, params, results, body }, ...functions],
  }
}
