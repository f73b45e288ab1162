"""Moongate: the release binary, or the one that MOONGATE_BIN names. A scenario's API is `<scenario>.yaml.in`."""

import os
import pathlib
import signal
import subprocess

from harness.content import API_KEY_SHA256
from harness.peer import NotOffered, Peer, Stand, Unavailable, output_of, snippet, version_in
from harness.places import REPOSITORY, fill
from harness.processes import START_SECONDS, Process, is_listening

FOLDER = pathlib.Path(__file__).resolve().parent
# What is kept as declared but cannot act in this version.
INACTIVE = "W101"
# What its log says when its addresses are its own.
SERVING = " serving "
# What tells it to answer what is under way and end.
DRAIN = signal.SIGTERM


def binary() -> str:
    return os.environ.get("MOONGATE_BIN") or str(REPOSITORY / "target" / "release" / "moongate")


def lay_out(directory: pathlib.Path, api: str, values: dict[str, object], settings: str = "") -> None:
    """Makes a project of an API and the scripts of this folder."""
    (directory / "apis").mkdir(parents=True, exist_ok=True)
    (directory / "lua").mkdir(exist_ok=True)
    (directory / "apis" / "bench.yaml").write_text(fill(api, values))
    (directory / "moongate.yaml").write_text(f"workers: 1\n{settings}")
    for script in (FOLDER / "lua").iterdir():
        (directory / "lua" / script.name).write_text(script.read_text())


def serve(directory: pathlib.Path, listen: str, cores: str, access_log: str = "none") -> Process:
    """Starts the gateway on a project."""
    command = [
        binary(),
        "run",
        "-c",
        str(directory / "moongate.yaml"),
        *listen.split(),
        "--health-listen",
        "127.0.0.1:0",
    ]
    command += ["--workers", "1", "--access-log", access_log]
    return Process("moongate", command, cores, directory / "output.log")


def wait_until_ready(process: Process, port: int, seconds: float = START_SECONDS) -> None:
    """Waits until the gateway says that it serves, and does. It looks whether its port is free before, by listening."""
    process.wait_until(lambda: SERVING in process.log.read_text(errors="replace") and is_listening(port), seconds)


class Moongate(Peer):
    name = "moongate"
    title = "Moongate"

    def version(self) -> str:
        if not os.access(binary(), os.X_OK):
            raise Unavailable(f"{binary()} is missing; build it with `cargo build --release --bin moongate`")
        return version_in(output_of(binary(), "--version"))

    def start(self, stand: Stand) -> Process:
        api = snippet(FOLDER, stand, ".yaml.in")
        settings = ""
        listen = f"--listen 127.0.0.1:{stand.port}"
        if stand.scenario.is_tls:
            listen = "--listen 127.0.0.1:0"
            pair = "{ certificate_file: @CERTIFICATE@, key_file: @KEY@ }"
            settings = fill(f"tls: {{ listen: 127.0.0.1:{stand.port}, certificates: [{pair}] }}\n", stand.values)
        lay_out(stand.directory, api, {**stand.values, "API_KEY_SHA256": API_KEY_SHA256}, settings)
        self._must_offer(stand.directory)
        process = serve(stand.directory, listen, stand.cores, "json" if stand.scenario.has_access_log else "none")
        wait_until_ready(process, stand.port)
        return process

    @staticmethod
    def _must_offer(project: pathlib.Path) -> None:
        """A configuration that this version refuses, or would not act on, is a feature that it does not have."""
        result = subprocess.run([binary(), "validate", str(project)], capture_output=True, text=True, timeout=120)
        text = result.stdout + result.stderr
        if result.returncode != 0 or INACTIVE in text:
            raise NotOffered(f"this version does not take the configuration: {' '.join(text.split())[:300]}")
