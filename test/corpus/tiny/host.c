/* What the host says: clocks, random bytes, arguments, environment, folders, and files that it keeps. */
#include "tiny.h"

static uint8_t bytes[2048];

static void clocks(void) {
  for (unsigned clock = 0; clock < 4; clock++)
    for (int i = 0; i < 2; i++) {
      __wasi_timestamp_t now = 0;
      uint16_t error = __wasi_clock_time_get(clock, 1, &now);
      say_number(error);
      say_number(now);
    }
}

static void randoms(void) {
  uint64_t hash = HASH_START;
  for (unsigned size = 0; size < 100; size += 33) {
    say_number(__wasi_random_get(bytes, size));
    for (unsigned i = 0; i < size; i++) hash = hash_word(hash, bytes[i]);
  }
  say_number(hash);
}

static void folder(__wasi_fd_t fd, const char *name, unsigned length) {
  say(name, length);
  say("\n", 1);
  __wasi_size_t used = 0;
  say_number(__wasi_fd_readdir(fd, bytes, sizeof bytes, 0, &used));
  for (unsigned at = 0; at + 24 <= used;) {
    unsigned size = bytes[at + 16];
    say_number(bytes[at + 8]);
    say((const char *)bytes + at + 24, size);
    say("\n", 1);
    at += 24 + size;
  }
  __wasi_fd_t file = 0;
  uint16_t error = __wasi_path_open(fd, 0, "answer", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK, 0, 0, &file);
  say_number(error);
  if (error != 0) return;
  __wasi_ciovec_t vectors[2] = {{(const uint8_t *)name, length}, {(const uint8_t *)"\n", 1}};
  __wasi_size_t written = 0;
  say_number(__wasi_fd_write(file, vectors, 2, &written));
  say_number(file * 1000 + written);
}

int main(void) {
  clocks();
  randoms();
  __wasi_size_t count = 0, size = 0;
  say_number(__wasi_environ_sizes_get(&count, &size));
  say_number(count * 1000 + size);
  for (__wasi_fd_t fd = 3; fd < 10; fd++) {
    __wasi_prestat_t prestat;
    if (__wasi_fd_prestat_get(fd, &prestat) != 0) break;
    uint8_t name[64];
    unsigned length = prestat.u.dir.pr_name_len;
    if (length > sizeof name || __wasi_fd_prestat_dir_name(fd, name, length) != 0) __builtin_trap();
    folder(fd, (const char *)name, length);
  }
  return 3;
}
