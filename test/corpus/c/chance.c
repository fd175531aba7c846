/* chance: random bytes of the host, which depend on the job's seed and the unit alone; and libc's own generators. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "corpus.h"

int main(void) {
  unsigned char bytes[256];
  uint64_t hash = HASH_START;
  for (size_t size = 1; size <= sizeof bytes; size += 37) {
    if (getentropy(bytes, size) < 0) perror("getentropy");
    hash = hash_bytes(hash, bytes, size);
    for (size_t i = 0; i < 8 && i < size; i++) printf("%02x", bytes[i]);
    printf("\n");
  }
  printf("%016llx\n%u %u\n", (unsigned long long)hash, (unsigned)hash % 1000, (unsigned)rand());
  srand48(7);
  srandom(9);
  printf("%a %ld\n", drand48(), random());
  return 0;
}
