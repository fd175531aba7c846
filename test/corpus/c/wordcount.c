/* wordcount FILE...: lines, words and bytes of each file and of stdin, and the most frequent word. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096, LENGTH = 32 };
static struct { char word[LENGTH]; int count; } table[SLOTS];

static void note(const char *word) {
  unsigned slot = 5381;
  for (const char *at = word; *at; at++) slot = slot * 33 + (unsigned char)*at;
  for (slot %= SLOTS; table[slot].count > 0 && strcmp(table[slot].word, word) != 0;) slot = (slot + 1) % SLOTS;
  strcpy(table[slot].word, word);
  table[slot].count++;
}

static void count(FILE *file, const char *name) {
  long lines = 0, words = 0, bytes = 0;
  char word[LENGTH];
  int length = 0;
  for (int c; (c = getc(file)) != EOF || length > 0;) {
    if (c != EOF) bytes++;
    if (c == '\n') lines++;
    if (c != EOF && isalpha(c) && length < LENGTH - 1) word[length++] = (char)tolower(c);
    else if (length > 0) {
      word[length] = 0;
      note(word);
      words++;
      length = 0;
    }
  }
  printf("%7ld %7ld %7ld %s\n", lines, words, bytes, name);
}

int main(int argc, char **argv) {
  count(stdin, "-");
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "r");
    if (file == NULL) {
      perror(argv[i]);
      return 1;
    }
    count(file, argv[i]);
    fclose(file);
  }
  int best = 0;
  for (int i = 1; i < SLOTS; i++)
    if (table[i].count > table[best].count) best = i;
  printf("%s %d\n", table[best].word, table[best].count);
  return 0;
}
