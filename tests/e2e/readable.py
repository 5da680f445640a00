"""Everything of an Airflow that its users, or others on its machine, can read; each text with its place."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml
from cryptography.fernet import Fernet

from tests.stack.local_airflow import LocalAirflow
from tests.stack.rest import ApiError

# Rows that hold secrets on purpose, encrypted; they are not opened here.
SEALED = frozenset({"connection", "variable"})
# They answer when a run ends, or change who is logged in.
NOT_ASKED = ("/wait", "/auth/log")


class Text(NamedTuple):
    """Something to read."""

    place: str
    content: str


def everywhere(airflow: LocalAirflow, subjects: Iterable[Mapping[str, Any]]) -> Iterator[Text]:
    """What can be read now.

    :param subjects: what to ask the API about: names for the parameters in its paths. Paths with other
        parameters are not asked.
    """
    yield from _files(airflow)
    yield from _rows(airflow)
    yield from _command_lines()
    for subject in subjects:
        yield from _answers(airflow, subject)


def places_with(text: str, texts: Iterable[Text]) -> set[str]:
    """Where this is to be read, as it is or as part of a JSON text."""
    return {each.place for each in texts if text in each.content}


def _files(airflow: LocalAirflow) -> Iterator[Text]:
    """Logs of tasks, triggers and components."""
    for place, folder in (("task logs", airflow.home / "logs"), ("component logs", airflow.log_folder)):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield Text(place, path.read_text(errors="replace"))


def _rows(airflow: LocalAirflow) -> Iterator[Text]:
    """Airflow's database, row by row, with what it packs or encrypts opened but for `SEALED`."""
    fernet = Fernet(airflow.environment["AIRFLOW__CORE__FERNET_KEY"].encode())
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=60)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                cells = row if table in SEALED else [_opened(cell, fernet) for cell in row]
                yield Text(f"table {table}", "\n".join(map(str, cells)))


def _command_lines() -> Iterator[Text]:
    """What whoever is logged in sees of all processes."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            yield Text("command lines", "\0".join(process.cmdline()))


def _answers(airflow: LocalAirflow, names: Mapping[str, Any]) -> Iterator[Text]:
    """Airflow's public API, and the one behind its pages."""
    for path in _paths():
        wanted = re.findall(r"{(\w+)}", path)
        if any(part in path for part in NOT_ASKED) or not set(wanted) <= set(names):
            continue
        try:
            content = airflow.request("GET", path.format_map(names)).text
        except ApiError as error:
            content = str(error)
        yield Text("pages" if path.startswith("/ui/") else "API", f"{path}\n{content}")


def _opened(cell: object, fernet: Fernet) -> object:
    if isinstance(cell, bytes):
        with contextlib.suppress(zlib.error):
            cell = zlib.decompress(cell)
        return cell.decode(errors="replace")
    if isinstance(cell, str) and cell.startswith("gAAAA"):
        return fernet.decrypt(cell.encode()).decode()
    return cell


@functools.cache
def _paths() -> tuple[str, ...]:
    """What Airflow documents as to be read."""
    return tuple(_documented_paths())


def _documented_paths() -> Iterator[str]:
    found = importlib.util.find_spec("airflow")
    assert found is not None
    assert found.origin is not None
    for path in (Path(found.origin).parent / "api_fastapi" / "core_api" / "openapi").glob("*.yaml"):
        for name, methods in yaml.safe_load(path.read_text())["paths"].items():
            if "get" in methods:
                yield name
