"""What is sent: bodies, tokens, keys and certificates, the same for every peer."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import time

# Tokens of the authorizers: `token-0` ... `token-999`. The limit of `token-13` is low, so that a check can see it act.
TOKEN = "token-7"
LIMITED_TOKEN = "token-13"
SUBJECT = "user-7"
PLAN = "free"
# What a limit admits of LIMITED_TOKEN, and of every other token: more than any machine can send.
LOW_RATE, LOW_BURST = 1, 3
HIGH_RATE = 1_000_000

JWT_SECRET = "bench-secret-of-more-than-thirty-two-bytes"
JWT_ISSUER = "https://issuer.example.com"
JWT_AUDIENCE = "bench"

API_KEY = "bench-key-0123456789abcdef"
API_KEY_SHA256 = hashlib.sha256(API_KEY.encode()).hexdigest()

# What a client sends along, in the number the figures are defined with.
HEADERS = {"accept": "application/json", "user-agent": "bench/1.0", "x-client": "load", "x-token": TOKEN}


def answer() -> str:
    """The upstream's JSON, 1,024 bytes."""
    items = [{"sku": f"sku-{number:04}", "quantity": number, "price": 9.75} for number in range(1, 17)]
    return _padded({"id": 4711, "status": "shipped", "customer": CUSTOMER, "total": 129.95, "items": items, "note": ""})


CUSTOMER = {"id": 17, "name": "Ada Lovelace", "city": "London"}
PICKED = {"id": 4711, "name": "Ada Lovelace", "total": 129.95}


def order() -> str:
    """A client's JSON, 1,024 bytes."""
    items = [{"article": f"article-{number:04}", "count": number} for number in range(1, 17)]
    return _padded({"order": 815, "buyer": {"id": 4, "name": "Grace Hopper"}, "items": items, "note": ""})


# What the request mapping of S7 makes of it.
ORDERED = {"reference": 815, "customer": "Grace Hopper", "first": "article-0001"}


def _padded(document: dict[str, object]) -> str:
    missing = 1024 - len(json.dumps(document, separators=(",", ":")))
    return json.dumps({**document, "note": "x" * missing}, separators=(",", ":"))


def jwt(subject: str = SUBJECT, secret: str = JWT_SECRET, seconds: int = 86_400, issuer: str = JWT_ISSUER) -> str:
    """A token signed with HMAC-SHA256 (RFC 7519, RFC 7515)."""
    now = int(time.time())
    claims = {
        "sub": subject,
        "iss": issuer,
        "aud": JWT_AUDIENCE,
        "iat": now,
        "exp": now + seconds,
        "scope": "orders:read",
    }
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _base64url(signature)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate(directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for localhost (P-256) and its key, made once per run."""
    directory.mkdir(parents=True, exist_ok=True)
    pem, key = directory / "certificate.pem", directory / "key.pem"
    if not pem.exists():
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
        )
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run([*command.split(), *names, "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key
