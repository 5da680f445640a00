"""What went wrong with a recording, as its callbacks told."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_trtc.recording import told as signs
from airflow_trtc.recording.known import Known
from airflow_trtc.recording.told import Told

LINGERING = "lingering"
NO_CALLBACK = "no_callback"  # of a wait, not of the recording
PROBLEM_KINDS = ("start", "interrupted", "upload", LINGERING, "mp4", "vod", "image")
# A missing background image spoils no file.
FAIL_ON = frozenset(PROBLEM_KINDS) - {"image"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong.

    :param kind: ``start``, the recorder did not start (301 Status 1); ``interrupted``, it lost the room (302
        LeaveCode 100, 101); ``upload``, files could not be uploaded (303 Status 1, 308); ``lingering``, files
        are still on the service's machines or backup storage (305, 310, 311 Status 1); ``mp4``, the
        conversion failed (310 Status 2); ``vod``, a file or the whole did not get into VOD (311 Status 2, 312
        Status 1); ``image``, a background image could not be fetched (309). Of a wait also ``no_callback``.
    :param message: for a person to read.
    """

    kind: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether nothing can mend it any more; lingering files usually arrive later."""
        return self.kind != LINGERING


def problems_of(known: Known) -> tuple[Problem, ...]:
    """All problems that callbacks told and that no later one mended."""
    told = known.told
    return (*_start(told), *_upload(told), *_mp4(told), *_vod(known), *_image(told))


def _start(told: Told) -> list[Problem]:
    found = []
    if (failed := told.failed_start) is not None:
        found.append(Problem("start", f"the recorder did not start (301, Status {failed.code})"))
    end = told.end
    if end is not None and end.type == signs.LEFT and end.code in signs.INTERRUPTED_CODES:
        why = signs.INTERRUPTED_CODES[end.code]
        found.append(Problem("interrupted", f"the recorder left early: {why} (302, LeaveCode {end.code})"))
    return found


def _upload(told: Told) -> list[Problem]:
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


def _mp4(told: Told) -> list[Problem]:
    converted = told.of(signs.CONVERTED)
    found = []
    if any(sign.code == 2 for sign in converted):
        why = "the service could not read the index files back from the bucket, for one"
        found.append(Problem("mp4", f"a conversion failed ({why}) (310, Status 2)"))
    latest = told.latest(signs.CONVERTED)
    if latest is not None and latest.code == 1:
        found.append(Problem(LINGERING, "some converted files are still on their way (310, Status 1)"))
    return found


def _vod(known: Known) -> list[Problem]:
    arrived = {file.file_name for file in known.files if file.vod_file_id is not None}
    found = []
    for sign in known.told.of(signs.IN_VOD):
        if sign.detail in arrived or sign.code not in (1, 2):
            continue
        name = sign.detail or "a file"
        if sign.code == 1:
            found.append(Problem(LINGERING, f"{name} is still on its way into VOD (311, Status 1)"))
        else:
            words = f": {sign.message}" if sign.message else ""
            found.append(Problem("vod", f"{name} did not get into VOD{words} (311, Status 2)"))
    ended = known.told.latest(signs.VOD_ENDED)
    if ended is not None and ended.code == 1:
        found.append(Problem("vod", "the transfer into VOD ended abnormally (312, Status 1)"))
    return found


def _image(told: Told) -> list[Problem]:
    return [
        Problem("image", f"an image could not be fetched (309): {sign.detail}")
        for sign in told.of(signs.IMAGE_ERROR)
    ]
