"""The command against the emulator and a stand-in for Airflow's API server, over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from airflow_trtc.check import __main__ as command
from airflow_trtc.check import probes
from airflow_trtc.cloud.plain_http import fetch
from airflow_trtc.emulator import DEFAULT_DENIED_SECRET_ID, DEFAULT_DENIED_SECRET_KEY, Emulator
from airflow_trtc.testing.receiving import served
from airflow_trtc.web.receiving.connection_cache import ConnectionCache, ReceiverConfig
from airflow_trtc.web.receiving.receiver import Receiver, Row

KEY = "k" * 32
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def api_server(*, triggerer: str | None = "healthy", keys: tuple[str, ...] | None = (KEY,)) -> Iterator[str]:
    """Airflow's health page, and the receiver where it is installed (`keys` is not None)."""
    stored: list[Row] = []

    async def store(row: Row) -> None:
        stored.append(row)

    async def health(request: Any) -> JSONResponse:
        return JSONResponse({"triggerer": {"status": triggerer}})

    routes: list[Any] = [Route("/api/v2/monitor/health", health)]
    if keys is not None:
        cache = ConnectionCache(lambda conn_id: ReceiverConfig(keys=keys, sdk_app_id=1400000001))
        receiver = FastAPI(docs_url=None, openapi_url=None)
        receiver.router.routes.append(Route("/callbacks/{conn_id}", Receiver(cache, store)))
        routes.append(Mount("/trtc", receiver))
    app = FastAPI(openapi_url=None)
    app.router.routes.extend(routes)
    with served(app) as url:
        yield url
    assert stored == [], "a check stores nothing"


@pytest.fixture(autouse=True)
def with_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the receiver on every Airflow: the one here stands alone."""
    monkeypatch.setattr(probes, "can_receive_callbacks", lambda: True)


@pytest.fixture
def emulator(trtc_emulator: Emulator) -> Emulator:
    return trtc_emulator


@pytest.fixture
def connect(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(extra: dict[str, Any] | None = None, **changes: Any) -> None:
        value = {**emulator.connection, **changes}
        value["extra"] = {**value["extra"], "callback_secret": KEY, **(extra or {})}
        monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(value))

    put()
    return put


def by_subject(conn_id: str = "trtc_default", url: str = NOWHERE) -> dict[str, str]:
    """The worst level of each subject."""
    order = ["ok", "warning", "problem"]
    worst: dict[str, str] = {}
    for one in command.collect(conn_id, url):
        worst[one.subject] = max(one.level, worst.get(one.subject, "ok"), key=order.index)
    return worst


@pytest.mark.usefixtures("connect")
def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with api_server() as url:
        found = by_subject(url=url)
        code = command.main(["--airflow-url", url, "--json"])
    good = ["versions", "provider", "connection", "keys", "region", "permission", "clock", "triggerer"]
    assert {name: found[name] for name in [*good, "receiver", "callbacks"]} == dict.fromkeys(
        [*good, "receiver", "callbacks"], "ok"
    )
    printed = capsys.readouterr().out  # the emulator logs, too: it runs in this process
    report, _ = json.JSONDecoder().raw_decode(printed, printed.index('{\n  "ok"'))
    assert (code, report["ok"]) == (0, True)
    assert {"subject", "level", "text", "todo"} == set(report["findings"][0])


@pytest.mark.parametrize(
    "changes, subject, words",
    [
        ({"password": "wrong-key"}, "keys", "SecretKey"),
        ({"login": "AKIDnobody"}, "keys", "SecretId"),
        ({"login": DEFAULT_DENIED_SECRET_ID, "password": DEFAULT_DENIED_SECRET_KEY}, "permission", "CAM"),
        ({"extra": {"region": "mars-1"}}, "region", "region is wrong"),
        ({"extra": {"sdk_app_id": 1400000002}}, "application", "sdk_app_id"),
        ({"host": NOWHERE}, "service", "cannot be reached"),
        ({"host": "ftp://x"}, "connection", "API endpoint"),
        ({"login": ""}, "connection", "SecretId"),
    ],
)
def test_trouble_with_the_account_is_told_apart(
    changes: dict[str, Any],
    subject: str,
    words: str,
    connect: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    connect(**changes)
    assert command.main(["--airflow-url", NOWHERE]) == 1
    printed = "".join(capsys.readouterr())
    [line] = [one for one in printed.splitlines() if one.startswith("problem") and one.split()[1] == subject]
    assert words in line
    assert "wrong-key" not in printed


def test_secrets_are_not_printed(
    connect: Callable[..., None], emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    connect(extra={"proxy": "http://name:hidden@127.0.0.1:9", "token": "a-token"})
    with api_server() as url:
        command.main(["--airflow-url", url.replace("//", "//user:pass@")])
    printed = "".join(capfd.readouterr())
    hidden = [KEY, emulator.secret_key, "hidden", "a-token", "user:pass"]
    assert [one for one in hidden if one in printed] == []


def test_a_missing_connection_comes_with_the_command_that_makes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["--conn-id", "nowhere", "--airflow-url", NOWHERE]) == 1
    assert "airflow connections add nowhere --conn-type trtc" in capsys.readouterr().out


@pytest.mark.parametrize("seconds, level", [(0, "ok"), (120, "warning"), (-3600, "problem")])
def test_the_clock_is_compared_with_the_service(
    seconds: int, level: str, emulator: Emulator, connect: Callable[..., None]
) -> None:
    emulator.skew_clock(seconds)
    assert by_subject()["clock"] == level


@pytest.mark.usefixtures("connect")
@pytest.mark.parametrize(
    "server, subject, level",
    [
        ({"triggerer": None}, "triggerer", "problem"),
        ({"keys": None}, "receiver", "problem"),
        ({"keys": ("another" * 4,)}, "callbacks", "problem"),
    ],
)
def test_trouble_of_the_api_server_is_told_apart(server: dict[str, Any], subject: str, level: str) -> None:
    with api_server(**server) as url:
        assert by_subject(url=url)[subject] == level


def test_without_callbacks_a_missing_receiver_is_no_problem(connect: Callable[..., None]) -> None:
    connect(extra={"callback_secret": ""})
    found = by_subject()
    assert (found["receiver"], found["callbacks"], found["triggerer"]) == ("warning",) * 3


@pytest.mark.usefixtures("connect")
def test_an_airflow_that_cannot_receive_callbacks_is_not_recommended_to_the_console(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "can_receive_callbacks", lambda: False)
    with api_server() as url:
        found = by_subject(url=url)
    assert found["callbacks"] == "warning"
    assert "receiver" not in found


@pytest.mark.usefixtures("connect")
def test_a_check_that_breaks_is_a_problem_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Any]:
        raise RuntimeError("anything")

    monkeypatch.setattr(probes, "registration", broken)
    found = by_subject()
    assert found["provider"] == "problem"
    assert found["keys"] == "ok"


def test_addresses_of_airflow_come_from_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probes.base_url("https://u:p@a.example/airflow/") == "https://a.example/airflow"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://b.example/")
    assert probes.base_url(None) == "https://b.example"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://c:8080/execution/")
    assert probes.base_url(None) == "http://c:8080"
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "")
    assert probes.base_url(None) == "http://localhost:8080"


def test_a_server_that_speaks_no_http_is_no_answer() -> None:
    with pytest.raises(OSError, match=r".*"):
        fetch(NOWHERE)


def test_every_answer_of_the_emulator_has_its_date(emulator: Emulator) -> None:
    emulator.skew_clock(-5000)
    early = fetch(emulator.url).date
    emulator.skew_clock(0)
    now = fetch(emulator.url).date
    assert early is not None
    assert now is not None
    assert 4990 < now - early < 5060


def test_standard_output_is_the_report_and_nothing_else(connect: Callable[..., None], tmp_path: Path) -> None:
    connect(host=NOWHERE, extra={"regoin": "x"})
    command_line = [sys.executable, "-m", "airflow_trtc.check", "--airflow-url", NOWHERE, "--json"]
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        command_line, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert not report["ok"]
    texts = [one["text"] for one in report["findings"]]
    assert any("regoin" in text for text in texts)
    assert "airflow-trtc" in texts[0]
