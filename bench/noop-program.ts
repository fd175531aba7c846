import { assemble, call, i32, op } from '../cli/sandbox-check/assemble.js'

/** The least that a program can do with an answer of its own: 8 random bytes of the unit on standard output. */
export const noopProgram: Uint8Array = assemble({
  imports: ['random_get', 'fd_write'],
  start: [
    ...[...i32(16), ...i32(8), ...call(0), ...op.drop],
    ...[...i32(1), ...i32(0), ...i32(1), ...i32(8), ...call(1), ...op.drop],
  ],
  // One piece to write: 8 bytes at 16.
  texts: [[0, '\x10\0\0\0\x08\0\0\0']],
})
