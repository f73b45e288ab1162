"""S3: S2 and a token bucket per key, in the proxy's memory. One token's limit is low, so that it is seen to act."""

import json

from harness import content
from harness.model import Burst, Check, Request, Scenario
from scenarios import s2_authorizer


def limited(request: Request) -> Burst:
    """The check that the limit is really on."""
    slow = request.with_headers(x_token=content.LIMITED_TOKEN)
    # A second may pass while they are sent, and peers differ by one in what a burst is.
    return Burst("a limited token", slow, count=12, admitted_max=content.LOW_BURST + 3)


REQUEST = Request("/bench/s3", headers=content.HEADERS)
CHECKS: tuple[Check | Burst, ...] = (
    *s2_authorizer.checks(REQUEST, "/s3", json.loads(content.answer())),
    limited(REQUEST),
)

SCENARIO = Scenario(
    name="S3",
    title="S2 + a token bucket per key",
    request=REQUEST,
    checks=CHECKS,
    targets={"nginx": 1.30, "envoy": 0.32},
)
