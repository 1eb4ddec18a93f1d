"""How a service is asked, and how it ends: as the services in Rust beside it."""

import argparse
import json
import os
import signal
import sys
import threading
import time

import ledger
import markers

# No service lives longer than this, whatever happens to its parent.
LONGEST_S = 120


def arguments(**own):
    """What every service can be told, and `own` options with their defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only")
    parser.add_argument("--seconds", type=int)
    for name, default in own.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


class Service:
    """Answers questions on standard input, on a thread of its own, and ends the process when its
    time is over, on `SIGTERM`, or (unless `--seconds` was given) when standard input ends. Tells
    the truth a last time then.
    """

    def __init__(self, name, files, args, more=dict):
        self.name = name
        self.sources = [markers.Source(file) for file in files]
        self.args = args
        self.more = more

    def ready(self, line=""):
        """Says `READY`, and answers from now on."""
        # Elsewhere the library that has the main thread ends the process.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self._finish())
        longest = threading.Timer(min(self.args.seconds or LONGEST_S, LONGEST_S), self._finish)
        longest.daemon = True
        longest.start()
        ledger.mark()
        threading.Thread(target=self._answer, daemon=True).start()
        _say("READY pid={} version={}.{}.{}{}".format(os.getpid(), *sys.version_info[:3], line))

    def _answer(self):
        # Not `for line in sys.stdin`: at the end of the process its lock may be held.
        with open(0, encoding="utf-8", closefd=False) as questions:
            for line in questions:
                if line.strip() == "mark":
                    _say("MARKED {}".format(ledger.mark()))
                elif line.strip() == "truth":
                    self._tell()
        if self.args.seconds is None:
            self._finish()

    def _tell(self):
        truth = {"schema": 1, "service": self.name, "python": list(sys.version_info[:3])}
        truth.update(
            planted=markers.culprits(self.sources), frames=[], waits=[], crowds=[], ops=0
        )
        truth.update(ledger.describe())
        truth.update(self.more())
        _say(json.dumps(truth))

    def _finish(self):
        try:
            self._tell()
        finally:
            os._exit(0)


def _say(line):
    # A parent that does not listen any more is no reason to fail.
    try:
        os.write(1, (line + "\n").encode())
    except OSError:
        os._exit(0)


def rounds_per_ms(spin):
    """How many rounds of `spin` take a millisecond here. The best of several tries: a neighbour
    can only slow us down.
    """
    best = 1
    for _ in range(8):
        before = time.thread_time_ns()
        spin(50_000)
        best = max(best, 50_000 * 1_000_000 // max(time.thread_time_ns() - before, 1))
    return best
