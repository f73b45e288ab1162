"""S7: the full chain: TLS, API key, usage plan, Lua authorizer, mapping both ways, JSON access log, 1 % traces.

Peers do the parts they can: none of them traces. `S7A` is S7 without usage plan and traces.
"""

from harness import content
from harness.model import Check, Request, Scenario, Seen
from scenarios import s2_authorizer, s3_bucket


def request(path: str) -> Request:
    headers = {**content.HEADERS, "content-type": "application/json", "x-api-key": content.API_KEY}
    return Request(path, "POST", headers, content.order())


def checks(path: str, upstream_path: str) -> tuple[Check, ...]:
    order = request(path)
    seen = {"content-type": "application/json", **s2_authorizer.authorized()}
    return (
        Check("an order", order, 200, content.PICKED, Seen(upstream_path, "POST", seen, content.ORDERED)),
        Check("no API key", order.with_headers(x_api_key=None), 403),
        Check("an unknown API key", order.with_headers(x_api_key="bench-key-0000000000000000"), 403),
        Check("no token", order.with_headers(x_token=None), 401),
    )


WITHOUT_LIMIT = Scenario(
    name="S7A",
    title="TLS, API key, Lua authorizer, mapping both ways, JSON access log",
    request=request("/bench/s7a"),
    checks=checks("/bench/s7a", "/s7a"),
    targets={"nginx": 1.00, "envoy": 0.40},
    is_tls=True,
    has_access_log=True,
)

SCENARIO = Scenario(
    name="S7",
    title="full chain: S7A + usage plan, 1 % traces where there are any",
    request=request("/bench/s7"),
    checks=(*checks("/bench/s7", "/s7"), s3_bucket.limited(request("/bench/s7"))),
    targets={"nginx": 1.00, "envoy": 0.40},
    is_tls=True,
    has_access_log=True,
)
