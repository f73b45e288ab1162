"""S1: the request passes to the upstream, the answer passes back."""

import json

from harness import content
from harness.model import Check, Request, Scenario, Seen

REQUEST = Request("/bench/s1", headers=content.HEADERS)

SCENARIO = Scenario(
    name="S1",
    title="pass-through",
    request=REQUEST,
    checks=(Check("a request", REQUEST, 200, json.loads(content.answer()), Seen("/s1", headers=content.HEADERS)),),
    targets={"nginx": 1.25, "envoy": 0.33},
)
