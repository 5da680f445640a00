"""From options, as tests and control requests give them, to recordings and script steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from airflow_trtc.emulator.callback_plan import CallbackPlan
from airflow_trtc.emulator.codes import error_of
from airflow_trtc.emulator.faults import SCRIPT_KINDS
from airflow_trtc.emulator.files import (
    MAX_RECOVERIES,
    File,
    MediaOptions,
    Recipe,
    checked_file,
    plan_index_files,
)
from airflow_trtc.emulator.options import built, check_choice, check_count, check_numbers, check_texts
from airflow_trtc.emulator.recordings import Plan, Recording, Step
from airflow_trtc.emulator.rooms import looks_like_string_room
from airflow_trtc.emulator.settings import FILE_LIST_FORMS, LISTINGS_WITHOUT_HLS, Settings

Part = TypeVar("Part")

SECONDS_PER_HOUR = 3600
MAX_FILES = 10_000
_OTHER_PROGRESS = {"files", "participants", "recoveries", "empty_file_list", "list_without_hls"}
PROGRESS_NAMES = {each.name for kind in (Plan, CallbackPlan) for each in fields(kind)} | _OTHER_PROGRESS
_CHOICES: Mapping[str, Sequence[object]] = {
    "storage": ("cos", "vod"),
    "empty_file_list": (None, *FILE_LIST_FORMS),
    "list_without_hls": (None, *LISTINGS_WITHOUT_HLS),
    "stream_type": range(3),
    "output_format": range(5),
    "media_id": range(3),
    "av_merge": range(2),
    "vod_media_type": range(5),
    "screens": (False, True),
}
_TEXTS = ("recording_id", "room_id", "robot_id", "user_define_record_id", "recorder_key")


@dataclass(frozen=True, kw_only=True)
class Seed(Plan, CallbackPlan, MediaOptions):
    """The options of ``add_recording``; the package docstring explains them."""

    recording_id: str | None = None
    files: int | Sequence[Mapping[str, Any]] | None = None
    participants: int | Sequence[str] = 1
    recoveries: int = 0
    room_id: str = "8001"
    is_string_room: bool | None = None
    robot_id: str = "recorder_1"
    sdk_app_id: int | None = None
    started_seconds_ago: float = 0.0
    ended: bool = False
    expires_after_hours: float = 72.0
    empty_file_list: str | None = None
    list_without_hls: str | None = None
    recorder_key: str | None = None
    destination: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self)
        check_texts(self, *_TEXTS)
        for name, allowed in _CHOICES.items():
            check_choice(self, name, allowed)
        for name in ("files", "participants"):
            value = getattr(self, name)
            if isinstance(value, int):
                check_count(name, value, MAX_FILES)
        if not isinstance(self.participants, int) and not all(isinstance(e, str) for e in self.participants):
            raise ValueError("participants must be how many there are, or their ids as texts")
        if not isinstance(self.destination, (Mapping, type(None))):
            raise ValueError("destination must be an object")
        if self.recoveries > MAX_RECOVERIES:
            raise ValueError(f"recoveries must be at most {MAX_RECOVERIES}")


def recording_of(
    seed: Seed, settings: Settings, recording_id: str, now: float, *, clock_skew_seconds: float = 0.0
) -> Recording:
    """Return a new recording that began ``started_seconds_ago``; its recorder's clock is that far ahead."""
    created_at = now - seed.started_seconds_ago
    recipe = recipe_of(seed, settings)
    users = _users(seed.participants)
    planned_files = _planned_files(seed, recipe, users)
    return Recording(
        recording_id=recording_id,
        recipe=recipe,
        plan=_plan(seed, settings),
        robot_id=seed.robot_id,
        created_at=created_at,
        expires_at=created_at + seed.expires_after_hours * SECONDS_PER_HOUR,
        planned_files=planned_files,
        empty_file_list=seed.empty_file_list or settings.empty_file_list,
        list_without_hls=seed.list_without_hls or settings.list_without_hls,
        recorder_key=seed.recorder_key,
        clock_skew_seconds=clock_skew_seconds,
        destination=dict(seed.destination or {}),
        empty_since=None if users else created_at,
        users=list(dict.fromkeys([*users, *(each["UserId"] for each in planned_files if each["UserId"])])),
        callback_plan=_callback_plan(seed, settings),
    )


def check_progress(options: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless these options only say how a recording goes on."""
    foreign = sorted(set(options) - PROGRESS_NAMES)
    if foreign:
        raise ValueError(
            f"not about progress: {', '.join(foreign)}; there are: {', '.join(sorted(PROGRESS_NAMES))}"
        )
    built(Seed, options)


def step_of(options: Mapping[str, Any]) -> Step:
    """Return one script step, or raise ``ValueError``."""
    error, message = error_of(options.get("error"), options.get("message"))
    files = options.get("files")
    if not (files is None or isinstance(files, int)):
        files = tuple(checked_file(each) for each in files)
    step = built(Step, {**options, "error": error, "message": message, "files": files})
    check_numbers(step)
    check_texts(step, "status", "task_id")
    check_choice(step, "file_list", (None, *FILE_LIST_FORMS))
    check_choice(step, "fault", (None, *SCRIPT_KINDS))
    return step


def _part(kind: type[Part], seed: Seed, **instead: Any) -> Part:
    """Return those of the seed's options that make up one of its parts."""
    names = (each.name for each in fields(kind))  # type: ignore[arg-type]
    return kind(**{**{name: getattr(seed, name) for name in names}, **instead})


def recipe_of(seed: Seed, settings: Settings) -> Recipe:
    """Return what the recording of these options is asked to make, and in which room."""
    is_string_room = seed.is_string_room
    if is_string_room is None:
        is_string_room = looks_like_string_room(seed.room_id)
    sdk_app_id = seed.sdk_app_id or settings.sdk_app_id
    return _part(Recipe, seed, sdk_app_id=sdk_app_id, is_string_room=is_string_room)


def _plan(seed: Seed, settings: Settings) -> Plan:
    if seed.exited_seconds is not None or seed.exited_reads:
        return _part(Plan, seed)
    return _part(Plan, seed, exited_seconds=settings.exited_seconds)


def _callback_plan(seed: Seed, settings: Settings) -> CallbackPlan:
    room_events = settings.room_events if seed.room_events is None else seed.room_events
    return _part(CallbackPlan, seed, room_events=room_events)


def _users(participants: int | Sequence[str]) -> list[str]:
    if isinstance(participants, int):
        return [f"anchor_{number}" for number in range(1, participants + 1)]
    return list(participants)


def _planned_files(seed: Seed, recipe: Recipe, users: Sequence[str]) -> list[File]:
    if seed.files is None or isinstance(seed.files, int):
        return plan_index_files(recipe, users, how_many=seed.files, recoveries=seed.recoveries)
    return [checked_file(each) for each in seed.files]
