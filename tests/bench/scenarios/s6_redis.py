"""S6: S2 and a token bucket per key in Redis, exact: one call per request."""

import json

from harness import content
from harness.model import Request, Scenario
from scenarios import s2_authorizer, s3_bucket

REQUEST = Request("/bench/s6", headers=content.HEADERS)

SCENARIO = Scenario(
    name="S6",
    title="S2 + a token bucket per key in Redis, exact",
    request=REQUEST,
    checks=(
        *s2_authorizer.checks(REQUEST, "/s6", json.loads(content.answer())),
        s3_bucket.limited(REQUEST),
    ),
    targets={"nginx": 1.00},
    needs_redis=True,
)
