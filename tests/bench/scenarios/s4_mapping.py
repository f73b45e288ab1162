"""S4: S2 and a response mapping: 1 KiB of JSON is decoded, 3 fields are picked and encoded."""

from harness import content
from harness.model import Request, Scenario
from scenarios import s2_authorizer

REQUEST = Request("/bench/s4", headers=content.HEADERS)

SCENARIO = Scenario(
    name="S4",
    title="S2 + JSON response mapping: 3 fields of 1 KiB",
    request=REQUEST,
    checks=s2_authorizer.checks(REQUEST, "/s4", content.PICKED),
    targets={"nginx": 0.80, "envoy": 0.35},
)
