"""Locks, queues and what else one task has and another waits for."""

import asyncio
import sys

from parked import task

FAR = 7200


async def start():
    lock = asyncio.Lock()
    task("lock_holder", holds(lock))
    await asyncio.sleep(0)
    task("lock", acquires(lock))
    task("lock_with", enters(lock))
    task("event", waits_for(asyncio.Event()))
    condition = asyncio.Condition()
    task("condition", waits_until(condition))
    task("condition_for", waits_for_it(condition))
    semaphore = asyncio.Semaphore(0)
    task("semaphore", enters_semaphore(semaphore))
    task("bounded", acquires_bounded(asyncio.BoundedSemaphore(1)))
    task("get", gets(asyncio.Queue()))
    task("get_priority", gets_first(asyncio.PriorityQueue()))
    full = asyncio.Queue(1)
    full.put_nowait(1)
    task("put", puts(full))
    task("join", joins(full))
    task("future", awaits_future(asyncio.get_running_loop().create_future()))
    if sys.version_info >= (3, 11):
        task("barrier", waits_at(asyncio.Barrier(3)))


async def holds(lock):
    async with lock:
        await asyncio.sleep(FAR)  #~ await lock_holder 0 | timer


async def acquires(lock):
    await lock.acquire()  #~ await lock 0 | lock


async def enters(lock):
    async with lock:  #~ await lock_with 0 | lock
        pass


async def waits_for(event):
    await event.wait()  #~ await event 0 | lock/other


async def waits_until(condition):
    async with condition:
        await condition.wait()  #~ await condition 0 | lock/other


async def waits_for_it(condition):
    async with condition:
        await condition.wait_for(never)  #~ await condition_for 0 | lock/other


def never():
    return False


async def enters_semaphore(semaphore):
    async with semaphore:  #~ await semaphore 0 | lock
        pass


async def acquires_bounded(semaphore):
    await semaphore.acquire()
    await semaphore.acquire()  #~ await bounded 0 | lock


async def gets(queue):
    await queue.get()  #~ await get 0 | channel


async def gets_first(queue):
    await queue.get()  #~ await get_priority 0 | channel


async def puts(queue):
    await queue.put(2)  #~ await put 0 | channel


async def joins(queue):
    await queue.join()  #~ await join 0 | channel/lock/other


async def awaits_future(future):
    await future  #~ await future 0 | other


async def waits_at(barrier):
    await barrier.wait()  #~ await barrier 0 | lock/other
