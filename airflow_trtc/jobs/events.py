"""The table of the vendor's events of all groups: one row a type, and everything else reads it.

A new event is a new row: its name, facts, ends, problems, files and records follow. What a row cannot say is
written out where it is needed, with a reason: when an output of a recording is complete
(:mod:`airflow_trtc.recording.milestones`), and what a record holds (:mod:`airflow_trtc.jobs.records`).

Vendor facts, all as of 2026: rooms and media, trtc.io/document/39558; recordings and web pages,
trtc.io/document/54914 and cloud.tencent.com/document/product/647/81113; relays, trtc.io/document/54913;
ingest, trtc.io/document/62717; AI, trtc.io/document/66149 and 68331; slicing, trtc.io/document/73393;
moderation, trtc.io/document/73394; transcription, trtc.io/document/80094.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_trtc.jobs.problem import LINGERING, PROBLEM_KINDS

ROOM_GROUP, MEDIA_GROUP = 1, 2
CLOUD_GROUP, WEB_GROUP = 3, 8  # on-cloud recording and web page recording
RECORDING_GROUPS = frozenset({CLOUD_GROUP, WEB_GROUP})
RELAY_GROUP, INGEST_GROUP, AI_GROUP, SLICING_GROUP, MODERATION_GROUP, TRANSCRIPTION_GROUP = (
    4,
    7,
    9,
    10,
    11,
    14,
)
# The family of jobs that a group's events report on, see `JobRef.family`; the other groups report on no job.
FAMILIES: Mapping[int, str] = {
    CLOUD_GROUP: "recording",
    WEB_GROUP: "recording",
    RELAY_GROUP: "relay",
    INGEST_GROUP: "ingest",
    AI_GROUP: "ai",
    SLICING_GROUP: "slicing",
    MODERATION_GROUP: "moderation",
    TRANSCRIPTION_GROUP: "transcription",
}

# The types that rules are written about; all others stand in the table only.
LEFT = 302
UPLOADED = 305
MOVED = 306
CONVERTED = 310
IN_VOD = 311
VOD_ENDED = 312

RELAYED = 401
SLICED = 1004

ITSELF = ""  # instead of the name of a field in the payload: the payload
Counts = Literal["latest", "each", "missing", "start", "end", "last"]
RecordKind = Literal["sentence", "moderation"]


@dataclass(frozen=True, slots=True)
class Fault:
    """The problem that a code is.

    :param kind: see `Problem`.
    :param words: what happened, for a person to read.
    :param counts: which events with the code are a problem: the ``latest`` of the type, if it has the code;
        ``each``; each whose file is ``missing`` in VOD; one after which the job did not ``start``; the one
        that is the ``end`` of the job; of each thing that is over (see `Event.is_state`) the ``last`` that
        says how.
    :raises ValueError: there is no such kind of problem.
    """

    kind: str
    words: str
    counts: Counts = "latest"

    def __post_init__(self) -> None:
        if self.kind not in PROBLEM_KINDS:
            raise ValueError(f"no kind of problem is called {self.kind!r}; add it to PROBLEM_KINDS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One type of events. The defaults are those of a type that is not documented.

    :param type: ``EventType``; no two families share one.
    :param name: what the event is about, for a person to read; no two types share one.
    :param groups: the families (``EventGroupId``) it comes in.
    :param is_flat: its fields stand in ``EventInfo`` itself; there is no payload.
    :param code_fields: where its payload has the code: the first of these with a number. None for no code.
    :param codes: what each documented code means. Any other completes and ends nothing.
    :param ends: codes that prove that the job has ended.
    :param is_exit: whether these say when and how it ended; others only come after an end.
    :param is_state: its codes are states of one of several things, which `detail` tells apart: the job has
        ended once each is in one of `ends`.
    :param passing: of such states, those that another one follows within a minute or so.
    :param starts: whether it shows that the job runs, with any code that is no end and no fault: one that
        is not documented may mean that the job goes on. A later start takes an earlier end back.
    :param faults: codes that are problems; of an event without a code the fault stands at None.
    :param settled_by: the type of the event whose documented codes make this one's faults void.
    :param detail: the field that distinguishes events with one code, such as a file's name.
    :param detail_is_address: then a signature in it is left out.
    :param detail_is_stream: it is an address with a stream's key in it, which is left out, see
        :func:`.callback.stream_name`.
    :param message: the field with the service's words.
    :param file_objects: fields with one object or several that each describe a file, or `ITSELF`.
    :param file_names: the field with the name of a file, or with several.
    :param file_codes: codes with which these files exist or are on their way; None for any.
    :param implied_by: a field that stands for code 0 in an old form of the event, which has no code.
    :param record: what it hands on besides files, see :mod:`airflow_trtc.jobs.records`; None for nothing.
    """

    type: int
    name: str = ""
    groups: frozenset[int] = frozenset({CLOUD_GROUP})
    is_flat: bool = False
    code_fields: tuple[str, ...] = ("Status",)
    codes: Mapping[int, str] = field(default_factory=dict)
    ends: frozenset[int] = frozenset()
    is_exit: bool = False
    is_state: bool = False
    passing: frozenset[int] = frozenset()
    starts: bool = False
    faults: Mapping[int | None, Fault] = field(default_factory=dict)
    settled_by: int | None = None
    detail: str | None = None
    detail_is_address: bool = False
    detail_is_stream: bool = False
    message: str | None = None
    file_objects: tuple[str, ...] = ()
    file_names: str | None = None
    file_codes: frozenset[int] | None = None
    implied_by: str | None = None
    record: RecordKind | None = None

    @property
    def slug(self) -> str:
        """Its name as users write it in code, e.g. ``room_dismissed``."""
        return self.name.lower().replace(" ", "_")

    def is_start(self, code: int | None) -> bool:
        """Whether it shows, with this code, that the job runs."""
        return self.starts and code not in self.ends and code not in self.faults

    def label(self, code: int | None) -> str:
        """Type and code, as the vendor's documentation has them, e.g. ``302, LeaveCode 0``."""
        has_code = code is not None and self.code_fields  # a stored row may have one that no event has
        return f"{self.type}, {self.code_fields[0]} {code}" if has_code else str(self.type)


def _leave_codes(robot: str) -> dict[int, str]:
    return {
        0: "stopped by the API",
        1: f"the customer removed the {robot}",
        2: "the customer dismissed the room",
        3: f"the server removed the {robot}",
        4: "the server dismissed the room",
        99: "no stream for MaxIdleTime",
        100: "the room timed out",
        101: f"the {robot}'s id entered again",
    }


def _left_early(robot: str) -> dict[int | None, Fault]:
    lost = f"the {robot} left early: the room timed out or the {robot} lost it"
    return {
        100: Fault("interrupted", lost, "end"),
        101: Fault("interrupted", f"the {robot} left early: the {robot}'s id entered again", "end"),
    }


def _exit(event_type: int, group: int, job: str) -> Event:
    """The robot of a job that is like a recording has left the room."""
    codes = _leave_codes("robot")
    return Event(
        type=event_type,
        name=f"{job} exit",
        groups=frozenset({group}),
        code_fields=("LeaveCode", "Status"),
        codes=codes,
        ends=frozenset(codes),
        is_exit=True,
        faults=_left_early("robot"),
    )


def _start(event_type: int, group: int, job: str) -> Event:
    return Event(
        type=event_type,
        name=f"{job} start",
        groups=frozenset({group}),
        codes={0: "started", 1: "failed"},
        starts=True,
        faults={1: Fault("start", f"the {job} did not start", "start")},
    )


def _storage_error(event_type: int, group: int, name: str, words: str) -> Event:
    return Event(
        type=event_type,
        name=name,
        groups=frozenset({group}),
        code_fields=(),
        faults={None: Fault("upload", words, "each")},
        detail="Code",
        message="Message",
    )


def _plain(event_type: int, name: str, **fields: Any) -> Event:
    """An event about a room, its users or their media."""
    group = event_type // 100
    return Event(type=event_type, name=name, groups=frozenset({group}), is_flat=True, **fields)


_NO_CODE: dict[str, Any] = {"code_fields": ()}
_REASON: dict[str, Any] = {"code_fields": ("Reason",)}

_ROOM_ROWS = (
    _plain(101, "room created", **_NO_CODE),
    _plain(102, "room dismissed", **_NO_CODE),
    _plain(
        103,
        "user entered",
        **_REASON,
        codes={1: "normally", 2: "the network was switched", 3: "after a timeout", 4: "from another room"},
    ),
    _plain(
        104,
        "user left",
        **_REASON,
        codes={
            1: "normally",
            2: "timed out",
            3: "removed",
            4: "the connection of rooms ended",
            5: "the process was killed",
        },
    ),
    _plain(105, "role changed", code_fields=("Role",), codes={20: "anchor", 21: "audience"}),
    _plain(201, "video started", **_NO_CODE),
    _plain(202, "video stopped", **_REASON),
    _plain(203, "audio started", **_NO_CODE),
    _plain(204, "audio stopped", **_REASON),
    _plain(205, "substream started", **_NO_CODE),
    _plain(206, "substream stopped", **_REASON),
)

_RECORDING_ROWS = (
    Event(
        type=301,
        name="recorder start",
        codes={0: "started", 1: "failed"},
        starts=True,
        faults={1: Fault("start", "the recorder did not start", "start")},
    ),
    Event(
        type=LEFT,
        name="recorder exit",
        code_fields=("LeaveCode", "Status"),
        codes=_leave_codes("recorder"),
        ends=frozenset(_leave_codes("recorder")),
        is_exit=True,
        faults=_left_early("recorder"),
    ),
    Event(
        type=303,
        name="upload start",
        codes={0: "started", 1: "failed"},
        faults={1: Fault("upload", "the upload could not be set up")},
        settled_by=UPLOADED,
    ),
    Event(type=304, name="index file in the bucket", code_fields=(), file_names="FileList"),
    Event(
        type=UPLOADED,
        name="upload end",
        code_fields=("Status", "LeaveCode"),  # examples and real traffic; the newest table
        codes={0: "all files uploaded", 1: "some files linger", 2: "lingering files recovered"},
        ends=frozenset({0, 1, 2}),
        faults={
            1: Fault(LINGERING, "some index files are still on the service's machines or backup storage")
        },
    ),
    Event(type=MOVED, name="move to another machine", codes={0: "done"}, starts=True),
    Event(type=307, name="index file begun", code_fields=(), file_objects=(ITSELF,)),
    Event(
        type=308,
        name="upload error",
        code_fields=(),
        faults={None: Fault("upload", "the upload failed", "each")},
        settled_by=UPLOADED,
        detail="Code",
        message="Message",
    ),
    Event(
        type=309,
        name="image error",
        code_fields=(),
        faults={None: Fault("image", "an image could not be fetched", "each")},
        detail="Url",
        detail_is_address=True,
    ),
    Event(
        type=CONVERTED,
        name="conversion",
        codes={0: "all files uploaded", 1: "some files linger", 2: "failed"},
        ends=frozenset({0, 1, 2}),
        faults={
            1: Fault(LINGERING, "some converted files are still on their way"),
            2: Fault(
                "mp4",
                "a conversion failed (perhaps the service could not read the index files from the bucket)",
                "each",
            ),
        },
        file_objects=("FileMessage",),
        file_names="FileList",
        file_codes=frozenset({0, 1}),  # with 2 the names are of what failed
    ),
    Event(
        type=IN_VOD,
        name="file into VOD",
        groups=RECORDING_GROUPS,
        codes={0: "arrived", 1: "lingers", 2: "failed"},
        faults={
            1: Fault(LINGERING, "a file is still on its way into VOD", "missing"),
            2: Fault("vod", "a file did not get into VOD", "missing"),
        },
        detail="CacheFile",
        message="Errmsg",
        file_objects=("TencentVod", ITSELF),  # an older form has the fields in the payload itself
        file_codes=frozenset({0}),
        implied_by="FileId",
    ),
    Event(
        type=VOD_ENDED,
        name="transfer into VOD",
        groups=RECORDING_GROUPS,
        codes={0: "ended", 1: "ended abnormally"},
        ends=frozenset({0, 1}),
        faults={1: Fault("vod", "the transfer into VOD ended abnormally")},
    ),
    Event(
        type=801,
        name="web page recording",
        groups=frozenset({WEB_GROUP}),
        codes={
            1: "started",
            2: "failed to start",
            3: "interrupted, resumes by itself",
            4: "moved",
            5: "stopped for good",
        },
        ends=frozenset({5}),
        starts=True,
        faults={2: Fault("start", "the recording of the web page did not start", "start")},
    ),
    Event(
        type=802,
        name="web page recording end",
        groups=frozenset({WEB_GROUP}),
        codes={1: "ended"},
        ends=frozenset({1}),
    ),
    Event(
        type=803,
        name="web page recording status",
        groups=frozenset({WEB_GROUP}),
        codes={1: "page refreshed", 2: "paused", 3: "resumed"},
    ),
    Event(
        type=804,
        name="web page recording limit",
        groups=frozenset({WEB_GROUP}),
        codes={1: "maximum duration reached", 2: "video larger than 1920x1080"},
        ends=frozenset({1, 2}),
    ),
)

_RELAY_ROWS = (
    Event(
        type=RELAYED,
        name="relay",
        groups=frozenset({RELAY_GROUP}),
        codes={
            0: "over",
            1: "connecting",
            2: "running",
            3: "connecting again",
            4: "failed",
            5: "disconnecting",
        },
        ends=frozenset({0, 4}),
        is_exit=True,
        is_state=True,
        passing=frozenset({1, 3, 5}),
        faults={
            0: Fault("relay", "a relay is over, and nothing says how it ended", "last"),
            1: Fault("relay", "a relay was over before it ran", "last"),
            3: Fault("relay", "a relay was over while it tried to connect again", "last"),
            4: Fault("relay", "a relay failed", "last"),
        },
        detail="Url",
        detail_is_stream=True,
        message="ErrorMsg",
    ),
)

_INGEST_ROWS = (
    Event(
        type=701,
        name="ingest start",
        groups=frozenset({INGEST_GROUP}),
        is_flat=True,
        codes={0: "started", 1: "failed", 2: "trying again"},
        starts=True,
        faults={
            1: Fault("start", "the stream could not be pulled", "start"),
            2: Fault("start", "the stream could not be pulled, and no new try succeeded", "start"),
        },
    ),
    Event(
        type=702,
        name="ingest end",
        groups=frozenset({INGEST_GROUP}),
        is_flat=True,
        codes={0: "ended"},
        ends=frozenset({0}),
        is_exit=True,
    ),
)

_AI_LEAVE_CODES = {code: words for code, words in _leave_codes("robot").items() if code < 100}
_AI_LEAVE_CODES |= {98: "internal error"}


def _ai_end(event_type: int, group: int, name: str) -> Event:
    return Event(
        type=event_type,
        name=name,
        groups=frozenset({group}),
        code_fields=("LeaveCode", "Status"),
        codes=_AI_LEAVE_CODES,
        ends=frozenset(_AI_LEAVE_CODES),
        is_exit=True,
        faults={
            98: Fault("interrupted", "an internal error of the service broke it off; start it anew", "end")
        },
    )


_AI = frozenset({AI_GROUP})

_AI_ROWS = (
    _start(901, AI_GROUP, "AI task"),
    _ai_end(902, AI_GROUP, "AI task end"),
    Event(type=903, name="sentence", groups=_AI, code_fields=(), record="sentence"),
    Event(type=904, name="speech start", groups=_AI, code_fields=()),
    Event(type=905, name="AI speech end", groups=_AI, code_fields=()),
    Event(type=906, name="AI metric", groups=_AI, code_fields=()),
    Event(type=908, name="AI error", groups=_AI, code_fields=(), detail="Metric"),
    Event(type=909, name="AI session", groups=_AI, code_fields=()),
)

_SLICING_ROWS = (
    _start(1001, SLICING_GROUP, "slicing"),
    _exit(1002, SLICING_GROUP, "slicing"),
    Event(
        type=1003,
        name="slicing upload start",
        groups=frozenset({SLICING_GROUP}),
        codes={0: "started", 1: "failed"},
        faults={1: Fault("upload", "the upload of slices could not be set up")},
    ),
    Event(
        type=SLICED,
        name="slice",
        groups=frozenset({SLICING_GROUP}),
        code_fields=(),
        file_objects=(ITSELF,),
    ),
    Event(
        type=1005,
        name="slicing upload end",
        groups=frozenset({SLICING_GROUP}),
        codes={0: "ended"},
        ends=frozenset({0}),
    ),
    _storage_error(1006, SLICING_GROUP, "slicing upload error", "a slice could not be uploaded"),
)

_MODERATION_ROWS = (
    _start(1101, MODERATION_GROUP, "moderation"),
    _exit(1102, MODERATION_GROUP, "moderation"),
    Event(
        type=1103,
        name="moderation sending start",
        groups=frozenset({MODERATION_GROUP}),
        codes={0: "started"},
    ),
    Event(
        type=1104,
        name="moderation result",
        groups=frozenset({MODERATION_GROUP}),
        code_fields=(),
        record="moderation",
    ),
    Event(
        type=1105,
        name="moderation sending end",
        groups=frozenset({MODERATION_GROUP}),
        codes={0: "ended"},
        ends=frozenset({0}),
    ),
    _storage_error(1106, MODERATION_GROUP, "moderation error", "what was moderated could not be stored"),
)

# The payloads of the last two were in no page that could be read; they are taken as alike to 902 and 903.
_TRANSCRIPTION_ROWS = (
    _start(1401, TRANSCRIPTION_GROUP, "transcription"),
    _ai_end(1402, TRANSCRIPTION_GROUP, "transcription end"),
    Event(
        type=1403,
        name="transcription sentence",
        groups=frozenset({TRANSCRIPTION_GROUP}),
        code_fields=(),
        record="sentence",
    ),
)

EVENTS: dict[int, Event] = {
    row.type: row
    for row in (
        *_ROOM_ROWS,
        *_RECORDING_ROWS,
        *_RELAY_ROWS,
        *_INGEST_ROWS,
        *_AI_ROWS,
        *_SLICING_ROWS,
        *_MODERATION_ROWS,
        *_TRANSCRIPTION_ROWS,
    )
}
NAMED: dict[str, Event] = {row.slug: row for row in EVENTS.values()}

# Those that come only of a recording with files: their index, their upload, what is made of them.
ABOUT_FILES = frozenset({304, UPLOADED, 307, 308, CONVERTED, IN_VOD, VOD_ENDED})


def row(event_type: int) -> Event:
    """The row of a type; one with the defaults for a type that is not documented."""
    return EVENTS.get(event_type) or Event(type=event_type)


def is_of(event: Event, group: int) -> bool:
    """Whether an event of this row, or of an undocumented type, may come in that group and is about a job."""
    if group not in FAMILIES:
        return False
    families = {FAMILIES.get(each) for each in event.groups}
    return event.type not in EVENTS or FAMILIES[group] in families
