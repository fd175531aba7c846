/* convert: decimal text to doubles and back, integers to floats and back, single precision. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "corpus.h"

int main(void) {
  const char *texts[] = {"0.1", "1e308", "1e309", "4.9e-324", "2.2250738585072011e-308", "123456789012345678", "0x1.8p3", "-0",
                         "inf", "9007199254740993", "1e23", "8.5", "3.14159265358979323846264338327950288"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    double number = strtod(texts[i], NULL);
    printf("%s: %a %.17g %e %.3f %g %016llx\n", texts[i], number, number, number, fabs(number) < 1e20 ? number : 0, number,
           (unsigned long long)bits_of(number));
  }
  uint64_t state = 1, hash = HASH_START;
  for (int i = 0; i < 20000; i++) {
    uint64_t word = next_number(&state);
    hash = hash_word(hash, bits_of((double)(int64_t)word));
    hash = hash_word(hash, bits_of((double)word));
    hash = hash_word(hash, bits_of_float((float)word));
    hash = hash_word(hash, bits_of_float((float)(int32_t)word));
    float single = (float)(word >> 40) * 0x1p-12f;
    hash = hash_word(hash, bits_of_float(single * 1.1f - single / 3.3f + sqrtf(single)));
    hash = hash_word(hash, (uint64_t)(int64_t)(single * 1e6f));
    hash = hash_word(hash, (uint64_t)lrint((double)single * 0.37));
    char text[40];
    hash = hash_bytes(hash, text, (size_t)snprintf(text, sizeof text, "%.12g", (double)word / 3));
  }
  printf("%016llx\n", (unsigned long long)hash);
  return 0;
}
