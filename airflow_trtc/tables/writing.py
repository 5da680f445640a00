"""Where rows go: `write` replaces one part of a table, whole or not at all.

:class:`Target` is what files and databases have in common; see :mod:`airflow_trtc.tables.files` and
:mod:`airflow_trtc.tables.database`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_trtc.tables.schema import Part, Row, Schema, check_rows


@dataclass(frozen=True)
class Written:
    """What a write left behind.

    :param place: the path of a file, or the name of a table.
    :param rows: how many; None where only reading it again could say.
    """

    place: str
    rows: int | None = None


class Target(Protocol):
    """Files in a folder, or a table of a database."""

    def check(self, schema: Schema, part: Part) -> None:
        """Refuse what could not be written, before anything is read for it.

        :raises TrtcSetupError: it could not.
        """

    def written(self, schema: Schema, part: Part) -> Written | None:
        """What an earlier write left behind for this part, if all of it is there."""

    def replace(self, schema: Schema, part: Part, rows: Sequence[Row]) -> Written:
        """Put the rows in the place of what the part held, whole or not at all."""


def write(target: Target, schema: Schema, part: Part, rows: Iterable[Mapping[str, Any]]) -> Written:
    """Check the rows and put them in the place of what the part held, whole or not at all.

    :raises TrtcFailedError: a row does not fit the schema; nothing was written.
    """
    return target.replace(schema, part, check_rows(schema, part, rows))
