/* mandelbrot SIZE: escape times of SIZE x SIZE points, double precision; prints a hash. */
#include <stdio.h>
#include <stdlib.h>
#include "corpus.h"

int main(int count, char **arguments) {
  int size = count > 1 ? atoi(arguments[1]) : 80;
  uint64_t hash = HASH_START;
  for (int y = 0; y < size; y++)
    for (int x = 0; x < size; x++) {
      double cr = 3.0 * x / size - 2, ci = 2.0 * y / size - 1, zr = 0, zi = 0;
      int steps = 0;
      while (steps < 300 && zr * zr + zi * zi < 4) {
        double next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        steps++;
      }
      hash = hash_word(hash, (uint64_t)steps);
    }
  printf("%016llx\n", (unsigned long long)hash);
  return 0;
}
