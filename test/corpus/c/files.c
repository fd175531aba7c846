/* files: creates, writes, seeks, renames, truncates and removes files and folders under /tmp and /out, and tells what each
 * call said; leaves several output files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void told(const char *what, long answer) {
  printf("%-18s %ld%s%s\n", what, answer, answer < 0 ? " " : "", answer < 0 ? strerror(errno) : "");
}

static void size_of(const char *path) {
  struct stat status;
  if (stat(path, &status) < 0) return told(path, -1);
  printf("%-18s %lld bytes, %s, mtime %lld\n", path, (long long)status.st_size, S_ISDIR(status.st_mode) ? "folder" : "file",
         (long long)status.st_mtim.tv_sec);
}

int main(void) {
  char text[64] = {0};
  told("mkdir", mkdir("/out/parts", 0777));
  told("mkdir again", mkdir("/out/parts", 0777));
  int file = open("/out/parts/a.txt", O_RDWR | O_CREAT | O_EXCL, 0666);
  told("open", file);
  told("write", write(file, "hello, world\n", 13));
  told("seek", lseek(file, 7, SEEK_SET));
  told("write", write(file, "there", 5));
  told("pread", pread(file, text, 5, 0));
  printf("%s\n", text);
  told("seek past", lseek(file, 100, SEEK_SET));
  told("write", write(file, "end\n", 4));
  told("truncate", ftruncate(file, 50));
  told("fsync", fsync(file));
  told("close", close(file));
  told("exclusive", open("/out/parts/a.txt", O_RDWR | O_CREAT | O_EXCL, 0666));
  size_of("/out/parts/a.txt");
  FILE *stream = fopen("/tmp/scratch", "w");
  for (int i = 0; i < 1000; i++) fprintf(stream, "%d\n", i * i);
  fclose(stream);
  size_of("/tmp/scratch");
  told("rename", rename("/tmp/scratch", "/tmp/kept"));
  size_of("/tmp/scratch");
  stream = fopen("/tmp/kept", "a");
  fputs("more\n", stream);
  fclose(stream);
  size_of("/tmp/kept");
  told("unlink", unlink("/tmp/kept"));
  told("unlink gone", unlink("/tmp/kept"));
  told("rmdir full", rmdir("/out/parts"));
  told("open a folder", open("/out", O_WRONLY));
  told("write to /in", open("/in/a.txt", O_WRONLY));
  told("new in /in", open("/in/new", O_WRONLY | O_CREAT, 0666));
  told("escape", open("/in/../../etc/passwd", O_RDONLY));
  told("absent", open("/etc/passwd", O_RDONLY));
  for (int i = 0; i < 5; i++) {
    char name[32];
    snprintf(name, sizeof name, "/out/part-%d", i);
    stream = fopen(name, "w");
    for (int j = 0; j <= i; j++) fprintf(stream, "part %d, line %d\n", i, j);
    fclose(stream);
  }
  stream = fopen("/out/empty", "w");
  fclose(stream);
  return 0;
}
