"""The calls that change what is being relayed to a CDN, or played into a room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.cloud.calls import Call
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.answers import MAX_STATUS, UnreadableAnswer
from airflow_trtc.jobs.ref import JobRef

REQUEST_OUTDATED = "FailedOperation.RequestOutdated"
TASK_EXIST = "FailedOperation.TaskExist"


def update_relay(job: JobRef, params: Mapping[str, Any], sequence_number: int) -> Call[None]:
    """Change a relay; what is not given stays as it is.

    :param params: ``WithTranscoding`` and what is to change, each of them whole.
    :param sequence_number: higher than that of any update that was carried out, or the code is
        `REQUEST_OUTDATED`. The same update has the same number however often it is sent.
    :raises TrtcSetupError: the relay's id cannot be one.
    """
    given = {**params, "SequenceNumber": sequence_number}
    return _call("UpdatePublishCdnStream", job, given, lambda answer: None)


def update_ingest(job: JobRef, params: Mapping[str, Any]) -> Call[str]:
    """Change what is played into a room; its value is the status then, ``NotExist`` when it is over.

    :raises TrtcSetupError: the id cannot be one.
    """
    return _call("UpdateStreamIngest", job, params, _read_status)


def stop_relay(job: JobRef, record_key: str | None = None) -> Call[None]:
    """Stop a relay.

    :param record_key: the ``RecordKey`` of its recording, to end that too without its waiting time.
    :raises TrtcSetupError: the relay's id cannot be one.
    """
    params = {} if record_key is None else {"RecordKey": record_key}
    return _call("StopPublishCdnStream", job, params, lambda answer: None)


def _call(
    action: str, job: JobRef, params: Mapping[str, Any], read: Callable[[dict[str, Any]], Any]
) -> Call[Any]:
    if bounds.job_id(job.job_id) is None:
        raise TrtcSetupError(
            f"The {job.kind} id is empty, or longer than {bounds.LONGEST_ID} characters.", action=action
        )
    named = {**params, "SdkAppId": job.sdk_app_id, "TaskId": job.job_id}
    return Call(action, named, read, "idempotent", job.job_id)


def _read_status(answer: dict[str, Any]) -> str:
    status = bounds.text(answer.get("Status"), MAX_STATUS)
    if status is None:
        raise UnreadableAnswer("The answer has no status.")
    return status
