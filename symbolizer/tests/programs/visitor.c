// A library: calls back, and itself.
static volatile int seen;

int visit(int (*what)(int), int depth) {
    int sum = 0;
    for (int i = 0; i < 50; i++) {
        seen += what(i - 20);
    }
    if (depth > 0) {
        sum = visit(what, depth - 1);
    }
    return sum + seen;
}
