"""The ancestor, and asyncio: a line echo over kept connections. `lines.py threading|forking|asyncio|once`."""
import asyncio
import os
import signal
import socketserver
import sys
import threading

# Whoever measures it holds its input; when that is gone, so is this.
def watch():
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


os.setpgid(0, 0)
threading.Thread(target=watch, daemon=True).start()


class Lines(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Once(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())


class Threading(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True


class Forking(socketserver.ForkingTCPServer):
    request_queue_size = 128
    max_children = 200


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def asyncio_main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=128)
    print(f"listening on tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


kind = sys.argv[1]
if kind == "asyncio":
    asyncio.run(asyncio_main())
else:
    base = Threading if kind == "threading" else Forking
    with base(("127.0.0.1", 0), Once if kind == "once" else Lines) as server:
        print(f"listening on tcp://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever(poll_interval=0.05)
