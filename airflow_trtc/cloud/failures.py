"""Whatever a call raises becomes one of our errors, the same for the synchronous and the asynchronous client.

The only place that deals in exceptions it does not know; the tables are in :mod:`airflow_trtc.cloud.codes`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from airflow_trtc import bounds
from airflow_trtc.cloud import codes
from airflow_trtc.cloud.calls import Call
from airflow_trtc.errors import (
    TrtcError,
    TrtcFailedError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)
from airflow_trtc.jobs.answers import BROKEN_ANSWER, UnreadableAnswer

MAX_MESSAGE = 500

_Value = TypeVar("_Value")


class BadStatus(Exception):
    """The answer's HTTP status is not 200; raised by our own check of it, since the SDK drops the number."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


@contextmanager
def translated(call: Call[Any], endpoint: str) -> Iterator[None]:
    """Let only errors of ours out of the block, without their causes: their texts may hold secrets."""
    handled = sys.exc_info()[1]  # of the caller; Python chains it to whatever is raised below
    try:
        yield
    except TrtcError:
        raise
    except Exception as error:
        raise classify(error, call, endpoint=endpoint, handled=handled) from None


def classify(
    error: BaseException,
    call: Call[Any],
    *,
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
    links = list(_chain(error, handled))
    names = {name for link in links for name in _names(link)}
    for link in links:
        if isinstance(link, BadStatus):
            return _bad_status(link.status, endpoint, call)
    if names & codes.UNSENDABLE:
        message = "The request cannot be sent: something in it is not allowed in HTTP."
        return _advised(TrtcSetupError(message, code="Client.Unsendable", **_facts(call)))
    if _names(error) & {"tencentcloud.TencentCloudSDKException"} and not _is_network(error):
        return _from_sdk(error, call)
    if _is_network(error):
        return _from_network(names, endpoint, call)
    if isinstance(error, codes.UNREADABLE):
        return broken_answer(call, f"The answer cannot be read ({type(error).__name__}).")
    message = f"The call failed in an unexpected way ({type(error).__name__})."
    return TrtcFailedError(message, code="Client.Unexpected", **_facts(call))


def failure(call: Call[Any], code: Any, message: Any, request_id: str | None = None) -> TrtcError:
    """Make the error for a code of the service, with advice if there is any."""
    code, text = _readable(code) or "Client.NoCode", _readable(message) or "The service gives no reason."
    kind = codes.row_of(codes.CODES, code) or TrtcFailedError
    facts: dict[str, Any] = {**_facts(call), "code": code, "request_id": request_id}
    if kind is TrtcTransientError:
        facts["outcome_unknown"] = call.effect != "read"
    return _advised(kind(text, **facts))


def broken_answer(
    call: Call[Any], message: str, *, code: str = BROKEN_ANSWER, request_id: str | None = None
) -> TrtcTransientError:
    """Make the error for an answer that is of no use: it says nothing, least of all success."""
    unknown = call.effect != "read"
    return TrtcTransientError(
        message, code=code, outcome_unknown=unknown, request_id=request_id, **_facts(call)
    )


def value_of(call: Call[_Value], answer: Any) -> _Value:
    """Read a decoded answer as the call wants it.

    :raises TrtcError: the service refused, or the answer is of no use.
    """
    response = unwrap(call, answer)
    try:
        return call.read(response)
    except UnreadableAnswer as error:
        request_id = _readable(response.get("RequestId"))
        raise broken_answer(call, str(error), code=error.code, request_id=request_id) from None


def unwrap(call: Call[Any], answer: Any) -> dict[str, Any]:
    """Return what is inside ``Response``, or raise the error that is in there.

    :raises TrtcError: the service refused, or the answer has another shape.
    """
    response = answer.get("Response") if isinstance(answer, dict) else None
    if not isinstance(response, dict):
        raise broken_answer(call, "The answer has no Response; something else than the API answered.")
    request_id = _readable(response.get("RequestId"))
    error = response.get("Error")
    if error is None:
        return response
    if not isinstance(error, dict):
        raise broken_answer(call, "The answer's Error cannot be read.", request_id=request_id)
    raise failure(call, error.get("Code"), error.get("Message"), request_id)


def _facts(call: Call[Any]) -> dict[str, Any]:
    return {"action": call.action, "job_id": call.job_id}


def _from_sdk(error: Any, call: Call[Any]) -> TrtcError:
    code = _readable(getattr(error, "code", None))
    request_id = _readable(getattr(error, "requestId", None))
    message = getattr(error, "message", None)
    is_transient = code is not None and codes.row_of(codes.CODES, code) is TrtcTransientError
    if code == "ServerNetworkError":
        message = "The endpoint answered with an HTTP error."
    elif code and is_transient and not request_id and "." not in code:
        message = f"The answer cannot be read or was cut short ({code})."
    return failure(call, code, message, request_id)


def _from_network(names: set[str], endpoint: str | None, call: Call[Any]) -> TrtcError:
    where = endpoint or "the endpoint"
    if "ssl.SSLCertVerificationError" in names:
        message = f"{where} shows a certificate that cannot be trusted."
        return _advised(TrtcSetupError(message, code="Client.Certificate", **_facts(call)))
    unknown = call.effect != "read" and not names & codes.NEVER_SENT
    code, what = next((row[1:] for row in codes.TROUBLE if names & row[0]), codes.BROKE_OFF)
    return _advised(
        TrtcTransientError(what.format(where), code=code, outcome_unknown=unknown, **_facts(call))
    )


def _bad_status(status: int, endpoint: str | None, call: Call[Any]) -> TrtcError:
    where, facts = endpoint or "The endpoint", {**_facts(call), "code": f"Client.Http{status}"}
    message = f"{where} answered with HTTP status {status}."
    if status == 429:
        return TrtcThrottledError(message, **facts)
    if status >= 500 or status == 408:
        return _advised(TrtcTransientError(message, outcome_unknown=call.effect != "read", **facts))
    message = (
        f"{where} answered with HTTP status {status}; the API never does, so a proxy, a firewall or another"
        " server stands in between."
    )
    return _advised(TrtcSetupError(message, **facts))


def _advised(error: TrtcError) -> TrtcError:
    error.advice = codes.advice_for(error.code or "", error.message)
    return error


def _readable(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return bounds.valid(" ".join(text.split())[:MAX_MESSAGE]) or None


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
    return sdk or bool(_names(error) & codes.NETWORK)
