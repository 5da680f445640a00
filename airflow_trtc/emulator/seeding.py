"""From options, as tests and control requests give them, to recordings and script steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from airflow_trtc.emulator.faults import SCRIPT_KINDS
from airflow_trtc.emulator.files import MAX_RECOVERIES, File, Recipe, checked_file, plan_index_files
from airflow_trtc.emulator.options import built, check_choice, check_numbers
from airflow_trtc.emulator.recordings import Plan, Recording, Step
from airflow_trtc.emulator.schemas import MAX_NUMERIC_ROOM
from airflow_trtc.emulator.settings import FILE_LIST_FORMS, LISTINGS_WITHOUT_HLS, Settings
from airflow_trtc.emulator.telling import Statuses, Telling

SECONDS_PER_HOUR = 3600
_PLAN_NAMES = frozenset(each.name for each in fields(Plan)) - {"has_anchors"}
_RECIPE_NAMES = frozenset(each.name for each in fields(Recipe))
_TELLING_NAMES = frozenset(each.name for each in fields(Telling))
_OTHER_PROGRESS = {"files", "participants", "recoveries", "empty_file_list", "list_without_hls"}
PROGRESS_NAMES = _PLAN_NAMES | _TELLING_NAMES | _OTHER_PROGRESS


@dataclass(frozen=True)
class Seed:
    """The options of ``add_recording``; the package docstring explains them."""

    recording_id: str | None = None
    files: int | Sequence[Mapping[str, Any]] | None = None
    participants: int | Sequence[str] = 1
    recoveries: int = 0
    mixed: bool = False
    storage: str = "cos"
    room_id: str = "8001"
    is_string_room: bool | None = None
    robot_id: str = "recorder_1"
    sdk_app_id: int | None = None
    stream_type: int = 0
    output_format: int = 0
    media_id: int = 0
    av_merge: int = 0
    vod_media_type: int = 0
    user_define_record_id: str = ""
    idle_seconds: float = 0.0
    idle_reads: int = 0
    file_every_seconds: float = 0.0
    file_every_reads: int = 0
    ends_after_seconds: float | None = None
    ends_after_reads: int | None = None
    room_empty_after_seconds: float | None = None
    max_idle_seconds: float = 30.0
    exited_seconds: float | None = None
    exited_reads: int = 0
    started_seconds_ago: float = 0.0
    ended: bool = False
    expires_after_hours: float = 72.0
    empty_file_list: str | None = None
    list_without_hls: str | None = None
    recorder_key: str | None = None
    destination: Mapping[str, Any] | None = None
    callbacks: Mapping[str, str | float] = field(default_factory=dict)
    room_events: bool | None = None
    start_fails: bool = False
    leave_code: int | None = None
    upload_status: int | Sequence[int] = 0
    mp4_status: Statuses = 0
    vod_status: Statuses = 0
    vod_end_status: int = 0
    failovers: int | Sequence[float] = 0
    upload_errors: int | Sequence[Mapping[str, Any]] = 0
    image_errors: int | Sequence[str] = 0
    files_per_310: int = Telling.files_per_310
    index_after_seconds: float = Telling.index_after_seconds
    upload_after_seconds: float = Telling.upload_after_seconds
    mp4_after_seconds: float = Telling.mp4_after_seconds
    vod_after_seconds: float = Telling.vod_after_seconds
    media_every_seconds: float = Telling.media_every_seconds
    vod_end_after_seconds: float = Telling.vod_end_after_seconds
    recovered_after_seconds: float = Telling.recovered_after_seconds

    def __post_init__(self) -> None:
        check_numbers(self)
        check_choice(self, "storage", ("cos", "vod"))
        check_choice(self, "empty_file_list", (None, *FILE_LIST_FORMS))
        check_choice(self, "list_without_hls", (None, *LISTINGS_WITHOUT_HLS))
        _telling(self, room_events=False)
        if self.recoveries > MAX_RECOVERIES:
            raise ValueError(f"recoveries must be at most {MAX_RECOVERIES}")


def recording_of(
    seed: Seed, settings: Settings, recording_id: str, now: float, *, clock_skew_seconds: float = 0.0
) -> Recording:
    """Return a new recording that began ``started_seconds_ago``; its recorder's clock is that far ahead."""
    created_at = now - seed.started_seconds_ago
    recipe = _recipe(seed, settings)
    users = _users(seed.participants)
    planned_files = _planned_files(seed, recipe, users)
    return Recording(
        recording_id=recording_id,
        recipe=recipe,
        plan=_plan(seed, settings, has_anchors=bool(users)),
        robot_id=seed.robot_id,
        created_at=created_at,
        expires_at=created_at + seed.expires_after_hours * SECONDS_PER_HOUR,
        planned_files=planned_files,
        empty_file_list=seed.empty_file_list or settings.empty_file_list,
        list_without_hls=seed.list_without_hls or settings.list_without_hls,
        recorder_key=seed.recorder_key,
        clock_skew_seconds=clock_skew_seconds,
        destination=dict(seed.destination or {}),
        users=list(dict.fromkeys([*users, *(each["UserId"] for each in planned_files if each["UserId"])])),
        telling=_telling(
            seed, room_events=settings.room_events if seed.room_events is None else seed.room_events
        ),
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
    step = built(Step, options)
    check_numbers(step)
    check_choice(step, "file_list", (None, *FILE_LIST_FORMS))
    check_choice(step, "fault", (None, *SCRIPT_KINDS))
    if step.files is None or isinstance(step.files, int):
        return step
    return built(Step, {**options, "files": tuple(checked_file(each) for each in options["files"])})


def _recipe(seed: Seed, settings: Settings) -> Recipe:
    values = {name: getattr(seed, name) for name in _RECIPE_NAMES}
    values["sdk_app_id"] = seed.sdk_app_id or settings.sdk_app_id
    if seed.is_string_room is None:
        values["is_string_room"] = not (seed.room_id.isdigit() and int(seed.room_id) <= MAX_NUMERIC_ROOM)
    return Recipe(**values)


def _plan(seed: Seed, settings: Settings, *, has_anchors: bool) -> Plan:
    values = {name: getattr(seed, name) for name in _PLAN_NAMES}
    if seed.exited_seconds is None:
        values["exited_seconds"] = 0.0 if seed.exited_reads else settings.exited_seconds
    return Plan(has_anchors=has_anchors, **values)


def _telling(seed: Seed, *, room_events: bool) -> Telling:
    values = {name: getattr(seed, name) for name in _TELLING_NAMES}
    return Telling(**{**values, "room_events": room_events})


def _users(participants: int | Sequence[str]) -> list[str]:
    if isinstance(participants, int):
        return [f"anchor_{number}" for number in range(1, participants + 1)]
    return list(participants)


def _planned_files(seed: Seed, recipe: Recipe, users: Sequence[str]) -> list[File]:
    if seed.files is None or isinstance(seed.files, int):
        return plan_index_files(recipe, users, how_many=seed.files, recoveries=seed.recoveries)
    return [checked_file(each) for each in seed.files]
