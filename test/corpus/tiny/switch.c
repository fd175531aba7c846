/* A byte-code loop through a jump table, and calls through a table of functions; ends with a call of nothing. */
#include "tiny.h"

typedef uint32_t (*Step)(uint32_t, uint32_t);
static uint32_t add(uint32_t a, uint32_t b) { return a + b; }
static uint32_t mix(uint32_t a, uint32_t b) { return (a ^ b) * 2654435761u; }
static uint32_t turn(uint32_t a, uint32_t b) { return __builtin_rotateleft32(a, b & 31); }
static Step volatile steps[4] = {add, mix, turn, 0};

int main(void) {
  uint32_t r[4] = {1, 2, 3, 4}, calls = 0;
  for (int i = 0; i < 50000; i++) {
    uint64_t word = next_number();
    switch (word >> 61) {
      case 0: r[0] += r[1]; break;
      case 1: r[1] ^= r[2] << 3; break;
      case 2: r[2] -= r[3] * 33; break;
      case 3: r[3] = ~r[3] + (uint32_t)i; break;
      case 4: if (r[0] & 1) continue; break;
      case 5: r[1] = r[1] / (r[2] | 1); break;
      default: r[word & 3] = steps[(word >> 2) % 3](r[0], (uint32_t)word); calls++;
    }
  }
  for (int i = 0; i < 4; i++) say_number(r[i]);
  say_number(calls);
  return (int)steps[3](r[0], r[1]);
}
