"""The one family of errors that everything in this package raises about the service.

The class says what the caller can do about it; the attributes say what happened. The tree:

    TrtcError
    ├── TrtcTransientError   try again: network, 5xx, InternalError, an answer that cannot be read
    ├── TrtcThrottledError   wait: the account sent more requests a second than it may
    ├── TrtcSetupError       the set-up is wrong: key, permission, application, region, parameter
    └── TrtcFailedError      it failed: the service understood the request and says no
"""

from __future__ import annotations

from typing import Any

NO_CONNECTION = "Client.NoConnection"  # a code of ours: Airflow has no such connection


class TrtcError(Exception):
    """Something about the service went wrong.

    :param message: what happened, in English, for a person to read.
    :param action: the API action, e.g. ``DescribeCloudRecording``; None when no call was made.
    :param code: the vendor's error code, e.g. ``ResourceNotFound``, or for trouble on the way there
        a code of ours that begins with ``Client.``.
    :param request_id: the vendor's id of the request; None when no answer came.
    :param job_id: the job that was asked about, if any.
    """

    advice = ""

    def __init__(
        self,
        message: str,
        *,
        action: str | None = None,
        code: str | None = None,
        request_id: str | None = None,
        job_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.action = action
        self.code = code
        self.request_id = request_id
        self.job_id = job_id

    def __str__(self) -> str:
        facts = {
            "action": self.action,
            "code": self.code,
            "job": self.job_id,
            "request": self.request_id,
        }
        given = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
        return " ".join(part for part in (self.message, f"({given})" if given else "", self.advice) if part)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__.copy())


def _rebuild(kind: type[TrtcError], message: str, attributes: dict[str, Any]) -> TrtcError:
    """Make pickling keep the keyword-only attributes."""
    error = kind(message)
    error.__dict__.update(attributes)
    return error


class TrtcTransientError(TrtcError):
    """Trouble on the way to the service or inside it; the same request may succeed later.

    :ivar outcome_unknown: the request may have been carried out although no answer came; a call that
        creates something must not be repeated blindly.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False, **facts: str | None) -> None:
        super().__init__(message, **facts)
        self.outcome_unknown = outcome_unknown


class TrtcThrottledError(TrtcError):
    """The account's request limit is reached (20 a second and action); wait and ask again."""


class TrtcSetupError(TrtcError):
    """No repetition helps: key, permission, application id, region or a parameter is wrong."""


class TrtcFailedError(TrtcError):
    """The service understood the request and refused or failed it; see ``code``.

    :ivar follows_unknown: an earlier attempt of the same call got no answer, so what is refused now may be
        done already, by that one.
    """

    follows_unknown: bool = False
