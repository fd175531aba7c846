/* nanmix ROUNDS: NaNs, infinities and zeros through arithmetic and arrays; prints a hash of all bits. */
#include <stdio.h>
#include <stdlib.h>
#include "corpus.h"

int main(int count, char **arguments) {
  int rounds = count > 1 ? atoi(arguments[1]) : 50000;
  static double cells[64];
  static float narrow[64];
  volatile double zero = 0, infinite = 1 / zero;
  uint64_t hash = HASH_START;
  for (int i = 0; i < rounds; i++) {
    double x = i % 7 == 0 ? zero : i % 5 == 0 ? infinite : i;
    double y = i % 3 == 0 ? zero : i % 11 == 0 ? -infinite : cells[i * 7 % 64];
    double z = cells[i * 13 % 64];
    cells[i % 64] = x / y - z * x;
    narrow[i % 64] = (float)(x * y) + narrow[i * 5 % 64];
    hash = hash_word(hash, bits_of(cells[i % 64]) ^ bits_of_float(narrow[i % 64]));
    hash = hash_word(hash, bits_of(x - y) ^ bits_of(y + z));
  }
  printf("%016llx\n", (unsigned long long)hash);
  return 0;
}
