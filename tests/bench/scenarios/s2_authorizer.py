"""S2: a Lua authorizer looks the token up in a table of 1,000; two headers for the upstream, 401 for whoever has no token."""

import json

from harness import content
from harness.model import Check, Json, Request, Scenario, Seen


def authorized() -> dict[str, str]:
    """What the upstream must see of an authorized request."""
    return {**content.HEADERS, "x-sub": content.SUBJECT, "x-plan": content.PLAN}


def checks(request: Request, upstream_path: str, answer: Json) -> tuple[Check, ...]:
    """The authorizer's checks, for the scenarios that build on it."""
    seen = Seen(upstream_path, request.method, authorized())
    return (
        Check("a known token", request, 200, answer, seen),
        Check("no token", request.with_headers(x_token=None), 401),
        Check("an unknown token", request.with_headers(x_token="token-1000"), 401),
    )


REQUEST = Request("/bench/s2", headers=content.HEADERS)

SCENARIO = Scenario(
    name="S2",
    title="Lua authorizer: a table of 1,000 tokens, 2 headers set",
    request=REQUEST,
    checks=checks(REQUEST, "/s2", json.loads(content.answer())),
    targets={"nginx": 1.25, "envoy": 0.30},
)
