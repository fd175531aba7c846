/* nanbits: sign and payload of NaNs out of every operation that may make one. Engines differ here without the NaN pass. */
#include <math.h>
#include <stdio.h>
#include "corpus.h"

#define WIDE(name, value) printf("%-10s %016llx\n", name, (unsigned long long)bits_of(value))
#define NARROW(name, value) printf("%-10s %08x\n", name, bits_of_float(value))

int main(void) {
  volatile double zero = 0, infinite = 1 / zero, minus = -1, one = 1;
  volatile double quiet = double_of(0x7ff8000000001234ull), negative = double_of(0xfff80000deadbeefull);
  volatile double signalling = double_of(0x7ff0000000000001ull);
  volatile float zerof = 0, infinitef = 1 / zerof, minusf = -1, onef = 1;
  volatile float quietf = float_of(0x7fc01234), negativef = float_of(0xffc0beef), signallingf = float_of(0x7f800001);

  WIDE("0/0", zero / zero);
  WIDE("inf-inf", infinite - infinite);
  WIDE("inf*0", infinite * zero);
  WIDE("sqrt", __builtin_sqrt(minus));
  WIDE("q+n", quiet + negative);
  WIDE("n+q", negative + quiet);
  WIDE("q*n", quiet * negative);
  WIDE("n*q", negative * quiet);
  WIDE("s+1", signalling + one);
  WIDE("1-n", one - negative);
  WIDE("n-1", negative - one);
  WIDE("ceil", __builtin_ceil(signalling));
  WIDE("floor", __builtin_floor(negative));
  WIDE("trunc", __builtin_trunc(quiet));
  WIDE("nearest", __builtin_nearbyint(signalling));
  WIDE("promote n", (double)negativef);
  WIDE("promote s", (double)signallingf);
  WIDE("min", __builtin_wasm_min_f64(quiet, negative));
  WIDE("max", __builtin_wasm_max_f64(one, negative));
  WIDE("copysign", __builtin_copysign(one, zero / zero));
  WIDE("copysign 2", __builtin_copysign(zero / zero, minus));
  WIDE("neg", -(zero / zero));
  WIDE("abs", __builtin_fabs(zero / zero));
  WIDE("kept", negative);
  NARROW("0/0", zerof / zerof);
  NARROW("inf-inf", infinitef - infinitef);
  NARROW("sqrt", __builtin_sqrtf(minusf));
  NARROW("q+n", quietf + negativef);
  NARROW("n*q", negativef * quietf);
  NARROW("s+1", signallingf + onef);
  NARROW("demote n", (float)negative);
  NARROW("demote s", (float)signalling);
  NARROW("ceil", __builtin_ceilf(signallingf));
  NARROW("floor", __builtin_floorf(negativef));
  NARROW("min", __builtin_wasm_min_f32(quietf, negativef));
  NARROW("max", __builtin_wasm_max_f32(onef, negativef));
  NARROW("copysign", __builtin_copysignf(onef, zerof / zerof));
  WIDE("log", log(minus));
  WIDE("acos", acos(2 * one));
  WIDE("pow", pow(minus, .5));
  WIDE("fmod", fmod(one, zero));
  WIDE("sin", sin(infinite));
  WIDE("tgamma", tgamma(minus));
  return 0;
}
