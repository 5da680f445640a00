"""What went wrong with a recording, as its callbacks told."""

from __future__ import annotations

from airflow_trtc.jobs import history as signs
from airflow_trtc.jobs.history import CallbackHistory
from airflow_trtc.jobs.problem import LINGERING, Problem
from airflow_trtc.jobs.state import JobState


def problems_of(known: JobState) -> tuple[Problem, ...]:
    """All problems that callbacks told and that no later one mended."""
    told = known.history
    return (*_start(told), *_upload(told), *_mp4(told), *_vod(known), *_image(told))


def _start(told: CallbackHistory) -> list[Problem]:
    found = []
    if (failed := told.failed_start) is not None:
        found.append(Problem("start", f"the recorder did not start (301, Status {failed.code})"))
    end = told.end
    if end is not None and end.type == signs.LEFT and end.code in signs.INTERRUPTED_CODES:
        why = signs.INTERRUPTED_CODES[end.code]
        found.append(Problem("interrupted", f"the recorder left early: {why} (302, LeaveCode {end.code})"))
    return found


def _upload(told: CallbackHistory) -> list[Problem]:
    uploaded = told.latest(signs.UPLOADED)
    if uploaded is not None and uploaded.code == 1:
        where = "on the service's machines or backup storage"
        return [Problem(LINGERING, f"some index files are still {where} (305, Status 1)")]
    if uploaded is not None and uploaded.code in (0, 2):
        return []
    began = told.latest(signs.UPLOAD_STARTED)
    found = []
    if began is not None and began.code == 1:
        found.append(Problem("upload", "the upload could not be set up (303, Status 1)"))
    for error in told.of(signs.UPLOAD_ERROR):
        words = ": ".join(filter(None, [error.detail, error.message]))
        found.append(Problem("upload", f"the upload failed (308): {words}"))
    return found


def _mp4(told: CallbackHistory) -> list[Problem]:
    converted = told.of(signs.CONVERTED)
    found = []
    if any(sign.code == 2 for sign in converted):
        why = "the service could not read the index files back from the bucket, for one"
        found.append(Problem("mp4", f"a conversion failed ({why}) (310, Status 2)"))
    latest = told.latest(signs.CONVERTED)
    if latest is not None and latest.code == 1:
        found.append(Problem(LINGERING, "some converted files are still on their way (310, Status 1)"))
    return found


def _vod(known: JobState) -> list[Problem]:
    arrived = {file.file_name for file in known.files if file.vod_file_id is not None}
    found = []
    for sign in known.history.of(signs.IN_VOD):
        if sign.detail in arrived or sign.code not in (1, 2):
            continue
        name = sign.detail or "a file"
        if sign.code == 1:
            found.append(Problem(LINGERING, f"{name} is still on its way into VOD (311, Status 1)"))
        else:
            words = f": {sign.message}" if sign.message else ""
            found.append(Problem("vod", f"{name} did not get into VOD{words} (311, Status 2)"))
    ended = known.history.latest(signs.VOD_ENDED)
    if ended is not None and ended.code == 1:
        found.append(Problem("vod", "the transfer into VOD ended abnormally (312, Status 1)"))
    return found


def _image(told: CallbackHistory) -> list[Problem]:
    return [
        Problem("image", f"an image could not be fetched (309): {sign.detail}")
        for sign in told.of(signs.IMAGE_ERROR)
    ]
