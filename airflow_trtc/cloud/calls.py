"""Our arguments become the vendor's parameters, and its answers our values or our errors."""

from __future__ import annotations

from typing import Any

from airflow_trtc.cloud.failures import broken_answer
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.observation import RecordedFile, Snapshot

DESCRIBE_RECORDING = "DescribeCloudRecording"
OTHER_RECORDING = "Client.OtherRecording"


def describe_params(sdk_app_id: int, recording_id: str) -> dict[str, Any]:
    """Parameters that ask for one recording.

    :raises TrtcSetupError: there is no recording id.
    """
    if not str(recording_id or "").strip():
        raise TrtcSetupError("The recording id is empty.", action=DESCRIBE_RECORDING)
    return {"SdkAppId": sdk_app_id, "TaskId": recording_id}


def to_snapshot(answer: dict[str, Any], recording_id: str) -> Snapshot:
    """Read what ``DescribeCloudRecording`` answered.

    A status that nobody knows is kept as it is, unknown fields are ignored. Of the files, an entry
    without a name is left out, since nothing can be done with it; the others stay.

    :param answer: what is inside ``Response``.
    :raises TrtcTransientError: there is no status in it (``Client.BrokenAnswer``), or it is about
        another recording (``Client.OtherRecording``).
    """
    request_id = _text(answer.get("RequestId"))
    facts: dict[str, Any] = {
        "action": DESCRIBE_RECORDING,
        "recording_id": recording_id,
        "request_id": request_id,
    }
    status, answered_id = _text(answer.get("Status")), _text(answer.get("TaskId"))
    if status is None:
        raise broken_answer("The answer has no status.", **facts)
    if answered_id is not None and answered_id != recording_id:
        raise broken_answer("The answer is about another recording.", code=OTHER_RECORDING, **facts)
    return Snapshot(recording_id, status, _files(answer.get("StorageFileList")), request_id)


def _files(listed: Any) -> tuple[RecordedFile, ...]:
    entries = listed if isinstance(listed, list) else []
    return tuple(file for file in map(_file, entries) if file is not None)


def _file(entry: Any) -> RecordedFile | None:
    name = _text(entry.get("FileName")) if isinstance(entry, dict) else None
    if name is None:
        return None
    return RecordedFile(
        file_name=name,
        user_id=_text(entry.get("UserId")),
        track_type=_text(entry.get("TrackType")),
        begin_timestamp_ms=_whole_number(entry.get("BeginTimeStamp")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _whole_number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if 0 < number < 2**63 else None  # what Airflow can send between its processes
