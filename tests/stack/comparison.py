"""Whether tasks received exactly the files that were recorded, and a table that shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAME = "as recorded"
LOST = "LOST: recorded, but no task received it"
INVENTED = "INVENTED: received, but not recorded"
REPEATED = "REPEATED: received more than once"
CHANGED = "CHANGED: recorded as "


@dataclass(frozen=True)
class File:
    """What the demonstration compares of a file; the name identifies it within a recording."""

    name: str
    user_id: str | None
    track_type: str
    begin_timestamp_ms: int

    def __str__(self) -> str:
        """What is known of a file besides its name."""
        return f"{self.track_type} of {self.user_id or 'all'} at {self.begin_timestamp_ms}"


@dataclass(frozen=True)
class Row:
    """One file in the table: which task received it and whether that is right."""

    task: str
    file: File
    verdict: str

    @property
    def is_right(self) -> bool:
        """Whether the file was received once and as it was recorded."""
        return self.verdict == SAME


def recorded_file(vendor: Mapping[str, Any]) -> File:
    """A file as the service spells it; a mixed one has no user."""
    return File(vendor["FileName"], vendor["UserId"] or None, vendor["TrackType"], vendor["BeginTimeStamp"])


def received_file(result: Mapping[str, Any]) -> File:
    """A file as the sensor hands it on."""
    return File(result["file_name"], result["user_id"], result["track_type"], result["begin_timestamp_ms"])


def compare(recorded: Iterable[File], received: Iterable[tuple[str, File]]) -> list[Row]:
    """A row for each receipt (task, file) of one recording, and one for each file that no task received."""
    expected = {file.name: file for file in recorded}
    rows: list[Row] = []
    seen: set[str] = set()
    for task, file in received:
        verdict = REPEATED if file.name in seen else _verdict(file, expected.get(file.name))
        rows.append(Row(task, file, verdict))
        seen.add(file.name)
    lost = [file for name, file in expected.items() if name not in seen]
    return rows + [Row("-", file, LOST) for file in lost]


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table with a row for each file."""
    head = ("task", "file it received", "user", "track", "comparison")
    cells = [
        (row.task, row.file.name, row.file.user_id or "all", row.file.track_type, row.verdict) for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    ruler = tuple("-" * width for width in widths)
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in (head, ruler, *cells)]


def _verdict(file: File, expected: File | None) -> str:
    if expected is None:
        return INVENTED
    return SAME if file == expected else f"{CHANGED}{expected}"
