"""A home for Airflow that the tests have for themselves, with a database, and that goes away."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Who sets one of these while pytest runs, as a conftest.py does, has an Airflow of their own for the tests.
PLACES = ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
NO_PROXY = "127.0.0.1,localhost"
# How long a thread waits for others to finish writing. SQLite's own 5 seconds are too few on a slow machine
# where the receiver of callbacks, its processor and tasks write.
LOCK_SECONDS = 60
DAG_BUNDLE = {
    "name": "dags-folder",
    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
    "kwargs": {},
}


def places(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Where Airflow would be."""
    return {name: environ.get(name) for name in PLACES}


def variables(home: Path) -> dict[str, str]:
    """The environment of an Airflow in this folder; DAGs and database of any other are left alone."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([DAG_BUNDLE]),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database_url(home, "sqlite+aiosqlite"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "NO_PROXY": NO_PROXY,
        "no_proxy": NO_PROXY,
    }


def database_url(home: Path, driver: str = "sqlite") -> str:
    """The database of an Airflow in this folder, as SQLAlchemy names it."""
    return f"{driver}:///{home / 'airflow.db'}?timeout={LOCK_SECONDS}"


@contextmanager
def home(launched_with: Mapping[str, str | None]) -> Iterator[Path]:
    """The home for this session's tests, with a database: the one that was set up, else a temporary one.

    :param launched_with: `places` when pytest was started. What the shell says is the user's own Airflow,
        with connections and runs that no test may touch; what was set since is meant for tests.
    """
    if places(os.environ) != launched_with:
        _make_database()
        yield Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
        return
    from unittest.mock import patch

    folder = Path(tempfile.mkdtemp(prefix="airflow-trtc-tests-"))
    try:
        (folder / "dags").mkdir()
        with patch.dict(os.environ, variables(folder)):
            point_airflow_there()
            _make_database()
            yield folder
        point_airflow_there()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def point_airflow_there() -> None:
    """An Airflow that is imported already goes on with the database of its environment from now on."""
    if "airflow.settings" not in sys.modules:
        return
    from airflow import settings

    settings.dispose_orm()
    settings.configure_vars()  # type: ignore[no-untyped-call]
    settings.configure_orm()  # type: ignore[no-untyped-call]


def _make_database() -> None:
    from airflow import settings
    from airflow.utils.db import initdb
    from sqlalchemy import inspect

    assert settings.engine is not None
    if not inspect(settings.engine).has_table("dag_run"):
        level = logging.root.manager.disable
        logging.disable(logging.INFO)  # hundreds of lines
        try:
            initdb()
        finally:
            logging.disable(level)
