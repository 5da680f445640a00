"""The answers to the service: small JSON with a code, and never anything secret.

The service ignores the content, wants it below 2,000 bytes with headers, and sends again for a minute
whatever is not answered with 200; so 503 means "later".
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.types import Send


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; equal reasons give equal bytes.

    :param word: what it says, for metrics.
    """

    word: str
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        """Send it, as an ASGI app does."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def _answer(word: str, status: int, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(word, status, json.dumps({"code": status, "message": message}).encode(), headers)


STORED = Answer("stored", 200, b'{"code":0}')
# Other products of the vendor that forward an event read these fields.
STORED_WRAPPED = Answer("stored", 200, b'{"code":0,"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}')
# One answer for every reason: it must not show whether a connection exists.
REFUSED = _answer("signature", 401, "The callback is not signed with the key of this connection.")
TOO_LARGE = _answer("too_large", 413, "A callback has at most 256 KiB.", (b"connection", b"close"))
TOO_SLOW = _answer("too_slow", 408, "The body did not arrive in time.", (b"connection", b"close"))
NOT_POST = _answer(
    "not_post", 405, "Send callbacks of Tencent RTC to this address with POST.", (b"allow", b"POST")
)
NO_APPLICATION = _answer(
    "application",
    400,
    "The callback names no application (header SdkAppId), and neither does the connection.",
)
NO_NUMBER = _answer("application", 400, "The header SdkAppId is not a number.")
OTHER_APPLICATION = _answer(
    "application", 403, "The connection of this address belongs to another application (SdkAppId)."
)
RETRY_LATER = _answer("later", 503, "The callback cannot be stored now; send it again.")
NO_JOURNAL = _answer("no_journal", 503, "No DAG in this Airflow uses Tencent RTC yet; send it again.")
NO_STORE = _answer("no_store", 503, "This Airflow cannot store callbacks; its log says why.")


def not_an_event(reason: str) -> Answer:
    """The body is signed, but no event."""
    return _answer("not_an_event", 400, f"Not an event: {reason}."[:300])
