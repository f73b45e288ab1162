"""The soak's clients: threads that each keep a connection, pick what to do by chance, and know what must come of it."""

import hashlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

from soaking.upstream import LARGE

TIMEOUT_SECONDS = 20
BODY_BYTES_MAX = 64 * 1024
LARGE_SHA256 = hashlib.sha256(LARGE).hexdigest()
# What the gateway may say of an upstream that is down, restarting, slow or broken.
TROUBLES = (502, 504)


class Wrong(Exception):
    """An answer that is not the right one: an error of the gateway."""


class Tally:
    """What was done and what went wrong, of all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest_ms: float = 0

    def add(self, kind: str, status: str, milliseconds: float) -> None:
        with self._lock:
            self.done[kind] += 1
            self.statuses[f"{kind} {status}"] += 1
            self.slowest_ms = max(self.slowest_ms, milliseconds)

    def fail(self, text: str) -> None:
        with self._lock:
            self.wrong.append(f"{time.strftime('%H:%M:%S')} {text}")


class Client(threading.Thread):
    """One client. `published` tells the versions that may be served now, as a range."""

    def __init__(
        self, port: int, rate: float, tally: Tally, stop: threading.Event, published: Callable[[], range], seed: int
    ):
        super().__init__(daemon=True)
        self._port, self._rate, self._tally, self._ending, self._published = port, rate, tally, stop, published
        self._random = random.Random(seed)
        self._connection: http.client.HTTPConnection | None = None
        self._mix: list[tuple[int, str, Callable[[], int]]] = [
            (25, "get", self.get),
            (15, "post", self.post),
            (15, "post chunked", self.post_chunked),
            (15, "authorized", self.authorized),
            (5, "refused", self.refused),
            (10, "mapped", self.mapped),
            (5, "version", self.version),
            (2, "no route", self.no_route),
            (2, "large", self.large),
            (5, "trouble", self.trouble),
            (1, "abort", self.abort),
        ]

    def run(self) -> None:
        weights = [weight for weight, _, _ in self._mix]
        due = time.monotonic()
        while not self._ending.is_set():
            _, kind, act = self._random.choices(self._mix, weights)[0]
            begin = time.monotonic()
            try:
                status = act()
                self._tally.add(kind, str(status), (time.monotonic() - begin) * 1000)
            except (Wrong, OSError, http.client.HTTPException, ValueError) as error:
                self._disconnect()
                self._tally.fail(f"{kind}: {error!r} after {time.monotonic() - begin:.1f} s")
            # Late by more than a second: that load is lost, not caught up with.
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            self._ending.wait(max(0.0, due - time.monotonic()))
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, method: str, path: str, body: object = None, chunked: bool = False, **headers: str
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, f"/soak{path}", body, fields, encode_chunked=chunked)  # type: ignore[arg-type]
        response = self._connection.getresponse()
        answer = response.read()
        if response.getheader("x-request-id") is None:
            raise Wrong(f"{method} {path}: no x-request-id")
        if response.will_close:
            self._disconnect()
        return response.status, answer

    def _want(self, got: object, wanted: object, what: str) -> None:
        if got != wanted:
            raise Wrong(f"{what}: {str(got)[:200]} instead of {str(wanted)[:200]}")

    def _body(self) -> bytes:
        return self._random.randbytes(self._random.randrange(BODY_BYTES_MAX))

    def get(self) -> int:
        path = f"/pass/{self._random.randrange(10**9)}/sum"
        status, answer = self._ask("GET", path)
        self._want(status, 200, path)
        self._want(json.loads(answer)["path"], path, "the path that the upstream saw")
        return status

    def _summed(self, body: bytes, sent: object, **headers: str) -> int:
        status, answer = self._ask("POST", "/pass/sum", sent, "transfer_encoding" in headers, **headers)
        self._want(status, 200, "POST /pass/sum")
        self._want(json.loads(answer)["sha256"], hashlib.sha256(body).hexdigest(), "the body that the upstream saw")
        return status

    def post(self) -> int:
        body = self._body()
        return self._summed(body, body)

    def post_chunked(self) -> int:
        body = self._body()
        size = self._random.randrange(1, 9000)
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        return self._summed(body, pieces, transfer_encoding="chunked")

    def authorized(self) -> int:
        number = self._random.randrange(1000)
        status, answer = self._ask("GET", "/authorized", x_token=f"token-{number}")
        self._want(status, 200, "GET /authorized")
        self._want(json.loads(answer).get("x-sub"), f"user-{number}", "the caller that the upstream saw")
        return status

    def refused(self) -> int:
        status, _ = self._ask("GET", "/authorized", x_token="nobody")
        self._want(status, 401, "GET /authorized without a token")
        return status

    def mapped(self) -> int:
        number = self._random.randrange(10**6)
        order = json.dumps({"order": number, "buyer": {"name": "Grace"}, "note": "x" * self._random.randrange(2000)})
        status, answer = self._ask("POST", "/mapped", order, content_type="application/json")
        self._want(status, 200, "POST /mapped")
        self._want(json.loads(answer), {"number": number, "name": "Grace", "mapped": True}, "what was mapped")
        return status

    def version(self) -> int:
        before = self._published()
        status, answer = self._ask("GET", "/version")
        self._want(status, 200, "GET /version")
        version, after = json.loads(answer)["version"], self._published()
        if not before.start <= version < after.stop:
            raise Wrong(f"version {version} is served, while {before.start} to {after.stop - 1} are published")
        return status

    def no_route(self) -> int:
        status, _ = self._ask("GET", "/nothing/here")
        self._want(status, 404, "GET /nothing/here")
        return status

    def large(self) -> int:
        status, answer = self._ask("GET", "/pass/large")
        self._want((status, hashlib.sha256(answer).hexdigest()), (200, LARGE_SHA256), "GET /pass/large")
        return status

    def trouble(self) -> int:
        """The troubled upstream may be away at any time: then, and for what it breaks itself, 502 and 504 are right."""
        kind = self._random.choice(["sum", "slow", "reset", "half", "stall"])
        rights = {"sum": (200, *TROUBLES), "slow": (200, *TROUBLES), "half": (200, *TROUBLES)}.get(kind, TROUBLES)
        try:
            status, _ = self._ask("GET", f"/troubled/{kind}")
        except http.client.IncompleteRead:
            # The answer broke off where the upstream's did.
            self._disconnect()
            if kind != "half":
                raise
            return 200
        if status not in rights:
            raise Wrong(f"GET /troubled/{kind}: {status} instead of one of {rights}")
        return status

    def abort(self) -> int:
        """A client that leaves in the middle of its body, or of the answer."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_SECONDS) as connection:
            if self._random.random() < 0.5:
                connection.sendall(b"POST /soak/pass/sum HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\nhalf")
            else:
                connection.sendall(b"GET /soak/pass/large HTTP/1.1\r\nhost: x\r\n\r\n")
                connection.recv(1000)
        return 0
