"""Which files a recording makes, in the order they appear. Pure functions."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as count_up
from typing import Any

from airflow_trtc.emulator import names
from airflow_trtc.emulator.options import check_count
from airflow_trtc.emulator.rooms import Room

File = dict[str, Any]
"""A file as the service lists it: UserId, FileName, TrackType, BeginTimeStamp (Unix milliseconds)."""

MAX_RECOVERIES = 3
MAX_PARTS = 100
MAX_MILLISECONDS = 10**13
"""A begin in the year 2286, the last that may be given."""
_FILE_KEYS = ("UserId", "FileName", "TrackType", "BeginTimeStamp")
_TRACKS = {0: ("audio", "video"), 1: ("audio",), 2: ("video",)}
_VOD_EXTENSIONS = {0: ("mp4",), 1: ("m3u8",), 2: ("aac",), 3: ("m3u8", "mp4"), 4: ("m3u8", "aac")}
_COS_EXTENSIONS = {0: (), 1: ("mp4",), 2: ("aac",), 3: ("mp4",), 4: ("aac",)}


@dataclass(frozen=True, kw_only=True)
class MediaOptions:
    """What a recording is asked to make, in the numbers of RecordParams and TencentVod."""

    mixed: bool = False
    storage: str = "cos"
    stream_type: int = 0
    output_format: int = 0
    media_id: int = 0
    av_merge: int = 0
    vod_media_type: int = 0
    user_define_record_id: str = ""
    screens: bool = False
    """Whether each user shares the screen as well, which is a stream of its own (aux)."""
    max_media_seconds: float = 86_400.0
    """A longer mp4 or aac file is cut into parts; 0: none is."""


@dataclass(frozen=True, kw_only=True)
class Recipe(MediaOptions):
    """The same, and for which room."""

    sdk_app_id: int
    room_id: str
    is_string_room: bool = False

    @property
    def room(self) -> Room:
        """The room that is recorded."""
        return Room(self.sdk_app_id, self.room_id, self.is_string_room)

    @property
    def keeps_hls(self) -> bool:
        """Whether index files stay: with OutputFormat 3 and 4 only the conversion is kept."""
        return self.output_format not in (3, 4)

    @property
    def media_extensions(self) -> tuple[str, ...]:
        """What is made besides the index files on COS, or at all on VOD."""
        return (
            _VOD_EXTENSIONS[self.vod_media_type]
            if self.storage == "vod"
            else _COS_EXTENSIONS[self.output_format]
        )

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks of one user that get an index file of their own."""
        tracks = _TRACKS[self.stream_type]
        merges = (self.mixed or self.av_merge == 1) and len(tracks) > 1
        return ("audio_video",) if merges else tracks


def plan_index_files(
    recipe: Recipe, users: Sequence[str], *, how_many: int | None = None, recoveries: int = 0
) -> list[File]:
    """Return the index files in order, without begin. ``how_many`` cuts the list or adds users."""
    if not users:
        return []
    if how_many is not None and not recipe.mixed:
        each = sum(len(_tracks(recipe, media)) for media in _medias(recipe)) * (recoveries + 1)
        users = _enough_users(users, -(-how_many // each))
    planned = list(_index_files(recipe, users, recoveries))
    if how_many is None:
        return planned
    if len(planned) < how_many:
        planned = list(_index_files(recipe, users, min(how_many - 1, MAX_RECOVERIES)))
    if len(planned) < how_many:
        raise ValueError(f"a mixed recording has at most {MAX_RECOVERIES + 1} index files, not {how_many}")
    return planned[:how_many]


def media_files(recipe: Recipe, index_files: Sequence[File], extension: str) -> list[File]:
    """Return the mp4, aac or VOD files made of these: one per user and medium, or one when mixed."""
    made = _media_files(recipe, index_files, extension)
    return [{name: each[name] for name in _FILE_KEYS} for each in made]


def _media_files(recipe: Recipe, index_files: Sequence[File], extension: str) -> list[File]:
    begins: dict[tuple[str, str], int] = {}
    for each in index_files:
        stream = each.get("UserId") or "", _media_of(recipe, each["FileName"])
        begin = each.get("BeginTimeStamp") or 0
        begins[stream] = min(begin, begins.get(stream, begin))
    track = _TRACKS[recipe.stream_type][0] if recipe.stream_type else "audio_video"
    return [
        {
            **_file(
                user,
                _media_name(recipe, user, media, extension),
                "audio" if extension == "aac" else track,
                begin,
            ),
            "MediaId": media,
        }
        for (user, media), begin in begins.items()
        if extension != "aac" or media != "aux"  # a screen has no sound
    ]


def conversions(
    recipe: Recipe, recording_id: str, index_files: Sequence[File], ended_at: float
) -> dict[str, list[File]]:
    """Return what is made of these index files at the end: lists of mp4, aac and VOD files.

    Besides what the service lists, they have what its events report: MediaId, EndTimeStamp, and on VOD
    FileId and VideoUrl.
    """
    is_vod = recipe.storage == "vod"
    made: dict[str, list[File]] = {"mp4_files": [], "aac_files": [], "vod_files": []}
    for extension in recipe.media_extensions:
        for each in _media_files(recipe, index_files, extension):
            for file in _parts(recipe, each, round(ended_at * 1000)):
                if is_vod:
                    file.update(_vod_place(recipe, recording_id, file))
                made["vod_files" if is_vod else f"{extension}_files"].append(file)
    return made


def _parts(recipe: Recipe, file: File, end: int) -> Iterator[File]:
    """Cut a file that is too long; the parts' names count from 1."""
    begin, longest = file["BeginTimeStamp"], round(recipe.max_media_seconds * 1000)
    is_cut = begin and longest and recipe.storage != "vod"
    count = min(math.ceil((end - begin) / longest), MAX_PARTS) if is_cut else 1
    if count <= 1:
        yield {**file, "EndTimeStamp": end}
        return
    stem, _, extension = file["FileName"].rpartition(".")
    for part in range(1, count + 1):
        yield {
            **file,
            "FileName": names.media_name(stem, extension, part=part),
            "BeginTimeStamp": begin + (part - 1) * longest,
            "EndTimeStamp": end if part == count else begin + part * longest,
        }


def _vod_place(recipe: Recipe, recording_id: str, file: File) -> File:
    key = f"{recording_id}/{file['FileName']}".encode()
    first, second = zlib.crc32(key), zlib.adler32(key)
    file_id = f"5285890{first:010d}{second % 100:02d}"
    extension = file["FileName"].rpartition(".")[2]
    url = f"http://{recipe.sdk_app_id}.vod2.myqcloud.com/{second:08x}vodtrans/{file_id}/f0.{extension}"
    return {"FileId": file_id, "VideoUrl": url}


def checked_file(given: Mapping[str, Any]) -> File:
    """Return an explicit file as a vendor dict; only FileName is needed."""
    unknown = set(given) - set(_FILE_KEYS)
    if unknown or not given.get("FileName"):
        raise ValueError(f"a file needs FileName and may have {_FILE_KEYS}, not {sorted(unknown)}")
    for name in ("FileName", "UserId", "TrackType"):
        if not isinstance(given.get(name, ""), (str, type(None))):
            raise ValueError(f"{name} of a file must be a text")
    if given.get("BeginTimeStamp") is not None:
        check_count("BeginTimeStamp", given["BeginTimeStamp"], MAX_MILLISECONDS)
    return _file(
        given.get("UserId", ""), given["FileName"], given.get("TrackType"), given.get("BeginTimeStamp")
    )


def _index_files(recipe: Recipe, users: Sequence[str], recoveries: int) -> Iterator[File]:
    room = names.room_part(recipe.room_id, is_string_room=recipe.is_string_room)
    for recovery in range(recoveries + 1):
        if recipe.mixed:
            name = names.index_name(names.mixed_stem(recipe.sdk_app_id, room), recovery=recovery)
            yield _file("", name, recipe.tracks[0], None)
            continue
        for user, media in ((user, media) for user in users for media in _medias(recipe)):
            stem = names.single_stem(recipe.sdk_app_id, room, user, media)
            for track in _tracks(recipe, media):
                yield _file(user, names.index_name(stem, track=track, recovery=recovery), track, None)


def _media_name(recipe: Recipe, user: str, media: str, extension: str) -> str:
    room = names.room_part(recipe.room_id, is_string_room=recipe.is_string_room)
    is_single = not recipe.mixed and user
    stem = (
        names.single_stem(recipe.sdk_app_id, room, user, media)
        if is_single
        else names.mixed_stem(recipe.sdk_app_id, room)
    )
    name = names.media_name(stem, extension)
    if recipe.storage == "vod" and recipe.user_define_record_id:
        return names.user_defined_name(recipe.user_define_record_id, name)
    return name


def _medias(recipe: Recipe) -> tuple[str, ...]:
    if recipe.media_id:
        return ("aux" if recipe.media_id == 2 else "main",)
    return ("main", "aux") if recipe.screens and recipe.stream_type != 1 else ("main",)


def _tracks(recipe: Recipe, media: str) -> tuple[str, ...]:
    is_silent = media == "aux" and recipe.media_id == 0
    return ("video",) if is_silent else recipe.tracks


def _media_of(recipe: Recipe, index_name: str) -> str:
    if recipe.mixed:
        return "mix"
    told = re.search(r"__UserId_e_(main|aux)[_.]", index_name)
    return told[1] if told else _medias(recipe)[0]


def _enough_users(users: Sequence[str], needed: int) -> list[str]:
    more = (name for name in (f"anchor_{number}" for number in count_up(1)) if name not in users)
    return [*users, *(next(more) for _ in range(needed - len(users)))]


def _file(user: str | None, name: str, track: str | None, begin: int | None) -> File:
    return dict(zip(_FILE_KEYS, (user, name, track, begin), strict=True))
