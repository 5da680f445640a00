"""Tables as files in a folder, one for each part, local or in any object store that Airflow reaches.

A file is written aside and moved into place, so that readers and killed writers see the old one or the new
one. Its name follows from the part: writing again replaces it.
"""

from __future__ import annotations

import csv
import glob
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.tables.schema import Part, Row, Schema, Value
from airflow_trtc.tables.writing import Written

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

ASIDE = ".part"
"""How the names of files end that are being written; they begin with a dot."""
ATTEMPTS = 3
LONGEST_SCOPE = 150
"""Characters of a file's name: with times, format and what is added aside, file systems take 255."""


class Files:
    """Files of one format below a path.

    :param folder: where they are; below it is a folder for each table.
    :param format: a name in :data:`FORMATS`.
    :raises TrtcSetupError: nothing is installed that writes this format.
    """

    def __init__(self, folder: ObjectStoragePath, format: str = "jsonl") -> None:
        self._folder = folder
        self._format = format
        if format == "parquet":
            _pyarrow()

    def check(self, schema: Schema, part: Part) -> None:
        """There is nothing to check: a part has a file of its own, with all its columns."""

    def written(self, schema: Schema, part: Part) -> Written | None:
        """The part's file, if there is one: there are no half ones."""
        path = self._path(schema, part)
        return Written(str(path)) if path.fs.exists(path.path) else None

    def replace(self, schema: Schema, part: Part, rows: Sequence[Row]) -> Written:
        """Write the part's file anew, and remove what killed writers of it left aside."""
        path = self._path(schema, part)
        fs, (folder, _, name) = path.fs, path.path.rpartition("/")
        content = FORMATS[self._format](schema, rows)
        fs.makedirs(folder, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            aside = f"{folder}/.{name}.{secrets.token_hex(4)}{ASIDE}"  # two may write at a time, after a kill
            try:
                _put(fs, aside, path.path, content)
            except FileNotFoundError:  # the other one, which was quicker, took it for what a kill left
                if attempt == ATTEMPTS:
                    raise
            else:
                break
        fs.invalidate_cache(folder)
        for left in fs.glob(f"{glob.escape(f'{folder}/.{name}')}.*{ASIDE}"):
            with suppress(FileNotFoundError):
                fs.rm_file(left)
        return Written(str(path), len(rows))

    def _path(self, schema: Schema, part: Part) -> Any:
        return self._folder / schema.name / file_name(part, self._format)


def _put(fs: Any, aside: str, path: str, content: bytes) -> None:
    """Write a file aside and move it into place; what cannot be written is not left aside."""
    try:
        with fs.open(aside, "wb") as file:
            file.write(content)
            file.flush()
            with suppress(OSError, AttributeError):  # only files of this machine have a number
                os.fsync(file.fileno())
        fs.mv(aside, path)
    except Exception:
        with suppress(Exception):  # its own error would hide the one that matters
            fs.rm_file(aside)
        raise


def file_name(part: Part, format: str) -> str:
    """The name of a part's file: its scope, or a digest of a long one, its beginning and its end in UTC."""
    scope = "_".join(quote(str(value), safe="") for value in part.scope.values())
    if len(scope) > LONGEST_SCOPE:
        scope = blake2b(scope.encode(), digest_size=16).hexdigest()
    times = (f"{at:%Y%m%dT%H%M%SZ}" for at in (part.interval.start, part.interval.end))
    return f"{'_'.join([scope, *times])}.{format}"


def _json_lines(schema: Schema, rows: Iterable[Row]) -> bytes:
    lines = (json.dumps(_plain(row), ensure_ascii=False, separators=(",", ":")) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(schema: Schema, rows: Iterable[Row]) -> bytes:
    lines = _Lines()
    # What ends a line is quoted in values: before Python 3.13 only what this is made of.
    writer = csv.DictWriter(lines, schema.names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_plain(row) for row in rows)
    return "".join(f"{line[:-2]}\n" for line in lines).encode()


class _Lines(list[str]):
    """What a writer of CSV takes for a file: it gets each line whole."""

    write = list.append


def _plain(row: Mapping[str, Value]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _parquet(schema: Schema, rows: Sequence[Row]) -> bytes:
    arrow = _pyarrow()
    types = {
        "flag": arrow.bool_(),
        "instant": arrow.timestamp("us", tz="UTC"),
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "text": arrow.string(),
    }
    fields = [arrow.field(each.name, types[each.type], each.nullable) for each in schema.columns]
    table = arrow.Table.from_pylist(list(rows), schema=arrow.schema(fields))
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue())


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise TrtcSetupError(
            "Parquet files need pyarrow, which is not installed: pip install 'airflow-trtc[parquet]', or"
            " choose another file_format."
        ) from None
    return pyarrow


FORMATS: Mapping[str, Callable[[Schema, Sequence[Row]], bytes]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
}
"""What files can be, by the ends of their names."""
