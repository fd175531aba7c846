/* Integer operations of both widths over pseudo-random operands. */
#include "tiny.h"

int main(void) {
  uint64_t hash = HASH_START;
  for (int i = 0; i < 20000; i++) {
    uint64_t a = next_number(), b = next_number() >> (i & 63);
    uint32_t c = (uint32_t)a, d = (uint32_t)b;
    hash = hash_word(hash, a * b + (a / (b | 1)) - (a % (b | 1)));
    hash = hash_word(hash, (uint64_t)((int64_t)a / ((int64_t)(b >> 1) | 1)) ^ (uint64_t)((int64_t)a >> (b & 63)));
    hash = hash_word(hash, __builtin_rotateleft64(a, b & 63) ^ (uint64_t)__builtin_popcountll(b));
    hash = hash_word(hash, c * d + (c / (d | 1)) - (c % (d | 1)) + __builtin_rotateright32(c, d & 31));
    hash = hash_word(hash, (uint64_t)((int32_t)c >> (d & 31)) + (b ? (uint64_t)__builtin_clzll(b) : 64) + (d ? (uint64_t)__builtin_ctz(d) : 32));
    hash = hash_word(hash, (uint64_t)(int8_t)c + (uint64_t)(int16_t)d + ((int64_t)a < (int64_t)b) + (c < d));
  }
  say_number(hash);
  return 0;
}
