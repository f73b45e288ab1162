"""Envoy's HTTP filters for each scenario: Lua, a local rate limit, JWT."""

import base64
import json
import pathlib
from collections.abc import Callable

from harness import content
from harness.model import Json
from harness.places import Values, fill

FILTERS_PREFIX = "type.googleapis.com/envoy.extensions.filters.http"
SOURCE = pathlib.Path(__file__).resolve().parent
Filters = list[Json]


def lua(values: Values, *names: str) -> Json:
    """One Lua filter of several files: `request` and `response` functions, in order."""
    code = "\n".join(fill((SOURCE / f"{name}.lua").read_text(), values) for name in names)
    return {
        "name": "lua",
        "typed_config": {"@type": f"{FILTERS_PREFIX}.lua.v3.Lua", "default_source_code": {"inline_string": code}},
    }


def bucket(rate: int, burst: int) -> Json:
    return {"max_tokens": burst, "tokens_per_fill": rate, "fill_interval": "1s"}


def limit() -> Json:
    """A bucket per token, made when a token is first seen; the limited one has its own."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    limited = {
        "entries": [{"key": "token", "value": content.LIMITED_TOKEN}],
        "token_bucket": bucket(content.LOW_RATE, content.LOW_BURST),
    }
    others = {"entries": [{"key": "token"}], "token_bucket": bucket(content.HIGH_RATE, content.HIGH_RATE)}
    action = {"request_headers": {"header_name": "x-token", "descriptor_key": "token"}}
    config = {
        "@type": f"{FILTERS_PREFIX}.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limit",
        "token_bucket": bucket(1_000_000_000, 1_000_000_000),
        "filter_enabled": always,
        "filter_enforced": always,
        "max_dynamic_descriptors": 10_000,
        "rate_limits": [{"actions": [action]}],
        "descriptors": [limited, others],
    }
    return {"name": "limit", "typed_config": config}


def jwt() -> Json:
    """Signature, expiry, issuer and audience by the JWT filter, the subject as a header."""
    key = base64.urlsafe_b64encode(content.JWT_SECRET.encode()).rstrip(b"=").decode()
    keys = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": key}]})
    provider = {
        "issuer": content.JWT_ISSUER,
        "audiences": [content.JWT_AUDIENCE],
        "local_jwks": {"inline_string": keys},
        "forward": True,
        "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}],
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}
    config = {
        "@type": f"{FILTERS_PREFIX}.jwt_authn.v3.JwtAuthentication",
        "providers": {"bench": provider},
        "rules": [rule],
    }
    return {"name": "jwt", "typed_config": config}


# Scenario: its filters before the router. What is missing is not offered.
FILTERS: dict[str, Callable[[Values], Filters]] = {
    "S1": lambda _: [],
    "S2": lambda values: [lua(values, "tokens", "authorize")],
    "S3": lambda values: [lua(values, "tokens", "authorize"), limit()],
    "S4": lambda values: [lua(values, "tokens", "authorize", "map_response")],
    "S5": lambda _: [jwt()],
    "S7A": lambda values: [lua(values, "tokens", "authorize_and_map", "map_response")],
    "S7": lambda values: [limit(), lua(values, "tokens", "authorize_and_map", "map_response")],
}
