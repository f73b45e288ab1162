"""The soak's upstream: `python3 -m soaking.upstream PORT`. What it does is in the path's last segment.

`echo` gives the body back, `sum` its length and SHA-256, `large` a mebibyte, `head` the fields it saw; `slow` waits a little,
`stall` for ever; `reset` closes with a reset, `half` breaks off in the middle of its answer.
"""

import hashlib
import json
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = bytes(range(256)) * 4096
SLOW_SECONDS = 0.15
STALL_SECONDS = 30


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that leave in the middle are part of the mix."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        body = self.read_body()
        kind = self.path.partition("?")[0].rpartition("/")[2]
        if kind == "reset":
            return self.reset()
        if kind == "stall":
            time.sleep(STALL_SECONDS)
        if kind == "slow":
            time.sleep(SLOW_SECONDS)
        if kind == "half":
            self.send(b"x" * 500, length=1000)
            self.close_connection = True
        elif kind == "large":
            self.send(LARGE)
        elif kind == "echo":
            self.send(body)
        elif kind == "authorized" or kind == "head":
            self.send(json.dumps({name.lower(): value for name, value in self.headers.items()}).encode())
        else:
            digest = hashlib.sha256(body).hexdigest()
            self.send(
                json.dumps({"method": self.command, "path": self.path, "bytes": len(body), "sha256": digest}).encode()
            )

    def read_body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def send(self, body: bytes, length: int | None = None) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length or len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
