"""One plain HTTP request outside the SDK: to see whether somebody answers, and what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from airflow_trtc.cloud.sdk import proxy_for

MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered, whatever the status.

    :param date: Unix time by the server's clock, in whole seconds; None when it does not say.
    :param body: its beginning, at most 64 KiB.
    """

    status: int
    date: float | None
    body: bytes


def fetch(
    url: str,
    *,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 5.0,
    proxy: str | None = None,
) -> Reply:
    """Send a GET, or a POST when there is a body; redirections are followed.

    :param proxy: URL of an HTTP proxy; None follows the usual environment variables.
    :raises OSError: no answer.
    :raises TrtcSetupError: the environment names a proxy that is none.
    """
    import http.client
    import urllib.error
    import urllib.request

    through = proxy_for(url, proxy)
    proxies = {} if through is None else {"http": through, "https": through}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    request = urllib.request.Request(url, data=data, headers=dict(headers or {}))
    try:
        with opener.open(request, timeout=timeout_seconds) as answer:
            return Reply(answer.status, _unix_time(answer.headers.get("Date")), answer.read(MAX_BODY))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, _unix_time(error.headers.get("Date")), error.read(MAX_BODY))
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer ({type(error).__name__})") from None


def _unix_time(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
