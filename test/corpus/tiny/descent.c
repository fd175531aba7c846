/* Recursion without end, in C frames too small to fill the memory first; says how deep it is at powers of two. */
#include "tiny.h"

__attribute__((noinline)) static uint64_t down(uint32_t depth, uint64_t a) {
  if ((depth & (depth - 1)) == 0) say_number(a);
  return down(depth + 1, hash_word(a, depth)) * 3 + depth;
}

int main(void) {
  say_number(down(1, HASH_START));
  return 0;
}
