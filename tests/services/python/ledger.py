"""Where all work of the tasks is written down."""

import os
import threading
import time

# Work shorter than this is only counted.
LONG_NS = 5_000_000

# More long pieces of work than this are not kept, so that nothing grows without end.
MOST_LONG = 100_000

_meters = []
_long = []
_mark = {"ns": time.monotonic_ns(), "cpu_ns": 0}


class Meter:
    """Counts the work of one kind of task: `with meter:` around every piece of it, in which
    nothing is awaited. Work on an executor's thread holds no loop.
    """

    def __init__(self, kind, holds_loop=True):
        self.kind = kind
        self.holds_loop = holds_loop
        self.tasks = 0
        self.reset()
        _meters.append(self)

    def reset(self):
        self.pieces = 0
        self.cpu_ns = 0

    def __enter__(self):
        self.start_ns = time.monotonic_ns()
        self.cpu_before = time.thread_time_ns()

    def __exit__(self, *_):
        cpu_ns = time.thread_time_ns() - self.cpu_before
        duration_ns = time.monotonic_ns() - self.start_ns
        self.pieces += 1
        self.cpu_ns += cpu_ns
        if self.holds_loop and duration_ns >= LONG_NS and len(_long) < MOST_LONG:
            _long.append(
                {
                    "kind": self.kind,
                    "task": 0,
                    "tid": threading.get_native_id(),
                    "start_ns": self.start_ns,
                    "duration_ns": duration_ns,
                    "cpu_ns": cpu_ns,
                }
            )


def mark():
    """Starts counting anew and returns the moment."""
    for meter in _meters:
        meter.reset()
    _long.clear()
    _mark["cpu_ns"] = time.process_time_ns()
    _mark["ns"] = time.monotonic_ns()
    return _mark["ns"]


def describe():
    """What was counted since the mark."""
    process = time.process_time_ns() - _mark["cpu_ns"]
    in_tasks = sum(meter.cpu_ns for meter in _meters)
    return {
        "pid": os.getpid(),
        "mark_ns": _mark["ns"],
        "now_ns": time.monotonic_ns(),
        "process_cpu_ns": process,
        "tasks_cpu_ns": in_tasks,
        "outside_cpu_ns": max(process - in_tasks, 0),
        "kinds": [_told(meter) for meter in _meters],
        "tasks": [],
        "long_polls": list(_long),
    }


def _told(meter):
    return {
        "kind": meter.kind,
        "tasks": meter.tasks,
        "polls": meter.pieces,
        "cpu_ns": meter.cpu_ns,
    }
