/**
 * The least that a program can do with an answer of its own: 8 random bytes of the unit on standard output.
 *
 *     (module
 *       (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
 *       (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
 *       (memory (export "memory") 1)
 *       (data (i32.const 0) "\10\00\00\00\08\00\00\00")
 *       (func (export "_start")
 *         (drop (call $random_get (i32.const 16) (i32.const 8)))
 *         (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
 */
export const noopProgram: Uint8Array = Buffer.from(
  'AGFzbQEAAAABEgNgAn9/AX9gBH9/f38Bf2AAAAJHAhZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxCnJhbmRvbV9nZXQAABZ3YXNpX3NuYXBzaG90X3By' +
    'ZXZpZXcxCGZkX3dyaXRlAAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKFgEUAEEQQQgQABpBAUEAQQFBCBABGgsLDgEAQQALCBAAAAAIAAAA',
  'base64',
)
