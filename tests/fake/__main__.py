"""`python -m fake [PORT]`: prints the port; ends when its standard input does."""

import asyncio
import gc
import sys

from .server import Server


async def main():
    server = Server()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    await server.serve(port, lambda found: print(found, flush=True))
    gc.freeze()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1() or ended.set())
    await ended.wait()


asyncio.run(main())
