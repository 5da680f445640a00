"""Which recordings live while a cluster suffers, and who waits for them. Pure: same seed, same lives.

Most are there already when a run begins to wait for them. The lessons are recorded by Airflow itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.soak.plan import trouble_ends_at

FIRST_BIRTH_SECONDS = 5.0
LAST_BIRTH_SHARE = 0.85
"""The last recording begins after this share of the troubled part."""
LEAST_READS = 3
"""A recording that somebody waits for does not end before so many answers, one of which should arrive."""

APP = 1400000001
FINISHED_APP, UPLOADED_APP = 1400000011, 1400000012
"""Recordings of these applications start DAGs; see dags/soak.py."""
EVENT_APPS = {FINISHED_APP: "recording", UPLOADED_APP: "upload"}

NO_CALLBACKS = {str(number): "lost" for number in range(301, 313)}

PLAIN, MANY, UPLOAD, MP4, VOD = (
    "deferrable_recording", "deferrable_many", "deferrable_upload", "deferrable_mp4", "deferrable_vod",
)  # fmt: skip
START_AND_STOP, ROOM, ROOM_POKED = "start_and_stop", "deferrable_room", "poke_room"
"""DAGs that record a room: between a setup and its teardown, or by one task that owns the recording."""
WAIT_FOR = {
    PLAIN: "recording",
    MANY: "recording",
    UPLOAD: "upload",
    MP4: "mp4",
    VOD: "vod",
    "poke_recording": "recording",
    "reschedule_recording": "recording",
    START_AND_STOP: "recording",
    ROOM: "recording",
    ROOM_POKED: "recording",
}

# How many of a hundred are of each kind.
KINDS = {
    "plain": 12,
    "silent": 10,
    "many": 8,
    "deleted": 5,
    "empty": 3,
    "nobody": 2,
    "upload": 6,
    "lingering": 2,
    "lingers on": 1,
    "mp4": 5,
    "bad mp4": 1,
    "vod": 4,
    "bad vod": 1,
    "poke": 4,
    "reschedule": 4,
    "unknown": 3,
    "start fails": 2,
    "interrupted": 2,
    "event": 4,
    "event upload": 4,
    "start and stop": 5,
    "room": 4,
    "room poked": 2,
    "room left empty": 2,
    "room cleared": 2,
    "room marked failed": 1,
    "room marked success": 1,
}
SHORT, MEDIUM, LONG = (10.0, 60.0), (60.0, 300.0), (300.0, 1200.0)
LESSON = (30.0, 120.0)
MEDDLED_LESSON = (90.0, 150.0)
MEDDLE_AFTER = (10.0, 40.0)

Meddling = Literal["clear", "failed", "success"]
"""What a person does to a task: clears it, or marks it."""


@dataclass(frozen=True)
class Lesson:
    """A room that Airflow records, and what people do meanwhile.

    :ivar seconds: how long the room is to be recorded.
    :ivar is_left_empty: nothing stops the recording; after that time everybody leaves the room.
    :ivar meddling: what a person does to the task that owns the recording, while it runs.
    :ivar meddles_after_seconds: when, seconds after the run began.
    """

    seconds: float
    is_left_empty: bool = False
    meddling: Meddling | None = None
    meddles_after_seconds: float = 0.0


@dataclass(frozen=True)
class Life:
    """One recording, an id that none ever had, or a room that Airflow records.

    :ivar at: when it is made, seconds after the beginning.
    :ivar dag_id: the DAG whose run waits for it; None when nobody does.
    :ivar options: of the emulator's ``add_recording``; None makes no recording.
    :ivar ends_after_seconds: when it is ended by hand.
    :ivar lesson: the run is to record this; then `options` are None.
    """

    number: int
    at: float
    kind: str
    dag_id: str | None
    sdk_app_id: int = APP
    options: Mapping[str, Any] | None = field(default_factory=dict)
    ends_after_seconds: float | None = None
    lesson: Lesson | None = None

    @property
    def room_id(self) -> str:
        """Its room, in which no other recording is."""
        return str(8000 + self.number)

    @property
    def run_id(self) -> str:
        """The run that waits for it."""
        return f"soak-{self.number:04d}"

    def describe(self) -> dict[str, Any]:
        """The life as JSON."""
        return asdict(self)


def lives(seed: int, seconds: float, count: int) -> list[Life]:
    """All recordings of a run, in the order in which they begin."""
    chance = random.Random(f"{seed}/lives")
    until = trouble_ends_at(seconds)
    births = sorted(
        round(chance.uniform(FIRST_BIRTH_SECONDS, until * LAST_BIRTH_SHARE), 1) for _ in range(count)
    )
    kinds = _kinds(chance)
    return [
        _life(random.Random(f"{seed}/life/{number}"), number, at, next(kinds), until)
        for number, at in enumerate(births)
    ]


def _kinds(chance: random.Random) -> Iterator[str]:
    deck = [kind for kind, count in KINDS.items() for _ in range(count)]
    while True:
        yield from chance.sample(deck, len(deck))


def _life(chance: random.Random, number: int, at: float, kind: str, until: float) -> Life:
    if kind in _LESSONS:
        return _lesson(chance, number, at, kind)
    seconds = _seconds(chance, kind, longest=max(until - at, SHORT[0]))
    dag_id, options = _OF_KIND[kind](chance, seconds)
    common = {
        "room_id": str(8000 + number),
        "exited_seconds": chance.choice((0.033, 0.033, 3.0)),
        "empty_file_list": chance.choice(("list", "null", "absent")),
    }
    by_hand = options.pop("by_hand", None)
    app = options.pop("sdk_app_id", APP)
    return Life(
        number,
        at,
        kind,
        dag_id,
        app,
        None if kind == "unknown" else {**common, "sdk_app_id": app, **options},
        by_hand,
    )


def _lesson(chance: random.Random, number: int, at: float, kind: str) -> Life:
    dag_id, is_left_empty, meddling = _LESSONS[kind]
    bounds = LESSON if meddling is None else MEDDLED_LESSON
    lesson = Lesson(
        round(chance.uniform(*bounds), 1),
        is_left_empty,
        meddling,
        0.0 if meddling is None else round(chance.uniform(*MEDDLE_AFTER), 1),
    )
    return Life(number, at, kind, chance.choice(dag_id), options=None, lesson=lesson)


def _seconds(chance: random.Random, kind: str, longest: float) -> float:
    bounds = {"poke": (10.0, 60.0), "reschedule": (30.0, 240.0)}.get(kind)
    bounds = bounds or chance.choice((SHORT, SHORT, MEDIUM, MEDIUM, LONG))
    return round(min(chance.uniform(*bounds), longest), 1)


def _growing(files: int, seconds: float, **more: Any) -> dict[str, Any]:
    """A recording whose files come one after the other; it does not end before it was seen."""
    return {
        "files": files,
        "file_every_seconds": round(seconds / (files + 1), 2),
        "ends_after_seconds": seconds,
        "ends_after_reads": LEAST_READS,
        **more,
    }


def _few(chance: random.Random) -> int:
    """Files of which each gets a task, which costs seconds of a processor."""
    return chance.choice((1, 1, 1, 2, 2, 3))


def _plain(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    more: dict[str, Any] = {"failovers": 1} if chance.random() < 0.2 else {}
    if chance.random() < 0.3:
        return PLAIN, _growing(_few(chance), seconds, mixed=True, **more)
    return PLAIN, _growing(_few(chance), seconds, idle_seconds=chance.choice((0, 0, 5)), **more)


def _silent(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return PLAIN, _growing(_few(chance), seconds, callbacks=NO_CALLBACKS)


def _many(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    more: dict[str, Any] = {"callbacks": NO_CALLBACKS} if chance.random() < 0.6 else {}
    return MANY, _growing(chance.randint(5, 200), seconds, **more)


def _deleted(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    options = _growing(_few(chance), seconds, by_hand=seconds)
    del options["ends_after_seconds"], options["ends_after_reads"]
    return PLAIN, options


def _empty(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return PLAIN, _growing(0, seconds)


def _nobody(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return PLAIN, {"participants": 0, "max_idle_seconds": max(seconds, 60.0)}


def _upload(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return UPLOAD, _growing(_few(chance), seconds)


def _lingering(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return UPLOAD, _growing(1, seconds, upload_status=[1, 2], recovered_after_seconds=20)


def _lingers_on(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return UPLOAD, _growing(1, seconds, upload_status=1)


def _mp4(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    made = {"stream_type": 1, "output_format": chance.choice((1, 1, 3))}
    return MP4, _growing(chance.randint(1, 2), seconds, **made)


def _bad_mp4(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return MP4, _growing(1, seconds, stream_type=1, output_format=1, mp4_status=2)


def _vod(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return VOD, _growing(chance.randint(1, 2), seconds, storage="vod", stream_type=1)


def _bad_vod(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return VOD, _growing(2, seconds, storage="vod", stream_type=1, vod_status=[0, 2])


def _poke(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return "poke_recording", _growing(chance.randint(0, 2), seconds)


def _reschedule(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return "reschedule_recording", _growing(chance.randint(0, 2), seconds)


def _unknown(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return PLAIN, {}


def _start_fails(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return PLAIN, {"start_fails": True, "idle_seconds": max(seconds, 40.0), "idle_reads": LEAST_READS}


def _interrupted(chance: random.Random, seconds: float) -> tuple[str, dict[str, Any]]:
    return PLAIN, _growing(1, seconds, leave_code=100)


def _event(chance: random.Random, seconds: float) -> tuple[str | None, dict[str, Any]]:
    options = _growing(chance.randint(1, 2), seconds, sdk_app_id=FINISHED_APP)
    if chance.random() < 0.5:
        return PLAIN, options  # somebody waits too: polls make up for lost callbacks
    del options["ends_after_reads"]
    return None, options


def _event_upload(chance: random.Random, seconds: float) -> tuple[str | None, dict[str, Any]]:
    options = _growing(chance.randint(1, 2), seconds, sdk_app_id=UPLOADED_APP)
    del options["ends_after_reads"]
    return None, options


# The DAGs of which one records it, whether the room is left empty, and what a person does.
_LESSONS: Mapping[str, tuple[tuple[str, ...], bool, Meddling | None]] = {
    "start and stop": ((START_AND_STOP,), False, None),
    "room": ((ROOM,), False, None),
    "room poked": ((ROOM_POKED,), False, None),
    "room left empty": ((ROOM,), True, None),
    "room cleared": ((ROOM, ROOM_POKED), False, "clear"),
    "room marked failed": ((ROOM, ROOM_POKED), False, "failed"),
    "room marked success": ((ROOM, ROOM_POKED), False, "success"),
}
_OF_KIND = {
    "plain": _plain,
    "silent": _silent,
    "many": _many,
    "deleted": _deleted,
    "empty": _empty,
    "nobody": _nobody,
    "upload": _upload,
    "lingering": _lingering,
    "lingers on": _lingers_on,
    "mp4": _mp4,
    "bad mp4": _bad_mp4,
    "vod": _vod,
    "bad vod": _bad_vod,
    "poke": _poke,
    "reschedule": _reschedule,
    "unknown": _unknown,
    "start fails": _start_fails,
    "interrupted": _interrupted,
    "event": _event,
    "event upload": _event_upload,
}
