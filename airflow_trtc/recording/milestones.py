"""Whether what is made of a recording after its end is complete, as far as its callbacks report.

Only the upload of index files (305) reports so itself. Conversions are announced one by one (310), without
a total. VOD reports its end (312), which may overtake a file (311).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_trtc.jobs.events import CONVERTED, IN_VOD, UPLOADED, VOD_ENDED
from airflow_trtc.jobs.history import CallbackFact, missing_in_vod
from airflow_trtc.jobs.state import JobState


@dataclass(frozen=True, slots=True)
class Output:
    """How far an output is.

    :param state: for a person to read.
    :param reported_at: when the callback came that completes it; None while it is missing.
    :param complete_at: from when on it counts as complete if nothing else comes; None while it is missing.
    """

    state: str
    reported_at: datetime | None = None
    complete_at: datetime | None = None


def output(state: JobState, wait_for: str, settle_seconds: float) -> Output:
    """How far the upload, the conversions (mp4, aac) or the files in VOD are.

    :param wait_for: ``upload``, ``mp4`` or ``vod``.
    :param settle_seconds: how long, after a callback that need not be the last, to wait for another one.
    :raises ValueError: there is no such output.
    """
    if wait_for not in _OUTPUTS:
        raise ValueError(f"no output is called {wait_for!r}")
    return _OUTPUTS[wait_for](state, settle_seconds)


def _upload(state: JobState, settle_seconds: float) -> Output:
    uploaded = state.history.latest(UPLOADED)
    if uploaded is None:
        return Output("the end of the upload (305) is missing")
    return _undocumented([uploaded]) or _complete("the upload has ended", uploaded.received_at, 0.0)


def _mp4(state: JobState, settle_seconds: float) -> Output:
    converted = state.history.of(CONVERTED)
    # Each is about files of its own, so a later one explains nothing.
    if (undocumented := _undocumented(converted)) is not None:
        return undocumented
    if not converted:
        return Output("no conversion (310) was reported")
    made = {file.user_id for file in state.files if file.format in ("mp4", "aac")}
    expected = {file.user_id for file in state.files if file.format == "hls" and file.user_id}
    # A conversion without a user mixes all of them, or the callback did not say whose it is.
    if None not in made and (without := expected - made):
        names = ", ".join(sorted(filter(None, without)))
        return Output(f"the conversion (310) of these users is missing: {names}")
    last = max(fact.received_at for fact in converted)
    return _complete("every user's files are converted", last, settle_seconds)


def _vod(state: JobState, settle_seconds: float) -> Output:
    ended = state.history.latest(VOD_ENDED)
    if ended is None:
        return Output("the end of the transfer into VOD (312) is missing")
    missing = missing_in_vod(state.history, state.files)
    last = max(fact.received_at for fact in [ended, *state.history.of(IN_VOD)])
    return _undocumented([ended, *missing]) or _complete(
        "the transfer into VOD has ended", last, settle_seconds
    )


_OUTPUTS = {"upload": _upload, "mp4": _mp4, "vod": _vod}


def _complete(state: str, reported_at: datetime, settle_seconds: float) -> Output:
    return Output(state, reported_at, reported_at + timedelta(seconds=settle_seconds))


def _undocumented(facts: Iterable[CallbackFact]) -> Output | None:
    fact = next((fact for fact in facts if not fact.is_documented), None)
    if fact is None:
        return None
    return Output(f"the service reported {fact.type} with the undocumented code {fact.code}")
