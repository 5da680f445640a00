"""The SDK's two clients, built so that its bugs stay in here. Each sends one request and returns the JSON.

What is different from using them plainly (tencentcloud-sdk-python 3.1.195):

* Every answer is looked at before the SDK sees it: a status other than 200 raises :class:`BadStatus`, and
  the content type is replaced by one that the SDK does not look into, because it finds an error only when
  the type has no charset, fails without a type, and changes Python's warning filters on some answers.
  The caller reads the ``Error`` in the decoded answer itself.
* The proxy is chosen here. The SDK's asynchronous client cannot have one with httpx 0.28, the synchronous
  one reads NO_PROXY wrongly, and through either a proxy variable would catch calls to this machine.
* Messages are English, the region breaker and the retryer stay off.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_trtc import __version__
from airflow_trtc.cloud.credentials import Keys
from airflow_trtc.cloud.failures import BadStatus, unwrap
from airflow_trtc.cloud.settings import TrtcSettings, parse_endpoint
from airflow_trtc.errors import TrtcSetupError

STS_VERSION = "2018-08-13"
STS_TIMEOUT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 30.0
MOST_IDLE = 5  # httpx looks at each idle connection for each request, 0.1 ms of CPU each time
LONGEST_CALL = 4  # times the timeout: connecting, sending, waiting, reading
_PLAIN_JSON = "application/json; seen"


class Transport(Protocol):
    """Sends one request; may raise anything."""

    def send(self, action: str, params: dict[str, Any], keys: Keys) -> Any:
        """Return the decoded answer, its ``Response`` wrapper included."""


class AsyncTransport(Protocol):
    """The same for coroutines."""

    async def send(self, action: str, params: dict[str, Any], keys: Keys) -> Any:
        """Return the decoded answer, its ``Response`` wrapper included."""

    async def aclose(self) -> None:
        """Close all connections."""


class SdkTransport:
    """The synchronous SDK client; several threads may send at once."""

    def __init__(self, settings: TrtcSettings) -> None:
        self._settings = settings
        self._keys = threading.local()
        self._client: Any = None
        self._lock = threading.Lock()

    def send(self, action: str, params: dict[str, Any], keys: Keys) -> Any:
        """Send one request over a connection that is kept open."""
        self._keys.now = keys
        return self._built().call_json(action, params)

    def get_credential_info(self) -> tuple[str, str, str | None]:
        """Called by the SDK: the keys of the request that this thread is sending."""
        keys: Keys = self._keys.now
        return keys.secret_id, keys.secret_key, keys.token

    def _built(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._build()
            return self._client

    def _build(self) -> Any:
        from tencentcloud.trtc.v20190722.trtc_client import TrtcClient

        settings = self._settings
        client = TrtcClient(self, settings.region, _profile(settings))
        _prepare(client, proxy_for(settings.endpoint, settings.proxy))
        return client


class AsyncSdkTransport:
    """The asynchronous SDK client, for one event loop."""

    def __init__(self, settings: TrtcSettings) -> None:
        self._settings = settings
        self._client: Any = None

    async def send(self, action: str, params: dict[str, Any], keys: Keys) -> Any:
        """Send one request over a connection that is kept open."""
        # Another request may put its keys there first; those are from the same source and as good.
        self._client.credential = _credential(keys)
        sending = self._client.call_and_deserialize(action, params)
        # The SDK's timeout begins anew with every piece of data; this one does not.
        return await asyncio.wait_for(sending, LONGEST_CALL * self._settings.timeout_seconds)

    def build(self) -> None:
        """Make the client. Takes about 50 ms (TLS set-up): call it in a thread."""
        from tencentcloud.trtc.v20190722.trtc_client_async import TrtcClient

        settings = self._settings
        _ca_file()  # before httpx reads the same variables and fails without saying so
        client = TrtcClient(None, settings.region, _profile(settings))
        client.http_client = _http_client(settings, proxy_for(settings.endpoint, settings.proxy))
        self._client = client

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def call_sts(
    action: str, params: dict[str, Any], *, endpoint: str, region: str, keys: Keys | None
) -> dict[str, Any]:
    """Ask STS for temporary keys; without keys the request is not signed, as the token in it is the proof.

    The SDK's own helpers for this only speak https and wait for a minute.
    """
    from tencentcloud.common.common_client import CommonClient

    scheme, host = parse_endpoint(endpoint)
    profile = _client_profile(scheme, host, STS_TIMEOUT_SECONDS)
    client = CommonClient("sts", STS_VERSION, _credential(keys) if keys else None, region, profile)
    _prepare(client, proxy_for(f"{scheme}://{host}", None))
    answer = client.call_json(action, params, options=None if keys else {"SkipSign": True})
    return unwrap(answer, action=action)


def proxy_for(
    url: str, configured: str | None, environment: Callable[[], dict[str, str]] | None = None
) -> str | None:
    """Which proxy a request takes: the configured one, else the environment's, none on this machine.

    :param environment: reads the proxy variables, by scheme; for tests.
    """
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    parts = urlsplit(url)
    if configured:
        return configured
    proxies = (environment or getproxies_environment)()
    if is_loopback(parts.hostname or "") or proxy_bypass_environment(parts.netloc, proxies):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy can reach for us."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _profile(settings: TrtcSettings) -> Any:
    return _client_profile(settings.scheme, settings.host, settings.timeout_seconds)


def _client_profile(scheme: str, host: str, timeout_seconds: float) -> Any:
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    http = HttpProfile(
        protocol=scheme,
        endpoint=host,
        reqTimeout=timeout_seconds,
        keepAlive=True,
    )
    return ClientProfile(httpProfile=http, language="en-US", request_client=_request_client())


def _request_client() -> str:
    """Our name in the vendor's logs, in the signs that the SDK accepts."""
    return "".join(
        sign if sign.isascii() and sign.isalnum() else "-" for sign in f"airflow-trtc-{__version__}"
    )


def _credential(keys: Keys) -> Any:
    from tencentcloud.common.credential import Credential

    return Credential(keys.secret_id, keys.secret_key, keys.token)


def _ca_file() -> str | None:
    """The usual variables for a company's own certificate authority; None uses certifi's list."""
    for name, is_usable in (("SSL_CERT_FILE", os.path.isfile), ("REQUESTS_CA_BUNDLE", os.path.exists)):
        if path := os.environ.get(name):
            if not is_usable(path):
                raise TrtcSetupError(f"The environment variable {name} names {path}, which does not exist.")
            return path
    return None


def _prepare(client: Any, proxy: str | None) -> None:
    """Choose the proxy of a synchronous client and let it look at answers before the SDK does."""
    connection = client.request.conn
    connection.certification = _ca_file() or connection.certification
    connection.proxy = {"http": proxy, "https": proxy} if proxy else None
    session = connection._session
    session.trust_env = False  # or ~/.netrc would overwrite the signature
    session.hooks["response"].append(_look)


def _look(response: Any, *_: Any, **__: Any) -> None:
    if response.status_code != 200:
        response.close()
        raise BadStatus(response.status_code)
    response.headers["Content-Type"] = _PLAIN_JSON


def _http_client(settings: TrtcSettings, proxy: str | None) -> Any:
    import ssl

    import certifi
    import httpx

    limits = httpx.Limits(
        max_connections=100, max_keepalive_connections=MOST_IDLE, keepalive_expiry=KEEP_ALIVE_SECONDS
    )
    trusted = _ca_file() or certifi.where()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(**({"capath" if os.path.isdir(trusted) else "cafile": trusted}))
    transport = httpx.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy, trust_env=False)
    return httpx.AsyncClient(
        transport=transport,
        timeout=settings.timeout_seconds,
        trust_env=False,
        event_hooks={"response": [_alook]},
    )


async def _alook(response: Any) -> None:
    if response.status_code != 200:
        raise BadStatus(response.status_code)
    await response.aread()  # here, so that the connection is given back whatever the SDK does next
    response.headers["Content-Type"] = _PLAIN_JSON
