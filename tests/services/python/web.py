"""A web service, for load: FastAPI on uvicorn, or aiohttp.

`--framework fastapi|aiohttp`, `--loop asyncio|uvloop`, `--workers N` (uvicorn's). Endpoints: `/cpu`
computes for 2 ms, `/sleep` waits for 20 ms, `/db` waits for one of eight connections and then for
its answer, `/blocking` holds the loop for 25 ms.
"""

import asyncio
import ctypes
import multiprocessing
import signal
import socket
import sys
import threading
import time

import protocol
from ledger import Meter

ROUNDS = 20_000


def compute():
    x = 1
    for _ in range(ROUNDS): x = (x * 69069 + 1) & 0xFFFFFFFF
    return x


class Database:
    """Connections, which are too few."""

    def __init__(self):
        self.free = asyncio.Semaphore(8)

    async def query(self):
        async with self.free:
            await self.answer()  #~ await db 1

    async def answer(self):
        await asyncio.sleep(0.005)


def hold():
    time.sleep(0.025)  #~ culprit blocking syscall clock_nanosleep/pselect6/select


_cpu = Meter("web.cpu")
_database = []


async def cpu():
    with _cpu:
        return {"x": compute()}


async def sleep():
    await asyncio.sleep(0.02)
    return {}


async def db():
    # Made where the loop runs: up to 3.9 a semaphore belongs to the loop of its making.
    if not _database:
        _database.append(Database())
    await _database[0].query()
    return {}


async def blocking():
    hold()
    return {}


ENDPOINTS = [cpu, sleep, db, blocking]


def end_with_parent():
    """A worker whose parent was killed would go on for ever."""
    if multiprocessing.parent_process():
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def fastapi_app():
    import fastapi

    end_with_parent()
    app = fastapi.FastAPI()
    for endpoint in ENDPOINTS:
        app.get("/" + endpoint.__name__)(endpoint)
    return app


def aiohttp_app():
    from aiohttp import web

    def answering(endpoint):
        async def answer(request):
            return web.json_response(await endpoint())

        return answer

    app = web.Application()
    for endpoint in ENDPOINTS:
        app.router.add_get("/" + endpoint.__name__, answering(endpoint))
    return app


def wait_until_it_listens(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def run(args, port):
    if args.framework == "fastapi":
        import uvicorn

        uvicorn.run(
            "web:fastapi_app",
            factory=True,
            port=port,
            loop=args.loop,
            workers=args.workers,
            log_level="error",
        )
    else:
        from aiohttp import web

        loop = asyncio.new_event_loop()
        if args.loop == "uvloop":
            import uvloop

            loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        web.run_app(aiohttp_app(), host="127.0.0.1", port=port, loop=loop, print=None)


def say_when_ready(service, port):
    wait_until_it_listens(port)
    service.ready(" port={}".format(port))


if __name__ == "__main__":
    # The application is found by this name, also in workers.
    sys.modules["web"] = sys.modules["__main__"]
    parsed = protocol.arguments(framework="fastapi", loop="asyncio", workers=1)
    free = free_port()
    answering = protocol.Service("web", [__file__], parsed)
    threading.Thread(target=say_when_ready, args=(answering, free), daemon=True).start()
    run(parsed, free)
