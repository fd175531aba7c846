/* Takes pages until they are refused, writes to each, and reads all of them again. */
#include "tiny.h"

int main(void) {
  unsigned first = __builtin_wasm_memory_size(0), step = 1;
  for (;;) {
    unsigned at = __builtin_wasm_memory_grow(0, step);
    if (at == ~0u) {
      if (step == 1) break;
      step = 1;
      continue;
    }
    for (unsigned page = at; page < at + step; page++) *(volatile uint32_t *)(page * 65536 + 64) = page * 2654435761u;
    step *= 2;
  }
  uint64_t hash = HASH_START;
  unsigned pages = __builtin_wasm_memory_size(0);
  for (unsigned page = first; page < pages; page++) hash = hash_word(hash, *(volatile uint32_t *)(page * 65536 + 64));
  say_number(pages);
  say_number(hash);
  return 0;
}
