/* recursion MODE: goes down until stopped. `plain`: a small frame; `wide`: many live values; `table`: through function
 * pointers, two functions in turn; `array`: a frame of 4 KiB in memory. Prints how far it came as it doubles. */
#include <stdio.h>
#include <string.h>
#include "corpus.h"

__attribute__((noinline)) static unsigned plain(unsigned n, unsigned a) {
  if (n == 0) return a;
  return (plain(n - 1, a * 33 + n) >> 1) * 3 ^ n;
}

__attribute__((noinline)) static uint64_t wide(unsigned n, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  if (n == 0) return a ^ b ^ c ^ d;
  uint64_t e = a * b, f = b * c, g = c * d, h = d * a, i = e + f, j = f + g, k = g + h, l = h + e;
  uint64_t deep = wide(n - 1, i, j, k, l);
  return (deep >> 1) * 3 ^ (a ^ l) + (b ^ k) * 3 + (c ^ j) * 5 + (d ^ i) * 7 + (e ^ h) * 9 + (f ^ g) * 11;
}

typedef unsigned (*Step)(unsigned, unsigned);
static unsigned even(unsigned n, unsigned a), odd(unsigned n, unsigned a);
static Step steps[2] = {even, odd};
static unsigned even(unsigned n, unsigned a) { return n == 0 ? a : steps[(n + 1) & 1](n - 1, a + 1) * 5 + 1; }
static unsigned odd(unsigned n, unsigned a) { return n == 0 ? a : steps[(n + 1) & 1](n - 1, a ^ n) * 3 + 2; }

__attribute__((noinline)) static unsigned array(unsigned n) {
  volatile unsigned char frame[4096];
  memset((void *)frame, (int)n, sizeof frame);
  if (n == 0) return frame[17];
  return array(n - 1) + frame[n % sizeof frame];
}

int main(int count, char **arguments) {
  const char *mode = count > 1 ? arguments[1] : "plain";
  for (unsigned n = 10; n < 1000000000; n *= 2) {
    uint64_t answer = 0;
    if (strcmp(mode, "plain") == 0) answer = plain(n, (unsigned)count);
    else if (strcmp(mode, "wide") == 0) answer = wide(n, 1, 2, 3, n);
    else if (strcmp(mode, "table") == 0) answer = steps[n & 1](n, 1);
    else answer = array(n);
    printf("%u %llu\n", n, (unsigned long long)answer);
    fflush(stdout);
  }
  return 0;
}
