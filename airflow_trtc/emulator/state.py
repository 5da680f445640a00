"""All the emulator remembers: its settings, recordings, faults, and what was asked. One lock guards it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeVar, cast

from airflow_trtc.emulator import jobs, names
from airflow_trtc.emulator.callbacks import Callbacks, RecordingSource, Source
from airflow_trtc.emulator.clock import Clock
from airflow_trtc.emulator.faults import Faults
from airflow_trtc.emulator.jobs import Job
from airflow_trtc.emulator.ledger import described
from airflow_trtc.emulator.life_events import LifeTimeline
from airflow_trtc.emulator.lives import Life
from airflow_trtc.emulator.lives import advance as advance_life
from airflow_trtc.emulator.messages import check_key, check_url
from airflow_trtc.emulator.natures import BY_DESCRIBE
from airflow_trtc.emulator.recordings import Recording, advance, produced_files
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.seeding import check_progress
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.throttle import RateLimiter

SECRET_PARAMETERS = frozenset(
    {"AccessKey", "SecretKey", "UserSig", "IMAdminUserSig", "PrivateMapKey", "APIKey", "Token"}
)
HIDDEN = "***"
_Part = TypeVar("_Part")


class State:
    """The memory of one emulator. Callers hold ``lock`` while they use anything of it."""

    def __init__(
        self,
        settings: Settings,
        *,
        wall: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        check_progress(settings.new_recordings)
        jobs.check_new_jobs(settings.new_jobs)
        if settings.callback_url is not None:
            check_url(settings.callback_url)
        if settings.callback_key is not None:
            check_key(settings.callback_key)
        self.settings = settings
        self.lock = threading.RLock()
        self.wall = wall
        self.ticks = ticks
        self.on_news: Callable[[], None] = ignore_news
        """Called when a callback may be due earlier than was known; from any thread, under the lock."""
        self.reset()

    def reset(self) -> None:
        """Forget everything; the settings stay."""
        self.clock = Clock(self.settings.time_scale, epoch=self.wall, ticks=self.ticks)
        self.clock_skew_seconds = self.settings.clock_skew_seconds
        self.random = random.Random(self.settings.seed)
        self.recordings: dict[str, Recording] = {}
        self.rooms: dict[Room, list[str]] = {}
        """Who is in the rooms into which people were moved; in others it is as their recordings plan it."""
        self.room_followers: list[Callable[[Room, list[str], float], None]] = []
        """Called with who is in a room, after people moved there at an instant."""
        self.jobs: dict[str, Job] = {}
        self.job_actions: dict[str, str] = {}
        """The made-up actions for which a job was added, and the name of their id parameter."""
        self.faults = Faults()
        chosen = self.settings.seed
        self.callbacks = Callbacks(self.settings, random.random() if chosen is None else chosen)
        self.limiter = RateLimiter(self.settings.rate_limit)
        self.counters: dict[str, Counter[str]] = {}
        self.throttled = 0
        self.requests: deque[dict[str, Any]] = deque(maxlen=self.settings.keep_requests)
        self._parts: dict[Callable[[], Any], Any] = {}
        self.secrets: set[str] = set()
        """The secrets in all requests. No control route and no page may show them."""

    def part(self, kind: Callable[[], _Part]) -> _Part:
        """What a family of calls remembers: made by `kind` at first, and forgotten by :meth:`reset`."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        return cast("_Part", self._parts[kind])

    def add(self, recording: Recording, now: float, *, is_over: bool = False) -> None:
        """Take a new recording in and report its events from now on, unless it is over."""
        self.recordings[recording.recording_id] = recording
        self._report(RecordingSource(recording), now, is_over=is_over)

    def _report(self, source: Source, now: float, *, is_over: bool = False) -> None:
        self.callbacks.begin(source, now, is_over=is_over)
        if self.callbacks.url is not None:
            self.on_news()

    def follow(self, recording: Recording, now: float) -> None:
        """Notice what a read or a command changed in a recording, so that it is reported in time."""
        self.follow_id(recording.recording_id, now)

    def follow_id(self, job_id: str, now: float) -> None:
        """As :meth:`follow`, of a recording or another job with this id."""
        known = self.callbacks.next_at()
        self.callbacks.follow(job_id, now)
        if self.callbacks.next_at() != known:
            self.on_news()

    def collect_callbacks(self, limit: int | None = None) -> None:
        """Bring the ledger up to date."""
        self.callbacks.collect(self.clock.now(), limit)
        if self.callbacks.outbox:
            self.on_news()

    @property
    def sources(self) -> list[Source]:
        """All that has events to report."""
        lives = [LifeTimeline(each.life) for each in self.jobs.values() if each.life is not None]
        return [*map(RecordingSource, self.recordings.values()), *lives]

    def add_life(self, life: Life, now: float) -> None:
        """Take a new job with a life in, and report its events from now on."""
        self.jobs[life.job_id] = jobs.job_of(life)
        self._report(LifeTimeline(life), now)

    def lives(self, now: float, kind: str | None = None) -> Iterator[Life]:
        """Yield the lives that have not ended, of one kind if wanted, each brought to this instant."""
        for job in self.jobs.values():
            life = job.life
            if life is not None and kind in (None, life.nature.kind) and life.is_running:
                advance_life(life, now)
                if life.is_running:
                    yield life

    def add_job(self, job: Job) -> None:
        """Take a new job in; from now on its action is answered."""
        if job.action not in BY_DESCRIBE:
            id_param = self.job_actions.setdefault(job.action, job.id_param)
            if id_param != job.id_param:
                raise ValueError(f"the id_param of {job.action} is {id_param} already")
        self.jobs[job.job_id] = job

    def has(self, job_id: str) -> bool:
        """Return whether a recording or another job has this id."""
        return job_id in self.recordings or job_id in self.jobs

    def new_id(self, shape: str = "cloud") -> str:
        """Return an id that no recording and no other job has.

        :param shape: see `names.job_id`.
        """
        while self.has(job_id := names.job_id(self.random, shape, self.clock.now())):
            pass
        return job_id

    def running(self, now: float) -> Iterator[Recording]:
        """Yield the recordings that have not ended, each brought to this instant."""
        for recording in self.recordings.values():
            if recording.is_running:
                advance(recording, now)
                if recording.is_running:
                    yield recording

    def count(self, action: str, code: str, request: Mapping[str, Any]) -> None:
        """Note one request and how it was answered."""
        self.counters.setdefault(action, Counter())[code] += 1
        self.throttled += code == "RequestLimitExceeded"
        self.requests.append({"action": action, "code": code, **request})


def ignore_news() -> None:
    """Do nothing about callbacks that are due, as long as no dispatcher runs."""


def without_secrets(value: Any) -> Any:
    """Return request parameters with every secret replaced, however deep."""
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRET_PARAMETERS else without_secrets(each)
            for name, each in value.items()
        }
    return [without_secrets(each) for each in value] if isinstance(value, list) else value


def secrets_in(value: Any) -> Iterator[str]:
    """Yield the secrets among request parameters, however deep."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in SECRET_PARAMETERS and isinstance(each, str):
                yield each
            else:
                yield from secrets_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from secrets_in(each)


def ledger_of(state: State, recording_id: str) -> list[dict[str, Any]]:
    """Return all events of a recording so far, and what became of them, as JSON."""
    state.collect_callbacks()
    return described(state.callbacks.ledger.of_recording.get(recording_id, ()))


def truth(recording: Recording, now: float) -> dict[str, Any]:
    """Return all that really happened to a recording up to now, as JSON."""
    advance(recording, now)
    recipe = recording.recipe
    return {
        "recording_id": recording.recording_id,
        "sdk_app_id": recipe.sdk_app_id,
        "room_id": recipe.room_id,
        "is_string_room": recipe.is_string_room,
        "robot_id": recording.robot_id,
        "started_by": recording.started_by and asdict(recording.started_by),
        "stopped_by": recording.stopped_by and asdict(recording.stopped_by),
        "mixed": recipe.mixed,
        "storage": recipe.storage,
        "destination": recording.destination,
        "storage_refused": recording.is_storage_refused,
        "status": recording.stage,
        "end_reason": recording.end_reason,
        "created_at": recording.created_at,
        "started_at": recording.started_at,
        "ended_at": recording.ended_at,
        "expires_at": recording.expires_at,
        "history": [{"at": at, "status": status} for at, status in recording.history],
        "reads": recording.reads,
        "modifications": recording.modifications,
        "layout": recording.layout,
        "subscriptions": recording.subscriptions,
        **produced_files(recording),
        "listed_files": list(recording.listed_files),
        "clock_skew_seconds": recording.clock_skew_seconds,
        "polls": [asdict(each) for each in recording.polls],
    }
