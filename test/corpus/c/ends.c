/* ends HOW: the ways in which a program ends badly. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int zero = 0, seven = 7;
static int (*volatile nothing)(int) = NULL;

int main(int count, char **arguments) {
  const char *how = count > 1 ? arguments[1] : "";
  printf("so far so good\n");
  fflush(stdout);
  if (strcmp(how, "exit") == 0) exit(42);
  if (strcmp(how, "stderr") == 0) fprintf(stderr, "the answer is 42\n");
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "assert") == 0) assert(zero == 1);
  if (strcmp(how, "divide") == 0) return seven / zero;
  if (strcmp(how, "overflow") == 0) return (-2147483647 - 1) / (zero - 1);
  if (strcmp(how, "bounds") == 0) return *(volatile int *)0x7ffffff0;
  if (strcmp(how, "pointer") == 0) return nothing(1);
  if (strcmp(how, "loop") == 0) for (;;) zero = 0;
  if (strcmp(how, "allocate") == 0) for (size_t i = 0;; i++) memset(malloc(4096 + i), 1, 4096);
  if (strcmp(how, "print") == 0) for (int i = 0;; i++) fprintf(stderr, "%d\n", i);
  return 0;
}
