/* interpreter STEPS: one loop around a switch of 24 arms, the shape of every byte-code interpreter. */
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
  int steps = count > 1 ? atoi(arguments[1]) : 500000;
  static unsigned char code[256];
  unsigned r[8] = {1, 2, 3, 4, 5, 6, 7, 8}, seed = 7;
  for (int i = 0; i < 256; i++) {
    seed = seed * 1103515245u + 12345u;
    code[i] = (unsigned char)((seed >> 16) % 24);
  }
  unsigned char at = 0;
  for (int i = 0; i < steps; i++) {
    switch (code[at++]) {
      case 0: r[0] += r[1]; break;
      case 1: r[1] ^= r[2] << 3; break;
      case 2: r[2] -= r[3]; break;
      case 3: r[3] *= 33; break;
      case 4: r[4] |= r[5]; break;
      case 5: r[5] = r[5] >> 1 ^ (r[5] & 1 ? 0xedb88320u : 0); break;
      case 6: r[6] += r[7] * 5; break;
      case 7: r[7] ^= (unsigned)i; break;
      case 8: if (r[0] & 1) at += 3; break;
      case 9: r[0] = r[0] << 7 | r[0] >> 25; break;
      case 10: r[1] += r[4]; break;
      case 11: r[2] ^= r[6]; break;
      case 12: r[3] += 0x9e3779b9u; break;
      case 13: r[4] = ~r[4]; break;
      case 14: r[5] += r[0] & r[1]; break;
      case 15: r[6] -= (unsigned)i; break;
      case 16: r[7] = r[7] / (r[1] | 1); break;
      case 17: if (r[2] > r[3]) at -= 9; break;
      case 18: r[0] ^= r[7]; break;
      case 19: r[1] *= r[0]; break;
      case 20: r[2] += at; break;
      case 21: r[3] ^= r[3] >> 15; break;
      case 22: r[4] += r[3]; break;
      default: r[5] ^= r[6];
    }
  }
  printf("%08x %08x %08x %08x\n", r[0], r[1], r[2] ^ r[3], r[4] ^ r[5] ^ r[6] ^ r[7]);
  return 0;
}
