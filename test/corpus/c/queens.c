/* queens N: ways to place N queens; bit operations and recursion. */
#include <stdio.h>
#include <stdlib.h>

static unsigned long long place(unsigned all, unsigned columns, unsigned left, unsigned right) {
  if (columns == all) return 1;
  unsigned long long ways = 0;
  for (unsigned free = all & ~(columns | left | right); free != 0; free &= free - 1) {
    unsigned bit = free & -free;
    ways += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return ways;
}

int main(int count, char **arguments) {
  int size = count > 1 ? atoi(arguments[1]) : 10;
  printf("%llu\n", place((1u << size) - 1, 0, 0, 0));
  return 0;
}
