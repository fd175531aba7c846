/* matmul N: product of two N x N matrices of doubles; loads, stores and sums. */
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
  size_t n = count > 1 ? (size_t)atoi(arguments[1]) : 96;
  double *a = malloc(n * n * sizeof *a), *b = malloc(n * n * sizeof *b), *c = calloc(n * n, sizeof *c);
  for (size_t i = 0; i < n * n; i++) {
    a[i] = (double)(i % 97) / 7;
    b[i] = (double)(i % 89) / 11 - 3;
  }
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < n; k++) {
      double factor = a[i * n + k];
      for (size_t j = 0; j < n; j++) c[i * n + j] += factor * b[k * n + j];
    }
  double sum = 0;
  for (size_t i = 0; i < n * n; i++) sum += c[i] * ((double)(i % 5) - 2);
  printf("%a\n", sum);
  return 0;
}
