/* Arithmetic, roots, rounding and conversions in both precisions, without NaNs. */
#include "tiny.h"

int main(void) {
  uint64_t hash = HASH_START;
  double sum = 0;
  float narrow = 1;
  for (int i = 0; i < 20000; i++) {
    double x = (double)(int64_t)next_number() * 0x1p-40, y = (double)(uint32_t)next_number() + 0.5;
    sum = sum * 0.999 + x / y - x * 0x1p-30;
    narrow = narrow * 0.875f + (float)x / (float)y;
    double mixed = __builtin_sqrt(y) + __builtin_floor(x) * 0.125 - __builtin_nearbyint(sum) + __builtin_copysign(y, x);
    union { double number; uint64_t bits; } wide = {mixed + __builtin_trunc(sum * 3) - __builtin_ceil(x / 7)};
    union { float number; uint32_t bits; } thin = {__builtin_sqrtf(narrow * narrow) + (float)mixed};
    hash = hash_word(hash, wide.bits ^ thin.bits);
    hash = hash_word(hash, (uint64_t)(int64_t)sum + (uint32_t)(y * 0.5) + (x < sum));
  }
  say_number(hash);
  return 0;
}
