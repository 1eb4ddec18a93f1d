"""Tasks that are parked at known places, and what the running service knows of them: which they
are, when their timers end, what their sockets are called.

Where they wait is said by markers in the source. That the interpreter itself agrees is checked
before anybody is told: a truth that it contradicts is none.
"""

import asyncio
import gc
import os
import time

import markers
import protocol

_tasks = []
_details = {}
_service = []


def task(name, coroutine, state="suspended", awaits=(), made_by=None):
    """Makes a task whose leaf is called `name`, and which waits for the tasks of the names in
    `awaits`.
    """
    make = made_by or asyncio.get_running_loop().create_task
    made = make(coroutine, name=name)
    return known(name, made, state, awaits)


def known(name, made, state="suspended", awaits=()):
    """The same of a task that was made otherwise. What a library calls it stays as it is."""
    assert name not in [other for other, *_ in _tasks], name
    _tasks.append((name, made, state, awaits))
    return made


def running_as(name):
    """Says which name the running task has."""
    known(name, asyncio.current_task())


def by_coroutine(name, function, awaits=()):
    """The same of the task that some library made of a coroutine of this function."""

    def find():
        for made in asyncio.all_tasks():
            if getattr(made.get_coro(), "__qualname__", "") == function.__qualname__:
                return known(name, made, "suspended", awaits)
        raise LookupError("there is no task of " + function.__qualname__)

    asyncio.get_running_loop().call_later(0.1, find)


def deadline(leaf, after):
    """The timer that the leaf waits on is to end so long from now."""
    _details.setdefault(leaf, {})["deadline_ns"] = time.monotonic_ns() + int(after * 1e9)


def detail(leaf, **values):
    """Something else that is known of the leaf: `local`, `peer`."""
    _details.setdefault(leaf, {}).update(values)


def serve(name, files, args):
    """Answers from now on; but not with a truth that the interpreter contradicts."""
    service = protocol.Service(name, files, args, _describe)
    _service.append(service)
    wrong = _contradictions(markers.leaves(service.sources))
    if wrong:
        os.write(2, ("\n".join(wrong) + "\n").encode())
        os._exit(1)
    service.ready()


def _describe():
    leaves = markers.leaves(_service[0].sources)
    ids = {name: _id(made) for name, made, _, _ in _tasks}
    return {"waits": [_told(task, leaves, ids) for task in _tasks]}


def _id(made):
    """The number that asyncio gave the task, or its address where it was given a name."""
    prefix, _, number = made.get_name().partition("Task-")
    return int(number) if not prefix and number.isdigit() else id(made)


def _told(task, leaves, ids):
    name, made, state, awaits = task
    return {
        "name": name,
        "id": ids[name],
        "class": "async",
        "state": state,
        "task_name": made.get_name(),
        "awaits": [ids[other] for other in awaits],
        "leaves": [dict(leaves[name], **_details.get(name, {}))],
    }


def _contradictions(leaves):
    """Where the frames of the interpreter are not those of the markers."""
    wrong = []
    files = {os.path.abspath(source_file) for source_file in _files()}
    for name, made, state, _ in _tasks:
        if state != "suspended" or made is asyncio.current_task():
            continue
        found = [f.f_lineno for f in _chain(made.get_coro()) if _is_own(f, files)]
        if made.done():
            wrong.append("{}: has ended: {!r}".format(name, made))
        expected = [
            frame["line"]
            for frame in leaves[name]["frames"]
            for _ in range(frame["times"])
        ]
        if found != expected:
            wrong.append("{}: is at {}, not at {}".format(name, found, expected))
    return wrong


def _files():
    for source in _service[0].sources:
        yield source.path


def _is_own(frame, files):
    return os.path.abspath(frame.f_code.co_filename) in files


def _chain(awaited):
    """The frames from a coroutine on, through everything that it awaits."""
    frames = []
    while awaited is not None and len(frames) < 1000:
        for frame, inner in (
            ("cr_frame", "cr_await"),
            ("gi_frame", "gi_yieldfrom"),
            ("ag_frame", "ag_await"),
        ):
            if hasattr(awaited, frame):
                if getattr(awaited, frame) is not None:
                    frames.append(getattr(awaited, frame))
                awaited = getattr(awaited, inner)
                break
        else:
            awaited = _wrapped(awaited)
    return frames


def _wrapped(awaited):
    """What the interpreter's own wrappers have inside: they do not say."""
    if type(awaited).__name__ in (
        "async_generator_asend",
        "async_generator_athrow",
        "coroutine_wrapper",
        "anext_awaitable",
    ):
        for inside in gc.get_referents(awaited):
            if any(hasattr(inside, frame) for frame in ("cr_frame", "gi_frame", "ag_frame")):
                return inside
            if type(inside).__name__ == "async_generator_asend":
                return inside
    return None
