"""Tasks with a known share of the CPU, and tasks that hold their loop on purpose.

`--only split`: those that only use the CPU, in two loops on two threads, and in an executor.
`--only stalls`: those that hold the loop.
"""

import asyncio
import os
import socket
import subprocess
import threading
import time

import protocol
from ledger import Meter

_rounds_per_ms = 1


def spin(rounds):
    x = 1
    for _ in range(rounds): x = (x * 69069 + 1) & 0xFFFFFFFF
    return x


def spin_for(ms):
    return spin(int(ms * _rounds_per_ms))


# The split.


async def direct():
    """A seventh of a core, in its own frame."""
    meter = Meter("truth.direct")
    while True:
        with meter:
            x = 1
            for _ in range(3 * _rounds_per_ms): x = (x * 69069 + 1) & 0xFFFFFFFF
        await asyncio.sleep(0.017)


async def deep():
    """A tenth, at the end of a chain of coroutines."""
    meter = Meter("truth.deep")
    while True:
        await step_down(12, meter)


async def step_down(steps, meter):
    if steps:
        await step_down(steps - 1, meter)
    else:
        await Bottom(meter).work()


class Bottom:
    def __init__(self, meter):
        self.meter = meter

    async def work(self):
        with self.meter:
            spin_for(3)
        await asyncio.sleep(0.027)


async def helped():
    """A twelfth, in plain functions below."""
    meter = Meter("truth.helped")
    while True:
        with meter:
            first_helper()
        await asyncio.sleep(0.022)


def first_helper():
    return second_helper() + 1


def second_helper():
    return sum(third_helper(part) for part in range(2))


def third_helper(part):
    return spin_for(1) + part


async def numbers(meter):
    while True:
        with meter:
            number = spin_for(2)
        yield number
        await asyncio.sleep(0.038)


async def consumes():
    """A twentieth, in an asynchronous generator."""
    meter = Meter("truth.consumes")
    async for number in numbers(meter):
        if number == -1:
            break


async def launches():
    """Not measured itself: it only starts short tasks, which use a fortieth."""
    meter = Meter("truth.short")
    while True:
        meter.tasks += 1
        await asyncio.create_task(short(meter))
        await asyncio.sleep(0.02)


async def short(meter):
    with meter:
        spin_for(0.5)


async def offloads():
    """Nearly nothing on the loop; a fifteenth in an executor's thread."""
    meter = Meter("truth.crunch", holds_loop=False)
    loop = asyncio.get_running_loop()
    while True:
        await loop.run_in_executor(None, crunch, meter)
        await asyncio.sleep(0.027)


def crunch(meter):
    with meter:
        spin_for(2)


async def on_another_loop():
    """A tenth, in a loop on a thread of its own."""
    meter = Meter("truth.on_another_loop")
    while True:
        with meter:
            spin_for(3)
        await asyncio.sleep(0.027)


# Stalls, each in a task of its own.


async def sleeps_in_task():
    meter = Meter("truth.sleeps_in_task")
    while True:
        await asyncio.sleep(0.47)
        with meter:
            nap()


def nap():
    time.sleep(0.03)  #~ culprit sleeps_in_task syscall clock_nanosleep/pselect6/select


async def spins_in_task():
    meter = Meter("truth.spins_in_task")
    while True:
        await asyncio.sleep(0.36)
        with meter:
            spin_long(40 * _rounds_per_ms)


def spin_long(rounds):
    x = 1
    for _ in range(rounds): x = (x * 69069 + 1) & 0xFFFFFFFF  #~ culprit spins_in_task cpu -
    return x


async def reads_in_task():
    """A pipe, as a file on a slow disk would be."""
    meter = Meter("truth.reads_in_task")
    asked, answer = start_writer(0.021)
    file = open(answer, "rb", buffering=0)
    while True:
        await asyncio.sleep(0.51)
        with meter:
            read_one(asked, file)


def read_one(asked, file):
    asked.release()
    return file.read(1)  #~ culprit reads_in_task syscall read


async def receives_in_task():
    meter = Meter("truth.receives_in_task")
    ours, theirs = socket.socketpair()
    asked = start_answering(lambda: theirs.send(b"x"), 0.026)
    while True:
        await asyncio.sleep(0.57)
        with meter:
            receive_one(asked, ours)


def receive_one(asked, ours):
    asked.release()
    return ours.recv(1)  #~ culprit receives_in_task syscall recvfrom


async def waits_for_child_in_task():
    meter = Meter("truth.waits_for_child_in_task")
    while True:
        await asyncio.sleep(0.9)
        with meter:
            run_child()


def run_child():
    subprocess.run(["sleep", "0.035"])  #~ culprit waits_for_child_in_task syscall wait4


async def locks_in_task():
    meter = Meter("truth.locks_in_task")
    lock = threading.Lock()
    asked = start_holder(lock)
    while True:
        await asyncio.sleep(0.63)
        asked.release()
        # So that the holder has the lock before we want it.
        await asyncio.sleep(0.005)
        with meter:
            take(lock)


def take(lock):
    with lock:  #~ culprit locks_in_task syscall futex
        return True


def start_writer(after):
    reader, writer = os.pipe()
    return start_answering(lambda: os.write(writer, b"x"), after), reader


def start_answering(answer, after):
    """A thread that answers so long after it is asked to."""
    asked = threading.Semaphore(0)

    def answers():
        while True:
            asked.acquire()
            time.sleep(after)
            answer()

    threading.Thread(target=answers, daemon=True).start()
    return asked


def start_holder(lock):
    """A thread that holds the lock for 33 ms when it is asked to."""
    asked = threading.Semaphore(0)

    def holds():
        while True:
            asked.acquire()
            with lock:
                time.sleep(0.033)

    threading.Thread(target=holds, daemon=True).start()
    return asked


SPLIT = [direct, deep, helped, consumes, launches, offloads]
STALLS = [
    sleeps_in_task,
    spins_in_task,
    reads_in_task,
    receives_in_task,
    waits_for_child_in_task,
    locks_in_task,
]


async def main(args):
    wanted = {"split": SPLIT, "stalls": STALLS}.get(args.only, SPLIT + STALLS)
    tasks = [asyncio.create_task(function(), name=function.__name__) for function in wanted]
    if args.only != "stalls":
        other = threading.Thread(target=asyncio.run, args=(on_another_loop(),), daemon=True)
        other.start()
    await asyncio.sleep(0.5)
    protocol.Service("truth", [__file__], args).ready()
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    parsed = protocol.arguments()
    _rounds_per_ms = protocol.rounds_per_ms(spin)
    asyncio.run(main(parsed))
