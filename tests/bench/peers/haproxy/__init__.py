"""HAProxy as Debian packages it. A scenario's rules are `<scenario>.cfg.in`; bodies are not mapped."""

import pathlib
import shutil

from harness.peer import Peer, Stand, Unavailable, output_of, snippet, version_in
from harness.places import fill
from harness.processes import Process

FOLDER = pathlib.Path(__file__).resolve().parent


class HAProxy(Peer):
    name = "haproxy"
    title = "HAProxy"

    def version(self) -> str:
        if shutil.which("haproxy") is None:
            raise Unavailable("it takes the package haproxy")
        return version_in(output_of("haproxy", "-v"))

    def start(self, stand: Stand) -> Process:
        rules = snippet(FOLDER, stand, ".cfg.in")
        values = {**stand.values, "SOURCE": FOLDER, "PORT": stand.port}
        values["RULES"] = fill(rules, values)
        configuration = stand.directory / "haproxy.cfg"
        configuration.write_text(fill((FOLDER / "haproxy.cfg.in").read_text(), values))
        command = ["haproxy", "-db", "-f", str(configuration)]
        process = Process("haproxy", command, stand.cores, stand.directory / "output.log")
        process.wait_for_port(stand.port)
        return process
