"""Files of a part: whole or not there, whoever is killed, in all formats."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.tables import files as module
from airflow_trtc.tables.schema import Row
from airflow_trtc.tables.writing import write
from tests.tables.killing import killed_at
from tests.tables.things import THINGS, files, part, rows

FORMATS = ("csv", "jsonl", "parquet")


def read(path: Path) -> list[Row]:
    """The rows of a file, as they were written."""
    if path.suffix == ".parquet":
        found: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
        return found
    text = path.read_bytes().decode()
    plain: list[dict[str, Any]]
    if path.suffix == ".jsonl":
        plain = [json.loads(line) for line in text.split("\n")[:-1]]
    else:
        plain = [
            {
                **row,
                "app": int(row["app"]),
                "minutes": float(row["minutes"]),
                "is_new": {"": None, "True": True, "False": False}[row["is_new"]],
                "note": row["note"] or None,
            }
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]
    return [{**row, "at": dt.datetime.fromisoformat(row["at"])} for row in plain]


def only_file(folder: Path) -> Path:
    (found,) = [each for each in folder.rglob("*") if each.is_file()]
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_rows_arrive_in_a_file_that_is_named_after_its_part(tmp_path: Path, format: str) -> None:
    written = write(files(tmp_path, format), THINGS, part(), rows(part()))
    path = only_file(tmp_path)
    assert path == tmp_path / "things" / f"1_20260101T000000Z_20260102T000000Z.{format}"
    assert (written.rows, written.place) == (3, str(path)) or written.place == f"file://{path}"
    assert read(path) == rows(part())


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_are_a_file_too(tmp_path: Path, format: str) -> None:
    target = files(tmp_path, format)
    assert target.written(THINGS, part()) is None
    write(target, THINGS, part(), [])
    assert read(only_file(tmp_path)) == []
    assert target.written(THINGS, part()) is not None


def test_parquet_has_the_types_of_the_schema(tmp_path: Path) -> None:
    write(files(tmp_path, "parquet"), THINGS, part(), rows(part()))
    schema = pyarrow.parquet.read_schema(only_file(tmp_path))
    assert [str(each.type) for each in schema] == [
        "int64",
        "string",
        "timestamp[us, tz=UTC]",
        "double",
        "bool",
        "string",
    ]
    assert [each.nullable for each in schema] == [False, False, False, False, True, True]


def test_writing_again_replaces_a_part_and_no_other(tmp_path: Path) -> None:
    target = files(tmp_path)
    for of in (part(0), part(1), part(0, app=2)):
        write(target, THINGS, of, rows(of))
    write(target, THINGS, part(0), rows(part(0), 1, 9.0))
    found = {each.name: read(each) for each in tmp_path.rglob("*.jsonl")}
    assert len(found) == 3
    assert Counter(row["minutes"] for each in found.values() for row in each) == {1.0: 6, 9.0: 1}


def test_a_scope_cannot_leave_its_folder(tmp_path: Path) -> None:
    of = part(app="../../x")  # type: ignore[arg-type]
    assert module.file_name(of, "csv").startswith("..%2F..%2Fx_")


def test_a_long_scope_has_a_file_of_its_own(tmp_path: Path) -> None:
    target = files(tmp_path)
    of, other = (part(app="é" * 200 + end) for end in ("a", "b"))  # type: ignore[arg-type]
    write(target, THINGS, of, [])
    assert target.written(THINGS, of) is not None
    assert target.written(THINGS, other) is None


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nb\r\n", "\r\n", "a,b", '"', "=1+1", "\u2028", " a "])
def test_any_text_comes_back_from_a_file(tmp_path: Path, text: str) -> None:
    given = [{**row, "note": text} for row in rows(part(), 2)]
    for format in FORMATS:
        write(files(tmp_path / format, format), THINGS, part(), given)
        assert read(only_file(tmp_path / format)) == given


def test_a_file_that_cannot_be_written_leaves_nothing_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = files(tmp_path)
    write(target, THINGS, part(), rows(part(), 7))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        for _ in range(3):
            with pytest.raises(OSError, match="too large"):
                write(target, THINGS, part(), rows(part(), 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(read(only_file(tmp_path))) == 7


def test_a_writer_that_was_taken_for_dead_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a killed task's retry may do: it removes what the other one is just writing aside."""
    slow, quick = files(tmp_path), files(tmp_path)
    fs: Any = slow._folder.fs
    move = fs.mv

    def overtaken(*args: Any) -> None:
        monkeypatch.setattr(fs, "mv", move)
        write(quick, THINGS, part(), rows(part(), 2))
        move(*args)

    monkeypatch.setattr(fs, "mv", overtaken)
    assert write(slow, THINGS, part(), rows(part(), 4)).rows == 4
    assert len(read(only_file(tmp_path))) == 4


CHILD = """
import sys
from airflow_trtc.tables.writing import write
from tests.tables.killing import reached
from tests.tables.things import THINGS, files, part, rows

folder, stage = sys.argv[1:]
target = files(folder)
fs = target._folder.fs
if stage == "half":
    opened = fs.open
    def half(*args, **kwargs):
        file = opened(*args, **kwargs)
        write_all = file.write
        file.write = lambda content: (write_all(content[:len(content) // 2]), file.flush(), reached())
        return file
    fs.open = half
elif stage == "before":
    fs.mv = lambda *args, **kwargs: reached()
else:
    fs.glob = lambda *args, **kwargs: reached()
write(target, THINGS, part(), rows(part(), 5000, 2.0))
"""


@pytest.mark.parametrize("has_old", [True, False])
@pytest.mark.parametrize("stage", ["half", "before", "after"])
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, stage: str, has_old: bool
) -> None:
    target = files(tmp_path)
    if has_old:
        write(target, THINGS, part(), rows(part(), 7))
    killed_at(CHILD, str(tmp_path), stage)
    expected = 5000 if stage == "after" else 7 if has_old else None
    found = [read(each) for each in tmp_path.rglob("*.jsonl")]
    assert [len(each) for each in found] == ([] if expected is None else [expected])
    assert (target.written(THINGS, part()) is None) == (expected is None)
    write(target, THINGS, part(), rows(part(), 4))
    assert len(read(only_file(tmp_path))) == 4  # and what was left aside is gone


def test_without_pyarrow_parquet_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TrtcSetupError, match=r"pip install 'airflow-trtc\[parquet\]'"):
        files(tmp_path, "parquet")
    assert files(tmp_path, "csv")
