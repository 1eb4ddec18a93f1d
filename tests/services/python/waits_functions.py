"""Chains of functions, generators and whatever else can be awaited."""

import asyncio
import contextlib
import functools
import sys
import types

from parked import deadline, task

FAR = 7200


async def start():
    task("sleep", sleeps())
    task("nested", outer())
    task("recursion", goes_down(30))
    task("method", Account().pays())
    task("static", Account.counts())
    task("of_class", Account.opens())
    task("closure", make_closure()())
    task("lambda", (lambda: awaited_of_lambda())())
    task("partial", functools.partial(awaited_of_partial, 1, two=2)())
    task("decorated", decorated())
    task("decorated_async", decorated_async())
    task("async_for", iterates())
    task("async_for_nested", iterates_nested())
    task("comprehension", comprehends())
    task("generator_expression", expresses())
    task("asend", sends())
    task("aclose", closes())
    task("async_with", enters())
    task("async_exit", leaves())
    task("context_manager", enters_generator())
    task("exit_stack", enters_stack())
    task("coroutine_generator", awaits_generator())
    task("yield_from", awaits_yield_from())
    task("wrapper", awaits_wrapper())
    task("delegate", awaits_delegate())
    task("iterator", awaits_iterator())
    task("iterator_class", iterates_class())
    task("finally", ends_with_finally())
    task("except", ends_with_except())
    task("last_line", does_much_before())
    task("conditional", await_in_condition())
    task("argument", await_in_argument())
    task("many_locals", holds_many_locals())
    if sys.version_info >= (3, 10):
        task("anext", awaits_anext())
        task("anext_default", awaits_anext_default())
    if sys.version_info >= (3, 12):
        eager = functools.partial(asyncio.Task, loop=asyncio.get_running_loop(), eager_start=True)
        task("eager", begins_at_once(), made_by=eager)
    labelled = functools.partial(Labelled, loop=asyncio.get_running_loop())
    task("subclass", runs_in_subclass(), made_by=labelled)


async def sleeps():
    deadline("sleep", 3600)
    await asyncio.sleep(3600)  #~ await sleep 0 | timer


async def outer():
    await middle(1)  #~ await nested 0


async def middle(number):
    result = await inner(number + 1)  #~ await nested 1
    return result


async def inner(number):
    if number:
        await asyncio.sleep(FAR)  #~ await nested 2 | timer


async def goes_down(steps):
    if steps > 0:
        await goes_down(steps - 1)  #~ await recursion 0*30
    await asyncio.sleep(FAR)  #~ await recursion 1 | timer


class Account:
    async def pays(self):
        await self._transfers()  #~ await method 0

    async def _transfers(self):
        await asyncio.sleep(FAR)  #~ await method 1 | timer

    @staticmethod
    async def counts():
        await asyncio.sleep(FAR)  #~ await static 0 | timer

    @classmethod
    async def opens(cls):
        await asyncio.sleep(FAR)  #~ await of_class 0 | timer


def make_closure():
    far = FAR

    async def closure():
        await asyncio.sleep(far)  #~ await closure 0 | timer

    return closure


async def awaited_of_lambda():
    await asyncio.sleep(FAR)  #~ await lambda 0 | timer


async def awaited_of_partial(one, two):
    await asyncio.sleep(FAR + one + two)  #~ await partial 0 | timer


def plainly(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def awaiting(function):
    @functools.wraps(function)
    async def wrapper(*args):
        return await function(*args)  #~ >=3.11 await decorated_async 0 #~ <3.11 await decorated_async 0 =decorated_async

    return wrapper


@plainly
async def decorated():
    await asyncio.sleep(FAR)  #~ await decorated 0 | timer


@awaiting
async def decorated_async():
    await asyncio.sleep(FAR)  #~ await decorated_async 1 | timer


async def numbers():
    yield 1
    await asyncio.sleep(FAR)  #~ await async_for 1 | timer
    yield 2


async def iterates():
    async for number in numbers():  #~ await async_for 0
        assert number == 1


async def letters():
    yield "a"
    await asyncio.sleep(FAR)  #~ await async_for_nested 2 | timer


async def doubled():
    async for letter in letters():  #~ await async_for_nested 1
        yield 2 * letter


async def iterates_nested():
    async for pair in doubled():  #~ await async_for_nested 0
        assert pair == "aa"


async def slow_numbers():
    await asyncio.sleep(FAR)  #~ await comprehension 2 | timer
    yield 1


async def comprehends():
    return [number async for number in slow_numbers()]  #~ await comprehension 0 #~ <3.12 await comprehension 1 <listcomp>


async def more_numbers():
    await asyncio.sleep(FAR)  #~ await generator_expression 2 | timer
    yield 1


async def expresses():
    generator = (number + 1 async for number in more_numbers())  #~ await generator_expression 1 <genexpr>
    async for number in generator:  #~ await generator_expression 0
        return number


async def echoes():
    got = yield 1
    await asyncio.sleep(FAR + got)  #~ await asend 1 | timer


async def sends():
    generator = echoes()
    await generator.__anext__()
    await generator.asend(1)  #~ await asend 0


async def cleans_up():
    try:
        yield 1
    finally:
        await asyncio.sleep(FAR)  #~ await aclose 1 | timer


async def closes():
    generator = cleans_up()
    await generator.__anext__()
    await generator.aclose()  #~ await aclose 0


class Slow:
    """Takes its time to enter or to leave."""

    def __init__(self, entering):
        self.entering = entering

    async def __aenter__(self):
        if self.entering:
            await asyncio.sleep(FAR)  #~ await async_with 1 | timer

    async def __aexit__(self, *_):
        await asyncio.sleep(FAR)  #~ await async_exit 1 | timer


async def enters():
    async with Slow(True):  #~ await async_with 0
        pass


async def leaves():
    async with Slow(False): pass  #~ await async_exit 0


@contextlib.asynccontextmanager
async def resource():
    await asyncio.sleep(FAR)  #~ await context_manager 1 | timer
    yield 1


async def enters_generator():
    async with resource() as one:  #~ await context_manager 0
        assert one == 1


class Stacked:
    async def __aenter__(self):
        await asyncio.sleep(FAR)  #~ await exit_stack 1 | timer

    async def __aexit__(self, *_):
        pass


async def enters_stack():
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(Stacked())  #~ await exit_stack 0


@types.coroutine
def old_style():
    yield from asyncio.sleep(FAR).__await__()  #~ await coroutine_generator 1 | timer


async def awaits_generator():
    await old_style()  #~ await coroutine_generator 0


@types.coroutine
def yields_from():
    yield from awaited_by_generator()  #~ await yield_from 1


async def awaited_by_generator():
    await asyncio.sleep(FAR)  #~ await yield_from 2 | timer


async def awaits_yield_from():
    await yields_from()  #~ await yield_from 0


class Wrapper:
    """Awaits what it holds, in a generator of its own."""

    def __init__(self, inside):
        self.inside = inside

    def __await__(self):
        return (yield from self.inside.__await__())  #~ await wrapper 1


async def wrapped():
    await asyncio.sleep(FAR)  #~ await wrapper 2 | timer


async def awaits_wrapper():
    await Wrapper(wrapped())  #~ await wrapper 0


class Delegate:
    """Gives away the iterator of what it holds."""

    def __init__(self, inside):
        self.inside = inside

    def __await__(self):
        return self.inside.__await__()


async def delegated():
    await asyncio.sleep(FAR)  #~ await delegate 1 | timer


async def awaits_delegate():
    await Delegate(delegated())  #~ await delegate 0


class Iterator:
    """An iterator in plain Python: nobody can know what it goes on with."""

    def __init__(self, inside):
        self.inside = inside.__await__()

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.inside.send(None)


async def iterated():
    await asyncio.sleep(FAR)


async def awaits_iterator():
    await Iterator(iterated())  #~ await iterator 0 | timer/other


class Pages:
    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(FAR)  #~ await iterator_class 1 | timer


async def iterates_class():
    async for page in Pages():  #~ await iterator_class 0
        assert page


async def ends_with_finally():
    try:
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(FAR)  #~ await finally 0 | timer


async def ends_with_except():
    try:
        raise ValueError
    except ValueError:
        await asyncio.sleep(FAR)  #~ await except 0 | timer


async def does_much_before():
    """So that the line is far from the first, in lines and in bytes of code."""
    total = 0
    for part in range(3):
        await asyncio.sleep(0)
        total += part
    words = {
        "one": 1,
        "two": 2,
        "three": 3,
        "four": 4,
    }
    text = ", ".join(
        "{}={}".format(name, value)
        for name, value in words.items()
    )
    # A comment,

    # and empty lines.

    assert text.startswith("one=1") and total == 3
    await asyncio.sleep(FAR)  #~ await last_line 0 | timer
    return words


async def await_in_condition():
    while not await asyncio.sleep(FAR):  #~ await conditional 0 | timer
        pass


async def await_in_argument():
    values = list(range(8))
    print(*values, await asyncio.sleep(FAR))  #~ await argument 0 | timer


async def holds_many_locals():
    a, b, c, d, e, f, g, h = range(8)
    i, j, k, l, m, n, o, p = range(8, 16)
    kept = lambda: (a, b, c, d, i, j)
    await asyncio.sleep(FAR)  #~ await many_locals 0 | timer
    return kept, e, f, g, h, k, l, m, n, o, p


async def next_numbers():
    await asyncio.sleep(FAR)  #~ await anext 1 | timer
    yield 1


async def awaits_anext():
    await anext(next_numbers())  #~ await anext 0


async def default_numbers():
    await asyncio.sleep(FAR)  #~ await anext_default 1 | timer
    yield 1


async def awaits_anext_default():
    await anext(default_numbers(), 2)  #~ await anext_default 0


async def begins_at_once():
    await asyncio.sleep(FAR)  #~ await eager 0 | timer


class Labelled(asyncio.Task):
    """A task with more to it."""

    def __init__(self, coroutine, *, name, loop):
        super().__init__(coroutine, loop=loop, name=name)
        self.label = name


async def runs_in_subclass():
    await asyncio.sleep(FAR)  #~ await subclass 0 | timer
