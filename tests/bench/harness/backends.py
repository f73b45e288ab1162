"""What peers talk to: the recording upstream of checks, the fast one of measurements, Redis."""

import hashlib
import json
import socket
import sys
import urllib.request

from harness import content
from harness.model import Json
from harness.places import SOURCE, TARGET, render
from harness.processes import Process
from harness.recorder import CONTROL

# One token bucket in Redis, exact, by Redis's own clock. KEYS: bucket. ARGV: rate per second, burst. 1 when there is a token.
BUCKET = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(burst, (tonumber(kept[1]) or burst) + (now - (tonumber(kept[2]) or now)) * rate)
local admitted = 0
if tokens >= 1 then tokens = tokens - 1; admitted = 1 end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return admitted
"""
BUCKET_SHA1 = hashlib.sha1(BUCKET.encode()).hexdigest()


class RecordingUpstream:
    """Answers like the measured upstream and tells what it was sent."""

    def __init__(self, port: int, cores: str | None = None):
        TARGET.mkdir(parents=True, exist_ok=True)
        body = TARGET / "answer.json"
        body.write_text(content.answer())
        command = [sys.executable, "-B", "-m", "harness.recorder", str(port), str(body)]
        environment = {"PYTHONPATH": str(SOURCE)}
        self._port = port
        self.process = Process("recording upstream", command, cores, TARGET / "recorder.log", environment)
        self.process.wait_for_port(port)

    def take(self) -> list[dict[str, Json]]:
        """The requests since the last time."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{CONTROL}", timeout=10) as response:
            recorded: list[dict[str, Json]] = json.loads(response.read())
        return recorded


def fast_upstream(port: int, cores: str) -> Process:
    """nginx, answering from memory: as little work as a server can do."""
    directory = TARGET / "upstream"
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "nginx.conf"
    values = {"DIRECTORY": directory, "UPSTREAM_PORT": port, "BODY": content.answer()}
    render(SOURCE / "harness" / "upstream.conf.in", configuration, values)
    process = Process(
        "upstream", ["nginx", "-p", str(directory), "-c", str(configuration)], cores, directory / "output.log"
    )
    process.wait_for_port(port)
    return process


class Redis:
    """A Redis server of our own, in memory only, with the bucket's script loaded."""

    def __init__(self, port: int, cores: str):
        directory = TARGET / "redis"
        directory.mkdir(parents=True, exist_ok=True)
        options = f"--port {port} --bind 127.0.0.1 --save --appendonly no --dir {directory}".split()
        options[options.index("--save") + 1 : options.index("--save") + 1] = [""]
        self.process = Process("redis", ["redis-server", *options], cores, directory / "output.log")
        self.process.wait_for_port(port)
        parts = [b"SCRIPT", b"LOAD", BUCKET.encode()]
        command = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(command)
            answer = connection.recv(4096)
        if BUCKET_SHA1.encode() not in answer:
            raise RuntimeError(f"redis does not take the script: {answer!r}")
