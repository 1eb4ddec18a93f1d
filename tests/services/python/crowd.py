"""So many tasks, all suspended: `crowd.py N`, or `--tasks N`."""

import asyncio
import sys

import markers
import protocol

FAR = 7200


async def outer():
    await inner()  #~ await crowd 0


async def inner():
    await asyncio.sleep(FAR)  #~ await crowd 1 | timer


async def main(args):
    tasks = [asyncio.create_task(outer()) for _ in range(args.tasks)]
    await asyncio.sleep(0)

    def more():
        crowd = {"name": "crowd", "parked": True, "spawned": len(tasks), "finished": 0}
        crowd.update(first_id=0, last_id=0, leaves=list(markers.leaves(service.sources).values()))
        return {"crowds": [crowd]}

    service = protocol.Service("crowd", [__file__], args, more)
    service.ready()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        sys.argv.insert(1, "--tasks")
    asyncio.run(main(protocol.arguments(tasks=1000)))
