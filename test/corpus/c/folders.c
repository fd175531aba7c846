/* folders: lists every folder with types and inode numbers, in the order the host gives, before and after changes. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void list(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) return perror(path);
  printf("%s:\n", path);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
    printf("  %s type %d inode %llu\n", entry->d_name, entry->d_type, (unsigned long long)entry->d_ino);
  closedir(folder);
}

static void touch(const char *path) {
  FILE *file = fopen(path, "w");
  if (file == NULL) return perror(path);
  fclose(file);
}

int main(void) {
  list("/in");
  list("/tmp");
  const char *names[] = {"/tmp/zebra", "/tmp/apple", "/tmp/Mango", "/tmp/10", "/tmp/9", "/tmp/\xc3\xa9t\xc3\xa9"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) touch(names[i]);
  mkdir("/tmp/middle", 0777);
  touch("/tmp/middle/inner");
  list("/tmp");
  unlink("/tmp/apple");
  rename("/tmp/zebra", "/tmp/aardvark");
  for (int i = 0; i < 200; i++) {
    char name[32];
    snprintf(name, sizeof name, "/tmp/middle/%d", i * 7919 % 200);
    touch(name);
  }
  list("/tmp");
  list("/tmp/middle");
  list("/");
  return 0;
}
