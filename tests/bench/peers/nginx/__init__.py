"""nginx with its Lua module, as Debian packages them. A scenario's servers are `<scenario>.conf.in`."""

import pathlib
import shutil

from harness.peer import Peer, Stand, Unavailable, output_of, snippet, version_in
from harness.places import fill
from harness.processes import Process

FOLDER = pathlib.Path(__file__).resolve().parent
MODULES = pathlib.Path("/usr/lib/nginx/modules")


class Nginx(Peer):
    name = "nginx"
    title = "nginx + Lua"

    def version(self) -> str:
        if shutil.which("nginx") is None or not (MODULES / "ngx_http_lua_module.so").exists():
            raise Unavailable("it takes the packages nginx-light, libnginx-mod-http-lua and lua-cjson")
        return version_in(output_of("nginx", "-v"))

    def start(self, stand: Stand) -> Process:
        server = snippet(FOLDER, stand, ".conf.in")
        log = f"{stand.directory}/access.log entry" if stand.scenario.has_access_log else "off"
        values = {
            **stand.values,
            "DIRECTORY": stand.directory,
            "MODULES": MODULES,
            "SOURCE": FOLDER,
            "PORT": stand.port,
        }
        values |= {"ACCESS_LOG": log, "SERVER": fill(server, values)}
        configuration = stand.directory / "nginx.conf"
        configuration.write_text(fill((FOLDER / "nginx.conf.in").read_text(), values))
        command = ["nginx", "-p", str(stand.directory), "-c", str(configuration)]
        process = Process("nginx", command, stand.cores, stand.directory / "output.log")
        process.wait_for_port(stand.port)
        return process
