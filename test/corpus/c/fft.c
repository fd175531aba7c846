/* fft LOG2N ROUNDS: radix-2 transform with sines and cosines from libm; prints every bit of a sum. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void swap(double *a, double *b) {
  double kept = *a;
  *a = *b;
  *b = kept;
}

static void transform(double *re, double *im, int n) {
  for (int i = 1, j = 0; i < n; i++) {
    int bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      swap(&re[i], &re[j]);
      swap(&im[i], &im[j]);
    }
  }
  for (int length = 2; length <= n; length <<= 1) {
    double angle = -6.283185307179586 / length, wr = cos(angle), wi = sin(angle);
    for (int i = 0; i < n; i += length) {
      double cr = 1, ci = 0;
      for (int k = 0; k < length / 2; k++) {
        int p = i + k, q = p + length / 2;
        double xr = re[q] * cr - im[q] * ci, xi = re[q] * ci + im[q] * cr;
        re[q] = re[p] - xr;
        im[q] = im[p] - xi;
        re[p] += xr;
        im[p] += xi;
        double next = cr * wr - ci * wi;
        ci = cr * wi + ci * wr;
        cr = next;
      }
    }
  }
}

int main(int count, char **arguments) {
  int log2n = count > 1 ? atoi(arguments[1]) : 11, rounds = count > 2 ? atoi(arguments[2]) : 3, n = 1 << log2n;
  double *re = malloc((size_t)n * sizeof *re), *im = calloc((size_t)n, sizeof *im), sum = 0;
  for (int i = 0; i < n; i++) re[i] = sin(i);
  for (int round = 0; round < rounds; round++) {
    transform(re, im, n);
    for (int i = 0; i < n; i++) {
      re[i] /= sqrt(n);
      im[i] /= -sqrt(n);
    }
  }
  for (int i = 0; i < n; i++) sum += re[i] * i + im[i];
  printf("%a\n", sum);
  return 0;
}
