/* libm: hashes of the bits of every function of libm over many arguments, those without an answer included. */
#include <math.h>
#include <stdio.h>
#include "corpus.h"

#define ONE(function)                                                                          \
  do {                                                                                         \
    uint64_t hash = HASH_START;                                                                \
    for (int i = -4000; i < 4000; i++) hash = hash_word(hash, bits_of(function(i * 0.0637)));  \
    printf("%-6s %016llx\n", #function, (unsigned long long)hash);                             \
  } while (0)

#define TWO(function)                                                                          \
  do {                                                                                         \
    uint64_t hash = HASH_START;                                                                \
    for (int i = -60; i < 60; i++)                                                             \
      for (int j = -60; j < 60; j++) hash = hash_word(hash, bits_of(function(i * .31, j * .17))); \
    printf("%-6s %016llx\n", #function, (unsigned long long)hash);                             \
  } while (0)

int main(void) {
  ONE(sin); ONE(cos); ONE(tan); ONE(asin); ONE(acos); ONE(atan); ONE(sinh); ONE(cosh); ONE(tanh);
  ONE(asinh); ONE(acosh); ONE(atanh); ONE(exp); ONE(exp2); ONE(expm1); ONE(log); ONE(log2); ONE(log10); ONE(log1p);
  ONE(sqrt); ONE(cbrt); ONE(erf); ONE(erfc); ONE(lgamma); ONE(tgamma); ONE(j0); ONE(y1);
  ONE(rint); ONE(round); ONE(trunc); ONE(floor); ONE(ceil); ONE(nearbyint); ONE(logb);
  TWO(pow); TWO(atan2); TWO(hypot); TWO(fmod); TWO(remainder); TWO(fdim); TWO(fmin); TWO(fmax); TWO(copysign); TWO(nextafter);
  return 0;
}
