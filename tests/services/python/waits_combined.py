"""Tasks that wait for tasks, in every way that asyncio offers."""

import asyncio
import sys

from parked import by_coroutine, known, task

FAR = 7200


async def start():
    task("awaits", awaits(child("child")), awaits=["child"])
    task("gather", gathers(child("gather_1"), child("gather_2")), awaits=["gather_1", "gather_2"])
    task("gather_coroutines", gathers_coroutines(), awaits=["gathered"])
    by_coroutine("gathered", gathered)
    task("gather_nested", gathers_gathered(child("gather_3"), child("gather_4")), awaits=["gather_3", "gather_4"])
    task("wait", waits({child("wait_1"), child("wait_2")}), awaits=["wait_1", "wait_2"])
    task("wait_timeout", waits_with_timeout({child("wait_3")}), awaits=["wait_3"])
    task("wait_for", waits_for(child("wait_for_1")), awaits=["wait_for_1"])
    if sys.version_info < (3, 12):
        task("wait_for_coroutine", waits_for_coroutine(), awaits=["limited"])
        by_coroutine("limited", limited)
    else:
        task("wait_for_coroutine", waits_for_coroutine())
    task("shield", shields(child("shielded")), awaits=["shielded"])
    task("as_completed", takes_as_completed([child("completed_1"), child("completed_2")]), awaits=["completed_1", "completed_2"])
    task("wrap_future", awaits(asyncio.ensure_future(child("wrapped"))), awaits=["wrapped"])
    shared = child("shared")
    task("shares_1", shares(shared), awaits=["shared"])
    task("shares_2", shares_too(shared), awaits=["shared"])
    task("deep_gather", outer_of_gather(child("deep_1")), awaits=["deep_1"])
    if sys.version_info >= (3, 11):
        task("task_group", groups(), awaits=["grouped_1", "grouped_2"])
        task("timeout", times_out())


def child(name):
    """A task that sleeps for ever."""
    return task(name, sleeps())


async def sleeps():
    await asyncio.sleep(FAR)  #~ await child,gather_1,gather_2,gather_3,gather_4,wait_1,wait_2,wait_3 0 | timer #~ await wait_for_1,shielded,completed_1,completed_2,wrapped,shared,deep_1,grouped_1,grouped_2 0 | timer


async def awaits(other):
    await other  #~ await awaits,wrap_future 0 | task


async def gathers(*others):
    await asyncio.gather(*others)  #~ await gather 0 | task x1-2


async def gathers_coroutines():
    await asyncio.gather(gathered())  #~ await gather_coroutines 0 | task


async def gathered():
    await asyncio.sleep(FAR)  #~ await gathered 0 | timer


async def gathers_gathered(one, two):
    await asyncio.gather(one, asyncio.gather(two))  #~ await gather_nested 0 | task x1-2


async def waits(others):
    await asyncio.wait(others)  #~ await wait 0 | task x1-2


async def waits_with_timeout(others):
    await asyncio.wait(others, timeout=FAR)  #~ await wait_timeout 0 | task/timer x1-2


async def waits_for(other):
    await asyncio.wait_for(other, FAR)  #~ await wait_for 0 | task/timer x1-2


async def waits_for_coroutine():
    await asyncio.wait_for(limited(), FAR)  #~ >=3.12 await wait_for_coroutine 0 #~ <3.12 await wait_for_coroutine 0 | task/timer x1-2


async def limited():
    await asyncio.sleep(FAR)  #~ <3.12 await limited 0 | timer #~ >=3.12 await wait_for_coroutine 1 | timer


async def shields(other):
    await asyncio.shield(other)  #~ await shield 0 | task


async def takes_as_completed(others):
    for first in asyncio.as_completed(others):
        await first  #~ await as_completed 0 | task/channel x1-2


async def shares(other):
    await other  #~ await shares_1 0 | task


async def shares_too(other):
    await asyncio.wait([other])  #~ await shares_2 0 | task


async def outer_of_gather(other):
    await inner_of_gather(other)  #~ await deep_gather 0


async def inner_of_gather(other):
    await asyncio.gather(other)  #~ await deep_gather 1 | task


async def groups():
    async with asyncio.TaskGroup() as group:  #~ await task_group 0 | task x1-2
        for name in ("grouped_1", "grouped_2"):
            known(name, group.create_task(sleeps(), name=name))


async def times_out():
    async with asyncio.timeout(FAR):
        await asyncio.sleep(FAR)  #~ await timeout 0 | timer
