"""The ancestor: a process for each connection, which answers a line."""
import socketserver


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())


class Server(socketserver.ForkingTCPServer):
    request_queue_size = 128


with Server(("127.0.0.1", 0), Handler) as server:
    print(f"listening on tcp://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
