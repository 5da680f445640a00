"""The receiver outside Airflow: what it has answered reaches Airflow, whatever stops in between."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from airflow_trtc.jobs.callback import sign
from airflow_trtc.journal.store import JOURNAL
from airflow_trtc.web.receiving.receiver import Row
from airflow_trtc.web.standalone import __main__ as command
from airflow_trtc.web.standalone import forwarder, server
from airflow_trtc.web.standalone.forwarder import Access, AirflowUnavailable, Forwarder
from airflow_trtc.web.standalone.spool import Spool
from tests.web.conftest import APP, story

CONNECTION = json.dumps({"conn_type": "trtc", "extra": {"callback_secret": "key", "sdk_app_id": APP}})


class FakeAirflow:
    """The three routes of Airflow's API that are used, with trouble to order."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.calls: list[str] = []
        self.tokens = {"t0"}
        self.logins = 0
        self.assets = [{"id": 7, "name": JOURNAL.name, "uri": JOURNAL.uri}]
        self.listed = self.assets
        self.limit = 65_535
        self.is_away = False

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.path)
        self.calls.append(f"{request.method} {path}")
        if self.is_away:
            raise httpx.ConnectError("refused")
        if path == "/team/auth/token":
            self.logins += 1
            if json.loads(request.content) != {"username": "u", "password": "p"}:
                return httpx.Response(401)
            self.tokens = {f"t{self.logins}"}
            return httpx.Response(201, json={"access_token": f"t{self.logins}"})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return httpx.Response(401)
        if path == "/team/api/v2/assets":
            return httpx.Response(200, json={"assets": self.listed if self.assets else []})
        prefix = "/team/api/v2/assets/7/state-store/"
        if not path.startswith(prefix) or not self.assets:
            return httpx.Response(404)
        if len(request.content) > self.limit:
            return httpx.Response(422)
        self.rows[path.removeprefix(prefix)] = json.loads(request.content)["value"]
        return httpx.Response(204)


@pytest.fixture
def airflow() -> FakeAirflow:
    return FakeAirflow()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path / "spool.db"))


def forward(spool: Spool, airflow: FakeAirflow, times: int = 1, **access: str) -> Forwarder:
    async def main() -> Forwarder:
        one = Forwarder(spool, Access("http://airflow/team/", **access), airflow.transport)
        for _ in range(times):
            await one.forward()
        await one.aclose()
        return one

    return asyncio.run(main())


def rows(count: int) -> list[Row]:
    return [Row(f"in/{number:013d}/id", json.dumps({"v": 1, "n": number})) for number in range(count)]


def test_rows_go_over_oldest_first_and_leave_the_spool(spool: Spool, airflow: FakeAirflow) -> None:
    spool.insert(rows(40))
    one = forward(spool, airflow, token="t0")
    assert one.forwarded == forwarder.IN_FLIGHT
    assert set(airflow.rows) == {row.key for row in rows(forwarder.IN_FLIGHT)}
    assert spool.after(0, 1)[0].key == rows(40)[forwarder.IN_FLIGHT].key
    forward(spool, airflow, times=3, token="t0")
    assert airflow.rows == {row.key: json.loads(row.value) for row in rows(40)}
    assert spool.counts().waiting == 0


def test_it_logs_in_once(spool: Spool, airflow: FakeAirflow) -> None:
    spool.insert(rows(40))
    forward(spool, airflow, times=3, user="u", password="p")
    assert airflow.logins == 1
    assert airflow.calls[1] == "GET /team/api/v2/assets"
    assert len(airflow.rows) == 40


@pytest.mark.parametrize(
    "trouble, words",
    [
        ({"is_away": True}, "does not answer"),
        ({"assets": []}, "no DAG in Airflow"),
        ({"tokens": {"another"}}, "401"),
    ],
)
def test_while_airflow_takes_nothing_everything_stays(
    spool: Spool, airflow: FakeAirflow, trouble: dict[str, Any], words: str
) -> None:
    spool.insert(rows(3))
    vars(airflow).update(trouble)
    with pytest.raises(AirflowUnavailable, match=words):
        forward(spool, airflow, token="t0")
    assert spool.counts().waiting == 3


def test_rows_that_airflow_will_delete_again_stay_in_the_spool(spool: Spool, airflow: FakeAirflow) -> None:
    """It takes rows of an asset that no DAG refers to any more, with success."""
    spool.insert(rows(40))

    async def main() -> None:
        one = Forwarder(spool, Access("http://airflow/team", "t0"), airflow.transport)
        await one.forward()
        listed, airflow.listed = airflow.listed, []
        with pytest.raises(AirflowUnavailable, match="no DAG in Airflow"):
            await one.forward()
        assert one.forwarded == forwarder.IN_FLIGHT
        airflow.listed = listed
        await one.forward()
        assert one.forwarded == 2 * forwarder.IN_FLIGHT
        airflow.listed = [{**listed[0], "id": 8}]
        with pytest.raises(AirflowUnavailable, match="another asset"):
            await one.forward()

    asyncio.run(main())
    assert spool.counts().waiting == 40 - 2 * forwarder.IN_FLIGHT


def test_a_wrong_password_is_said(spool: Spool, airflow: FakeAirflow) -> None:
    spool.insert(rows(1))
    with pytest.raises(AirflowUnavailable, match="401 to the log-in"):
        forward(spool, airflow, user="u", password="wrong")


def test_what_is_not_airflow_is_noticed(spool: Spool) -> None:
    spool.insert(rows(1))
    page = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))

    async def main() -> None:
        await Forwarder(spool, Access("http://x", "t"), page).forward()

    with pytest.raises(AirflowUnavailable, match="is not Airflow"):
        asyncio.run(main())


def test_a_row_that_airflow_refuses_is_kept_and_tried_again_later(
    spool: Spool, airflow: FakeAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    large = Row("in/0000000000900/large", json.dumps({"x": "x" * 70_000}))
    spool.insert([large, *rows(3)])
    with caplog.at_level(logging.ERROR):
        forward(spool, airflow, token="t0")
    assert "in/0000000000900/large" in caplog.text
    assert "max_value_storage_bytes" in caplog.text
    assert len(airflow.rows) == 3
    assert (spool.counts().waiting, spool.counts().refused) == (0, 1)
    airflow.limit = 100_000
    assert spool.retry_refused() == 1
    forward(spool, airflow, token="t0")
    assert len(airflow.rows) == 4
    assert spool.counts().refused == 0


def run_until(one: Forwarder, is_done: Callable[[], bool]) -> None:
    async def main() -> None:
        task = asyncio.create_task(one.run())
        deadline = time.monotonic() + 60
        while not is_done() and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_an_expired_token_is_renewed_without_a_word(
    spool: Spool, airflow: FakeAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    spool.insert(rows(5))
    one = Forwarder(spool, Access("http://airflow/team", user="u", password="p"), airflow.transport)
    run_until(one, lambda: len(airflow.rows) == 5)
    airflow.tokens = set()
    spool.insert(rows(8))
    run_until(one, lambda: len(airflow.rows) == 8)
    assert airflow.logins == 2
    assert not [record for record in caplog.records if record.name == forwarder.__name__]


def test_trouble_and_its_end_are_logged_once(
    spool: Spool, airflow: FakeAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    spool.insert(rows(3))
    airflow.is_away = True
    access = Access("http://airflow/team", "t0")
    one = Forwarder(spool, access, airflow.transport, sleep=lambda _: asyncio.sleep(0))
    with caplog.at_level(logging.INFO, forwarder.__name__):
        run_until(one, lambda: len(airflow.calls) > 4)
        airflow.is_away = False
        run_until(one, lambda: one.forwarded == 3 and not one.trouble)
    lines = [record.getMessage() for record in caplog.records if record.name == forwarder.__name__]
    assert lines == [
        "Cannot forward callbacks; keeping them in the spool: Airflow does not answer (ConnectError)",
        "Forwarding callbacks to Airflow again",
    ]


def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_TRTC_DEFAULT": CONNECTION,
        server.SPOOL: str(tmp_path / "spool.db"),
        server.AIRFLOW_URL: "http://airflow/team",
        server.TOKEN: "t0",
    }


def test_what_is_answered_is_on_disk_and_reaches_airflow(tmp_path: Path, airflow: FakeAirflow) -> None:
    app = server.create_app(environment(tmp_path), airflow.transport)

    async def main() -> None:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                for path in ("/callbacks/trtc_default", "/trtc/callbacks/trtc_default/"):
                    for one in story(path[1:4]):
                        body = json.dumps(one).encode()
                        answer = await client.post(path, content=body, headers={"Sign": sign("key", body)})
                        assert answer.json() == {"code": 0}
                wrong = await client.post("/callbacks/trtc_default", content=b"{}", headers={"Sign": "x"})
                assert wrong.status_code == 401
                deadline = time.monotonic() + 60
                while len(airflow.rows) < 10 and time.monotonic() < deadline:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                health = (await client.get("/healthz")).json()
                assert (health["status"], health["refused"], health["trouble"]) == ("ok", 0, "")

    asyncio.run(main())
    assert {value["sdk_app_id"] for value in airflow.rows.values()} == {APP}


@pytest.mark.parametrize(
    "text, problem",
    [
        (CONNECTION, ""),
        (f"trtc://?callback_secret=key&sdk_app_id={APP}", ""),
        ("trtc://?__extra__=%7B%22callback_secret%22%3A%22key%22%7D", ""),
        (json.dumps({"conn_type": "trtc", "extra": json.dumps({"callback_secret": "key"})}), ""),
        ("http://x", "it is of type 'http'"),
        ("{", "neither JSON nor a URI"),
        ("trtc://[", "neither JSON nor a URI"),
        ("trtc://", "callback_secret is empty"),
        ("", "no such connection"),
    ],
)
def test_connections_come_from_the_environment(text: str, problem: str) -> None:
    found = server.look_up("trtc_default", {"AIRFLOW_CONN_TRTC_DEFAULT": text})
    assert found.keys == (() if problem else ("key",))
    assert problem in found.problem


@pytest.mark.parametrize("missing", [server.SPOOL, server.AIRFLOW_URL, server.TOKEN])
def test_a_missing_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, "" if name == missing else value)
    assert command.main([]) == 2
    assert missing in capsys.readouterr().err


def test_a_spool_that_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert command.main(["--spool", str(tmp_path / "no" / "folder" / "x.db")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("proxy", ["socks5://name:hunter2@127.0.0.1:1", "socks://x", "ftp://x:y"])
def test_a_proxy_that_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], proxy: str
) -> None:
    for name, value in {**environment(tmp_path), "ALL_PROXY": proxy}.items():
        monkeypatch.setenv(name, value)
    assert command.main([]) == 2
    said = capsys.readouterr().err
    assert "ALL_PROXY" in said
    assert "hunter2" not in said


def test_passwords_are_not_in_representations() -> None:
    assert "hunter2" not in repr(Access("http://x", "hunter2", "u", "hunter2"))


def test_what_is_committed_outlives_a_killed_process(tmp_path: Path) -> None:
    path = str(tmp_path / "spool.db")
    code = (
        "import sys; from airflow_trtc.web.standalone.spool import Spool\n"
        "from airflow_trtc.web.receiving.receiver import Row\n"
        "spool = Spool(sys.argv[1])\n"
        "for number in range(10**6):\n"
        "    spool.insert([Row(f'in/{number}', '{}')]); print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    told = 20 + len(process.stdout.read().split("\n")) - 2
    process.wait(60)
    spool = Spool(path)
    assert spool.counts().waiting >= told
    with sqlite3.connect(path) as file:
        assert file.execute("pragma integrity_check").fetchone() == ("ok",)


def test_one_event_twice_in_the_spool_is_one_row(spool: Spool) -> None:
    spool.insert(rows(2))
    spool.insert(rows(2))
    assert spool.counts().waiting == 2
