/*
 * percolation UNIT: site percolation on square lattices by the method of Newman and Ziff (Physical Review Letters 85, 4104,
 * 2000). Cells are opened one by one in a random order until the open ones reach from the top to the bottom; the share that
 * was open then, over many lattices, tends to the threshold 0.59274605...
 *
 * Reads   /in/lattices.txt    lines `SIZE TRIALS`; `#` begins a comment
 * Writes  stdout              a line for each size: size, trials, sum and sum of squares of the shares
 *         /out/shares.csv     every trial
 *         /out/last.pgm       the last lattice when it was crossed: 0 closed, 120 open, 255 joined to the top
 * The random numbers come from the unit's seed, so each unit has trials of its own and gives the same bytes everywhere.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE_MAX_CELLS = 2000 };

static uint64_t state[2];

/* xoroshiro128+ (Blackman and Vigna, 2018). */
static uint64_t random_bits(void) {
  uint64_t a = state[0], b = state[1], sum = a + b;
  b ^= a;
  state[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
  state[1] = b << 37 | b >> 27;
  return sum;
}

/* A number below `bound`, each as likely as any other. */
static uint32_t random_below(uint32_t bound) {
  uint32_t first = -bound % bound;
  for (;;) {
    uint64_t product = (random_bits() >> 32) * bound;
    if ((uint32_t)product >= first) return (uint32_t)(product >> 32);
  }
}

static uint32_t *parent, *order;
static uint8_t *open;

static uint32_t root_of(uint32_t cell) {
  while (parent[cell] != cell) cell = parent[cell] = parent[parent[cell]];
  return cell;
}

static void join(uint32_t a, uint32_t b) {
  a = root_of(a);
  b = root_of(b);
  if (a < b) parent[b] = a;
  else parent[a] = b;
}

/* Opens cells until top and bottom are joined; gives how many. Cells are 1 to size^2, 0 is the top, size^2 + 1 the bottom. */
static uint32_t cross(uint32_t size) {
  uint32_t cells = size * size, bottom = cells + 1;
  for (uint32_t i = 0; i <= bottom; i++) {
    parent[i] = i;
    open[i] = 0;
  }
  for (uint32_t i = 0; i < cells; i++) {
    uint32_t j = random_below(i + 1);
    order[i] = order[j];
    order[j] = i + 1;
  }
  for (uint32_t i = 0; i < cells; i++) {
    uint32_t cell = order[i], column = (cell - 1) % size;
    open[cell] = 1;
    if (cell <= size) join(cell, 0);
    else if (open[cell - size]) join(cell, cell - size);
    if (cell > cells - size) join(cell, bottom);
    else if (open[cell + size]) join(cell, cell + size);
    if (column > 0 && open[cell - 1]) join(cell, cell - 1);
    if (column < size - 1 && open[cell + 1]) join(cell, cell + 1);
    if (root_of(0) == root_of(bottom)) return i + 1;
  }
  return cells;
}

static void *must(void *memory) {
  if (memory == NULL) {
    fprintf(stderr, "percolation: no memory for a lattice of this size; raise --memory\n");
    exit(1);
  }
  return memory;
}

static void draw(uint32_t size) {
  FILE *picture = fopen("/out/last.pgm", "w");
  fprintf(picture, "P5\n%u %u\n255\n", size, size);
  for (uint32_t cell = 1; cell <= size * size; cell++)
    putc(!open[cell] ? 0 : root_of(cell) == root_of(0) ? 255 : 120, picture);
  fclose(picture);
}

int main(int count, char **arguments) {
  FILE *input = fopen("/in/lattices.txt", "r"), *table = fopen("/out/shares.csv", "w");
  if (count != 2 || input == NULL || table == NULL) {
    fprintf(stderr, "percolation UNIT, with --in lattices.txt\n");
    return 2;
  }
  if (getentropy(state, sizeof state) < 0) return 1;
  fprintf(table, "unit,size,trial,share\n");
  uint32_t last = 0;
  char line[128];
  while (fgets(line, sizeof line, input) != NULL) {
    unsigned size, trials;
    if (line[0] == '#' || line[0] == '\n') continue;
    if (sscanf(line, "%u %u", &size, &trials) != 2 || size < 2 || size > SIZE_MAX_CELLS) {
      fprintf(stderr, "percolation: a line must be SIZE TRIALS, SIZE from 2 to %d: %s", SIZE_MAX_CELLS, line);
      return 2;
    }
    size_t cells = (size_t)size * size + 2;
    parent = must(realloc(parent, cells * sizeof *parent));
    order = must(realloc(order, cells * sizeof *order));
    open = must(realloc(open, cells));
    double sum = 0, squares = 0;
    for (unsigned trial = 0; trial < trials; trial++) {
      double share = (double)cross(size) / ((double)size * size);
      sum += share;
      squares += share * share;
      fprintf(table, "%s,%u,%u,%.9f\n", arguments[1], size, trial, share);
    }
    printf("%u %u %.12f %.12f\n", size, trials, sum, squares);
    last = size;
  }
  if (last > 0) draw(last);
  return fclose(table) == 0 ? 0 : 1;
}
