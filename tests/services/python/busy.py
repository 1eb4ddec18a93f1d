"""Many small functions that call each other all the time, of which is known who calls whom.

The functions are written by this script itself, always the same: five layers of forty, each of
which calls three of the next layer, every call on a line of its own; and tasks that come to them
through coroutines, generators, methods, closures and comprehensions. The truth is `edges`: from
each line the names of what it may call.
"""

import ast
import asyncio
import random

import protocol

LAYERS = 5
WIDTH = 40
TASKS = 12


def written():
    """The source of the service."""
    dice = random.Random(14)
    lines = ["import asyncio", ""]
    for layer in range(LAYERS):
        for number in range(WIDTH):
            lines += _function(dice, layer, number)
    for number in range(TASKS):
        lines += _task(dice, number)
    return "\n".join(lines) + "\n"


def _function(dice, layer, number):
    name = "f{}_{}".format(layer, number)
    if layer == LAYERS - 1:
        return [
            "def {}(x):".format(name),
            "    y = x + {}".format(number),
            "    for _ in range({}): y = (y * 69069 + 1) & 0xFFFF".format(dice.randint(2, 12)),
            "    return y",
            "",
        ]
    below = ["f{}_{}".format(layer + 1, dice.randrange(WIDTH)) for _ in range(3)]
    shape = dice.randrange(5)
    if shape == 0:
        return [
            "class C{}:".format(name),
            "    def method(self, x):",
            "        y = {}(x)".format(below[0]),
            "        y += {}(y)".format(below[1]),
            "        return y",
            "",
            "def {}(x):".format(name),
            "    return C{}().method(x)  # calls C{}.method".format(name, name),
            "",
        ]
    if shape == 1:
        return [
            "def {}(x):".format(name),
            "    def closure(z):",
            "        return {}(z + x)".format(below[0]),
            "    y = closure(x)  # calls {}.<locals>.closure".format(name),
            "    return y + {}(y)".format(below[1]),
            "",
        ]
    if shape == 2:
        return [
            "def g{}(x):".format(name),
            "    yield {}(x)".format(below[0]),
            "    yield {}(x + 1)".format(below[1]),
            "",
            "def {}(x):".format(name),
            "    y = 0",
            "    for z in g{}(x):  # calls g{}".format(name, name),
            "        y += z",
            "    return y",
            "",
        ]
    if shape == 3:
        return [
            "def {}(x):".format(name),
            "    y = [{}(z) for z in range(2)]  # calls {}.<locals>.<listcomp>".format(below[0], name),
            "    return y[0] + {}(x)".format(below[1]),
            "",
        ]
    return [
        "def {}(x):".format(name),
        "    y = {}(x)".format(below[0]),
        "    y += {}(y)".format(below[1]),
        "    return y + {}(y)".format(below[2]),
        "",
    ]


def _task(dice, number):
    tops = ["f0_{}".format(dice.randrange(WIDTH)) for _ in range(4)]
    return [
        "async def a{}(x):".format(number),
        "    y = {}(x)".format(tops[0]),
        "    await asyncio.sleep(0)",
        "    return y + {}(x)".format(tops[1]),
        "",
        "async def b{}(x):".format(number),
        "    yield {}(x)".format(tops[2]),
        "    await asyncio.sleep(0)",
        "    yield await a{}(x)".format(number),
        "",
        "async def task{}():".format(number),
        "    x = 0",
        "    while True:",
        "        async for y in b{}(x):  # calls b{}".format(number, number),
        "            x = y & 0xFF",
        "        x += await a{}(x)".format(number),
        "        x += {}(x)".format(tops[3]),
        "",
    ]


def edges(source):
    """From each line the functions that it may call, by the name that their code has."""
    found = {}
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id[0] in "fgab":
                found.setdefault(node.lineno, set()).add(node.func.id)
    for number, line in enumerate(lines, 1):
        if "# calls " in line:
            found.setdefault(number, set()).add(line.split("# calls ")[1])
            found[number].discard("C")
    return {str(line): sorted(names) for line, names in sorted(found.items())}


def functions(source):
    """First and last line of every function, with its qualified name."""
    import markers

    known = markers._functions(ast.parse(source))
    return [{"name": name, "first": first, "last": last} for first, last, name in known]


async def main(args):
    source = written()
    names = {"__name__": "written"}
    exec(compile(source, "/srv/written.py", "exec"), names)
    tasks = [
        asyncio.create_task(names["task{}".format(number)](), name="task{}".format(number))
        for number in range(TASKS)
    ]
    await asyncio.sleep(0.3)
    told = {"edges": edges(source), "functions": functions(source)}
    protocol.Service("busy", [__file__], args, lambda: told).ready()
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(protocol.arguments()))
