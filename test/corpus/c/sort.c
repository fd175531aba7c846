/* sort N: qsort and bsearch, so calls through the table, over N numbers and N short strings. */
#include <stdio.h>
#include <stdlib.h>
#include "corpus.h"

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

int main(int count, char **arguments) {
  size_t size = count > 1 ? (size_t)atoi(arguments[1]) : 50000;
  uint64_t state = 88172645463325252ull;
  uint32_t *numbers = malloc(size * sizeof *numbers);
  char(*texts)[16] = malloc(size * sizeof *texts);
  for (size_t i = 0; i < size; i++) {
    numbers[i] = (uint32_t)next_number(&state);
    snprintf(texts[i], sizeof *texts, "%llx", (unsigned long long)(next_number(&state) >> 40));
  }
  qsort(numbers, size, sizeof *numbers, by_number);
  qsort(texts, size, sizeof *texts, by_text);
  uint64_t hash = hash_bytes(HASH_START, numbers, size * sizeof *numbers);
  for (size_t i = 0; i < size; i++) hash = hash_bytes(hash, texts[i], strlen(texts[i]));
  size_t found = 0;
  for (uint32_t i = 0; i < 10000; i++) found += bsearch(&i, numbers, size, sizeof *numbers, by_number) != NULL;
  printf("%016llx %zu\n", (unsigned long long)hash, found);
  return 0;
}
