"""Whether what is made of a recording after its end is complete, as far as its callbacks report.

Only the upload of index files (305) reports so itself. Conversions are announced file by file (310), without
a total: each stream of each user gets one, in parts if it is long. VOD reports its end (312), which may
overtake a file (311).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from airflow_trtc.jobs.events import CONVERTED, IN_VOD, LEFT, UPLOADED, VOD_ENDED
from airflow_trtc.jobs.history import CallbackFact, CallbackHistory, missing_in_vod
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import Rules
from airflow_trtc.recording.files import read_name

CONVERSION_FAILED = 2  # Status of 310
NO_STREAM = 99  # LeaveCode of 302
# How long a room may be empty before its recording ends, unless MaxIdleTime says otherwise, and a little. A
# part that is shorter is converted within the time to settle.
EMPTY_ROOM_SECONDS = 35.0

Stream: TypeAlias = tuple[str | None, str | None]  # user and medium (main, aux)


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


def output(state: JobState, rules: Rules) -> Output:
    """How far the upload, the conversions (mp4, aac) or the files in VOD are.

    :param rules: its ``wait_for`` says which of them; ``settle_seconds`` is how long, after a callback that
        need not be the last, to wait for another one, and ``callback_timeout_seconds`` how long where there
        are signs that another one follows.
    :raises ValueError: there is no such output.
    """
    if rules.wait_for not in _OUTPUTS:
        raise ValueError(f"no output is called {rules.wait_for!r}")
    return _OUTPUTS[rules.wait_for](state, rules)


def _upload(state: JobState, rules: Rules) -> Output:
    uploaded = state.history.latest(UPLOADED)
    if uploaded is None:
        return Output("the end of the upload (305) is missing")
    return _undocumented([uploaded]) or _complete("the upload has ended", uploaded.received_at, 0.0)


def _mp4(state: JobState, rules: Rules) -> Output:
    converted = state.history.of(CONVERTED)
    # Each is about files of its own, so a later one explains nothing.
    if (undocumented := _undocumented(converted)) is not None:
        return undocumented
    if not converted:
        return Output("no conversion (310) was reported")
    last = max(fact.received_at for fact in converted)
    made = [file for file in state.files if file.format in ("mp4", "aac")]
    streams = {_stream(file) for file in made}
    missing = [_words(each) for each in _expected(state.files, made) if not _is_made(each, streams)]
    if missing:
        words = f"the conversion (310) of these is missing: {', '.join(sorted(missing))}"
        if any(fact.code == CONVERSION_FAILED for fact in converted):
            # Perhaps theirs; it does not say whose.
            return _complete(words, last, rules.callback_timeout_seconds)
        return Output(words)
    if (sign := _sign_of_more(state, made)) is not None:
        return _complete(sign, last, rules.callback_timeout_seconds)
    return _complete("every user's files are converted", last, rules.settle_seconds)


def _stream(file: RecordedFile) -> Stream:
    named = read_name(file.file_name)
    return file.user_id or named.user_id, file.media_id or named.media_id


def _words(stream: Stream) -> str:
    user, media = stream
    return f"{user} ({media})" if media else f"{user}"


def _expected(files: Iterable[RecordedFile], made: Iterable[RecordedFile]) -> set[Stream]:
    """Each user's stream that has an index file, and so gets conversions of its own."""
    is_sound_only = {file.format for file in made} == {"aac"}
    return {
        stream
        for file in files
        if file.format == "hls" and (stream := _stream(file))[0] is not None
        if not (is_sound_only and (file.track_type or read_name(file.file_name).track) == "video")
    }


def _is_made(wanted: Stream, streams: Iterable[Stream]) -> bool:
    """What names no user, or no medium, may be of any."""
    wanted_user, wanted_media = wanted
    return any(
        user is None or (user == wanted_user and (media == wanted_media or None in (media, wanted_media)))
        for user, media in streams
    )


def _sign_of_more(state: JobState, made: Iterable[RecordedFile]) -> str | None:
    """Why a further part of a file that was cut seems to be on its way; None if nothing says so.

    A file has parts when it passes a length or a size; only the first 310s may have come.
    """
    streams: dict[str | None, list[RecordedFile]] = {}
    for file in made:
        user, media = _stream(file)
        streams.setdefault(None if user is None else _words((user, media)), []).append(file)
    for whose, files in streams.items():
        numbers = {part for file in files if (part := read_name(file.file_name).part) is not None}
        of = f" of {whose}" if whose is not None else ""
        if missing := set(range(1, max(numbers, default=1))) - numbers:
            return f"part {min(missing)} of the conversion (310){of} is missing"
        if (numbers or whose is None) and _ends_early(state.history, files, is_cut=bool(numbers)):
            return f"the last conversion (310){of} ends before the recording does; another part may follow"
    return None


def _ends_early(history: CallbackHistory, files: Iterable[RecordedFile], *, is_cut: bool) -> bool:
    end, ends = history.end, [file.end_timestamp_ms for file in files if file.end_timestamp_ms is not None]
    # Conversions come later than what they are made of, so they say nothing of the end.
    if end is None or end.type not in (LEFT, UPLOADED) or not ends:
        return False
    is_empty_room = (end.type, end.code) == (LEFT, NO_STREAM)
    gap_ms = end.happened_at_ms - max(ends)
    return gap_ms > EMPTY_ROOM_SECONDS * 1000 and (is_cut or not is_empty_room)


def _vod(state: JobState, rules: Rules) -> Output:
    ended = state.history.latest(VOD_ENDED)
    if ended is None:
        return Output("the end of the transfer into VOD (312) is missing")
    missing = missing_in_vod(state.history, state.files)
    last = max(fact.received_at for fact in [ended, *state.history.of(IN_VOD)])
    return _undocumented([ended, *missing]) or _complete(
        "the transfer into VOD has ended", last, rules.settle_seconds
    )


_OUTPUTS = {"upload": _upload, "mp4": _mp4, "vod": _vod}


def _complete(state: str, reported_at: datetime, seconds: float) -> Output:
    return Output(state, reported_at, reported_at + timedelta(seconds=seconds))


def _undocumented(facts: Iterable[CallbackFact]) -> Output | None:
    fact = next((fact for fact in facts if not fact.is_documented), None)
    if fact is None:
        return None
    return Output(f"the service reported {fact.type} with the undocumented code {fact.code}")
