/* Bits of NaNs: engines and processors differ here unless the bits are made canonical. */
#include "tiny.h"

__attribute__((noinline)) static void wide(double number) {
  union { double number; uint64_t bits; } as = {number};
  say_number(as.bits);
}

__attribute__((noinline)) static void thin(float number) {
  union { float number; uint32_t bits; } as = {number};
  say_number(as.bits);
}

int main(void) {
  volatile uint64_t bits[3] = {0x7ff8000000001234ull, 0xfff80000deadbeefull, 0x7ff0000000000001ull};
  volatile double zero = 0, one = 1, minus = -1;
  volatile float zerof = 0;
  const volatile double *nans = (const volatile double *)bits;
  wide(zero / zero);
  wide(one / zero - one / zero);
  wide(__builtin_sqrt(minus));
  wide(nans[0] + nans[1]);
  wide(nans[1] * nans[0]);
  wide(nans[2] - one);
  wide(__builtin_wasm_min_f64(nans[0], nans[1]));
  wide(__builtin_floor(nans[2]));
  wide(-(zero / zero));
  wide(__builtin_copysign(one, zero / zero));
  thin(zerof / zerof);
  thin((float)nans[1]);
  thin(__builtin_wasm_max_f32(1, (float)nans[2]));
  return 0;
}
