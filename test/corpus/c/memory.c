/* memory MODE: `grow` takes memory until it is refused; `churn` allocates, moves and frees; `bulk` fills, copies and
 * compares blocks of many sizes. */
#include <stdio.h>
#include <stdlib.h>
#include "corpus.h"

static void grow(void) {
  size_t got = 0;
  for (;;) {
    unsigned char *volatile block = malloc(1 << 20);
    if (block == NULL) break;
    memset(block, (int)got, 1 << 20);
    got++;
  }
  printf("refused after %zu MiB, at %zu pages, then %zd\n", got, (size_t)__builtin_wasm_memory_size(0),
         (ssize_t)__builtin_wasm_memory_grow(0, 1000));
}

static void churn(void) {
  enum { SLOTS = 500 };
  static unsigned char *slots[SLOTS];
  static size_t sizes[SLOTS];
  uint64_t state = 42, hash = HASH_START;
  for (int i = 0; i < 40000; i++) {
    size_t at = next_number(&state) % SLOTS, size = next_number(&state) % 3000 + 1;
    if (i % 3 == 0) {
      free(slots[at]);
      slots[at] = NULL;
      sizes[at] = 0;
    } else {
      slots[at] = realloc(slots[at], size);
      if (size > sizes[at]) memset(slots[at] + sizes[at], i, size - sizes[at]);
      sizes[at] = size;
      hash = hash_word(hash, slots[at][size - 1] ^ (uint64_t)(uintptr_t)slots[at]);
    }
  }
  printf("%016llx\n", (unsigned long long)hash);
}

static void bulk(void) {
  enum { BYTES = 1 << 18 };
  unsigned char *a = malloc(BYTES), *b = malloc(BYTES);
  uint64_t hash = HASH_START;
  for (size_t size = 1; size <= BYTES; size = size * 3 / 2 + 1) {
    memset(a, (int)size, size);
    memcpy(b, a, size);
    memmove(b + size / 3, b, size - size / 3);
    hash = hash_word(hash, (uint64_t)memcmp(a, b, size) + b[size / 2] + size);
  }
  printf("%016llx %d\n", (unsigned long long)hash, memchr(b, 0, BYTES) != NULL);
}

int main(int count, char **arguments) {
  const char *mode = count > 1 ? arguments[1] : "grow";
  if (strcmp(mode, "grow") == 0) grow();
  else if (strcmp(mode, "churn") == 0) churn();
  else bulk();
  return 0;
}
