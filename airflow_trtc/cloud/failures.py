"""Whatever a call raises becomes one of our errors, the same for the synchronous and the asynchronous client.

The only place that deals in exceptions it does not know. Vendor facts: error codes of the API
(trtc.io/document/34270) and what the SDK raises (tencentcloud-sdk-python 3.1.195).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_trtc.cloud.retries import is_read_only
from airflow_trtc.errors import (
    TrtcError,
    TrtcFailedError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)

BROKEN_ANSWER = "Client.BrokenAnswer"
LONGEST_MESSAGE = 500

# A code belongs to the longest entry that it equals or continues after a dot; other codes mean "failed".
CODES: dict[str, type[TrtcError]] = {
    "RequestLimitExceeded": TrtcThrottledError,
    "OperationDenied.FreqOverLimit": TrtcThrottledError,
    "InternalError": TrtcTransientError,
    "ServiceUnavailable": TrtcTransientError,
    "ResourceUnavailable": TrtcTransientError,
    "AuthFailure": TrtcSetupError,
    "UnauthorizedOperation": TrtcSetupError,
    "InvalidParameter": TrtcSetupError,
    "InvalidParameterValue": TrtcSetupError,
    "MissingParameter": TrtcSetupError,
    "UnknownParameter": TrtcSetupError,
    "InvalidRequest": TrtcSetupError,
    "RequestSizeLimitExceeded": TrtcSetupError,
    "UnsupportedOperation": TrtcSetupError,
    "UnsupportedRegion": TrtcSetupError,
    "UnsupportedProtocol": TrtcSetupError,
    "InvalidAction": TrtcSetupError,
    "ActionOffline": TrtcSetupError,
    "NoSuchVersion": TrtcSetupError,
    "NoSuchProduct": TrtcSetupError,
    "IpInBlacklist": TrtcSetupError,
    "IpNotInWhitelist": TrtcSetupError,
    "FailedOperation.SdkAppIdNotUnderAppId": TrtcSetupError,
    "FailedOperation.SdkAppIdNotExist": TrtcSetupError,
    "FailedOperation.NotAbility": TrtcSetupError,
    "FailedOperation.CRUnsupportMethod": TrtcSetupError,
    # What the SDK itself says before it sends anything.
    "InvalidCredential": TrtcSetupError,
    "ClientError": TrtcSetupError,
    "ClientParamsError": TrtcSetupError,
    "ClientSideError": TrtcSetupError,
    # Trouble on the way. The SDK puts names of Python classes into its code, too.
    "ClientNetworkError": TrtcTransientError,
    "ServerNetworkError": TrtcTransientError,
    "ConnectionError": TrtcTransientError,
    "ChunkedEncodingError": TrtcTransientError,
    "ContentDecodingError": TrtcTransientError,
    "JSONDecodeError": TrtcTransientError,
    "UnicodeDecodeError": TrtcTransientError,
    "KeyError": TrtcTransientError,
    "TypeError": TrtcTransientError,
    "AttributeError": TrtcTransientError,
    "ValueError": TrtcTransientError,
}

_WRONG_APP = "Check sdk_app_id: it must be the number of an application that belongs to the keys' account."
_NO_PERMISSION = (
    "Grant the identity the action in access management (CAM), for this application or for all of them."
)
_WRONG_REGION = (
    "Set the connection's region to one that serves this action, such as ap-guangzhou or ap-singapore."
)

ADVICE: dict[str, str] = {
    "RequestLimitExceeded": "Lower requests_per_second, or ask less often.",
    "AuthFailure.SecretIdNotFound": "Check the SecretId (login): it was deleted, disabled or misspelt.",
    "AuthFailure.InvalidSecretId": "Check the SecretId (login): it is not the id of an API key.",
    "AuthFailure.SignatureFailure": "Check the SecretKey (password): it does not belong to the SecretId.",
    "AuthFailure.SignatureExpire": "Set the clock of the machine this runs on; it is over 5 minutes off.",
    "AuthFailure.TokenFailure": "The session token is wrong or has ended; get new temporary keys.",
    "AuthFailure.MFAFailure": "The account asks for a second factor; use an API key without that rule.",
    "AuthFailure.UnauthorizedOperation": _NO_PERMISSION,
    "AuthFailure.UnRealNameAuthenticated": "Complete the account's identity verification in the console.",
    "AuthFailure": "Check SecretId, SecretKey and their permissions.",
    "UnauthorizedOperation": _NO_PERMISSION,
    "UnauthorizedOperation.SdkAppId": _WRONG_APP,
    "FailedOperation.SdkAppIdNotUnderAppId": _WRONG_APP,
    "FailedOperation.SdkAppIdNotExist": _WRONG_APP,
    "InvalidParameter.SdkAppId": _WRONG_APP,
    "InvalidParameter.SdkAppid": _WRONG_APP,
    "UnsupportedRegion": _WRONG_REGION,
    "IpNotInWhitelist": "Add this machine's address to the key's list of allowed addresses.",
    "IpInBlacklist": "Remove this machine's address from the key's list of denied addresses.",
    "FailedOperation.NotAbility": "Enable this function for the application in the TRTC console.",
    "UnsupportedOperation": "Check that the application's package includes this function.",
    "FailedOperation.CRUnsupportMethod": "Check that on-cloud recording is enabled for the application.",
    "InvalidAction": "Check the name of the action and the endpoint.",
    "NoSuchProduct": "Check the endpoint: it is not the one of TRTC.",
    "MissingParameter": "Add the parameter that the message names.",
    "Client.Certificate": "Check the endpoint; if a proxy opens TLS, set SSL_CERT_FILE to its certificate.",
    "Client.Proxy": "Check the proxy: extra field proxy, or HTTPS_PROXY and NO_PROXY in the environment.",
    "Client.Http407": "The proxy wants a name and password: http://name:password@host:port.",
    "Client.Unreachable": "Check the endpoint, the network, the firewall and the proxy.",
}

_NEVER_SENT = {
    "httpx.ConnectError",
    "httpx.ConnectTimeout",
    "httpx.PoolTimeout",
    "httpx.ProxyError",
    "requests.ConnectTimeout",
    "requests.ProxyError",
    "urllib3.NewConnectionError",
    "urllib3.NameResolutionError",
    "urllib3.ConnectTimeoutError",
    "socket.gaierror",
}
_TROUBLE: tuple[tuple[set[str], str, str], ...] = (
    (
        {"httpx.ProxyError", "requests.ProxyError", "urllib3.ProxyError"},
        "Client.Proxy",
        "The proxy on the way to {} fails.",
    ),
    (
        {"socket.gaierror", "urllib3.NameResolutionError"},
        "Client.Unreachable",
        "The host name of {} cannot be resolved.",
    ),
    (_NEVER_SENT, "Client.Unreachable", "{} cannot be reached."),
    (
        {"httpx.TimeoutException", "requests.Timeout", "urllib3.TimeoutError"}
        | {"builtins.TimeoutError", "asyncio.TimeoutError"},
        "Client.Timeout",
        "{} did not answer in time.",
    ),
)
_BROKE_OFF = ("Client.ConnectionLost", "The connection to {} broke off.")
_NETWORK = {"httpx.TransportError", "requests.RequestException", "urllib3.HTTPError"}
_NETWORK |= {"builtins.OSError", "builtins.EOFError", "asyncio.TimeoutError", "http.client.IncompleteRead"}
_UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, IndexError)


class BadStatus(Exception):
    """The answer's HTTP status is not 200; raised by our own look at it, since the SDK drops the number."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


@contextmanager
def translated(action: str, recording_id: str | None, endpoint: str) -> Iterator[None]:
    """Let nothing but errors of ours out of the block."""
    handled = sys.exc_info()[1]  # of the caller; Python chains it to whatever is raised below
    try:
        yield
    except TrtcError:
        raise
    except Exception as error:
        raise classify(
            error, action=action, recording_id=recording_id, endpoint=endpoint, handled=handled
        ) from error


def classify(
    error: BaseException,
    *,
    action: str | None = None,
    recording_id: str | None = None,
    endpoint: str | None = None,
    handled: BaseException | None = None,
) -> TrtcError:
    """Turn whatever a call raised into one of our errors.

    Never quotes the text of a network error: it may be in any language and may hold a proxy's password.

    :param endpoint: the address that was called, for the message.
    :param handled: the exception that was being handled when the call began; it says nothing about the call.
    """
    if isinstance(error, TrtcError):
        return error
    facts: dict[str, Any] = {"action": action, "recording_id": recording_id}
    links = list(_chain(error, handled))
    for link in links:
        if isinstance(link, BadStatus):
            return _bad_status(link.status, endpoint, facts)
    if _names(error) & {"tencentcloud.TencentCloudSDKException"} and not _is_network(error):
        return _from_sdk(error, facts)
    if _is_network(error):
        return _from_network(links, endpoint, facts)
    if isinstance(error, _UNREADABLE):
        return broken_answer(f"The answer cannot be read ({type(error).__name__}).", **facts)
    return TrtcFailedError(
        f"The call failed in an unexpected way ({type(error).__name__}).", code="Client.Unexpected", **facts
    )


def failure(
    code: Any,
    message: Any,
    *,
    request_id: str | None = None,
    action: str | None = None,
    recording_id: str | None = None,
) -> TrtcError:
    """Make the error for a code of the service, with advice if there is any."""
    code, text = _readable(code) or "Client.NoCode", _readable(message) or "The service gives no reason."
    kind = _lookup(CODES, code) or TrtcFailedError
    facts: dict[str, Any] = {"action": action, "recording_id": recording_id, "request_id": request_id}
    if kind is TrtcTransientError:
        facts["outcome_unknown"] = not is_read_only(action)
    error = kind(text, code=code, **facts)
    error.advice = _lookup(ADVICE, code) or ""
    return error


def broken_answer(message: str, *, code: str = BROKEN_ANSWER, **facts: Any) -> TrtcTransientError:
    """Make the error for an answer that is of no use: it says nothing, least of all success."""
    unknown = not is_read_only(facts.get("action"))
    return TrtcTransientError(message, code=code, outcome_unknown=unknown, **facts)


def unwrap(answer: Any, *, action: str, recording_id: str | None = None) -> dict[str, Any]:
    """Return what is inside ``Response``, or raise the error that is in there.

    :raises TrtcError: the service refused, or the answer has another shape.
    """
    facts: dict[str, Any] = {"action": action, "recording_id": recording_id}
    response = answer.get("Response") if isinstance(answer, dict) else None
    if not isinstance(response, dict):
        raise broken_answer("The answer has no Response; something else than the API answered.", **facts)
    request_id = _readable(response.get("RequestId"))
    error = response.get("Error")
    if error is None:
        return response
    if not isinstance(error, dict):
        raise broken_answer("The answer's Error cannot be read.", request_id=request_id, **facts)
    raise failure(error.get("Code"), error.get("Message"), request_id=request_id, **facts)


def _from_sdk(error: Any, facts: dict[str, Any]) -> TrtcError:
    code = _readable(getattr(error, "code", None))
    request_id = _readable(getattr(error, "requestId", None))
    message = getattr(error, "message", None)
    if code == "ServerNetworkError":
        message = "The endpoint answered with an HTTP error."
    elif code and (_lookup(CODES, code) is TrtcTransientError) and not request_id and "." not in code:
        message = f"The answer cannot be read or was cut short ({code})."
    return failure(code, message, request_id=request_id, **facts)


def _from_network(links: list[BaseException], endpoint: str | None, facts: dict[str, Any]) -> TrtcError:
    names = {name for link in links for name in _names(link)}
    where = endpoint or "the endpoint"
    if "ssl.SSLCertVerificationError" in names:
        message = f"{where} shows a certificate that cannot be trusted."
        return _advised(TrtcSetupError(message, code="Client.Certificate", **facts))
    unknown = not names & _NEVER_SENT and not is_read_only(facts["action"])
    code, what = next((row[1:] for row in _TROUBLE if names & row[0]), _BROKE_OFF)
    return _transient(what.format(where), code, unknown, facts)


def _bad_status(status: int, endpoint: str | None, facts: dict[str, Any]) -> TrtcError:
    code, where = f"Client.Http{status}", endpoint or "The endpoint"
    if status == 429:
        return TrtcThrottledError(f"{where} answered with HTTP status 429.", code=code, **facts)
    if status >= 500 or status == 408:
        unknown = not is_read_only(facts["action"])
        return _transient(f"{where} answered with HTTP status {status}.", code, unknown, facts)
    return _advised(
        TrtcSetupError(
            f"{where} answered with HTTP status {status}; the API never does, so a proxy, a firewall or"
            " another server stands in between.",
            code=code,
            **facts,
        )
    )


def _transient(message: str, code: str, unknown: bool, facts: dict[str, Any]) -> TrtcError:
    return _advised(TrtcTransientError(message, code=code, outcome_unknown=unknown, **facts))


def _advised(error: TrtcError) -> TrtcError:
    error.advice = _lookup(ADVICE, error.code or "") or ""
    return error


def _lookup(table: dict[str, Any], code: str) -> Any:
    while code not in table:
        code, dot, _ = code.rpartition(".")
        if not dot:
            return None
    return table[code]


def _readable(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return " ".join(text.split())[:LONGEST_MESSAGE] or None


def _chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """The error, what it came from, and the errors that network libraries keep inside their arguments."""
    seen = {id(handled)}
    todo: list[Any] = [error]
    while todo:
        link = todo.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        todo += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}


def _is_network(error: BaseException) -> bool:
    sdk = getattr(error, "code", None) == "ClientNetworkError"
    return sdk or bool(_names(error) & _NETWORK)
