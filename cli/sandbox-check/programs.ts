import { assemble, call, f64, i32, i64, op, print } from './assemble.js'

/** Programs that try to get out of the sandbox, or to use more than they may, and a few honest ones. Deterministic. */

/** Paths that lead out of every folder a program has. */
const ESCAPES = [
  '../../../etc/passwd',
  '/etc/passwd',
  'in/../../etc/passwd',
  '/proc/self/environ',
  '../../../',
] as const
/** Descriptors tried: whatever a program may find open, and some that it may not. */
const DESCRIPTORS = [3, 4, 5, 6, 99]
/** Tries that {@link escapePaths} makes. */
export const ESCAPE_TRIES = ESCAPES.length * DESCRIPTORS.length

const TEXTS_AT = 1024
const TEXT_SPACE = 64

/** Ends with the number of paths that it could open as its exit code. */
export function escapePaths(): Uint8Array {
  const tries = DESCRIPTORS.flatMap((descriptor) =>
    ESCAPES.flatMap((path, i) => [
      ...[...i32(descriptor), ...i32(1), ...i32(TEXTS_AT + i * TEXT_SPACE), ...i32(path.length), ...i32(0)],
      ...[...i64(2n), ...i64(0n), ...i32(0), ...i32(16), ...call(0), ...op.i32Eqz],
      ...[...op.if, ...op.get(0), ...i32(1), ...op.i32Add, ...op.set(0), ...op.end],
    ]),
  )
  const texts = ESCAPES.map((path, i) => [TEXTS_AT + i * TEXT_SPACE, path] as const)
  return assemble({ imports: ['path_open', 'proc_exit'], start: [...tries, ...op.get(0), ...call(1)], texts })
}

/** Asks how many environment variables there are, and ends with the answer as its exit code. */
export function readEnvironment(): Uint8Array {
  const start = [...i32(16), ...i32(20), ...call(0), ...op.drop, ...i32(16), ...op.i32Load, ...call(1)]
  return assemble({ imports: ['environ_sizes_get', 'proc_exit'], start })
}

/** Ends with the number of descriptors from 0 to 9 that it could use as a socket as its exit code. */
export function useSockets(): Uint8Array {
  const tries = Array.from({ length: 10 }, (_, descriptor) => [
    ...[...i32(descriptor), ...i32(3), ...call(0), ...op.i32Eqz],
    ...[...op.if, ...op.get(0), ...i32(1), ...op.i32Add, ...op.set(0), ...op.end],
  ])
  return assemble({ imports: ['sock_shutdown', 'proc_exit'], start: [...tries.flat(), ...op.get(0), ...call(1)] })
}

/** Wants a function of the host that no sandbox has. */
export function unlistedImport(): Uint8Array {
  return assemble({ imports: [], forbiddenImport: ['env', 'system'], start: call(0) })
}

/** Never ends. */
export function endlessLoop(): Uint8Array {
  return assemble({ imports: [], start: [...op.loop, ...op.br(0), ...op.end] })
}

/** Asks for memory, 1 MiB at a time, until it gets no more, and ends with the pages it got beyond `pagesMax` as its exit code. */
export function takeMemory(pagesMax: number): Uint8Array {
  const start = [
    // local 1: 1 while there was more
    ...op.loop,
    ...[...i32(16), ...op.memoryGrow, ...i32(-1), ...op.i32Ne, ...op.brIf(0)],
    ...op.end,
    ...[...op.memorySize, ...i32(pagesMax), ...op.i32GtU],
    ...[...op.if, ...op.memorySize, ...i32(pagesMax), ...op.i32Sub, ...op.set(0), ...op.end],
    ...[...op.get(0), ...call(0)],
  ]
  return assemble({ imports: ['proc_exit'], start })
}

/** Calls itself without end. */
export function endlessRecursion(): Uint8Array {
  // Function 1, after `_start`; the store keeps the call from being the last thing done, which engines may turn into a loop.
  return assemble({ imports: [], start: call(1), functions: [[...call(1), ...i32(0), ...i32(1), ...op.i32Store]] })
}

/** Prints 64 KiB again and again. */
export function outputFlood(): Uint8Array {
  return assemble({
    imports: ['fd_write'],
    start: [...op.loop, ...print(0, 0, 65_536), ...op.br(0), ...op.end],
  })
}

/** Crashes on purpose. */
export function crash(): Uint8Array {
  return assemble({ imports: [], start: op.unreachable })
}

/** Prints the 16 bytes of two NaNs: 0 / 0, whose sign differs between processors, and one with a payload, times 1. */
export function printNans(): Uint8Array {
  const at = 1024
  const start = [
    // From memory, so that no compiler computes them in advance.
    ...[...i32(at), ...i32(at + 32), ...op.f64Load, ...i32(at + 32), ...op.f64Load, ...op.f64Div, ...op.f64Store],
    ...[...i32(at + 40), ...i64(0xfff4_dead_beef_0001n), ...op.i64Store],
    ...[...i32(at + 8), ...i32(at + 40), ...op.f64Load, ...f64(1), ...op.f64Mul, ...op.f64Store],
    ...print(0, at, 16),
  ]
  return assemble({ imports: ['fd_write'], start })
}

/** The one NaN of the sandbox, twice, as it stands in memory: positive, quiet, no payload. */
export const CANONICAL_NANS = '000000000000f87f000000000000f87f'

/** Prints 32 random bytes. */
export function printRandom(): Uint8Array {
  return assemble({
    imports: ['random_get', 'fd_write'],
    start: [...i32(1024), ...i32(32), ...call(0), ...op.drop, ...print(1, 1024, 32)],
  })
}

/** Prints both clocks, each read twice: 32 bytes. */
export function printClocks(): Uint8Array {
  const reads = [0, 1, 0, 1].flatMap((clock, i) => [
    ...[...i32(clock), ...i64(1n), ...i32(1024 + 8 * i), ...call(0), ...op.drop],
  ])
  return assemble({ imports: ['clock_time_get', 'fd_write'], start: [...reads, ...print(1, 1024, 32)] })
}

/** Prints a sum of square roots of a million numbers of a linear congruential generator (Knuth's MMIX constants): 8 bytes. */
export function printArithmetic(): Uint8Array {
  const start = [
    ...[...i32(1_000_000), ...op.set(0)],
    ...op.loop,
    ...[...op.get(2), ...i64(6_364_136_223_846_793_005n), ...op.i64Mul, ...i64(1_442_695_040_888_963_407n)],
    ...[...op.i64Add, ...op.set(2)],
    ...[...op.get(3), ...op.get(2), ...i64(11n), ...op.i64ShrU, ...op.f64FromI64U, ...op.f64Sqrt, ...op.f64Add],
    ...op.set(3),
    ...[...op.get(0), ...i32(1), ...op.i32Sub, ...op.set(0), ...op.get(0), ...op.brIf(0)],
    ...op.end,
    ...[...i32(1024), ...op.get(3), ...op.f64Store, ...print(0, 1024, 8)],
  ]
  return assemble({ imports: ['fd_write'], start })
}
