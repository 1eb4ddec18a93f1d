// Loads a library, if one is named, and waits.
#include <dlfcn.h>
#include <unistd.h>

__thread unsigned long of_each_thread = 7;
volatile unsigned long marked = 0x617761697473636f;

__attribute__((noinline)) void waits(void) {
    for (;;) {
        pause();
        marked += of_each_thread;
    }
}

int main(int argc, char **argv) {
    if (argc > 1) {
        dlopen(argv[1], RTLD_NOW);
    }
    waits();
}
