"""What scenarios are made of."""

from dataclasses import dataclass, field

Json = object


@dataclass(frozen=True)
class Request:
    """A request, the same for every peer."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    def with_headers(self, **changes: str | None) -> "Request":
        """With header fields changed (`_` stands for `-`), or removed by None."""
        changed = {name.replace("_", "-"): value for name, value in changes.items()}
        headers = {name: value for name, value in self.headers.items() if name not in changed}
        headers.update({name: value for name, value in changed.items() if value is not None})
        return Request(self.path, self.method, headers, self.body)


@dataclass(frozen=True)
class Seen:
    """What the upstream must have been sent."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    json: Json = None


@dataclass(frozen=True)
class Check:
    """One request and what must come of it. `seen` is None when nothing may reach the upstream."""

    name: str
    request: Request
    status: int
    json: Json = None
    seen: Seen | None = None


@dataclass(frozen=True)
class Burst:
    """Many requests at once, of which a limit must let some through and refuse the others."""

    name: str
    request: Request
    count: int
    admitted_max: int
    refused_status: int = 429


@dataclass(frozen=True)
class Scenario:
    """Work that peers are compared at."""

    name: str
    title: str
    request: Request
    checks: tuple[Check | Burst, ...]
    # Peer: the most CPU Moongate may take in relation to it.
    targets: dict[str, float] = field(default_factory=dict)
    is_tls: bool = False
    needs_redis: bool = False
    has_access_log: bool = False


@dataclass(frozen=True)
class Figures:
    """What one round measured. `cpu` is seconds per 100,000 requests, latencies are milliseconds, `rss` is MiB."""

    cpu: float
    rps: float
    p50: float
    p99: float
    p999: float
    rss: float
