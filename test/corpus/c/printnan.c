/* printnan: the everyday case, no tricks: a NaN through printf, signbit and a branch. */
#include <math.h>
#include <stdio.h>

int main(void) {
  volatile double zero = 0;
  double number = zero / zero;
  printf("%f %g %s\n", number, -number, signbit(number) ? "negative" : "positive");
  printf("%s\n", copysign(1, number) < 0 ? "below" : "above");
  return 0;
}
