"""Whether what is made of a recording after its end is complete, as far as its callbacks tell.

Only the upload of index files (305) says so itself. Conversions are announced one by one (310), without
saying how many there will be. VOD tells its end (312), which may overtake a file (311).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_trtc.jobs import history as signs
from airflow_trtc.jobs.history import CallbackFact
from airflow_trtc.jobs.state import JobState


@dataclass(frozen=True, slots=True)
class Output:
    """How far an output is.

    :param state: for a person to read.
    :param told_at: when the callback came that completes it; None while it is missing.
    :param complete_at: from when on it counts as complete if nothing else comes; None while it is missing.
    """

    state: str
    told_at: datetime | None = None
    complete_at: datetime | None = None


def output(known: JobState, wait_for: str, settle_seconds: float) -> Output:
    """How far the upload, the conversions (mp4, aac) or the files in VOD are.

    :param wait_for: ``upload``, ``mp4`` or ``vod``.
    :param settle_seconds: how long, after a callback that need not be the last, to wait for another one.
    """
    match wait_for:
        case "upload":
            return _upload(known)
        case "mp4":
            return _mp4(known, settle_seconds)
        case "vod":
            return _vod(known, settle_seconds)
    raise ValueError(f"no output is called {wait_for!r}")


def _upload(known: JobState) -> Output:
    uploaded = known.history.latest(signs.UPLOADED)
    if (unknown := _unknown(uploaded, (0, 1, 2))) is not None:
        return unknown
    if uploaded is None:
        return Output("the end of the upload (305) is missing")
    return _complete("the upload has ended", uploaded.received_at, 0.0)


def _mp4(known: JobState, settle_seconds: float) -> Output:
    converted = known.history.of(signs.CONVERTED)
    # Each is about files of its own, so a later one explains nothing.
    if (unknown := _first_unknown(converted, (0, 1, 2))) is not None:
        return unknown
    if not converted:
        return Output("no conversion (310) was told")
    made = {file.user_id for file in known.files if file.format in ("mp4", "aac")}
    expected = {file.user_id for file in known.files if file.format == "hls" and file.user_id}
    # A conversion without a user mixes all of them, or the callback did not say whose it is.
    if None not in made and (without := expected - made):
        names = ", ".join(sorted(filter(None, without)))
        return Output(f"the conversion (310) of these users is missing: {names}")
    last = max(sign.received_at for sign in converted)
    return _complete("every user's files are converted", last, settle_seconds)


def _vod(known: JobState, settle_seconds: float) -> Output:
    ended = known.history.latest(signs.VOD_ENDED)
    if (unknown := _unknown(ended, (0, 1))) is not None:
        return unknown
    if ended is None:
        return Output("the end of the transfer into VOD (312) is missing")
    files = known.history.of(signs.IN_VOD)
    arrived = {file.file_name for file in known.files if file.vod_file_id is not None}
    missing = [sign for sign in files if sign.detail not in arrived]
    if (unknown := _first_unknown(missing, (0, 1, 2))) is not None:
        return unknown
    last = max(sign.received_at for sign in [ended, *files])
    return _complete("the transfer into VOD has ended", last, settle_seconds)


def _complete(state: str, told_at: datetime, settle_seconds: float) -> Output:
    return Output(state, told_at, told_at + timedelta(seconds=settle_seconds))


def _first_unknown(all_signs: Iterable[CallbackFact], codes: Collection[int]) -> Output | None:
    return next((unknown for sign in all_signs if (unknown := _unknown(sign, codes)) is not None), None)


def _unknown(sign: CallbackFact | None, codes: Collection[int]) -> Output | None:
    if sign is None or sign.code in codes:
        return None
    return Output(f"the service told {sign.type} with code {sign.code}, which nobody has documented")
