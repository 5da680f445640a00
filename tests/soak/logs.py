"""Finds in the logs which errors passed through this package: most are as intended, and a new one shows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

OURS = "/airflow_trtc/"
_NOT_OURS = "/tests/"  # a clone may have the name of the package
_BEGIN = "Traceback (most recent call last):"
_LONGEST = 120
# Ids, numbers and addresses make the same error look different.
_VARIABLE = re.compile(r"[\w+./-]{30,}\.*|0x[0-9a-f]+|\d+(\.\d+)?")


def errors(folder: Path) -> dict[str, int]:
    """The errors in all logs under a folder, the most frequent first."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*.log"):
        found.update(errors_in(path.read_text(errors="replace").splitlines()))
    return dict(found.most_common())


def errors_in(lines: Iterable[str]) -> Iterator[str]:
    """The errors of a log, as JSON or as text, that passed through this package."""
    block: list[str] | None = None
    for line in lines:
        if line.startswith("{"):
            yield from _of_json(line)
        elif line.strip() == _BEGIN:
            block = []
        elif block is not None:
            block.append(line)
            if line and not line.startswith(" "):
                yield from _of_block(block)
                block = None


def _of_json(line: str) -> Iterator[str]:
    try:
        entry = json.loads(line)
    except ValueError:
        return
    for detail in entry.get("error_detail") or ():
        if any(_is_ours(frame["filename"]) for frame in detail["frames"]):
            yield _short(f"{detail['exc_type']}: {detail['exc_value']}")


def _of_block(block: list[str]) -> Iterator[str]:
    if any(_is_ours(line) for line in block[:-1] if line.lstrip().startswith("File ")):
        yield _short(block[-1])


def _is_ours(place: str) -> bool:
    return OURS in place and _NOT_OURS not in place


def _short(text: str) -> str:
    return _VARIABLE.sub("…", text.splitlines()[0])[:_LONGEST]
