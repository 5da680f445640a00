"""Which recording a run is about: that of the events that started it, or the one its configuration names.

Pure. Events are ours, but Airflow lets users write them too, and configurations are written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import MILESTONES
from airflow_trtc.recording.files import object_key
from airflow_trtc.results import SUMMARY_FIELDS, file_results

FINISHED_URI = "trtc://recordings/finished"
MAX_FILES = 100_000
MAX_PROBLEMS = 1_000

_HOW = (
    "Schedule the DAG on PartitionedAssetTimetable(assets=finished_recordings()), or start it with the "
    'configuration {"recording_id": "...", "sdk_app_id": 1400000001, "region": "ap-guangzhou"}.'
)


@dataclass(frozen=True, slots=True)
class Triggering:
    """The recording that a run is about.

    :param summary: the summary that came with it, see `recording_result`; None: it is only named.
    :param files: the files that came with it, see `file_results`; None: there are too many for an event, or
        it is only named.
    :param file_count: how many files it has at least.
    """

    job: JobRef
    summary: Mapping[str, Any] | None = None
    files: Sequence[Mapping[str, Any]] | None = None
    file_count: int = 0


def triggering(events: Mapping[Any, Iterable[Any]], configuration: object) -> Triggering:
    """Say which recording is meant; events come before the configuration.

    Of several events about one recording that one counts which tells most: most files, the furthest
    milestone, the latest end.

    :param events: the asset events of the run, by asset.
    :raises TrtcSetupError: none is meant, or several are, or something of it cannot be read; the message
        says what to do.
    """
    extras = [
        bounds.mapping(bounds.plain(event.extra))
        for asset in events
        if str(getattr(asset, "uri", "")).startswith(FINISHED_URI)
        for event in events[asset]
    ]
    found = [_carried(extra) for extra in extras if isinstance(extra.get("recording"), Mapping)]
    if len({each.job.job_id for each in found}) > 1:
        ids = ", ".join(sorted({each.job.job_id for each in found}))
        raise TrtcSetupError(
            f"Several recordings started this run ({ids}), but it can return the files of one only. "
            "Schedule the DAG on PartitionedAssetTimetable without a mapper that joins partitions."
        )
    return max(found, key=_telling) if found else _of_configuration(configuration)


def _telling(found: Triggering) -> tuple[int, int, str]:
    summary = found.summary or {}
    wait_for = summary.get("wait_for")
    milestone = MILESTONES.index(wait_for) if wait_for in MILESTONES else -1
    finished_at = bounds.time(summary.get("finished_at"))
    return found.file_count, milestone, finished_at.isoformat() if finished_at is not None else ""


def _of_configuration(value: object) -> Triggering:
    configuration = bounds.mapping(bounds.plain(value))
    if not {"recording", "recording_id"} & set(configuration):
        raise TrtcSetupError(f"No recording started this run. {_HOW}")
    if "recording" not in configuration:
        return Triggering(_job(configuration))
    if not isinstance(configuration["recording"], Mapping):
        raise _unreadable("recording", "an object, as an event carries it", configuration["recording"])
    found = _carried(configuration)
    # Without files it is only named: whatever the rest says, it is judged like any other.
    return found if found.files is not None else Triggering(found.job)


def _carried(extra: Mapping[str, Any]) -> Triggering:
    """What an event carries, or what somebody copied from one."""
    recording, files = extra["recording"], extra.get("files")
    job = _job(recording)
    problems = _objects("problems", recording.get("problems") or [], ("kind", "message"), MAX_PROBLEMS)
    summary = {name: recording.get(name) for name in SUMMARY_FIELDS}
    named = {"recording_id": job.job_id, "sdk_app_id": job.sdk_app_id, "region": job.region}
    summary = {**summary, **recording, **named, "problems": problems}
    if files is None:
        return Triggering(job, summary, None, bounds.count(extra.get("file_count")))
    given = [_file(each, job.job_id) for each in _objects("files", files, ("file_name",), MAX_FILES)]
    return Triggering(job, summary, given, len(given))


def _job(form: Mapping[str, Any]) -> JobRef:
    recording_id, app = form.get("recording_id"), form.get("sdk_app_id")
    if (job_id := bounds.job_id(recording_id)) is None:
        raise _unreadable("recording_id", "the TaskId that CreateCloudRecording returned", recording_id)
    if (sdk_app_id := bounds.number(app, 1, 10**18 - 1)) is None:
        raise _unreadable("sdk_app_id", "the number of an application", app)
    region = form.get("region")
    if region is not None and not isinstance(region, str):
        raise _unreadable("region", "a text", region)
    return JobRef("recording", sdk_app_id, (bounds.text(region) or "").strip() or None, job_id.strip())


def _objects(name: str, values: object, texts: Sequence[str], most: int) -> list[Mapping[str, Any]]:
    if not isinstance(values, list | tuple):
        raise _unreadable(name, "a list", values)
    for number, value in enumerate(values):
        if not isinstance(value, Mapping) or not all(bounds.text(value.get(field)) for field in texts):
            wanted = f"an object with {' and '.join(texts)}, as an event carries it"
            raise _unreadable(f"{name}[{number}]", wanted, value)
    return bounds.items(values, most)


def _file(given: Mapping[str, Any], recording_id: str) -> dict[str, Any]:
    """The file with every field that results have."""
    (blank,) = file_results([RecordedFile(given["file_name"])], recording_id)
    file = {**blank, **given, "recording_id": recording_id}
    if given.get("vod_file_id") is not None or given.get("vod_url") is not None:
        file["object_key"] = None
    return file


def with_prefix(file: Mapping[str, Any], prefix: str | Sequence[str] | None) -> dict[str, Any]:
    """The file with the recording's ``FileNamePrefix`` in front of its key; none for a file in VOD."""
    if file["object_key"] is None:
        return dict(file)
    return {**file, "object_key": object_key(file["recording_id"], file["file_name"], prefix)}


def _unreadable(name: str, wanted: str, given: object) -> TrtcSetupError:
    shown = "nothing" if given is None else f"{given!r:.100}"
    return TrtcSetupError(f"What started this run is not clear: {name} must be {wanted}, not {shown}. {_HOW}")
