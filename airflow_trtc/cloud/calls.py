"""One value for a call: action, parameters, what the answer says, and whether it may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from airflow_trtc import bounds
from airflow_trtc.cloud import parameters
from airflow_trtc.cloud.action import Effect
from airflow_trtc.cloud.actions import effect_of
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.answers import read_answer, read_found, read_id
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Call(Generic[_Value]):
    """One request that a client can run.

    :param action: the API action, e.g. ``DescribeCloudRecording``.
    :param params: its parameters, with the service's own names; they may hold secrets.
    :param read: makes the value of what is inside the answer's ``Response``.
    :param effect: ``read`` changes nothing; ``idempotent`` leaves the same behind when it is carried out
        twice; ``create`` does not, so it is repeated only when it certainly was not carried out.
    :param job_id: the job that it is about, for errors.
    """

    action: str
    params: Mapping[str, Any] = field(repr=False)
    read: Callable[[dict[str, Any]], _Value] = field(repr=False, compare=False)
    effect: Effect
    job_id: str | None = None


def describe(kind: JobKind, job: JobRef) -> Call[Snapshot | Absence]:
    """Ask about one job of any kind.

    :raises TrtcSetupError: the job's id is empty, or too long to be one; or nothing describes such jobs.
    """
    if not kind.describe_action:
        raise TrtcSetupError(f"The service has no call that describes a {kind.label}; only callbacks report.")
    key = kind.key_of(job.job_id)
    params = _named(kind, job, kind.describe_action) if key is None else _keyed(kind, job.sdk_app_id, key)
    return Call(kind.describe_action, params, partial(_read_job, kind, job.job_id), "read", job.job_id)


def find(kind: JobKind, sdk_app_id: int, key: str) -> Call[str]:
    """Ask for the id of the running job that was given this name at its start; see `JobKind.key_param`."""
    params = _keyed(kind, sdk_app_id, key)
    return Call(kind.describe_action, params, partial(_read_found, kind, key), "read", key)


def start(kind: JobKind, params: Mapping[str, Any]) -> Call[str]:
    """Start a job of a kind that can be started; its value is the new job's id.

    Its effect is ``create``: no client repeats it unless it certainly was not carried out.

    :param params: the action's parameters, ``SdkAppId`` too; they hold secrets.
    """
    return Call(kind.start_action, dict(params), partial(_read_id, kind), "create")


def modify_recording(kind: JobKind, job: JobRef, params: Mapping[str, Any]) -> Call[None]:
    """Replace what a running recording subscribes to and how it is laid out; what is left out is reset.

    :param kind: that of recordings.
    :param params: ``MixLayoutParams`` and ``SubscribeStreamUserIds``.
    :raises TrtcSetupError: the recording's id is empty, or too long to be one.
    """
    action = "ModifyCloudRecording"
    given = {**params, **_named(kind, job, action)}
    return Call(action, given, _read_nothing, "idempotent", job.job_id)


def stop(kind: JobKind, job: JobRef) -> Call[None]:
    """Stop a job of a kind that can be stopped. One that is over is answered with an absent code.

    :raises TrtcSetupError: the job's id is empty, too long to be one, or a name that the caller gave; or
        nothing stops jobs of the kind.
    """
    if not kind.can_stop:
        raise TrtcSetupError(f"The service has no call that stops a {kind.label}; it ends by itself.")
    if kind.key_of(job.job_id) is not None:
        raise TrtcSetupError(
            f"{kind.stop_action} takes the {kind.id_param}, which {kind.describe_action} answers, and not"
            f" {job.job_id}.",
            action=kind.stop_action,
        )
    params = _named(kind, job, kind.stop_action)
    return Call(kind.stop_action, params, _read_nothing, "idempotent", job.job_id)


def _named(kind: JobKind, job: JobRef, action: str) -> dict[str, Any]:
    """The parameters that name a job."""
    if bounds.job_id(job.job_id) is None:
        raise TrtcSetupError(
            f"The {kind.label} id is empty, or longer than {bounds.LONGEST_ID} characters.", action=action
        )
    params: dict[str, Any] = {kind.app_param: job.sdk_app_id} if kind.app_param else {}
    return {**params, kind.id_param: job.job_id}


def _keyed(kind: JobKind, sdk_app_id: int, key: str) -> dict[str, Any]:
    """The parameters that name a job by what the caller gave it."""
    empty = {kind.id_param: ""} if kind.key_needs_id else {}
    return {"SdkAppId": sdk_app_id, **empty, kind.key_param: key}


def any_action(action: str, params: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Any action of the service with its own parameter names; its value is the answer with ``RequestId``.

    Reads the SDK's request models: the first use takes a third of a second, so not on an event loop.

    :raises TrtcSetupError: the action or a parameter does not exist, or cannot be sent.
    """
    parameters.check(action, params)
    job_id = params.get("TaskId")
    return Call(action, dict(params), dict, effect_of(action), job_id if isinstance(job_id, str) else None)


def _read_id(kind: JobKind, answer: dict[str, Any]) -> str:
    return read_id(answer.get(kind.id_param))


def _read_found(kind: JobKind, key: str, answer: dict[str, Any]) -> str:
    return read_found(kind, answer, key)


def _read_nothing(answer: dict[str, Any]) -> None:
    """The service says no more than that it was done."""


def _read_job(kind: JobKind, job_id: str, answer: dict[str, Any]) -> Snapshot | Absence:
    return read_answer(kind, answer, job_id)
