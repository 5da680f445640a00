"""What is read from a real database: which task instances, in which order, found by what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.web.pages.figures import Counts
from airflow_trtc.web.pages.listing import ListQuery, Show, Sort, WaitRow
from tests.versions import HAS_STATE_STORE
from tests.web.pages.rows import NOW, Wait, insert, shown

pytestmark = pytest.mark.usefixtures("empty")

DAGS = ("a", "b")


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


WAITING = Wait(dag_id="a", run_id="run-1", value=shown("rec-1", files=3, room_id="lesson-7"))
OF_B = Wait(dag_id="b", run_id="run-2", state="running", began=minutes(-5), value=shown("rec-2", files=12))
FAILED = Wait(
    dag_id="a",
    run_id="run-3",
    state="failed",
    began=minutes(-90),
    ended=minutes(-30),
    value=shown("rec-3", problem_count=2, problems=["upload: it failed"]),
)
DONE = Wait(dag_id="a", run_id="run-4", state="success", began=minutes(-80), ended=minutes(-20))
NOT_BEGUN = Wait(dag_id="a", run_id="run-5", state="scheduled", value=None)


def select(query: ListQuery = ListQuery(), dags: tuple[str, ...] = DAGS, limit: int = 50) -> list[WaitRow]:  # noqa: B008 - frozen
    from airflow_trtc.web.pages import queries

    with queries.reading() as session:
        rows, total = queries.select_waits(session, query, dags, NOW, limit)
        assert len(rows) == min(limit, max(0, total - query.offset))
        return rows


def runs(query: ListQuery = ListQuery(), **more: Any) -> list[str]:  # noqa: B008 - frozen
    return [row.run_id for row in select(query, **more)]


def put_pulse(**changes: Any) -> None:
    """A row of a process that polls now."""
    from airflow_trtc.journal.pulse import AccountPulse
    from airflow_trtc.web.processing import database

    now = datetime.now(timezone.utc)
    names = {"host": "triggerer", "endpoint": "trtc.example.com", "account": "0a1b", "action": "DescribeX"}
    numbers = {"waiting": 3, "due": 1, "rate": 10.0, "ceiling": 20.0, "sent": 600, "throttled": 0}
    one = AccountPulse(
        **{"process": "abcd", "conn_ids": ("trtc_default",), "at": now, **names, **numbers, **changes}
    )
    with database.transaction() as session:
        database.write(session, 1, {one.key: database.encode(one.value)})


def test_what_waits_and_what_ended_lately_is_listed_with_its_progress() -> None:
    insert([WAITING, OF_B, FAILED, DONE], [("a", "wait"), ("b", "wait")])
    found = {row.run_id: row for row in select()}
    assert found.keys() == {"run-1", "run-2", "run-3", "run-4"}
    assert found["run-1"] == WaitRow(
        "a", "run-1", "wait", -1, "deferred", 1, NOW + minutes(-10), None, None, WAITING.value
    )
    assert found["run-3"].end_date == NOW + minutes(-30)
    assert found["run-4"].value is None


def test_what_is_not_ours_or_ended_long_ago_is_left_out() -> None:
    old: dict[str, Any] = {"state": "success", "began": timedelta(days=-3), "ended": timedelta(days=-2)}
    others = [
        Wait(dag_id="a", run_id="x1", task_id="bash", operator="BashOperator"),
        Wait(dag_id="a", run_id="x2", **old),
        Wait(dag_id="a", run_id="x3", task_id="mark", operator="TrtcTriggeringRecordingOperator"),
        Wait(dag_id="a", run_id="x4", state="upstream_failed", ended=minutes(-1)),
        Wait(dag_id="a", run_id="x5", state=None),
    ]
    insert([WAITING, *others], [("a", "wait"), ("a", "mark")])
    assert runs() == ["run-1"]


def test_a_wait_of_six_days_that_ended_today_is_listed() -> None:
    long = Wait(dag_id="a", run_id="l", state="success", began=timedelta(days=-6), ended=minutes(-1))
    insert([long], [("a", "wait")])
    assert runs() == ["l"]


@pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow notes no inlets of ours")
def test_a_subclass_of_a_sensor_is_found_by_its_inlet() -> None:
    insert([replace(WAITING, operator="SensorOfTheirs")], [("a", "wait")])
    assert runs() == ["run-1"]


@pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow notes no inlets of ours")
def test_dags_are_those_with_the_journal_among_their_inlets() -> None:
    from airflow_trtc.web.pages import queries

    insert([WAITING, replace(OF_B, operator="BashOperator")], [("a", "wait"), ("never_ran", "wait")])
    with queries.reading() as session:
        assert queries.find_dags(session, NOW) == {"a", "never_ran"}


def test_without_inlets_dags_are_those_that_waited_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_trtc.web.pages import queries

    monkeypatch.setattr(queries, "has_state_store", lambda: False)
    insert([WAITING, replace(DONE, dag_id="c"), replace(OF_B, operator="BashOperator")])
    with queries.reading() as session:
        assert queries.find_dags(session, NOW) == {"a", "c"}
        assert queries.select_journal(session, queries.PULSES) == {}
    assert runs() == ["run-1"]


@pytest.mark.parametrize(
    "show, expected",
    [
        (Show.ALL, {"run-1", "run-2", "run-3", "run-4"}),
        (Show.WAITING, {"run-1", "run-2"}),
        (Show.ENDED, {"run-3", "run-4"}),
        (Show.FAILED, {"run-3"}),
        (Show.PROBLEMS, {"run-3"}),
    ],
)
def test_what_is_shown(show: Show, expected: set[str]) -> None:
    insert([WAITING, OF_B, FAILED, DONE])
    assert set(runs(ListQuery(show=show))) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("rec-1", {"run-1"}),
        ("REC-1", {"run-1"}),
        ("lesson-7", {"run-1"}),
        ("user11", {"run-2"}),
        ("run-3", {"run-3"}),
        ("upload: it", {"run-3"}),
        ("user_id", set()),
        ("problem", set()),
        ("file_count", set()),
        ("%", set()),
        ("rec_1", set()),
        ("1400000001", {"run-1", "run-2", "run-3"}),
        ("wait", {"run-1", "run-2", "run-3", "run-4"}),
    ],
)
def test_search_finds_contents_and_not_the_names_of_keys(text: str, expected: set[str]) -> None:
    insert([WAITING, OF_B, FAILED, DONE])
    assert set(runs(ListQuery(text=text))) == expected


@pytest.mark.parametrize(
    "room", ["算法导论", "Büro", 'say "hi"', "back\\slash", "100 %", "under_score", "it's", "\U0001f600"]
)
def test_search_finds_any_text(room: str) -> None:
    insert([WAITING, replace(OF_B, value=shown("rec-2", room_id=f"room {room} end"))])
    assert runs(ListQuery(text=room)) == ["run-2"]


def test_filters_by_kind_application_and_dag() -> None:
    other = shown("rec-2", kind="slicing", sdk_app_id=20001234)
    insert([WAITING, replace(OF_B, value=other), DONE])
    assert runs(ListQuery(kind="slicing")) == ["run-2"]
    assert runs(ListQuery(app=20001234)) == ["run-2"]
    assert runs(ListQuery(dag_id="b")) == ["run-2"]
    assert runs(ListQuery(dag_id="b"), dags=("a",)) == []
    assert runs(ListQuery(), dags=()) == []


@pytest.mark.parametrize(
    "sort, descending, expected",
    [
        (Sort.SINCE, True, ["run-2", "run-1", "run-4", "run-3"]),
        (Sort.SINCE, False, ["run-3", "run-4", "run-1", "run-2"]),
        (Sort.ENDED, True, ["run-4", "run-3", "run-1", "run-2"]),
        (Sort.FILES, True, ["run-2", "run-1", "run-3", "run-4"]),
        (Sort.FILES, False, ["run-4", "run-3", "run-1", "run-2"]),
        (Sort.TASK, False, ["run-1", "run-3", "run-4", "run-2"]),
        (Sort.STATE, False, ["run-1", "run-3", "run-2", "run-4"]),
    ],
)
def test_order(sort: Sort, descending: bool, expected: list[str]) -> None:
    insert([WAITING, OF_B, FAILED, DONE])
    assert runs(ListQuery(sort=sort, is_descending=descending)) == expected


def test_what_has_no_begin_yet_comes_last() -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    insert([NOT_BEGUN, WAITING])
    with create_session() as session:
        session.execute(update(TaskInstance).where(TaskInstance.run_id == "run-5").values(start_date=None))
    assert runs() == ["run-1", "run-5"]


def test_pages_follow_one_another_without_gap_or_repetition() -> None:
    many = [
        Wait(dag_id="a", run_id="r", map_index=index, value=shown(f"rec-{index}")) for index in range(120)
    ]
    insert(many)
    pages = [select(ListQuery(page=page)) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [50, 50, 20]
    assert sorted(row.map_index for page in pages for row in page) == list(range(120))


@pytest.mark.parametrize(
    "value",
    [
        "text",
        17,
        [1, 2],
        {"file_count": "many", "problem_count": {"a": 1}, "sdk_app_id": [], "kind": None},
        {"file_count": 1e300, "problem_count": -1},
        '{"file_count": 3}',
        None,
        {"file_count": float("nan")},  # SQLite keeps it, and fails when it looks into it
        float("inf"),
    ],
)
def test_one_odd_progress_never_holds_up_the_others(value: object) -> None:
    insert([WAITING, replace(OF_B, value=value)])
    for sort in Sort:
        assert set(runs(ListQuery(sort=sort))) == {"run-1", "run-2"}
    for query in (ListQuery(show=Show.PROBLEMS), ListQuery(kind="slicing"), ListQuery(app=7)):
        assert "run-1" not in runs(query)
    assert runs(ListQuery(text="rec-1")) == ["run-1"]


def test_figures() -> None:
    from airflow_trtc.web.pages import queries

    insert([WAITING, OF_B, FAILED, DONE])
    with queries.reading() as session:
        assert queries.count_all(session, DAGS, NOW) == Counts(2, 2, 1, 1)
        assert queries.count_all(session, ("b",), NOW) == Counts(1, 0, 0, 0)
        assert queries.count_all(session, (), NOW) == Counts()


@pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow keeps no journal")
def test_rows_of_the_journal_are_read_by_ranges() -> None:
    from airflow_trtc.web.pages import queries
    from airflow_trtc.web.processing import database

    insert([WAITING], [("a", "wait")])
    put_pulse()
    with database.transaction() as session:
        database.write(
            session, 1, {"heard/1400000001": '{"v": 1}', "poll/x": "{}", "pulse/ff/jobs/0": "no json"}
        )
    with queries.reading() as session:
        assert queries.has_journal(session)
        found = queries.select_journal(session, queries.PULSES, queries.HEARD)
    assert len(found) == 3
    assert found["heard/1400000001"] == {"v": 1}
    assert found["pulse/ff/jobs/0"] is None
