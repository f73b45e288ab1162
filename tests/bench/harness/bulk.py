"""An upstream for large bodies: `python3 -m harness.bulk PORT BYTES`.

GET is answered with BYTES bytes, anything else with the number of bytes that the request had.
"""

import socket
import sys
import threading

PIECE = 1 << 20


def read_head(connection: socket.socket) -> tuple[str, dict[str, str], bytes] | None:
    """Method, fields, and what of the body came with the head; None at the end of the connection."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            return None
        head += received
    lines, _, rest = head.partition(b"\r\n\r\n")
    method, *fields = lines.decode("latin-1").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return method.split()[0], {name.lower(): value.strip() for name, _, value in pairs}, rest


def read_sized(connection: socket.socket, rest: bytes, length: int) -> int:
    """Reads a body with Content-Length and gives its length."""
    buffer = bytearray(PIECE)
    received = len(rest)
    while received < length:
        count = connection.recv_into(buffer)
        if not count:
            break
        received += count
    return received


def read_chunked(connection: socket.socket, rest: bytes) -> int:
    """Reads a chunked body without trailers and gives its length."""
    total, buffer = 0, bytearray(rest)

    def fill(size: int) -> None:
        while len(buffer) < size:
            received = connection.recv(PIECE)
            if not received:
                raise ConnectionError("the body broke off")
            buffer.extend(received)

    while True:
        while b"\r\n" not in buffer:
            fill(len(buffer) + 1)
        line, _, _ = bytes(buffer[:64]).partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        fill(len(line) + 2 + size + 2)
        del buffer[: len(line) + 2 + size + 2]
        if size == 0:
            return total
        total += size


def serve(connection: socket.socket, length: int) -> None:
    piece = memoryview(bytes(PIECE))
    with connection:
        while (request := read_head(connection)) is not None:
            method, fields, rest = request
            if method == "GET":
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
                connection.sendall(head.encode())
                for begin in range(0, length, PIECE):
                    connection.sendall(piece[: min(PIECE, length - begin)])
                continue
            if "chunked" in fields.get("transfer-encoding", ""):
                received = read_chunked(connection, rest)
            else:
                received = read_sized(connection, rest, int(fields.get("content-length", "0")))
            body = str(received)
            connection.sendall(
                f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
            )


def main() -> None:
    length = int(sys.argv[2])
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, length), daemon=True).start()


if __name__ == "__main__":
    main()
