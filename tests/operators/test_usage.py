"""Usage from the service into files and databases: the interval, the limits, and what is never read twice."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.emulator.families import usage as family
from airflow_trtc.errors import TrtcSetupError, TrtcTransientError
from airflow_trtc.operators import TrtcUsageOperator
from airflow_trtc.tables.usage import USAGES
from tests.operators.running import sent
from tests.tables.truth import sums

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = dt.datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)


def context(days: int = 3, end: dt.datetime = TODAY) -> Any:
    return {"data_interval_start": end - dt.timedelta(days=days), "data_interval_end": end}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "usage.db"
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


def select(path: Path, statement: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]
    finally:
        connection.close()


def read(usage: str = "trtc", given: Any = None, **options: Any) -> Any:
    operator = TrtcUsageOperator(task_id="usage", usage=usage, **options)
    return operator.execute(given or context())


@pytest.mark.parametrize("granularity", ["day", "5min"])
@pytest.mark.parametrize("usage", ["trtc", "recording", "mix_transcoding", "relay"])
def test_a_table_equals_what_was_used(
    service: Emulator, database: Path, usage: str, granularity: str
) -> None:
    service.make_usage_history(days=5)
    summary = read(usage, sql_conn_id="lite", granularity=granularity)
    table = USAGES[usage].schema.name
    rows = select(database, f"SELECT * FROM {table}")
    assert summary == {
        "place": table,
        "rows": len(rows),
        "was_written": False,
        "from_at": (TODAY - dt.timedelta(days=3)).astimezone(dt.timezone.utc).isoformat(),
        "to_at": TODAY.astimezone(dt.timezone.utc).isoformat(),
        "sdk_app_id": service.sdk_app_id,
        "granularity": granularity,
        "usage": usage,
    }
    truth = sums(service.usage(), usage, rows)
    assert rows
    amount = USAGES[usage].schema.names[-1]
    assert [row[amount] for row in rows] == truth
    assert any(truth)


@pytest.mark.parametrize("usage", ["ai", "slicing", "acceleration"])
def test_the_other_usages_arrive_too(service: Emulator, database: Path, usage: str) -> None:
    service.make_usage_history(days=5)
    read(usage, sql_conn_id="lite")
    rows = select(database, f"SELECT * FROM {USAGES[usage].schema.name}")
    assert [row["amount"] for row in rows] == sums(service.usage(), usage, rows)
    assert any(row["amount"] for row in rows)


@pytest.mark.trtc_emulator(room_usage_seconds=0)
def test_rooms_arrive_in_seconds(service: Emulator, tmp_path: Path) -> None:
    service.make_usage_history(days=5, rooms=9)
    summary = read("room", context(1), path=f"file://{tmp_path}", file_format="parquet")
    (path,) = tmp_path.rglob("*.parquet")
    assert summary["place"].endswith(str(path))
    rows = pyarrow.parquet.read_table(path).to_pylist()
    start, end = (TODAY - dt.timedelta(days=1)).timestamp(), TODAY.timestamp()
    assert {row["room_id"] for row in rows} == {
        each["room_id"]
        for each in service.usage()
        if each["usage"] == "trtc" and each["began_at"] < end and each["began_at"] + each["seconds"] > start
    }
    assert [row["seconds"] for row in rows] == sums(service.usage(), "room", rows)


def test_files_of_all_formats_hold_the_same(service: Emulator, tmp_path: Path) -> None:
    service.make_usage_history(days=3)
    from tests.tables.test_files import read as read_file

    found = []
    for format in ("csv", "jsonl", "parquet"):
        read(path=f"file://{tmp_path}/{format}", file_format=format)
        (path,) = (tmp_path / format).rglob(f"*.{format}")
        rows = [{**row, "sdk_app_id": int(str(row["sdk_app_id"]))} for row in _of_usage(read_file, path)]
        found.append([{name: str(value) for name, value in row.items()} for row in rows])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 18


def _of_usage(read_file: Any, path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return [
            {**row, "from_at": row["from_at"].isoformat(), "to_at": row["to_at"].isoformat()}
            for row in read_file(path)
        ]
    text = path.read_text()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    header, *lines = (line.split(",") for line in text.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_a_day_that_is_written_is_not_read_again_unless_wanted(service: Emulator, database: Path) -> None:
    first = read(sql_conn_id="lite")
    again = read(sql_conn_id="lite")
    assert (first["was_written"], again["was_written"]) == (False, True)
    assert again["rows"] == first["rows"]
    assert len(sent(service)) == 1
    service.add_usage("trtc", "Audio", began_at=TODAY.timestamp() - 600, seconds=600)
    assert read(sql_conn_id="lite", if_written="replace")["was_written"] is False
    rows = select(database, "SELECT SUM(minutes) AS total, COUNT(*) AS count FROM trtc_usage")
    assert rows == [{"total": 10.0, "count": 18}]


def test_a_file_that_is_written_is_not_read_again_either(service: Emulator, tmp_path: Path) -> None:
    results = [read(path=f"file://{tmp_path}") for _ in range(2)]
    assert [each["was_written"] for each in results] == [False, True]
    assert len(sent(service)) == 1


def test_a_truncated_answer_leaves_the_table_as_it_was(
    service: Emulator, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(sql_conn_id="lite")
    action = family.ACTIONS["DescribeTrtcUsage"]

    def truncated(state: Any, call: Any) -> Any:
        answer = action.run(state, call)
        answer["UsageList"].pop()
        return answer

    from airflow_trtc.emulator import actions

    spoilt = type(action)(truncated, action.schema, action.regions)
    monkeypatch.setitem(actions.ACTIONS, "DescribeTrtcUsage", spoilt)
    monkeypatch.setattr("airflow_trtc.cloud.retries.DEFAULT_ATTEMPTS", 1)
    with pytest.raises(TrtcTransientError, match=r"lacks 1 of 3 points.*Nothing was written") as error:
        read(sql_conn_id="lite", if_written="replace")
    assert error.value.action == "DescribeTrtcUsage"
    assert error.value.request_id
    assert select(database, "SELECT COUNT(*) AS count FROM trtc_usage") == [{"count": 18}]


@pytest.mark.parametrize(
    "given, words",
    [
        (context(1, TODAY + dt.timedelta(days=1)), "is not over"),
        (context(1, TODAY - dt.timedelta(hours=8)), "not made of whole days of the time zone Asia/Shanghai"),
        (context(0), r"does not last.*CronDataIntervalTimetable"),
        ({}, "has no data interval"),
    ],
)
def test_an_interval_that_cannot_be_read_fails_for_good_and_nothing_is_sent(
    service: Emulator, database: Path, given: Any, words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        read(sql_conn_id="lite", given=given or {"data_interval_start": None})
    assert sent(service) == []
    assert not database.exists()


def test_rooms_are_kept_for_90_days_only(service: Emulator, database: Path) -> None:
    with pytest.raises(AirflowFailException, match="keeps the usage 'room' for 90 days"):
        read("room", context(1, TODAY - dt.timedelta(days=91)), sql_conn_id="lite")


@pytest.mark.parametrize(
    "start, end",
    [
        ("2026-01-01", "2026-01-03"),
        (dt.date(2026, 1, 1), dt.date(2026, 1, 3)),
        ("2025-12-31T16:00:00Z", dt.datetime(2026, 1, 3, tzinfo=ZONE)),
    ],
)
def test_another_interval_may_be_given(service: Emulator, database: Path, start: Any, end: Any) -> None:
    summary = read(sql_conn_id="lite", start=start, end=end)
    assert (summary["from_at"], summary["to_at"]) == (
        "2025-12-31T16:00:00+00:00",
        "2026-01-02T16:00:00+00:00",
    )


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({}, "give either path, for files, or sql_conn_id"),
        ({"path": "file:///x", "sql_conn_id": "lite"}, "give either path"),
        ({"path": "file:///x", "usage": "tea"}, "usage must be one of trtc, recording"),
        ({"path": "file:///x", "granularity": "hour"}, "granularity must be one of day, 5min"),
        ({"path": "file:///x", "usage": "room", "granularity": "5min"}, "does not exist for usage='room'"),
        ({"path": "file:///x", "file_format": "xls"}, "file_format must be one of csv, jsonl, parquet"),
        ({"path": "file:///x", "time_zone": "Asia/Shangai"}, "must be a time zone such as Asia/Shanghai"),
        ({"path": "file:///x", "time_zone": "../etc"}, "time_zone"),
        ({"path": "file:///x", "time_zone": "Asia"}, "time_zone"),
        ({"path": "file:///x", "start": "yesterday"}, "start must be a datetime, a date, or ISO 8601"),
        ({"path": "file:///x", "if_written": "fail"}, "if_written must be one of skip, replace"),
        ({"sql_conn_id": "lite", "table": "a; DROP TABLE b"}, "table must be made of letters"),
        ({"sql_conn_id": "lite", "create_table": "False"}, "create_table must be True or False"),
    ],
)
def test_bad_arguments_are_refused_when_the_dag_is_parsed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcUsageOperator(task_id="usage", **{"usage": "trtc", **wrong})


def test_bad_templates_are_refused_before_anything_is_sent(service: Emulator, database: Path) -> None:
    operator = TrtcUsageOperator(task_id="usage", usage="{{ x }}", sql_conn_id="lite", granularity="5min")
    operator.usage = "room"
    with pytest.raises(AirflowFailException, match="does not exist for usage='room'"):
        operator.execute(context())
    operator = TrtcUsageOperator(task_id="usage", usage="trtc", sql_conn_id="lite", table="{{ x }}")
    operator.table = "a b"
    with pytest.raises(AirflowFailException, match="table must be made of letters"):
        operator.execute(context())
    operator = TrtcUsageOperator(task_id="usage", usage="trtc", path="{{ x }}")
    operator.path = ""
    with pytest.raises(AirflowFailException, match="Give either path, for files, or sql_conn_id"):
        operator.execute(context())
    assert sent(service) == []


@pytest.mark.parametrize(
    "conn, words",
    [
        (None, "There is no connection 'lite', which sql_conn_id names"),
        ({"conn_type": "nobody_knows"}, "has no hook here.*Install the provider"),
        ({"conn_type": "trtc"}, "is no database for SQL"),
    ],
)
def test_a_connection_that_is_no_database_is_refused_with_advice(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, conn: Any, words: str
) -> None:
    if conn is not None:
        monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps(conn))
    kind = TrtcSetupError if conn is None else AirflowFailException
    with pytest.raises(kind, match=words):
        read(sql_conn_id="lite")
    assert sent(service) == []


def test_another_application_is_kept_apart(
    trtc_emulator: Emulator, service: Emulator, database: Path
) -> None:
    read(sql_conn_id="lite")
    with pytest.raises(AirflowFailException, match="sdk_app_id"):
        read(sql_conn_id="lite", sdk_app_id=1400000002)
    assert select(database, "SELECT DISTINCT sdk_app_id FROM trtc_usage") == [
        {"sdk_app_id": service.sdk_app_id}
    ]


def test_what_could_not_be_written_is_not_read(service: Emulator, database: Path) -> None:
    service.make_usage_history(days=5)
    read("trtc", sql_conn_id="lite", table="minutes")
    asked = len(sent(service))
    for if_written in ("skip", "replace"):
        with pytest.raises(AirflowFailException, match="must not hold trtc_mix_transcoding_usage too"):
            read("mix_transcoding", sql_conn_id="lite", table="minutes", if_written=if_written)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE other (from_at TEXT)")
    with pytest.raises(AirflowFailException, match="lacks sdk_app_id"):
        read("trtc", sql_conn_id="lite", table="other")
    assert len(sent(service)) == asked


@pytest.mark.trtc_emulator(room_usage_seconds=0)
def test_hours_of_rooms_do_not_cut_into_their_days(service: Emulator, database: Path) -> None:
    noon = (TODAY - dt.timedelta(hours=12)).timestamp()
    service.add_usage("trtc", "HD", began_at=noon, seconds=600, room_id="8001")
    read("room", context(1), sql_conn_id="lite")
    before = select(database, "SELECT * FROM trtc_room_usage")
    assert before
    hour = {
        "data_interval_start": TODAY - dt.timedelta(hours=24),
        "data_interval_end": TODAY - dt.timedelta(hours=23),
    }
    with pytest.raises(AirflowFailException, match="reach beyond it"):
        read("room", hour, sql_conn_id="lite", if_written="replace")
    assert select(database, "SELECT * FROM trtc_room_usage") == before


@pytest.mark.parametrize("start", ["0001-01-01", dt.date.min])
def test_the_beginning_of_all_times_is_no_instant(service: Emulator, tmp_path: Path, start: Any) -> None:
    with pytest.raises(AirflowFailException, match="no instant in UTC"):
        read(path=f"file://{tmp_path}", start=start)
