"""Counting instructions with valgrind's callgrind."""

import pathlib
import re
import shutil
import socket
import subprocess

from harness import content
from harness.backends import RecordingUpstream
from harness.places import REPOSITORY, free_port
from harness.processes import Process, StartFailure
from peers import moongate

FOLDER = REPOSITORY / "target" / "gate" / "callgrind"
MEASURED = "hot_paths::measured"
WARM_UP, REQUESTS = 60, 300
TIMEOUT_SECONDS = 120

# The whole requests that are counted: name, and the scenario's configuration of the Moongate peer.
WHOLE = {
    "pass-through": ("s1", "GET", "/bench/s1"),
    "lua authorizer": ("s2", "GET", "/bench/s2"),
    "lua authorizer and response mapping": ("s4", "GET", "/bench/s4"),
    "POST with 1 KiB": ("s1", "POST", "/bench/s1"),
}


class Unusable(Exception):
    """Valgrind does not work here."""


def environment() -> str:
    """What counts depend on beside our code: compiler, valgrind, C library, architecture."""

    def first_line(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0].strip()

    libc = first_line("getconf", "GNU_LIBC_VERSION")
    return ", ".join(
        [first_line("rustc", "--version"), first_line("valgrind", "--version"), libc, first_line("uname", "-m")]
    )


def valgrind(*options: str) -> list[str]:
    return ["valgrind", "--quiet", "--tool=callgrind", *options]


def summary(file: pathlib.Path) -> int:
    """The instructions of one dump."""
    found = re.search(r"^(?:summary|totals): (\d+)", file.read_text(errors="replace"), re.MULTILINE)
    if found is None:
        raise Unusable(f"{file} has no total")
    return int(found.group(1))


def dumps(prefix: str) -> list[pathlib.Path]:
    """The dumps of a run in their order, without the one of its end."""
    return sorted(FOLDER.glob(f"{prefix}.[0-9]*"), key=lambda file: int(file.suffix[1:]))


def hot_paths(program: pathlib.Path) -> dict[str, int]:
    """Instructions of each path of the example. Its function `measured` is called once per path, and once for nothing before."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    options = [f"--zero-before={MEASURED}", f"--dump-after={MEASURED}", f"--callgrind-out-file={FOLDER / 'paths'}"]
    try:
        result = subprocess.run([*valgrind(*options), program], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"valgrind cannot be run: {error}") from error
    if result.returncode != 0:
        raise SystemExit(f"{program} failed:\n{result.stdout}{result.stderr}")
    times, *names = result.stdout.splitlines()
    # Valgrind learns the function's name when it is first called: that dump has everything before it.
    counted = dumps("paths")[1:]
    if len(counted) != len(names):
        raise Unusable(f"there are {len(counted)} dumps for {len(names)} paths")
    return {name: summary(file) // int(times) for name, file in zip(names, counted, strict=True)}


def whole_requests(binary: pathlib.Path) -> dict[str, int]:
    """Instructions of the whole process per request, its worker and all other threads."""
    upstream_port = free_port()
    upstream = RecordingUpstream(upstream_port)
    try:
        return {name: whole_request(binary, name, *how, upstream_port) for name, how in WHOLE.items()}
    finally:
        upstream.process.end()


def whole_request(binary: pathlib.Path, name: str, scenario: str, method: str, path: str, upstream_port: int) -> int:
    project, port = FOLDER / name.replace(" ", "-"), free_port()
    api = (moongate.FOLDER / f"{scenario}.yaml.in").read_text()
    moongate.lay_out(project, api, {"UPSTREAM_PORT": upstream_port})
    file = FOLDER / f"request-{project.name}"
    command = [*valgrind("--instr-atstart=no", f"--callgrind-out-file={file}"), str(binary), "run", "-c"]
    command += [str(project / "moongate.yaml"), "--listen", f"127.0.0.1:{port}", "--health-listen", "127.0.0.1:0"]
    process = Process(
        "moongate under valgrind", [*command, "--workers", "1", "--access-log", "none"], None, project / "output.log"
    )
    try:
        moongate.wait_until_ready(process, port, TIMEOUT_SECONDS)
        with Client(port, method, path) as client:
            control(process, "--instr=on")
            client.send(WARM_UP)
            control(process, "--zero")
            client.send(REQUESTS)
            control(process, "--dump")
        return summary(dumps(file.name)[0]) // REQUESTS
    except (StartFailure, IndexError) as error:
        raise Unusable(f"the gateway cannot be counted: {error}") from error
    finally:
        process.end()


def control(process: Process, order: str) -> None:
    """Tells a program under callgrind to do something."""
    try:
        result = subprocess.run(
            ["callgrind_control", order, str(process.pid)], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"callgrind_control cannot be run: {error}") from error
    if result.returncode != 0 or "Error" in result.stdout + result.stderr:
        raise Unusable(f"callgrind_control {order} fails: {result.stdout}{result.stderr}")


class Client:
    """One connection that sends the same request again and again, and reads each answer."""

    def __init__(self, port: int, method: str, path: str):
        body = content.order().encode() if method == "POST" else b""
        fields = {"host": f"127.0.0.1:{port}", **content.HEADERS}
        if body:
            fields |= {"content-type": "application/json", "content-length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self._request = "\r\n".join(lines).encode() + body
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, times: int) -> None:
        for _ in range(times):
            self._connection.sendall(self._request)
            self._read_answer()

    def _read_answer(self) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise Unusable(f"the gateway answers {answer[:300]!r}")
        missing = int(length.group(1)) - len(body)
        while missing > 0:
            missing -= len(self._receive())

    def _receive(self) -> bytes:
        received = self._connection.recv(65536)
        if not received:
            raise Unusable("the gateway closed the connection")
        return received
