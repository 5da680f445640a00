"""Call quality and history in tables, from the emulator over the real SDK."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.operators import TrtcQualityOperator
from airflow_trtc.tables.quality import SCHEMAS
from airflow_trtc.tables.schema import Interval
from tests.operators.running import sent
from tests.tables.quality_truth import CHINA, expected, in_order, read_columns

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import TrtcAirflow

pytestmark = pytest.mark.trtc_emulator(rate_limit=0)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def midnight() -> datetime:
    """The last one in China."""
    local = datetime.now(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    return local.astimezone(timezone.utc)


@pytest.fixture(autouse=True)
def fast(service: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests need not be spread."""
    connection = service.connection
    connection["extra"]["requests_per_second"] = 1000
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(connection))


@pytest.fixture
def history(service: Emulator, midnight: datetime) -> Emulator:
    """An emulator with calls of yesterday and the day before."""
    began_at = midnight.timestamp() - 20 * 3600
    bad = {"aLoss": [30, 50], "bigvBlock": 400}
    unusual = [{"experience_id": 4, "after_seconds": n, "causes": [2024]} for n in range(25)]
    users = ["ann", {"user_id": "bob", "measured": bad, "unusual": unusual}]
    service.add_call("8001", users=users, began_at=began_at, lasts_seconds=5000, step_seconds=100)
    service.add_call("lesson", users=8, began_at=began_at + 3600, lasts_seconds=600, step_seconds=100)
    service.add_call("night", users=2, began_at=began_at - 5 * 3600, lasts_seconds=7200, step_seconds=600)
    return service


def run(what: str, interval: Interval | None, **options: Any) -> dict[str, Any]:
    operator = TrtcQualityOperator(task_id="quality", what=what, **options)
    context: Any = {}
    if interval is not None:
        context = {"data_interval_start": interval.start, "data_interval_end": interval.end}
    return operator.execute(context)


def rows_of(what: str, folder: Path) -> list[dict[str, Any]]:
    schema = SCHEMAS[what]
    found = [
        json.loads(line)
        for path in (folder / schema.name).glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    for row in found:
        read_columns(what, row)
    return in_order(found)


@pytest.mark.parametrize("what", SCHEMAS)
def test_files_say_what_happened(history: Emulator, what: str, midnight: datetime, tmp_path: Path) -> None:
    yesterday = Interval(midnight - DAY, midnight)
    summary = run(what, yesterday, path=f"file://{tmp_path}")
    truth = expected(what, history.calls(details=True), yesterday)
    assert rows_of(what, tmp_path) == truth
    assert truth
    assert summary["rows"] == len(truth)
    assert summary["requests"] == len(sent(history))
    assert (summary["what"], summary["from_at"]) == (what, yesterday.start.isoformat())
    keys = ["what", "place", "rows", "parts", "parts_written_before", "requests"]
    assert list(summary) == [*keys, "from_at", "to_at", "sdk_app_id"]
    assert summary["place"] == f"file://{tmp_path}/{SCHEMAS[what].name}"


def test_a_second_run_reads_nothing_again_unless_it_is_told_to(
    history: Emulator, midnight: datetime, tmp_path: Path
) -> None:
    yesterday, path = Interval(midnight - DAY, midnight), f"file://{tmp_path}"
    first = run("rooms", yesterday, path=path)
    asked = len(sent(history))
    again = run("rooms", yesterday, path=path)
    assert len(sent(history)) == asked
    assert (again["rows"], again["parts_written_before"], again["place"]) == (0, 1, first["place"])
    before = rows_of("rooms", tmp_path)
    assert run("rooms", yesterday, path=path, if_written="replace")["rows"] == first["rows"]
    assert rows_of("rooms", tmp_path) == before


def test_a_run_that_failed_goes_on_where_it_was(
    history: Emulator, midnight: datetime, tmp_path: Path
) -> None:
    yesterday, path = Interval(midnight - DAY, midnight), f"file://{tmp_path}"
    comm_id = next(each["comm_id"] for each in history.calls() if each["room_id"] == "8001")
    run("details", yesterday, path=path, comm_ids=comm_id)
    summary = run("details", yesterday, path=path)
    assert summary["parts_written_before"] == 2  # an hour and a half
    assert rows_of("details", tmp_path) == expected("details", history.calls(details=True), yesterday)


def test_databases(
    history: Emulator, midnight: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tables.db"
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    yesterday = Interval(midnight - DAY, midnight)
    for what, schema in SCHEMAS.items():
        for _ in range(2):
            summary = run(what, yesterday, sql_conn_id="lite", if_written="replace")
            assert summary["place"] == schema.name
        connection = sqlite3.connect(file)
        columns = ", ".join(schema.names)
        found = connection.execute(f"SELECT {columns} FROM {schema.name}").fetchall()
        connection.close()
        rows = [dict(zip(schema.names, each, strict=True)) for each in found]
        for row in rows:
            read_columns(what, row)
        assert in_order(rows) == expected(what, history.calls(details=True), yesterday)


def test_given_times_go_before_the_runs(history: Emulator, midnight: datetime, tmp_path: Path) -> None:
    start = midnight - 20 * HOUR
    summary = run("rooms", None, path=f"file://{tmp_path}", start=start, end=(start + HOUR).isoformat())
    assert [row["room_id"] for row in rows_of("rooms", tmp_path)] == ["8001"]
    assert summary["to_at"] == (start + HOUR).isoformat()


def test_only_some_data_types(history: Emulator, midnight: datetime, tmp_path: Path) -> None:
    run("details", Interval(midnight - DAY, midnight), path=f"file://{tmp_path}", data_types=["aLoss"])
    assert {row["data_type"] for row in rows_of("details", tmp_path)} == {"aLoss"}


@pytest.mark.parametrize(
    "options, words",
    [
        ({"what": "room"}, "what must be one of rooms, users, details, events, unusual, scale"),
        ({"what": "rooms", "comm_ids": "1"}, "comm_ids is for users and details and events, not for rooms"),
        ({"what": "users", "data_types": ["rtt"]}, "data_types is for details, not for users"),
        ({"what": "details", "data_types": ["loss"]}, "data_types: 'loss' is none of appCpu"),
        ({"what": "details", "data_types": []}, "data_types is empty"),
        ({"what": "users", "comm_ids": [5]}, "comm_ids must be a list of texts"),
        ({"what": "users", "longest_call_seconds": -1}, "longest_call_seconds must be a number of seconds"),
        ({"what": "users", "sql_conn_id": "db"}, "give either path"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcQualityOperator(task_id="quality", path="file:///tmp/x", **options)


@pytest.mark.parametrize(
    "case",
    [
        ("rooms", -15 * DAY, -14 * DAY, {}, "keeps the table 'rooms' for 14 days"),
        ("rooms", -DAY, 2 * DAY, {}, "is not over"),
        ("scale", -DAY - HOUR, -HOUR, {}, "not made of whole days of the time zone Asia/Shanghai"),
        ("users", -DAY, 0 * DAY, {"comm_ids": ["5_8001_1790000000"]}, "belongs to the application 5"),
    ],
)
def test_what_no_retry_would_help_fails_for_good(
    service: Emulator,
    midnight: datetime,
    tmp_path: Path,
    case: tuple[str, timedelta, timedelta, dict[str, Any], str],
) -> None:
    what, start, end, options, words = case
    interval = Interval(midnight + start, midnight + end)
    with pytest.raises(AirflowFailException, match=words):
        run(what, interval, path=f"file://{tmp_path}", **options)
    assert sent(service) == []


def test_trouble_leaves_the_table_as_it_was(history: Emulator, midnight: datetime, tmp_path: Path) -> None:
    yesterday, path = Interval(midnight - DAY, midnight), f"file://{tmp_path}"
    run("users", yesterday, path=path)
    before = rows_of("users", tmp_path)
    history.fault("error", action="DescribeUserInfo", code="ResourceNotFound")
    with pytest.raises(TrtcFailedError):
        run("users", yesterday, path=path, if_written="replace")
    assert rows_of("users", tmp_path) == before


def test_a_dag_reads_the_day_of_its_run_once(
    history: Emulator, trtc_airflow: TrtcAirflow, midnight: datetime, tmp_path: Path
) -> None:
    from airflow.sdk import DAG
    from airflow.timetables.interval import CronDataIntervalTimetable

    tables = ["rooms", "users", "details", "scale"]
    schedule = CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai")
    with DAG("quality", schedule=schedule, start_date=midnight - 30 * DAY, catchup=False) as dag:
        TrtcQualityOperator.partial(task_id="read", path=f"file://{tmp_path}").expand(what=tables)
    calls = history.calls(details=True)
    for days in (1, 0, 1):  # the first day is asked for twice
        assert trtc_airflow.run(dag, logical_date=midnight - days * DAY).state == "success"
    both = Interval(midnight - 2 * DAY, midnight)
    for what in tables:
        assert rows_of(what, tmp_path) == expected(what, calls, both)


@pytest.mark.trtc_emulator(rate_limit=5)
def test_a_throttled_account_is_waited_for(history: Emulator, midnight: datetime, tmp_path: Path) -> None:
    yesterday = Interval(midnight - DAY, midnight)
    summary = run("events", yesterday, path=f"file://{tmp_path}")
    assert history.state()["throttled"] > 0
    assert summary["rows"] == len(expected("events", history.calls(), yesterday))
