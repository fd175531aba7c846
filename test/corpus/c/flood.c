/* flood WHERE BYTES: writes BYTES bytes of lines to stdout, stderr or /out/flood, 0 for without end; `descriptors` opens
 * files until that is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void descriptors(void) {
  int opened = 0;
  while (opened < 1000000 && fopen("/tmp/one", "a") != NULL) opened++;
  printf("%d, then %s\n", opened, strerror(errno));
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  unsigned long long bytes = strtoull(arguments[2], NULL, 10), written = 0;
  FILE *file = stdout;
  if (strcmp(arguments[1], "descriptors") == 0) return descriptors(), 0;
  if (strcmp(arguments[1], "stderr") == 0) file = stderr;
  if (strcmp(arguments[1], "file") == 0) file = fopen("/out/flood", "w");
  for (unsigned long long line = 0; bytes == 0 || written < bytes; line++)
    written += (unsigned long long)fprintf(file, "line %llu of very many that all look alike\n", line * 2654435761u);
  return 0;
}
