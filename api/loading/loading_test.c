/* A C program that loads Lockstep while it runs, as an interpreter or a server does:
     loading_test liblockstep.so plugin.so [library to load before them…] */
#include <dlfcn.h>
#include <stdio.h>

static void* open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  return library;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  for (int i = 3; i < argc; ++i) {
    if (!open_library(argv[i])) return 1;
  }
  if (!open_library(argv[1])) return 1;
  void* plugin = open_library(argv[2]);
  if (!plugin) return 1;
  int (*compare_streams)(void) = (int (*)(void))dlsym(plugin, "loading_compare_streams");
  if (!compare_streams || compare_streams() != 0) return 1;
  int (*add)(float*) = (int (*)(float*))dlsym(plugin, "loading_add");
  float sums[3] = {0, 0, 0};
  if (!add || add(sums) != 0) return 1;
  printf("%g %g %g\n", sums[0], sums[1], sums[2]);
  return sums[0] == 11 && sums[1] == 22 && sums[2] == 33 ? 0 : 1;
}
