"""The SDK's two clients, built so that its bugs stay in here. Each sends one request and returns the JSON.

What is different from using them plainly (tencentcloud-sdk-python 3.1.195):

* Every answer is checked before the SDK sees it: a status other than 200 raises :class:`BadStatus`, and
  the content type is replaced by one that the SDK does not look into, because it finds an error only when
  the type has no charset, fails without a type, and changes Python's warning filters on some answers.
  The caller reads the ``Error`` in the decoded answer itself.
* The proxy is chosen here. The SDK's asynchronous client cannot have one with httpx 0.28, the synchronous
  one reads NO_PROXY wrongly, and through either a proxy variable would catch calls to this machine.
* No cookies are kept. The synchronous client would send them back, the asynchronous one spends a tenth of a
  request's CPU on looking for them, for nothing.
* Messages are English, the region breaker and the retryer stay off.
* Its debug log shows no requests, see :mod:`airflow_trtc.cloud.quiet`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_trtc import __version__
from airflow_trtc.aio import at_most
from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.endpoint import Route, is_loopback
from airflow_trtc.cloud.failures import BadStatus
from airflow_trtc.cloud.key_source import Keys
from airflow_trtc.cloud.quiet import drop_requests
from airflow_trtc.errors import TrtcSetupError

# As httpx has it. For each request it looks at each idle connection, 0.1 ms of CPU each time: those of a
# moment in which many were under way must not stay for long.
IDLE_SECONDS = 5.0
MAX_CONNECTIONS = 100
MAX_CALL = 4  # times the timeout: connecting, sending, waiting, reading
_PLAIN_JSON = "application/json; seen"


class Transport(Protocol):
    """Sends one request; may raise anything."""

    def prepare(self) -> None:
        """Load and build what the first request needs."""

    def send(self, call: Call[Any], keys: Keys) -> Any:
        """Return the decoded answer, its ``Response`` wrapper included."""


class AsyncTransport(Protocol):
    """The same for coroutines."""

    async def send(self, call: Call[Any], keys: Keys) -> Any:
        """Return the decoded answer, its ``Response`` wrapper included."""

    async def aclose(self) -> None:
        """Close all connections."""


class SdkTransport:
    """The synchronous SDK client; several threads may send at once."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._keys = threading.local()
        self._client: Any = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Make the client; loading the SDK takes a third of a second."""
        self._built()

    def send(self, call: Call[Any], keys: Keys) -> Any:
        """Send one request over a connection that is kept open."""
        self._keys.now = keys
        return self._built().call_json(call.action, dict(call.params))

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

        return _prepared(TrtcClient(self, self._route.region, _profile(self._route)), self._route)


class AsyncSdkTransport:
    """The asynchronous SDK client, for one event loop."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._client: Any = None

    async def send(self, call: Call[Any], keys: Keys) -> Any:
        """Send one request over a connection that is kept open."""
        # Another request may put its keys there first; those are from the same source and as good.
        self._client.credential = _credential(keys)
        sending = self._client.call_and_deserialize(call.action, dict(call.params))
        # The SDK's timeout begins anew with every piece of data; this one does not.
        return await at_most(MAX_CALL * self._route.timeout_seconds, sending)

    def build(self) -> None:
        """Make the client. Takes about 50 ms (TLS set-up): call it in a thread."""
        from tencentcloud.trtc.v20190722.trtc_client_async import TrtcClient

        route = self._route
        http_client = _http_client(route)
        # Its constructor makes an httpx client of its own, which reads proxies from the environment and
        # fails for those that it cannot use.
        client = TrtcClient.__new__(TrtcClient)
        client.credential, client.region, client.profile = None, route.region, _profile(route)
        client.circuit_breaker, client.http_client = None, http_client
        client.request_client = f"{client._sdkVersion}; {client.profile.request_client}"
        self._client = client

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def send_once(service: str, version: str, call: Call[Any], route: Route, keys: Keys | None) -> Any:
    """Send one request to any service; without keys it is not signed. May raise anything."""
    from tencentcloud.common.common_client import CommonClient

    credential = _credential(keys) if keys else None
    client = _prepared(CommonClient(service, version, credential, route.region, _profile(route)), route)
    return client.call_json(call.action, dict(call.params), options=None if keys else {"SkipSign": True})


def proxy_for(
    url: str, configured: str | None, environment: Callable[[], dict[str, str]] | None = None
) -> str | None:
    """Which proxy a request takes: the configured one, else the environment's, none on this machine.

    :param environment: reads the proxy variables, by scheme; for tests.
    :raises TrtcSetupError: the environment names one that is no HTTP proxy.
    """
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    parts = urlsplit(url)
    if configured:
        return configured
    proxies = (environment or getproxies_environment)()
    if is_loopback(parts.netloc) or proxy_bypass_environment(parts.netloc, proxies):
        return None
    variable = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(variable)
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.startswith(("http://", "https://")):
        raise TrtcSetupError(
            f"The environment variable {variable.upper()}_PROXY names no HTTP proxy; set the connection's"
            " extra field proxy, or name the endpoint in NO_PROXY."
        )
    return proxy or None


def _profile(route: Route) -> Any:
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    drop_requests()
    http = HttpProfile(
        protocol=route.scheme,
        endpoint=route.host,
        reqTimeout=route.timeout_seconds,
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


def _prepared(client: Any, route: Route) -> Any:
    """Choose the proxy of a synchronous client and check its answers before the SDK does."""
    from http.cookiejar import DefaultCookiePolicy

    connection = client.request.conn
    connection.certification = _ca_file() or connection.certification
    proxy = proxy_for(route.endpoint, route.proxy)
    connection.proxy = {"http": proxy, "https": proxy} if proxy else None
    session = connection._session
    session.trust_env = False  # or ~/.netrc would overwrite the signature
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.hooks["response"].append(_check)
    return client


def _check(response: Any, *_: Any, **__: Any) -> None:
    if response.status_code != 200:
        response.close()
        raise BadStatus(response.status_code)
    response.headers["Content-Type"] = _PLAIN_JSON


def _http_client(route: Route) -> Any:
    import ssl

    import certifi
    import httpx

    # Of idle ones any number: httpx counts the busy ones too, and where the service is far away and more are
    # under way than that, each request would open a connection of its own.
    limits = httpx.Limits(
        max_connections=MAX_CONNECTIONS, max_keepalive_connections=None, keepalive_expiry=IDLE_SECONDS
    )
    trusted = _ca_file() or certifi.where()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(**({"capath" if os.path.isdir(trusted) else "cafile": trusted}))
    proxy = proxy_for(route.endpoint, route.proxy)
    transport = httpx.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy, trust_env=False)
    return _client_without_cookies()(
        transport=transport,
        timeout=route.timeout_seconds,
        trust_env=False,
        event_hooks={"response": [_acheck]},
    )


def _client_without_cookies() -> Any:
    import httpx

    class NoCookies(httpx.Cookies):
        def extract_cookies(self, response: httpx.Response) -> None:
            pass

    none = NoCookies()

    class Client(httpx.AsyncClient):
        @property  # type: ignore[misc]  # nobody sets it
        def cookies(self) -> httpx.Cookies:
            return none

    return Client


async def _acheck(response: Any) -> None:
    import httpx

    if response.status_code != 200:
        raise BadStatus(response.status_code)
    await response.aread()  # here, so that the connection is given back whatever the SDK does next
    response.stream = httpx.ByteStream(response.content)  # the other one refers to the answer: a cycle
    response.headers["Content-Type"] = _PLAIN_JSON
