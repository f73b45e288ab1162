"""An upstream that remembers what it was sent, for checks: `python3 -m harness.recorder PORT BODY_FILE`.

It runs as a process of its own, so that ending it closes every connection before the measured upstream takes its port.
`GET /.recorded` hands out what came since the last time, as JSON.
"""

import json
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTROL = "/.recorded"


class Recorder(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: bytes):
        super().__init__(("127.0.0.1", port), Handler)
        self.answer = answer
        self.lock = threading.Lock()
        self.requests: list[dict[str, object]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def answer(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = self.chunks() if self.headers.get("transfer-encoding") else self.rfile.read(length)
        if self.path == CONTROL:
            with self.server.lock:
                recorded, self.server.requests = self.server.requests, []
            return self.send(json.dumps(recorded).encode())
        fields = {name.lower(): value for name, value in self.headers.items()}
        seen: dict[str, object] = {
            "method": self.command,
            "path": self.path,
            "headers": fields,
            "body": body.decode(errors="replace"),
        }
        with self.server.lock:
            self.server.requests.append(seen)
        self.send(self.server.answer)

    def chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def send(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        """Nothing: what matters is recorded."""


if __name__ == "__main__":
    Recorder(int(sys.argv[1]), pathlib.Path(sys.argv[2]).read_bytes()).serve_forever()
