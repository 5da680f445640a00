"""The values that everything else passes around: files, and what looks and callbacks show of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from airflow_trtc.jobs.callback import Callback


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file of a recording, as the service lists it or as a callback names it.

    What the service does not say is None. Lists name index files only; callbacks also name conversions
    (mp4, aac) and files in VOD, and alone tell the last four fields.

    :param file_name: name without the prefix and the recording's folder, unique in a recording.
    :param user_id: whose stream it is; None when the file mixes several users.
    :param track_type: ``audio``, ``video`` or ``audio_video``.
    :param begin_timestamp_ms: Unix milliseconds of its first media.
    :param end_timestamp_ms: Unix milliseconds of its last media.
    :param media_id: ``main`` (camera), ``aux`` (screen) or ``mix``.
    :param vod_file_id: the file's id in VOD; None for a file in a bucket.
    :param vod_url: where VOD serves it, without any signature.
    """

    file_name: str
    user_id: str | None = None
    track_type: str | None = None
    begin_timestamp_ms: int | None = None
    end_timestamp_ms: int | None = None
    media_id: str | None = None
    vod_file_id: str | None = None
    vod_url: str | None = None

    @property
    def format(self) -> str | None:
        """``hls``, ``mp4`` or ``aac``, by the name's ending; None for any other."""
        ending = self.file_name.rpartition(".")[2].lower()
        return {"m3u8": "hls", "mp4": "mp4", "aac": "aac"}.get(ending)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The service answered: the recording exists.

    :param recording_id: the id the answer is about (the service's ``TaskId``).
    :param status: ``Idle``, ``InProgress``, ``Exited``, or a word that nobody has documented yet.
    :param files: the files listed in this answer, in its order; empty when it lists none.
    :param request_id: the service's id of this request.
    """

    recording_id: str
    status: str
    files: tuple[RecordedFile, ...] = ()
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """The service answered that it knows no such recording: it ended, or it never existed."""

    code: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nothing was learnt of the recording.

    :param kind: ``passing``: throttled, unreachable, or an answer of no use; ask again.
        ``refused``: the service said no, with a code that neither passes nor means "gone".
        ``setup``: key, permission, application, region or a parameter is wrong; asking again is no use.
    :param code: the vendor's code, or one of ours that begins with ``Client.``.
    :param message: what happened, for a person to read.
    """

    kind: Literal["passing", "refused", "setup"]
    code: str
    message: str
    request_id: str | None = None


Look: TypeAlias = Snapshot | Absence | Trouble
Observation: TypeAlias = Look | Callback
