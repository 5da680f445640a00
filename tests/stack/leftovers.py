"""What a failing test leaves behind: the logs of each Airflow that it may have used."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path


def keep_logs(test_id: str, homes: Iterable[Path], folder: Path) -> list[Path]:
    """Copy the logs below these homes of Airflow to a folder named after the test; returns the copies."""
    of_test = folder_of(test_id, folder)
    shutil.rmtree(of_test, ignore_errors=True)
    return [_copy(home, of_test / home.name) for home in homes if home.exists()]


def _copy(home: Path, target: Path) -> Path:
    """What the components wrote and what the tasks did; files may vanish and grow meanwhile."""
    for path in [*home.glob("components/**/*.log"), *home.glob("logs/**/*.log")]:
        copy = target / path.relative_to(home)
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        except FileNotFoundError:
            continue
    return target


def folder_of(test_id: str, folder: Path) -> Path:
    """Where a test leaves things: named by its id, short enough for all file systems, the same each time."""
    return folder / re.sub(r"[^\w.\[\]=-]+", "_", test_id.removeprefix("tests/"))[-200:]
