/* lucas P: Lucas-Lehmer test of 2^P - 1 with 32-bit limbs; 64-bit products and carries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "corpus.h"

enum { LIMBS_MAX = 1024 };
static uint32_t number[LIMBS_MAX], product[2 * LIMBS_MAX];
static int exponent, limbs;

static void square(void) {
  memset(product, 0, sizeof product);
  for (int i = 0; i < limbs; i++) {
    uint64_t carry = 0;
    for (int j = 0; j < limbs; j++) {
      uint64_t sum = (uint64_t)number[i] * number[j] + product[i + j] + carry;
      product[i + j] = (uint32_t)sum;
      carry = sum >> 32;
    }
    product[i + limbs] = (uint32_t)carry;
  }
}

/* The limb of `product` that begins at bit `exponent + 32 * i`. */
static uint32_t high_limb(int i) {
  int at = exponent / 32 + i, shift = exponent % 32;
  uint64_t both = product[at] | (uint64_t)(at + 1 < 2 * LIMBS_MAX ? product[at + 1] : 0) << 32;
  return (uint32_t)(both >> shift);
}

/* product mod 2^P - 1, into `number`: the high part added to the low one. */
static void fold(void) {
  uint32_t mask = exponent % 32 == 0 ? ~0u : (1u << exponent % 32) - 1;
  uint64_t carry = 0;
  for (int i = 0; i < limbs; i++) {
    uint32_t low = i == limbs - 1 ? product[i] & mask : product[i];
    carry += (uint64_t)low + high_limb(i);
    number[i] = (uint32_t)carry;
    carry >>= 32;
  }
  for (int round = 0; round < 2; round++) {
    uint64_t over = number[limbs - 1] & ~mask ? number[limbs - 1] >> (exponent % 32) : 0;
    number[limbs - 1] &= mask;
    for (int i = 0; i < limbs; i++) {
      over += number[i];
      number[i] = (uint32_t)over;
      over >>= 32;
    }
  }
}

static void subtract_two(void) {
  int64_t borrow = -2;
  for (int i = 0; i < limbs; i++) {
    borrow += number[i];
    number[i] = (uint32_t)borrow;
    borrow >>= 32;
  }
  if (borrow < 0) {
    number[0] -= 1;
    if (exponent % 32) number[limbs - 1] &= (1u << exponent % 32) - 1;
  }
}

int main(int count, char **arguments) {
  exponent = count > 1 ? atoi(arguments[1]) : 607;
  limbs = (exponent + 31) / 32;
  if (exponent < 33 || limbs > LIMBS_MAX - 2) return 2;
  number[0] = 4;
  for (int i = 0; i < exponent - 2; i++) {
    square();
    fold();
    subtract_two();
  }
  int zero = 1, ones = 1;
  for (int i = 0; i < limbs; i++) {
    uint32_t full = i == limbs - 1 && exponent % 32 ? (1u << exponent % 32) - 1 : ~0u;
    zero &= number[i] == 0;
    ones &= number[i] == full;
  }
  printf("%d %s %08x%08x\n", exponent, zero || ones ? "prime" : "composite", number[1], number[0]);
  return 0;
}
