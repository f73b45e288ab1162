"""IDLE: the memory of 10,000 keep-alive connections that wait, each of which has had one answer."""

import resource
import socket
import time

from harness import content
from harness.backends import fast_upstream
from harness.compare import note
from harness.machine import Cores
from harness.options import Options
from harness.peer import NotOffered, Peer, Stand
from harness.places import TARGET, free_port
from harness.processes import StartFailure, rss_mib
from harness.report import Section
from scenarios.s1_pass_through import REQUEST, SCENARIO

TITLE = "IDLE: 10,000 idle keep-alive connections"
CONNECTIONS = 10_000
# How long they wait before memory is looked at.
IDLE_SECONDS = 3
# Memory of the whole process with all of them, MiB.
TARGET_MIB = 150
COLUMNS = ("peer", "connections", "RSS before, MiB", "RSS with them, MiB", "KiB each", "RSS after, MiB", "target")
# Peers that take so many; HAProxy reserves two descriptors for each beforehand.
PEERS = ("moongate", "nginx", "envoy")


class Refused(Exception):
    """A connection got no answer."""


def open_one(port: int) -> socket.socket:
    """A connection that has had its answer."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    fields = "".join(f"{name}: {value}\r\n" for name, value in content.HEADERS.items())
    connection.sendall(f"GET {REQUEST.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{fields}\r\n".encode())
    answer = b""
    wanted = content.answer().encode()
    while not answer.endswith(wanted):
        received = connection.recv(65536)
        if not received:
            raise Refused(f"a connection was closed; it had {answer[:80]!r}")
        answer += received
    return connection


def run(peers: dict[str, Peer], _: Options, cores: Cores) -> Section:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < CONNECTIONS + 200:
        return Section(TITLE, COLUMNS, (), (f"left out: {limit} descriptors are too few",))
    rows, notes, missed, failed = [], [], [], []
    upstream_port = free_port()
    upstream = fast_upstream(upstream_port, cores.others)
    try:
        for name in (name for name in PEERS if name in peers):
            directory = TARGET / "idle" / name
            directory.mkdir(parents=True)
            stand = Stand(SCENARIO, directory, free_port(), cores.proxy, {"UPSTREAM_PORT": upstream_port})
            try:
                before, held, after = hold(peers[name], stand)
            except (NotOffered, StartFailure, Refused, OSError) as reason:
                notes.append(f"{name}: {reason}")
                failed.append(f"IDLE {name}")
                continue
            goal = ""
            if name == "moongate":
                goal = f"< {TARGET_MIB} MiB {'met' if held < TARGET_MIB else 'MISSED'}"
                if held >= TARGET_MIB:
                    missed.append(f"IDLE: {held:.0f} MiB, not {TARGET_MIB}")
            each = (held - before) * 1024 / CONNECTIONS
            rows.append((name, f"{CONNECTIONS:,}", f"{before:.1f}", f"{held:.1f}", f"{each:.1f}", f"{after:.1f}", goal))
            note(f"IDLE {name}: {held:.1f} MiB")
    finally:
        upstream.end()
    return Section(TITLE, COLUMNS, tuple(rows), tuple(notes), tuple(missed), tuple(failed))


def hold(peer: Peer, stand: Stand) -> tuple[float, float, float]:
    """Memory before, with and after the connections, MiB."""
    process = peer.start(stand)
    connections: list[socket.socket] = []
    try:
        open_one(stand.port).close()
        before = rss_mib(process.pid)
        connections.extend(open_one(stand.port) for _ in range(CONNECTIONS))
        # Idle is who has been for a while. Then all of them still answer: none was closed to make room.
        time.sleep(IDLE_SECONDS)
        for connection in connections[:: CONNECTIONS // 100]:
            connection.sendall(f"GET {REQUEST.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
            if not connection.recv(65536):
                raise Refused("a connection that waited was closed")
        time.sleep(IDLE_SECONDS)
        held = rss_mib(process.pid)
        for connection in connections:
            connection.close()
        time.sleep(IDLE_SECONDS)
        return before, held, rss_mib(process.pid)
    finally:
        for connection in connections:
            connection.close()
        process.end()
