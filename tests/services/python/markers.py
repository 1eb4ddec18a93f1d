"""Markers in the sources of the services: what stands on their lines, said once and there.

    time.sleep(0.03)  #~ culprit sleeps_in_task syscall clock_nanosleep
    await inner()     #~ await nested 0
    await sleep(FAR)  #~ await nested 1 | timer

`culprit KIND CAUSE SYSCALL`: the line holds the loop in a task of that kind.

`await LEAF,... DEPTH [NAME] [| WHAT [COUNT]]`: a task with such a leaf is suspended in this line, at this
depth of its stack. A leaf is called as its task. Behind DEPTH, `*N`: the frame
stands there N times in a row; `?`: a tool may leave it out, because it is a wrapper. Several
possible WHATs are divided by `/`. COUNT is `xN-M`: so many leaves look like this.

Behind that may stand `<listcomp>` or `<genexpr>`, which are functions of their own in the one of the
line; or `=NAME`, where up to 3.10 a coroutine has another name than its code.

A marker that begins with `<3.12` or `>=3.12` counts for those versions of Python only. The name of
the function is not written down: it is that of the definition around the line.
"""

import ast
import os
import sys


class Source:
    """A source file and its markers."""

    def __init__(self, path, text=None):
        self.path = path
        self.name = os.path.basename(path)
        self.module = os.path.splitext(self.name)[0]
        if text is None:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        self.lines = text.splitlines()
        self.functions = _functions(ast.parse(text))

    def function_at(self, line):
        """The name of the innermost function around a line, with its module."""
        around = [(first, name) for first, last, name in self.functions if first <= line <= last]
        return self.module + "." + (max(around)[1] if around else "<module>")

    def markers(self, sort):
        """The markers of one sort: line and words."""
        for line, text in enumerate(self.lines, 1):
            if text.lstrip().startswith("#") or '"""' in text:
                continue
            for marker in text.split("#~ ")[1:]:
                words = marker.split()
                if words[0][0] in "<>":
                    if not _is_meant(words.pop(0)):
                        continue
                if words[0] == sort:
                    yield line, words[1:]


def _is_meant(condition):
    numbers = condition.lstrip("<>=")
    version = tuple(int(number) for number in numbers.split("."))
    if condition.startswith(">="):
        return sys.version_info >= version
    return sys.version_info < version


def _functions(tree):
    """First line, last line and qualified name of every function."""
    found = []

    def look_below(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                name = prefix + child.name
                found.append((child.lineno, child.end_lineno, name))
                look_below(child, name + ".<locals>.")
            elif isinstance(child, ast.ClassDef):
                look_below(child, prefix + child.name + ".")
            else:
                look_below(child, prefix)

    look_below(tree, "")
    return found


def culprits(sources):
    """The lines that hold the loop."""
    return [
        {
            "kind": source.module + "." + kind,
            "cause": cause,
            "syscall": syscall,
            "function": source.function_at(line),
            "file": source.name,
            "line": line,
        }
        for source in sources
        for line, (kind, cause, syscall) in source.markers("culprit")
    ]


def leaves(sources):
    """The leaves of all tasks by name, each with its frames from the root on."""
    found = {}
    for source in sources:
        for line, words in source.markers("await"):
            names, depth = words[0], words[1]
            function = source.function_at(line)
            if len(words) > 2 and words[2] != "|":
                function = _named(source, function, words.pop(2))
            end = words[words.index("|") + 1 :] if "|" in words else []
            place, frame = _frame(source, line, function, depth)
            for name in names.split(","):
                leaf = found.setdefault(
                    name, {"leaf": name, "least": 1, "most": 1, "what": [], "frames": []}
                )
                leaf["frames"].append((place, frame))
                if end:
                    leaf["what"] = end[0].split("/")
                if len(end) > 1:
                    least, _, most = end[1][1:].partition("-")
                    leaf["least"], leaf["most"] = int(least), int(most or least)
    for leaf in found.values():
        leaf["frames"] = [frame for _, frame in sorted(leaf["frames"], key=lambda pair: pair[0])]
    return found


def _named(source, function, word):
    """`<listcomp>`: what is in the function. `=name`: what its coroutines are called."""
    if word[0] == "=":
        return source.module + "." + word[1:]
    return function + ".<locals>." + word


def _frame(source, line, function, depth):
    place, _, times = depth.rstrip("?").partition("*")
    frame = {
        "function": function,
        "file": source.name,
        "line": line,
        "times": int(times or 1),
        "line_free": False,
        "optional": depth.endswith("?"),
    }
    return int(place), frame
