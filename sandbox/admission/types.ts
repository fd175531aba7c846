/** Encodings of value types (WebAssembly core specification, 5.3). */
export const VALUE_TYPE = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
} as const

/** What an author does about SIMD. */
export const SIMD_REMEDY = 'compile with -mno-simd128'

/** Whether a program may use values of this type. SIMD is not in this profile, and no import hands out host references. */
export function isValueType(type: number): boolean {
  return (type >= VALUE_TYPE.f64 && type <= VALUE_TYPE.i32) || type === VALUE_TYPE.funcref
}

/** A function type: the encodings of its parameters' and results' types. Views of the module. */
export interface FunctionType {
  readonly params: Uint8Array
  readonly results: Uint8Array
}
