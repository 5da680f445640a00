"""One value for a call: action, parameters, what the answer says, and whether it may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from airflow_trtc import bounds
from airflow_trtc.cloud import parameters
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.answers import read_answer
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef

Effect: TypeAlias = Literal["read", "idempotent", "create"]
_Value = TypeVar("_Value")

# Actions whose effect does not follow from the first letters of the name.
EFFECTS: dict[str, Effect] = {
    "DownloadRecognizeVocabV3": "read",
    "SetUserBlocked": "idempotent",
    "SetUserBlockedByStrRoomId": "idempotent",
    "SetVocabStateV3": "idempotent",
    "UpdateRecognizeVocabV3": "idempotent",
    "UpdateStreamIngest": "idempotent",
    "UpdateVoicePrint": "idempotent",
}
_EFFECTS_BY_VERB: dict[str, Effect] = {
    "Describe": "read",
    "Get": "read",
    "List": "read",
    "Query": "read",
    "Delete": "idempotent",
    "Modify": "idempotent",
    "Stop": "idempotent",
}


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


def effect_of(action: str) -> Effect:
    """What an action does, for those that have no function of their own here; ``create`` when in doubt."""
    if action in EFFECTS:
        return EFFECTS[action]
    return next((effect for verb, effect in _EFFECTS_BY_VERB.items() if action.startswith(verb)), "create")


def describe(kind: JobKind, job: JobRef) -> Call[Snapshot | Absence]:
    """Ask about one job of any kind.

    :raises TrtcSetupError: the job's id is empty, or too long to be one.
    """
    if bounds.job_id(job.job_id) is None:
        raise TrtcSetupError(
            f"The {kind.name} id is empty, or longer than {bounds.LONGEST_ID} characters.",
            action=kind.describe_action,
        )
    params: dict[str, Any] = {kind.app_param: job.sdk_app_id} if kind.app_param else {}
    params[kind.id_param] = job.job_id
    return Call(kind.describe_action, params, partial(_read_job, kind, job.job_id), "read", job.job_id)


def any_action(action: str, params: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Any action of the service with its own parameter names; its value is the answer with ``RequestId``.

    Reads the SDK's request models: the first use takes a third of a second, so not on an event loop.

    :raises TrtcSetupError: the action or a parameter does not exist, or cannot be sent.
    """
    parameters.check(action, params)
    job_id = params.get("TaskId")
    return Call(action, dict(params), dict, effect_of(action), job_id if isinstance(job_id, str) else None)


def _read_job(kind: JobKind, job_id: str, answer: dict[str, Any]) -> Snapshot | Absence:
    return read_answer(kind, answer, job_id)
