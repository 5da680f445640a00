"""What DAG authors write: checked when the DAG is parsed, templates once they are rendered."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup, task

from airflow_trtc._compat import has_state_store
from airflow_trtc.arguments import is_template, key_prefix, name_of, seconds
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.journal.store import JOURNAL
from airflow_trtc.operators import TrtcRemoveUsersOperator, TrtcTriggeringRecordingOperator
from airflow_trtc.sensors import (
    DEFERRAL_MARGIN_SECONDS,
    TrtcJobSensor,
    TrtcRecordingSensor,
    _deferral_timeout,
)

OPERATORS: list[tuple[type[BaseOperator], dict[str, Any], dict[str, Any]]] = [
    (TrtcRecordingSensor, {"recording_id": "r"}, {"recording_id": ["a", "b"]}),
    (TrtcJobSensor, {"kind": "recording", "job_id": "j"}, {"job_id": ["a", "b"]}),
    (TrtcTriggeringRecordingOperator, {}, {"file_name_prefix": ["a", "b"]}),
]
operators = pytest.mark.parametrize("operator, plain, mapped", OPERATORS)
JOURNAL_INLETS = [JOURNAL] if has_state_store() else []

WRONG: list[dict[str, Any]] = [
    {"grace_seconds": "soon"},
    {"settle_seconds": timedelta(seconds=-1)},
    {"settle_seconds": math.inf},
    {"settle_seconds": True},
    {"callback_timeout": 1e12},
    {"callback_timeout": [60]},
    {"deferrable": "False"},
    {"wait_for": "{{ params.wait_for }}"},
    {"if_never_seen": "ignore"},
    {"if_no_callback": None},
    {"fail_on": ["mp5"]},
    {"fail_on": ["{{ params.kind }}"]},
    {"absent_codes": "ResourceNotFound"},
    {"file_name_prefix": {"a": 1}},
    {"file_name_prefix": True},
    {"file_name_prefix": 3.1},
    {"file_name_prefix": "lessons/None"},
    {"file_name_prefix": ["lessons", None]},
    {"trtc_conn_id": ""},
    {"trtc_conn_id": None},
    {"region": ["ap-guangzhou"]},
    {"region": "None"},
    {"multiple_outputs": True},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_wrong_is_refused_when_the_dag_is_parsed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrtcRecordingSensor(task_id="t", recording_id="r", **wrong)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_and_so_it_is_when_the_sensor_is_mapped(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrtcRecordingSensor.partial(task_id="t", **wrong)


def test_an_operator_checks_as_the_sensor_does() -> None:
    for wrong in ({"file_name_prefix": 3.1}, {"fail_on": "mp4"}):
        (name,) = wrong
        with pytest.raises(ValueError, match=name):
            TrtcTriggeringRecordingOperator(task_id="t", **wrong)
        with pytest.raises(ValueError, match=name):
            TrtcTriggeringRecordingOperator.partial(task_id="t", **wrong)


def test_the_error_names_the_task_for_a_loop_may_make_many_alike() -> None:
    with DAG("lessons", schedule=None), TaskGroup("english"):
        with pytest.raises(ValueError, match=r"^Task english\.wait: grace_seconds must be .*-1"):
            TrtcRecordingSensor(task_id="wait", recording_id="r", grace_seconds=-1)
        with pytest.raises(ValueError, match=r"^Task each: grace_seconds must be .*-1"):
            TrtcRecordingSensor.partial(task_id="each", grace_seconds=-1)
    with pytest.raises(ValueError, match=r"^Task start: user_ids is empty$"):
        TrtcRemoveUsersOperator(task_id="start", room_id="lesson", user_ids=[])


def test_a_kind_may_be_anything_and_is_refused_by_name() -> None:
    for kind in (["recording"], None, "{{ params.kind }}"):
        given: Any = kind
        with pytest.raises(ValueError, match="kind must be one of recording"):
            TrtcJobSensor(task_id="t", kind=given, job_id="j")


def test_a_generator_keeps_what_it_yields() -> None:
    kinds = (kind for kind in ["start", "mp4"])
    assert TrtcRecordingSensor(task_id="t", recording_id="r", fail_on=kinds).fail_on == ("mp4", "start")  # type: ignore[arg-type]
    partial = TrtcRecordingSensor.partial(task_id="t", fail_on=(kind for kind in ["start", "mp4"]))
    mapped = partial.expand(recording_id=["a"])
    assert mapped.partial_kwargs["fail_on"] == ("mp4", "start")


@pytest.mark.parametrize(
    "value, expected",
    [(0, 0.0), (2.5, 2.5), ("30", 30.0), (" 1.5 ", 1.5), (timedelta(minutes=2), 120.0)],
)
def test_durations_are_seconds_or_timedeltas(value: Any, expected: float) -> None:
    assert seconds("grace_seconds", value) == expected
    for name in ("grace_seconds", "settle_seconds", "callback_timeout"):
        given: dict[str, Any] = {name: value}
        assert getattr(TrtcRecordingSensor(task_id="t", recording_id="r", **given), name) == expected


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        ("", None),
        ([], None),
        ("lessons", ("lessons",)),
        (" /lessons//spring/ ", ("lessons", "spring")),
        (20260101, ("20260101",)),
        (["lessons", 2026], ("lessons", "2026")),
        (("a/b", " c "), ("a", "b", "c")),
    ],
)
def test_a_prefix_is_text_with_slashes_or_a_list_and_whole_numbers_are_text(
    value: Any, expected: tuple[str, ...] | None
) -> None:
    assert key_prefix("file_name_prefix", value) == expected
    assert key_prefix("file_name_prefix", expected) == expected


@pytest.mark.parametrize("value", [3.1, [3.1], b"lessons", {"a"}, [["a"]], False])
def test_a_prefix_is_nothing_else(value: Any) -> None:
    with pytest.raises(ValueError, match="file_name_prefix"):
        key_prefix("file_name_prefix", value)


def test_names_lose_their_blanks() -> None:
    assert name_of("region", " ap-guangzhou\n") == "ap-guangzhou"
    assert name_of("region", "") is name_of("region", None) is None
    assert name_of("trtc_conn_id", 7) == "7"
    assert TrtcRecordingSensor(task_id="t", recording_id="r", region=" ap-x ").region == "ap-x"


def test_templates_are_left_for_later_and_refused_then() -> None:
    given: dict[str, Any] = {"grace_seconds": "{{ params.grace }}", "file_name_prefix": ["a", "{% if x %}"]}
    sensor: Any = TrtcRecordingSensor(task_id="t", recording_id="r", **given)
    assert {name: getattr(sensor, name) for name in given} == given
    sensor.grace_seconds, sensor.file_name_prefix = "12", ["a", 5]
    sensor.check_rendered()
    assert (sensor.grace_seconds, sensor.file_name_prefix) == (12.0, ("a", "5"))
    sensor.grace_seconds = "None"
    with pytest.raises(TrtcSetupError, match=r"grace_seconds must be a number of seconds.*'None'.*template"):
        sensor.check_rendered()


def test_what_another_task_returns_may_be_any_argument_that_is_a_template() -> None:
    with DAG("d", schedule=None):

        @task
        def given() -> int:
            """Return a number."""
            return 5

        value: Any = given()
        assert is_template(value)
        sensor = TrtcRecordingSensor(
            task_id="t",
            recording_id=value,
            grace_seconds=value,
            settle_seconds=value,
            callback_timeout=value,
            file_name_prefix=value,
        )
        mapped: Any = TrtcRecordingSensor.partial(task_id="m", grace_seconds=value).expand(recording_id=["a"])
        for name in ("wait_for", "fail_on", "absent_codes", "deferrable"):
            with pytest.raises(ValueError, match=name):
                TrtcRecordingSensor(task_id=f"never_{name}", recording_id="r", **{name: value})
    assert sensor.upstream_task_ids == mapped.upstream_task_ids == {"given"}


# -- inlets -------------------------------------------------------------------------------------------------


@operators
def test_the_journal_joins_the_inlets_of_dag_group_and_task_plain_and_mapped(
    operator: Any, plain: dict[str, Any], mapped: dict[str, Any]
) -> None:
    of_group: Any = {"inlets": ["group"]}
    for own, expected in (
        ({}, ["group"]),
        ({"inlets": ["own"]}, ["own"]),
        ({"inlets": []}, []),
        ({"inlets": [JOURNAL]}, []),
        ({"default_args": {"inlets": ["default"]}}, ["default"]),
    ):
        with (
            DAG("d", schedule=None, default_args={"inlets": ["dag"]}),
            TaskGroup("g", default_args=of_group),
        ):
            one = operator(task_id="plain", **plain, **own)
            many = operator.partial(task_id="mapped", **_same(plain, mapped), **own).expand(**mapped)
        assert one.inlets == many.inlets == [*expected, *JOURNAL_INLETS]
        assert many.unmap({name: values[0] for name, values in mapped.items()}).inlets == one.inlets


def _same(plain: dict[str, Any], mapped: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name not in mapped}


@operators
def test_the_inlets_of_the_dag_alone_stay_too(
    operator: Any, plain: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("d", schedule=None, default_args={"inlets": ["dag"]}):
        one = operator(task_id="plain", **plain)
        many = operator.partial(task_id="mapped", **_same(plain, mapped)).expand(**mapped)
        by_row = operator.partial(task_id="rows", **_same(plain, mapped)).expand_kwargs(
            [{name: values[0] for name, values in mapped.items()}]
        )
    assert one.inlets == many.inlets == by_row.inlets == ["dag", *JOURNAL_INLETS]


def test_a_subclass_with_defaults_and_mixins_of_its_own_keeps_the_journal() -> None:
    class Noted:
        note = "n"

    class Lesson(Noted, TrtcRecordingSensor):
        template_fields = (*TrtcRecordingSensor.template_fields, "lesson")

        def __init__(self, *, lesson: str, inlets: Any = None, **kwargs: Any) -> None:
            super().__init__(inlets=inlets, **kwargs)
            self.lesson = lesson

    with DAG("d", schedule=None, default_args={"lesson": "maths", "grace_seconds": timedelta(minutes=1)}):
        one = Lesson(task_id="one", recording_id="r")  # type: ignore[call-arg]
        many: Any = Lesson.partial(task_id="many").expand(recording_id=["a"])
    assert one.inlets == many.inlets == JOURNAL_INLETS
    assert (one.lesson, one.grace_seconds) == ("maths", 60.0)
    assert many.unmap({"recording_id": "a"}).grace_seconds == 60.0


def test_an_airflow_without_state_stores_gets_no_journal_as_inlet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Early 3.1 fails tasks with an inlet that no DAG is scheduled on and no task has as outlet."""
    monkeypatch.setattr("airflow_trtc.journal.store.has_state_store", lambda: False)
    for operator, plain, mapped in OPERATORS:
        assert operator(task_id="plain", inlets=["own"], **plain).inlets == ["own"]
        many = operator.partial(task_id="mapped", **_same(plain, mapped)).expand(**mapped)
        assert many.inlets == []


def test_a_timeout_beyond_every_calendar_can_be_deferred() -> None:
    sensor = TrtcRecordingSensor(task_id="t", recording_id="r", timeout=timedelta.max)
    assert datetime.now(timezone.utc) + _deferral_timeout(sensor.timeout) > datetime(
        2100, 1, 1, tzinfo=timezone.utc
    )
    assert _deferral_timeout(-5.0) == timedelta(seconds=DEFERRAL_MARGIN_SECONDS)
    assert _deferral_timeout(60.0) == timedelta(seconds=60 + DEFERRAL_MARGIN_SECONDS)
