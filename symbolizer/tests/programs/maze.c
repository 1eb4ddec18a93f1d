// Ways through a stack that a compiler of Rust does not make: signal frames on a
// stack of their own, alloca, realigned stacks, callbacks out of libc, a library
// loaded at run time.
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static volatile uint64_t sink;

static __attribute__((noinline)) void spin(int rounds) {
    for (int i = 0; i < rounds; i++) {
        sink = sink * 6364136223846793005u + 1;
    }
}

static __attribute__((noinline)) void realigned(int depth) {
    __attribute__((aligned(64))) volatile char wide[64];
    wide[depth & 63] = (char)depth;
    spin(200);
    sink += wide[depth & 63];
}

static __attribute__((noinline)) void growing(int depth) {
    char *room = __builtin_alloca(16 + (depth * 37) % 500);
    memset(room, depth, 16);
    if (depth > 0) {
        growing(depth - 1);
    } else {
        realigned(depth);
    }
    sink += room[3];
}

static int compare(const void *left, const void *right) {
    spin(30);
    return (int)(*(const uint64_t *)left % 97) - (int)(*(const uint64_t *)right % 97);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    spin(signal * 2000);
}

int main(int argc, char **argv) {
    static char alternative[1 << 16];
    stack_t stack = {.ss_sp = alternative, .ss_size = sizeof alternative};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (argc > 2) {
        action.sa_flags |= SA_ONSTACK;
    }
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 400}, {0, 400}};
    setitimer(ITIMER_REAL, &timer, NULL);

    int (*visit)(int (*)(int), int) = NULL;
    if (argc > 1 && argv[1][0]) {
        void *library = dlopen(argv[1], RTLD_NOW);
        if (!library) {
            return 1;
        }
        visit = (int (*)(int (*)(int), int))dlsym(library, "visit");
    }
    for (int round = 0;; round++) {
        growing(round % 20);
        uint64_t values[40];
        for (int i = 0; i < 40; i++) {
            values[i] = sink + (uint64_t)i * 7919;
        }
        qsort(values, 40, sizeof values[0], compare);
        if (visit) {
            sink += (uint64_t)visit(abs, round % 30);
        }
        char text[64];
        snprintf(text, sizeof text, "%d %g", round, (double)round / 3);
        sink += (uint64_t)text[0];
    }
}
