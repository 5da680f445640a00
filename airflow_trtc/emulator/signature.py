"""TC3-HMAC-SHA256, judged from the bytes and headers received. Pure functions.

Source: "Signature Method v3" of Tencent Cloud API 3.0; checked against its worked example.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from airflow_trtc.emulator.codes import ApiError

ALGORITHM = "TC3-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_AGE_SECONDS = 300

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=(?P<secret_id>[^/,\s]+)"
    r"/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[^/,\s]+)/tc3_request"
    r", *SignedHeaders=(?P<signed_headers>[^,\s]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Request:
    """What came over the wire; header names are lower-case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Authorization:
    """The parts of an Authorization header."""

    secret_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(header: str) -> Authorization:
    """Return the parts of the header, or raise ``AuthFailure.InvalidAuthorization``."""
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        raise ApiError("AuthFailure.InvalidAuthorization", "malformed header")
    names = tuple(match["signed_headers"].split(";"))
    if not {"content-type", "host"} <= set(names):
        raise ApiError("AuthFailure.InvalidAuthorization", "content-type and host must be signed")
    if list(names) != sorted(names) or any(name != name.lower() for name in names):
        raise ApiError("AuthFailure.InvalidAuthorization", "SignedHeaders must be sorted lower-case names")
    return Authorization(match["secret_id"], match["date"], match["service"], names, match["signature"])


def canonical_request(
    method: str, query: str, headers: Mapping[str, str], signed_headers: Sequence[str], payload: bytes
) -> str:
    """Return the text that is hashed; ``headers`` has lower-case names, ``payload`` is empty for GET."""
    canonical_headers = "".join(f"{name}:{headers[name].strip().lower()}\n" for name in signed_headers)
    return "\n".join(
        (method, "/", query, canonical_headers, ";".join(signed_headers), hashlib.sha256(payload).hexdigest())
    )


def string_to_sign(timestamp: int, service: str, canonical: str) -> str:
    """Return the text that is signed, with the date taken from the timestamp in UTC."""
    scope = f"{utc_date(timestamp)}/{service}/tc3_request"
    return "\n".join((ALGORITHM, str(timestamp), scope, hashlib.sha256(canonical.encode()).hexdigest()))


def sign(secret_key: str, date: str, service: str, text: str) -> str:
    """Return the signature of a string to sign."""
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def utc_date(timestamp: int) -> str:
    """Return the date of a Unix timestamp in UTC."""
    return f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d}"


def check_age(timestamp: int, now: float) -> None:
    """Raise ``AuthFailure.SignatureExpire`` if the request is more than five minutes old or early."""
    if abs(now - timestamp) > MAX_AGE_SECONDS:
        raise ApiError("AuthFailure.SignatureExpire", f"Timestamp {timestamp}, server time {int(now)}")


def check_signature(
    authorization: Authorization, request: Request, *, secret_key: str, timestamp: int
) -> None:
    """Raise ``AuthFailure.SignatureFailure`` unless this key signed exactly this request."""
    expected = expected_signature(authorization, request, secret_key, timestamp)
    is_same = hmac.compare_digest(expected, authorization.signature)
    if authorization.date != utc_date(timestamp) or not is_same:
        raise ApiError("AuthFailure.SignatureFailure")


def expected_signature(
    authorization: Authorization, request: Request, secret_key: str, timestamp: int
) -> str:
    """Return the signature the request should carry; a signed header that is missing is a failure."""
    headers = request.headers
    if any(name not in headers for name in authorization.signed_headers):
        raise ApiError("AuthFailure.SignatureFailure")
    query, payload = (request.query, b"") if request.method == "GET" else ("", request.body)
    if headers.get("x-tc-content-sha256") == UNSIGNED_PAYLOAD:
        payload = UNSIGNED_PAYLOAD.encode()
    canonical = canonical_request(request.method, query, headers, authorization.signed_headers, payload)
    text = string_to_sign(timestamp, authorization.service, canonical)
    return sign(secret_key, authorization.date, authorization.service, text)
