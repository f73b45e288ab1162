"""Whether a peer does a scenario's work: the same answer, the same request for the upstream, the same refusals.

Figures of different work are not compared: a peer that fails a check is out of the scenario's table, and a run in which
Moongate fails one fails.
"""

import http.client
import json
import ssl
from typing import NamedTuple

from harness.backends import RecordingUpstream
from harness.model import Burst, Check, Json, Request, Scenario, Seen


class Different(Exception):
    """A peer does other work than the scenario's."""


class Answer(NamedTuple):
    status: int
    media_type: str
    body: bytes

    def json(self) -> Json:
        try:
            parsed: Json = json.loads(self.body)
        except ValueError:
            raise Different(f"answers {self.body[:200]!r}, which is no JSON") from None
        return parsed


def ask(port: int, is_tls: bool, request: Request) -> Answer:
    """One request on a connection of its own."""
    connection: http.client.HTTPConnection
    if is_tls:
        # The certificate was made for this run; whose it is does not matter here.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = request.body.encode() if request.body is not None else None
        connection.request(request.method, request.path, body, request.headers)
        response = connection.getresponse()
        media_type = (response.getheader("content-type") or "").partition(";")[0].strip().lower()
        return Answer(response.status, media_type, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise Different(f"gives no answer: {error!r}") from None
    finally:
        connection.close()


def verify(scenario: Scenario, port: int, upstream: RecordingUpstream) -> None:
    """Takes every check of a scenario. Raises Different at the first that fails."""
    for check in scenario.checks:
        upstream.take()
        try:
            if isinstance(check, Burst):
                verify_burst(scenario, check, port)
            else:
                verify_one(scenario, check, port, upstream)
        except Different as different:
            raise Different(f"{check.name}: {different}") from None


def verify_one(scenario: Scenario, check: Check, port: int, upstream: RecordingUpstream) -> None:
    answer = ask(port, scenario.is_tls, check.request)
    if answer.status != check.status:
        raise Different(f"answers {answer.status} instead of {check.status}: {answer.body[:300]!r}")
    if check.json is not None:
        if answer.media_type != "application/json":
            raise Different(f"answers with content-type {answer.media_type!r}")
        if answer.json() != check.json:
            raise Different(f"answers {answer.body[:300]!r} instead of {check.json}")
    requests = upstream.take()
    if len(requests) != (0 if check.seen is None else 1):
        raise Different(f"the upstream saw {len(requests)} requests")
    if check.seen is not None:
        verify_seen(check.seen, requests[0])


def verify_seen(wanted: Seen, request: dict[str, Json]) -> None:
    if (request["method"], request["path"]) != (wanted.method, wanted.path):
        raise Different(
            f"the upstream saw {request['method']} {request['path']} instead of {wanted.method} {wanted.path}"
        )
    headers = request["headers"]
    assert isinstance(headers, dict)
    for name, value in wanted.headers.items():
        if headers.get(name) != value:
            raise Different(f"the upstream saw {name}: {headers.get(name)} instead of {value}")
    if wanted.json is not None:
        body = str(request["body"])
        if not body or json.loads(body) != wanted.json:
            raise Different(f"the upstream saw the body {body[:300]!r} instead of {wanted.json}")


def verify_burst(scenario: Scenario, burst: Burst, port: int) -> None:
    statuses = [ask(port, scenario.is_tls, burst.request).status for _ in range(burst.count)]
    admitted = statuses.count(200)
    if not 0 < admitted <= burst.admitted_max or statuses.count(burst.refused_status) != burst.count - admitted:
        raise Different(f"{burst.count} requests at once are answered {statuses}")
