"""The values that everything else passes around: files, and what polls and callbacks show of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from airflow_trtc.jobs.callback import Callback

_FORMATS = {"m3u8": "hls", "mp4": "mp4", "aac": "aac", "ogg": "ogg", "png": "png"}


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file of a recording or slicing, as the service lists it or as a callback names it.

    What the service does not say is None. Lists name index files only; callbacks also name conversions
    (mp4, aac) and files in VOD, and only they give the last four fields.

    :param file_name: name without the prefix and the job's folder, unique in a job.
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
        """``hls``, ``mp4``, ``aac``, ``ogg`` or ``png``, by the name's ending, or its VOD address's."""
        endings = (text.rpartition(".")[2].lower() for text in (self.file_name, self.vod_url or ""))
        return next((_FORMATS[ending] for ending in endings if ending in _FORMATS), None)

    @property
    def is_in_vod(self) -> bool:
        """Whether it lies in VOD, and so in no bucket of the user's."""
        return self.vod_file_id is not None or self.vod_url is not None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The service answered: the job exists.

    :param job_id: the id the answer is about (the service's ``TaskId``, for most kinds).
    :param status: the service's word, for a recording ``Idle``, ``InProgress`` or ``Exited``; may be an
        undocumented one.
    :param files: the files listed in this answer, in its order; empty when it lists none.
    :param request_id: the service's id of this request.
    :param detail: what else of the answer is worth keeping, as plain JSON; None for nothing. Too large a
        detail is dropped, see :data:`airflow_trtc.jobs.state.MAX_DETAIL_BYTES`.
    """

    job_id: str
    status: str
    files: tuple[RecordedFile, ...] = ()
    request_id: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """The service answered that it knows no such job: it ended, or it never existed."""

    code: str
    request_id: str | None = None


TroubleKind: TypeAlias = Literal["passing", "refused", "setup"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """The poll showed nothing of the job.

    :param kind: ``passing``: throttled, unreachable, or an answer that cannot be read; ask again.
        ``refused``: the service said no, with a code that neither passes nor means "not there".
        ``setup``: key, permission, application, region or a parameter is wrong; asking again does not help.
    :param code: the vendor's code, or one of ours that begins with ``Client.``.
    :param message: what happened, for a person to read.
    """

    kind: TroubleKind
    code: str
    message: str
    request_id: str | None = None


Polled: TypeAlias = Snapshot | Absence | Trouble
Observation: TypeAlias = Polled | Callback
