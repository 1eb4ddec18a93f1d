"""Sockets, processes and threads."""

import asyncio
import socket
import sys
import threading

from parked import detail, task

FAR = 7200


async def start():
    task("accept", accepts())
    task("read", reads())
    task("readline", reads_line())
    task("drain", writes_to_the_brim())
    task("sock_recv", receives())
    task("sock_accept", accepts_socket())
    task("serve_forever", serves())
    task("process", waits_for_child())
    task("process_output", reads_of_child())
    task("executor", awaits_executor())
    if sys.version_info >= (3, 9):
        task("to_thread", awaits_thread())
    await asyncio.sleep(0.2)


def address(of):
    return "{}:{}".format(*of)


async def accepts():
    """The server of a library: its task waits until it is closed."""
    server = await asyncio.start_server(print, "127.0.0.1", 0)
    detail("accept", local=address(server.sockets[0].getsockname()))
    await server.serve_forever()  #~ await accept 0 | socket/other


async def connection(leaf):
    """Two ends of a connection, whose addresses become known for the leaf that has the first."""
    listener = socket.create_server(("127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    theirs, _ = listener.accept()
    detail(leaf, local=address(writer.get_extra_info("sockname")), peer=address(theirs.getsockname()))
    return reader, writer, theirs


async def reads():
    reader, writer, theirs = await connection("read")
    await reader.read(16)  #~ await read 0 | socket
    return writer, theirs


async def reads_line():
    reader, writer, theirs = await connection("readline")
    await reader.readline()  #~ await readline 0 | socket
    return writer, theirs


async def writes_to_the_brim():
    """Nobody reads at the other end."""
    reader, writer, theirs = await connection("drain")
    writer.write(bytes(16 << 20))
    await writer.drain()  #~ await drain 0 | socket
    return reader, theirs


async def receives():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    await asyncio.get_running_loop().sock_recv(ours, 16)  #~ await sock_recv 0 | socket
    return theirs


async def accepts_socket():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    detail("sock_accept", local=address(listener.getsockname()))
    await asyncio.get_running_loop().sock_accept(listener)  #~ await sock_accept 0 | socket


async def serves():
    server = await asyncio.start_unix_server(print, sock=unix_listener())
    async with server:
        await server.serve_forever()  #~ await serve_forever 0 | socket/other


def unix_listener():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen()
    return listener


async def waits_for_child():
    """`cat` ends when we do: its standard input is ours to write."""
    child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
    await child.wait()  #~ await process 0 | io/other


async def reads_of_child():
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    await child.stdout.read(1)  #~ await process_output 0 | io/socket


# For ever.
_never = threading.Event()


async def awaits_executor():
    await asyncio.get_running_loop().run_in_executor(None, _never.wait)  #~ await executor 0 | task/io/other


async def awaits_thread():
    await asyncio.to_thread(_never.wait)  #~ await to_thread 0 | task/io/other
