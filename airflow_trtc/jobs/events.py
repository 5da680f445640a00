"""The table of the vendor's events about recordings: one row a type, and everything else reads it.

A new event is a new row: facts, ends, problems and files follow. What a row cannot say is written out where
it is needed, with a reason: that a recorder's leaving outranks other proofs of an end
(:attr:`.CallbackHistory.end`), and when an output is complete (:mod:`airflow_trtc.recording.milestones`).

Vendor facts: Cloud Recording and Web Page Recording Webhooks, trtc.io/document/54914, and its Chinese twin,
cloud.tencent.com/document/product/647/81113, as of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from airflow_trtc.jobs.problem import LINGERING, PROBLEM_KINDS

CLOUD_GROUP, WEB_GROUP = 3, 8  # on-cloud recording and web page recording
RECORDING_GROUPS = frozenset({CLOUD_GROUP, WEB_GROUP})

# The types that rules are written about; all others stand in the table only.
LEFT = 302
UPLOADED = 305
MOVED = 306
CONVERTED = 310
IN_VOD = 311
VOD_ENDED = 312

ITSELF = ""  # instead of the name of a field in the payload: the payload
Counts = Literal["latest", "each", "missing", "start", "end"]


@dataclass(frozen=True, slots=True)
class Fault:
    """The problem that a code is.

    :param kind: see `Problem`.
    :param words: what happened, for a person to read.
    :param counts: which events with the code are a problem: the ``latest`` of the type, if it has the code;
        ``each``; each whose file is ``missing`` in VOD; one after which the job did not ``start``; the one
        that is the ``end`` of the job.
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
    :param name: what the event is about, for a person to read.
    :param groups: the families (``EventGroupId``) it comes in.
    :param code_fields: where its payload has the code: the first of these with a number. None for no code.
    :param codes: what each documented code means. Any other completes and ends nothing.
    :param ends: codes that prove that the job has ended.
    :param starts: whether it shows that the job runs, with any code that is no end and no fault: one that
        is not documented may mean that the job goes on. A later start takes an earlier end back.
    :param faults: codes that are problems; of an event without a code the fault stands at None.
    :param settled_by: the type of the event whose documented codes make this one's faults void.
    :param detail: the field that distinguishes events with one code, such as a file's name.
    :param detail_is_address: then a signature in it is left out.
    :param message: the field with the service's words.
    :param file_objects: fields with one object or several that each describe a file, or `ITSELF`.
    :param file_names: the field with the name of a file, or with several.
    :param file_codes: codes with which these files exist or are on their way; None for any.
    :param implied_by: a field that stands for code 0 in an old form of the event, which has no code.
    """

    type: int
    name: str = ""
    groups: frozenset[int] = frozenset({CLOUD_GROUP})
    code_fields: tuple[str, ...] = ("Status",)
    codes: Mapping[int, str] = field(default_factory=dict)
    ends: frozenset[int] = frozenset()
    starts: bool = False
    faults: Mapping[int | None, Fault] = field(default_factory=dict)
    settled_by: int | None = None
    detail: str | None = None
    detail_is_address: bool = False
    message: str | None = None
    file_objects: tuple[str, ...] = ()
    file_names: str | None = None
    file_codes: frozenset[int] | None = None
    implied_by: str | None = None

    def is_start(self, code: int | None) -> bool:
        """Whether it shows, with this code, that the job runs."""
        return self.starts and code not in self.ends and code not in self.faults

    def label(self, code: int | None) -> str:
        """Type and code, as the vendor's documentation has them, e.g. ``302, LeaveCode 0``."""
        return f"{self.type}, {self.code_fields[0]} {code}" if code is not None else str(self.type)


_ROWS = (
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
        codes={
            0: "stopped by the API",
            1: "the customer removed the recorder",
            2: "the customer dismissed the room",
            3: "the server removed the recorder",
            4: "the server dismissed the room",
            99: "no stream for MaxIdleTime",
            100: "the room timed out",
            101: "the recorder's id entered again",
        },
        ends=frozenset({0, 1, 2, 3, 4, 99, 100, 101}),
        faults={
            100: Fault(
                "interrupted", "the recorder left early: the room timed out or the recorder lost it", "end"
            ),
            101: Fault("interrupted", "the recorder left early: the recorder's id entered again", "end"),
        },
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

EVENTS: dict[int, Event] = {row.type: row for row in _ROWS}

# Those that come only of a recording with files: their index, their upload, what is made of them.
ABOUT_FILES = frozenset({304, UPLOADED, 307, 308, CONVERTED, IN_VOD, VOD_ENDED})


def row(event_type: int) -> Event:
    """The row of a type; one with the defaults for a type that is not documented."""
    return EVENTS.get(event_type) or Event(type=event_type)
