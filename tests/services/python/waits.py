"""Tasks that are suspended at every sort of await point. All of them stay where they are, and where
that is stands in the source, on the very lines.

`--only PART` starts the tasks of one part: see `PARTS`.
"""

import asyncio
import threading

import parked
import protocol
import waits_combined
import waits_functions
import waits_io
import waits_locks

FAR = 7200

PARTS = {
    "functions": waits_functions.start,
    "combined": waits_combined.start,
    "locks": waits_locks.start,
    "io": waits_io.start,
}


async def main(args):
    asyncio.current_task().set_name("main")
    parked.running_as("main")
    for name, start in PARTS.items():
        if args.only in (None, name):
            await start()
    if args.only in (None, "held"):
        start_held_loop()
    await asyncio.sleep(0.3)
    files = [__file__] + [module.__file__ for module in MODULES]
    parked.serve("waits", files, args)
    await asyncio.sleep(FAR)  #~ await main 0 | timer


MODULES = [waits_combined, waits_functions, waits_io, waits_locks]


def start_held_loop():
    """A loop on a thread of its own, which one task holds for ever."""
    ready = threading.Event()
    held = threading.Event()

    async def holds():
        ready.set()
        held.wait()  #~ await held.running 0

    async def never_begins():  #~ await held.ready 0
        await asyncio.sleep(FAR)

    async def waits_elsewhere():
        await asyncio.sleep(FAR)  #~ await held.waits 0 | timer

    async def loop():
        parked.running_as("held.loop")
        parked.task("held.waits", waits_elsewhere())
        await asyncio.sleep(0.05)
        parked.task("held.running", holds(), state="running")
        parked.task("held.ready", never_begins(), state="ready")
        await asyncio.sleep(FAR)  #~ await held.loop 0 | timer

    threading.Thread(target=asyncio.run, args=(loop(),), daemon=True).start()
    ready.wait()


if __name__ == "__main__":
    asyncio.run(main(protocol.arguments()))
