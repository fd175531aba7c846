/* clocks: what the clocks say, how they move, and that waiting takes no time. */
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void show(const char *name, clockid_t clock) {
  struct timespec now, step;
  if (clock_gettime(clock, &now) < 0) return perror(name);
  clock_getres(clock, &step);
  printf("%s %lld.%09ld step %ld\n", name, (long long)now.tv_sec, now.tv_nsec, step.tv_nsec);
}

int main(void) {
  for (int i = 0; i < 3; i++) {
    show("realtime", CLOCK_REALTIME);
    show("monotonic", CLOCK_MONOTONIC);
  }
  struct timespec day = {86400, 5};
  printf("slept %d\n", nanosleep(&day, NULL));
  show("realtime", CLOCK_REALTIME);
  printf("slept %u\n", sleep(3600));
  show("monotonic", CLOCK_MONOTONIC);
  time_t now = time(NULL);
  char text[64];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
  printf("%s", text);
  strftime(text, sizeof text, " %c", localtime(&now));
  printf("%s\n", text);
  struct timeval tv;
  gettimeofday(&tv, NULL);
  printf("%lld.%06ld\n", (long long)tv.tv_sec, (long)tv.tv_usec);
  long turns = 0;
  for (time_t from = time(NULL); time(NULL) < from + 1 && turns < 20000; turns++) continue;
  printf("%ld turns\n", turns);
  return 0;
}
