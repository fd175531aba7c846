/* surroundings: arguments, environment, folder and descriptors that a unit sees. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **arguments) {
  for (int i = 1; i < count; i++) printf("argument %d: [%s] %zu\n", i, arguments[i], strlen(arguments[i]));
  for (char **entry = environ; *entry != NULL; entry++) printf("environment: %s\n", *entry);
  printf("HOME %s, PATH %s\n", getenv("HOME") ? getenv("HOME") : "-", getenv("PATH") ? getenv("PATH") : "-");
  char folder[256];
  printf("folder %s, locale %s\n", getcwd(folder, sizeof folder), setlocale(LC_ALL, ""));
  for (int descriptor = 0; descriptor < 10; descriptor++) {
    struct stat status;
    if (fstat(descriptor, &status) < 0) printf("%d: %s\n", descriptor, strerror(errno));
    else
      printf("%d: type %o, %lld bytes, terminal %d\n", descriptor, (unsigned)(status.st_mode & S_IFMT),
             (long long)status.st_size, isatty(descriptor));
  }
  return 0;
}
