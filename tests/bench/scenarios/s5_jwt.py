"""S5: a JSON Web Token signed with HMAC-SHA256; signature, expiry, issuer and audience are checked, the subject is passed on."""

import json

from harness import content
from harness.model import Check, Request, Scenario, Seen


def bearing(token: str | None) -> Request:
    headers = {name: value for name, value in content.HEADERS.items() if name != "x-token"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return Request("/bench/s5", headers=headers)


REQUEST = bearing(content.jwt())
SEEN = {"accept": "application/json", "user-agent": "bench/1.0", "x-client": "load", "x-sub": content.SUBJECT}

SCENARIO = Scenario(
    name="S5",
    title="JWT (HS256)",
    request=REQUEST,
    checks=(
        Check("a token", REQUEST, 200, json.loads(content.answer()), Seen("/s5", headers=SEEN)),
        Check("no token", bearing(None), 401),
        Check("another's signature", bearing(content.jwt(secret="another secret")), 401),
        Check("an expired token", bearing(content.jwt(seconds=-3600)), 401),
        Check("another's issuer", bearing(content.jwt(issuer="https://other.example.com")), 401),
    ),
    targets={"nginx": 0.80, "envoy": 0.35},
)
