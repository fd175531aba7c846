/* The answer stands on stderr alone, longer than what is kept of it. */
#include "tiny.h"

int main(void) {
  for (int i = 0; i < 3000; i++) {
    char line[32];
    for (unsigned j = 0; j < sizeof line; j++) line[j] = (char)('a' + (next_number() >> 58) % 26);
    line[31] = '\n';
    __wasi_ciovec_t vector = {(const uint8_t *)line, sizeof line};
    __wasi_size_t written;
    if (__wasi_fd_write(2, &vector, 1, &written) != 0) return 1;
  }
  return 0;
}
