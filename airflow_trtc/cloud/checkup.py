"""What a test call says about a connection, in words for users who set it up for the first time."""

from __future__ import annotations

from dataclasses import replace

from airflow_trtc.cloud.codes import names_no_region
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import TrtcError
from airflow_trtc.jobs.verdict import WRONG_CLOCK

DESCRIBE_RECORDING = "DescribeCloudRecording"
IMPOSSIBLE_RECORDING = "airflow-trtc-connection-test"
IMPOSSIBLE_APP = 1
TIMEOUT_SECONDS = 5.0

_NOT_ALLOWED = f"The keys are accepted, but they may not read recordings ({DESCRIBE_RECORDING})."
_OTHER_APP = "The keys are accepted, but not for this application."

MEANING = {
    "AuthFailure.SecretIdNotFound": "The service does not know this SecretId.",
    "AuthFailure.InvalidSecretId": "This is not a SecretId.",
    "AuthFailure.SignatureFailure": "The SecretKey is wrong.",
    WRONG_CLOCK: "The clock of this machine is wrong.",
    "AuthFailure.TokenFailure": "The session token is wrong or has ended.",
    "AuthFailure.UnauthorizedOperation": _NOT_ALLOWED,
    "UnauthorizedOperation": _NOT_ALLOWED,
    "UnauthorizedOperation.SdkAppId": _OTHER_APP,
    "FailedOperation.SdkAppIdNotUnderAppId": _OTHER_APP,
    "FailedOperation.SdkAppIdNotExist": "The keys are accepted, but there is no such application.",
    "InvalidParameter.SdkAppId": "The keys are accepted, but there is no such application.",
    "UnsupportedRegion": "The region is wrong: there is none of this name, or it does not serve recording.",
    "Client.Unreachable": "The service cannot be reached.",
    "Client.Timeout": "The service did not answer in time.",
    "Client.ConnectionLost": "The connection broke off.",
}
# What has to be looked at; the first row whose codes fit. What is none of them is about the way there.
_SUBJECTS = (
    ("clock", (WRONG_CLOCK,)),
    ("region", ("UnsupportedRegion",)),
    ("application", ("UnauthorizedOperation.SdkAppId", "FailedOperation", "InvalidParameter")),
    ("permission", ("UnauthorizedOperation", "AuthFailure.UnauthorizedOperation")),
    ("keys", ("AuthFailure",)),
)
# The service got as far as looking for the recording, or at its id.
_REACHED = ("ResourceNotFound", "InvalidParameter.OutOfRange", "InvalidParameter.TaskId")
# About the application; means nothing when the test call used a made-up one.
_ABOUT_APP = (
    "UnauthorizedOperation",
    "FailedOperation",
    "InvalidParameter",
    "AuthFailure.UnauthorizedOperation",
)


def quick(settings: TrtcSettings, timeout_seconds: float = TIMEOUT_SECONDS) -> TrtcSettings:
    """Settings for a test call: short waits, no line, and an application even when none is set."""
    return replace(
        settings,
        timeout_seconds=min(timeout_seconds, settings.timeout_seconds),
        sdk_app_id=settings.sdk_app_id or IMPOSSIBLE_APP,
        pace_directory=None,
    )


def verdict(error: TrtcError | None, settings: TrtcSettings) -> tuple[bool, str]:
    """Whether a connection works, and what was found out.

    :param error: what asking for a recording that cannot exist has raised.
    :param settings: the connection's own ones, not the quick ones.
    """
    where = f"{settings.endpoint}, region {settings.region}"
    asked = error is None or error.action == DESCRIBE_RECORDING  # else getting the keys failed
    code = (error.code if error and asked else None) or ""
    reached = error is None or _begins(code, _REACHED)
    if settings.sdk_app_id is None and (reached or _begins(code, _ABOUT_APP)):
        return True, (
            f"The keys are accepted by {where}. The application and the permission for it were not checked:"
            " sdk_app_id is not set."
        )
    if error is not None and not reached:
        return False, _diagnosis(error)
    return True, f"Connected to {where}: keys, permission and application {settings.sdk_app_id} are good."


def subject(error: TrtcError) -> str:
    """What is wrong, in one word: clock, region, application, permission, keys or service."""
    if error.action != DESCRIBE_RECORDING:
        return "keys"
    return next((name for name, codes in _SUBJECTS if _begins(_code(error), codes)), "service")


def _diagnosis(error: TrtcError) -> str:
    meaning = MEANING.get(_code(error))
    if meaning is None:
        return str(error)
    said = (
        f"The service says: {error.message}"
        if not (error.code or "").startswith("Client.")
        else error.message
    )
    given = ", ".join(part for part in (error.code, error.request_id) if part)
    return " ".join(part for part in (meaning, error.advice, said, f"({given})") if part)


def _code(error: TrtcError) -> str:
    """The error's code; for a region that does not exist the one for a region that does not fit."""
    code = error.code or ""
    return "UnsupportedRegion" if names_no_region(code, error.message) else code


def _begins(code: str, families: tuple[str, ...]) -> bool:
    return any(code == family or code.startswith(f"{family}.") for family in families)
