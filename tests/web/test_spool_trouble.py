"""What the standalone receiver answered with 200 reaches Airflow, whatever breaks on either side."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_trtc.jobs.callback import sign
from airflow_trtc.web.receiving.receiver import Row
from airflow_trtc.web.standalone import fates, server
from airflow_trtc.web.standalone import forwarder as forwarder_module
from airflow_trtc.web.standalone import spool as spool_module
from airflow_trtc.web.standalone.fates import Fates
from airflow_trtc.web.standalone.forwarder import Access, AirflowUnavailable, Forwarder
from airflow_trtc.web.standalone.spool import Spool
from tests.web.conftest import story
from tests.web.test_standalone import FakeAirflow, environment, rows, run_until

TOKEN = Access("http://airflow/team", "t0")
PAGE = 4096


@pytest.fixture(autouse=True)
def brief_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder_module, "TICK_SECONDS", 0.02)


class PickyAirflow(FakeAirflow):
    """Answers rows whose key holds one of `refused` with `status`, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.status = 500
        self.puts: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.rpartition("state-store/")[2]
        if request.method == "PUT":
            self.puts.append(key)
            if key in self.refused:
                if not self.status:
                    raise httpx.ReadTimeout("no answer")
                return httpx.Response(self.status)
        return super().answer(request)


class FullDisk(Spool):
    """Takes nothing more, not even that something may go."""

    def delete(self, *_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    set_aside = retry_refused = delete  # type: ignore[assignment]


@pytest.fixture
def airflow() -> PickyAirflow:
    return PickyAirflow()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "spool.db")


def forwarder(spool: Spool, airflow: FakeAirflow) -> Forwarder:
    return Forwarder(spool, TOKEN, airflow.transport, sleep=lambda _: asyncio.sleep(0.01))


def keys(many: list[Row]) -> set[str]:
    return {row.key for row in many}


def test_a_lock_at_the_start_only_delays(path: str, airflow: PickyAirflow) -> None:
    spool = Spool(path)
    spool.insert(rows(20))
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("begin immediate")
    threading.Timer(1, lambda: other.execute("rollback")).start()
    run_until(forwarder(spool, airflow), lambda: len(airflow.rows) == 20 and not spool.counts().waiting)
    assert set(airflow.rows) == keys(rows(20))


def test_a_locked_file_can_be_opened_a_little_later(path: str) -> None:
    Spool(path).close()
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("begin exclusive")
    threading.Timer(1, lambda: other.execute("rollback")).start()
    Spool(path).insert(rows(1))


def test_a_failed_commit_does_not_keep_the_next_ones_out(path: str) -> None:
    spool = Spool(path)

    def commit_twice() -> None:
        with spool._transaction() as file:
            file.execute("insert into waiting (key, value, stored_at) values ('b', '{}', 1)")
            file.execute("commit")

    with pytest.raises(sqlite3.Error):
        commit_twice()
    spool.insert(rows(1))
    assert [row.key for row in spool.after(0, 9)] == ["b", rows(1)[0].key]


def test_what_cannot_be_deleted_is_sent_once(
    path: str, airflow: PickyAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    spool = FullDisk(path)
    spool.insert(rows(100))
    one = forwarder(spool, airflow)
    run_until(one, lambda: len(one.fates.delivered) == 100)
    assert (len(airflow.puts), one.trouble) == (100, "")
    assert caplog.text.count("Cannot delete callbacks") == 1


@pytest.mark.parametrize("status", [500, 400, 0])
def test_rows_that_airflow_refuses_hold_no_others_up(path: str, airflow: PickyAirflow, status: int) -> None:
    spool = Spool(path)
    spool.insert(rows(50))
    airflow.refused, airflow.status = keys(rows(16)), status
    taken_before: set[str] = set()

    def are_all_taken() -> bool:
        if len(airflow.rows) == 34 and airflow.refused:
            taken_before.update(airflow.rows)
            airflow.refused = set()
        return len(airflow.rows) == 50

    run_until(forwarder(spool, airflow), are_all_taken)
    assert taken_before == keys(rows(50)) - keys(rows(16))
    assert len(airflow.rows) == 50


@pytest.mark.parametrize("value", ['{"v": 1, "ev', "", "[1]", "null", '{"a": "\N{REPLACEMENT CHARACTER}"}'])
def test_a_row_that_the_disk_did_not_keep_is_set_aside(path: str, airflow: PickyAirflow, value: str) -> None:
    spool = Spool(path)
    spool.insert([Row("in/0000000000900/broken", value), *rows(3)])
    run_until(forwarder(spool, airflow), lambda: len(airflow.rows) == 3 and not spool.counts().waiting)
    assert (spool.counts().waiting, spool.counts().refused) == (0, 1)


def test_bytes_that_are_no_text_hide_only_their_row(path: str, airflow: PickyAirflow) -> None:
    spool = Spool(path)
    spool.insert(rows(3))
    with sqlite3.connect(path) as other:
        other.execute("update waiting set value = cast(x'7bff7d' as text) where id = 1")
        other.execute("update waiting set value = x'00ff' where id = 2")
    run_until(forwarder(spool, airflow), lambda: len(airflow.rows) == 1 and not spool.counts().waiting)
    assert spool.counts().refused == 2


def damaged(path: str, count: int, page: int) -> None:
    """A closed spool of which one page is rubbish."""
    spool = Spool(path)
    spool.insert([Row(row.key, json.dumps({"v": 1, "x": row.key * 10})) for row in rows(count)])
    spool.close()
    with open(path, "r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xde\xad\xbe\xef" * (PAGE // 4))


@pytest.mark.parametrize("page", range(0, 19, 6))
def test_a_damaged_page_costs_only_what_was_on_it(
    path: str, airflow: PickyAirflow, caplog: pytest.LogCaptureFixture, page: int
) -> None:
    damaged(path, 200, page)
    spool = Spool(path)
    run_until(forwarder(spool, airflow), lambda: not spool.counts().waiting)
    if page != 0:  # without its first page it is no database
        # The root of a table leads to all of it.
        assert len(airflow.rows) >= 180 or "callbacks cannot be read any more" in caplog.text
    assert "was damaged" in caplog.text
    assert len(list(Path(path).parent.glob("*.damaged-*"))) >= 1
    spool.insert([Row("in/0000000000900/next", '{"v": 1}')])
    run_until(forwarder(spool, airflow), lambda: "in/0000000000900/next" in airflow.rows)
    assert "in/0000000000900/next" in airflow.rows


def test_most_pages_cost_little(tmp_path: Path) -> None:
    left = []
    for page in range(1, 19):
        path = str(tmp_path / f"{page}.db")
        damaged(path, 200, page)
        spool = Spool(path)
        left.append(spool.counts().waiting)
        spool.close()
    assert sum(count == 200 for count in left) >= 3  # pages of the index, which is made anew
    assert sum(count < 170 for count in left) <= 2  # roots
    assert sum(170 <= count < 200 for count in left) >= 7


def test_a_page_that_breaks_while_it_runs(
    path: str, airflow: PickyAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(path, 200, 12)
    spool = Spool.__new__(Spool)  # it was sound when it was opened
    spool._path, spool._lock = Path(path), threading.Lock()
    spool._users = spool_module._open_private(Path(f"{path}.lock"))
    spool._file = spool._open()
    spool._opened = spool._file_ids()
    spool.insert([Row("in/0000000000900/new", '{"v": 1}')])
    one = forwarder(spool, airflow)
    run_until(one, lambda: "in/0000000000900/new" in airflow.rows and not spool.counts().waiting)
    assert len(airflow.rows) > 150
    assert "was damaged" in caplog.text


def test_a_copy_that_was_finished_takes_the_place_after_a_stop(path: str) -> None:
    damaged(path, 200, 12)
    from airflow_trtc.web.standalone import salvage

    copied = salvage.copy(Path(path), spool_module._TABLES, spool_module._COLUMNS)
    spool = Spool(path)  # as after a stop before the exchange
    assert spool.counts().waiting == copied.count > 150
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_another_process_keeps_a_damaged_file_where_it_is(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = Spool(path)
    first.insert(rows(3))
    second = Spool(path)
    with caplog.at_level(logging.ERROR):
        second._after_error(sqlite3.DatabaseError("database disk image is malformed"))
    assert "restart all processes" in caplog.text
    assert first.counts().waiting == second.counts().waiting == 3


def test_only_the_owner_reads_the_spool(path: str) -> None:
    Path(path).touch(0o644)
    spool = Spool(path)
    spool.insert(rows(1))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in Path(path).parent.iterdir()}
    assert set(modes) >= {"spool.db", "spool.db-wal", "spool.db.lock"}
    assert set(modes.values()) == {0o600}


def test_a_row_is_set_aside_only_for_its_own_fault() -> None:
    one = Fates()
    for number in range(100):  # an outage
        assert not one.refuse(7, number, is_alone=False)
    assert one.due(99) == []
    assert one.due(100) == [7]
    tries = [one.refuse(7, 0, is_alone=True) for _ in range(fates.MAX_TRIES)]
    assert tries == [False] * (fates.MAX_TRIES - 1) + [True]
    assert one.due(fates.MAX_DELAY_SECONDS) == [7]
    one.deliver(7)
    assert (one.due(1e9), one.delivered) == ([], {7})


def test_a_row_refused_for_long_is_set_aside_and_said(
    path: str, airflow: PickyAirflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fates, "MAX_DELAY_SECONDS", 0.0)
    spool = Spool(path)
    spool.insert(rows(500))
    airflow.refused = {rows(1)[0].key}
    run_until(forwarder(spool, airflow), lambda: spool.counts() == spool_module.Counts(0, 1, None))
    assert len(airflow.rows) == 499
    assert airflow.puts.count(rows(1)[0].key) == fates.MAX_TRIES
    assert "Airflow answered 500" in caplog.text


def test_a_token_that_is_no_header_is_not_in_the_trouble(path: str, airflow: PickyAirflow) -> None:
    spool = Spool(path)
    spool.insert(rows(1))
    one = Forwarder(
        spool, Access("http://a", "s\N{LATIN SMALL LETTER U WITH DIAERESIS}cret"), airflow.transport
    )
    run_until(one, lambda: bool(one.trouble))
    assert one.trouble
    assert "cret" not in one.trouble
    with pytest.raises(server.SetupError):
        server.access_from({server.AIRFLOW_URL: "https://a", server.TOKEN: "s\xfccret"})


def test_newlines_at_the_end_of_secrets_are_dropped() -> None:
    given = {server.AIRFLOW_URL: "https://a", server.TOKEN: "t0\n"}
    assert server.access_from(given).token == "t0"
    given = {server.AIRFLOW_URL: "https://a", server.USER: "u\r\n", server.PASSWORD: " p \n"}
    assert server.access_from(given) == Access("https://a", "", "u", " p ")


@pytest.mark.parametrize(
    "url, is_warned",
    [
        ("http://airflow:8080", True),
        ("http://10.0.0.1", True),
        ("http://127.0.0.1:8080", False),
        ("http://localhost/team", False),
        ("http://[::1]:8080", False),
        ("https://airflow", False),
    ],
)
def test_credentials_over_plain_http_get_a_warning(
    url: str, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server.access_from({server.AIRFLOW_URL: url, server.USER: "u", server.PASSWORD: "hunter2"})
    assert ("read the password" in caplog.text) == is_warned
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("url", ["airflow:8080", "ftp://x", "http://", "https://x:port", "x", "http://[x"])
def test_an_address_that_is_none_is_said_at_the_start(url: str) -> None:
    with pytest.raises(server.SetupError, match="AIRFLOW_TRTC_AIRFLOW_URL must be an address"):
        server.access_from({server.AIRFLOW_URL: url, server.TOKEN: "t"})


def visit(
    tmp_path: Path, airflow: FakeAirflow, break_it: Callable[[Any], None]
) -> tuple[int, dict[str, Any], int]:
    """Status and content of the health page, and the status that a callback is answered with."""
    app = server.create_app(environment(tmp_path), airflow.transport)

    async def main() -> tuple[int, dict[str, Any], int]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
        ):
            break_it(app.state.standalone)
            await asyncio.sleep(0.2)
            health = await client.get("/healthz")
            body = json.dumps(story("one")[0]).encode()
            path, headers = "/callbacks/trtc_default", {"Sign": sign("key", body)}
            answer = await client.post(path, content=body, headers=headers)
        return health.status_code, health.json(), answer.status_code

    return asyncio.run(main())


def old_row(one: server.StandaloneReceiver) -> None:
    one._spool.insert(rows(1))
    one._spool._file.execute("update waiting set stored_at = ?", (time.time() - 301,))


@pytest.mark.parametrize(
    "break_it, words",
    [
        (lambda one: one._task.cancel(), "forwarding has stopped"),
        (lambda one: setattr(one._forwarder, "_clock", lambda: -1e9), "forwarding is stuck"),
        (old_row, "more than five minutes"),
    ],
)
def test_the_health_page_says_when_nothing_is_forwarded(
    tmp_path: Path, airflow: PickyAirflow, break_it: Callable[[Any], None], words: str
) -> None:
    airflow.is_away = True
    status, health, answer = visit(tmp_path, airflow, break_it)
    assert (status, health["status"], answer) == (503, "failing", 200)
    assert words in " ".join(health["problems"])


def test_the_last_space_of_the_disk_is_kept_free(
    tmp_path: Path, airflow: PickyAirflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spool_module, "RESERVE_BYTES", 10**18)
    status, health, answer = visit(tmp_path, airflow, lambda one: None)
    assert (status, answer) == (503, 503)
    assert "MiB free" in health["problems"][0]
    assert caplog.text.count("Cannot store callbacks: the disk") == 1


def test_while_airflow_is_away_for_a_moment_all_is_well(tmp_path: Path, airflow: PickyAirflow) -> None:
    airflow.is_away = True
    status, health, answer = visit(tmp_path, airflow, lambda one: None)
    assert (status, health["problems"], answer) == (200, [], 200)


def test_an_airflow_that_takes_nothing_says_so(path: str, airflow: PickyAirflow) -> None:
    spool = Spool(path)
    spool.insert(rows(3))
    airflow.refused = keys(rows(3))

    async def main() -> None:
        with pytest.raises(AirflowUnavailable, match="500"):
            await forwarder(spool, airflow).forward()

    asyncio.run(main())
    assert spool.counts().waiting == 3


def test_what_a_deleted_file_held_goes_into_the_one_that_is_there(
    path: str, airflow: PickyAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(path)
    spool.insert(rows(3))
    taken = spool.after(0, 9)
    for file in Path(path).parent.iterdir():
        file.unlink()
    spool.insert([row for row in rows(4) if row not in rows(3)])
    found = Spool(path).after(0, 9)  # another process, or this one after a start
    assert [row.key for row in found] == [row.key for row in rows(4)]
    assert min(row.id for row in found) > max(row.id for row in taken)  # the forwarder has seen the others
    assert "was deleted or exchanged" in caplog.text
    assert "3 callbacks" in caplog.text


def test_a_file_that_takes_the_place_keeps_its_own_rows(path: str) -> None:
    spool = Spool(path)
    spool.insert(rows(3))
    other = Spool(f"{path}.other")
    other.insert([Row("in/0000000000009/other", "{}"), rows(1)[0]])
    other.close()
    Path(f"{path}.other").rename(path)
    assert {row.key for row in spool.after(0, 9)} == keys(rows(3)) | {"in/0000000000009/other"}


def test_who_starts_while_another_process_mends_waits_for_the_new_file(path: str) -> None:
    Spool(path).close()
    mending = spool_module._open_private(Path(f"{path}.lock"))
    fcntl.flock(mending, fcntl.LOCK_EX)

    def exchange() -> None:
        Path(path).rename(f"{path}.damaged")
        sqlite3.connect(path).close()
        os.close(mending)

    threading.Timer(0.1, exchange).start()
    spool = Spool(path)
    spool.insert(rows(1))
    spool.close()
    assert Spool(path).counts().waiting == 1


def test_ids_grow_though_the_clock_was_set_back(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Spool(path)
    first._file.execute(f"insert into sqlite_sequence values ('waiting', {2**60})")
    first.insert(rows(1))
    (before,) = first.after(0, 9)
    os.unlink(path)
    first.insert([Row("in/0000000000009/next", "{}")])
    assert before.id > 2**60
    assert min(row.id for row in first.after(0, 9)) > before.id


@pytest.mark.parametrize("stored_at", ["x'00ff'", "'soon'", "1e999"])
def test_a_damaged_time_does_not_hide_the_others(path: str, stored_at: str) -> None:
    spool = Spool(path)
    spool.insert(rows(2))
    with sqlite3.connect(path) as other:
        other.execute(f"update waiting set stored_at = {stored_at} where id = 1")
    counts = spool.counts()
    assert counts.waiting == 2
    assert counts.oldest_seconds is not None
    assert 0 <= counts.oldest_seconds < 1e6


@pytest.mark.parametrize("key", ["io/0000000000001/id", "in/00000\x00", "in/a", "in0000000000001/id"])
def test_a_row_under_a_key_that_nobody_reads_is_set_aside(path: str, airflow: PickyAirflow, key: str) -> None:
    spool = Spool(path)
    spool.insert([Row(key, "{}"), *rows(3)])
    run_until(forwarder(spool, airflow), lambda: len(airflow.rows) == 3 and not spool.counts().waiting)
    assert (set(airflow.rows), spool.counts().refused) == (keys(rows(3)), 1)


class NoFolder(Spool):
    """Its folder went away after the rows were read."""

    def delete(self, *_: Any) -> None:
        raise FileNotFoundError("no such folder")

    set_aside = retry_refused = delete  # type: ignore[assignment]


def test_rows_that_cannot_be_set_aside_come_again(path: str, airflow: PickyAirflow) -> None:
    spool = NoFolder(path)
    spool.insert([Row("damaged/1", "{}"), Row("damaged/2", "{}"), *rows(3)])
    one = forwarder(spool, airflow)
    run_until(one, lambda: len(one.fates.delivered) == 3 and len(one.fates.again) == 2)
    assert set(one.fates.again) == {1, 2}
    assert len(airflow.puts) == 3
    assert one.trouble == ""


def test_a_folder_that_went_away_is_said_and_accepts_nothing(path: str, airflow: PickyAirflow) -> None:
    spool = Spool(path)
    spool.insert(rows(1))
    away = Path(path).parent.rename(f"{Path(path).parent}.away")
    with pytest.raises(OSError, match="No such file"):
        spool.insert(rows(2))
    one = forwarder(spool, airflow)
    run_until(one, lambda: bool(one.trouble))
    assert "the spool failed" in one.trouble
    away.rename(Path(path).parent)
    run_until(forwarder(spool, airflow), lambda: bool(airflow.rows))
    assert set(airflow.rows) == keys(rows(1))


def test_every_name_of_a_spool_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spool = Spool(":memory:")
    spool.insert(rows(1))
    spool.close()
    monkeypatch.chdir("/")
    assert Spool(str(tmp_path / ":memory:")).counts().waiting == 1


def test_all_that_use_a_deleted_file_go_on_in_one(path: str) -> None:
    spools = [Spool(path) for _ in range(3)]
    spools[0].insert(rows(2))
    for file in ("", "-wal", "-shm"):
        os.unlink(f"{path}{file}")
    for number, spool in enumerate(spools):
        spool.insert([Row(f"in/000000000001{number}/id", "{}")])
    expected = keys(rows(2)) | {f"in/000000000001{number}/id" for number in range(3)}
    for spool in spools:
        assert {row.key for row in spool.after(0, 9)} == expected
        spool.close()
    assert Spool(path).counts().waiting == 5
