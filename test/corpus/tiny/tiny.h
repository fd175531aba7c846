/* For programs of a few hundred bytes: no stdio, no malloc, numbers written as hex. */
#ifndef TINY_H
#define TINY_H

#include <stdint.h>
#include <wasi/api.h>

#define HASH_START 14695981039346656037ull

static inline uint64_t hash_word(uint64_t hash, uint64_t word) { return (hash ^ word) * 1099511628211ull; }

static void say(const char *text, unsigned length) {
  __wasi_ciovec_t vector = {(const uint8_t *)text, length};
  __wasi_size_t written;
  if (__wasi_fd_write(1, &vector, 1, &written) != 0) __builtin_trap();
}

__attribute__((noinline)) static void say_number(uint64_t number) {
  char text[17];
  for (int i = 15; i >= 0; i--, number >>= 4) text[i] = "0123456789abcdef"[number & 15];
  text[16] = '\n';
  say(text, sizeof text);
}

/* xorshift64 */
static uint64_t state = 88172645463325252ull;
__attribute__((noinline)) static uint64_t next_number(void) {
  uint64_t x = state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return state = x;
}

#endif
