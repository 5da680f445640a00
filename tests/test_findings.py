"""What facts mean for a user who sets this up."""

from __future__ import annotations

import pytest

from airflow_trtc import findings
from airflow_trtc.findings import Finding

GOOD = {
    "Python": "3.12.1",
    "airflow-trtc": "0.1.0",
    "apache-airflow": "3.3.2",
    "tencentcloud-sdk-python": "3.1.15",
}


def levels(found: list[Finding]) -> list[str]:
    return [one.level for one in found]


def test_only_problems_make_the_command_fail() -> None:
    assert findings.exit_code([Finding("a", "ok", ""), Finding("b", "warning", "")]) == 0
    assert findings.exit_code([Finding("a", "ok", ""), Finding("b", "problem", "")]) == 1


@pytest.mark.parametrize(
    "changes, problems",
    [
        ({}, []),
        ({"apache-airflow": "3.1.0"}, []),
        ({"apache-airflow": "4.0.0"}, []),
        ({"apache-airflow": "3.0.6"}, ["apache-airflow is older than 3.1"]),
        ({"tencentcloud-sdk-python": "3.0.1440"}, ["tencentcloud-sdk-python is older than 3.1"]),
        ({"tencentcloud-sdk-python": None}, ["tencentcloud-sdk-python is not installed"]),
    ],
)
def test_versions_that_are_too_old_are_named_with_the_command_to_run(
    changes: dict[str, str | None], problems: list[str]
) -> None:
    found = findings.versions({**GOOD, **changes})
    assert [one.text for one in found if one.level == "problem"] == problems
    assert all(one.todo.startswith("pip install") for one in found if one.level == "problem")
    assert found[0].text.startswith("Python 3.12.1, airflow-trtc 0.1.0")


@pytest.mark.parametrize(
    "version, level",
    [("3.3.0", "ok"), ("3.10.1", "ok"), ("4.0", "ok"), ("3.2.9", "warning"), (None, "warning")],
)
def test_callbacks_begin_with_airflow_3_3(version: str | None, level: str) -> None:
    assert findings.abilities(version).level == level


@pytest.mark.parametrize(
    "ahead, level",
    [
        (0.4, "ok"),
        (-59, "ok"),
        (60, "warning"),
        (-269, "warning"),
        (270, "problem"),
        (-3600, "problem"),
        (None, "warning"),
    ],
)
def test_a_clock_is_a_problem_before_the_service_refuses_it(ahead: float | None, level: str) -> None:
    assert findings.clock(ahead).level == level


def test_the_direction_of_a_wrong_clock_is_told() -> None:
    assert "100 s ahead of" in findings.clock(100).text
    assert "100 s behind" in findings.clock(-100).text


def test_only_a_triggerer_that_is_known_to_be_missing_is_a_problem() -> None:
    assert findings.triggerer({"triggerer": {"status": "healthy"}}, "u").level == "ok"
    assert findings.triggerer({"triggerer": {"status": None}}, "u").level == "problem"
    assert findings.triggerer({"triggerer": {"status": "unhealthy"}}, "u").level == "problem"
    assert findings.triggerer({}, "u").level == "problem"
    assert findings.triggerer(None, "u").level == "warning"
    assert findings.triggerer(["not Airflow"], "u").level == "warning"


@pytest.mark.parametrize(
    "status, is_wanted, level",
    [
        (405, True, "ok"),
        (404, True, "problem"),
        (404, False, "warning"),
        (200, True, "problem"),
        (None, True, "problem"),
        (None, False, "warning"),
    ],
)
def test_a_receiver_has_to_be_there_where_callbacks_are_wanted(
    status: int | None, is_wanted: bool, level: str
) -> None:
    assert findings.receiver(status, "http://a/trtc/callbacks/c", is_wanted=is_wanted).level == level


@pytest.mark.parametrize("status, level", [(400, "ok"), (401, "problem"), (503, "problem"), (500, "warning")])
def test_the_answer_to_a_signed_trial_tells_whether_the_keys_agree(status: int, level: str) -> None:
    found = findings.signed(status)
    assert found is not None
    assert found.level == level


def test_no_answer_to_a_signed_trial_tells_nothing() -> None:
    assert findings.signed(None) is None


def test_a_journal_is_missing_in_several_ways() -> None:
    assert findings.journal(None, True).level == "ok"
    assert "no DAG" in findings.journal(None, False).text
    assert "OperationalError" in findings.journal(None, None, "OperationalError").text
    assert "older" in findings.journal("this Airflow is older", None).text


def test_callbacks_need_a_key() -> None:
    assert findings.callback_key("", "", is_unsigned=False).level == "ok"
    assert "callback_secret" in findings.callback_key("its field is empty", "", is_unsigned=False).todo
    assert findings.callback_key("", "", is_unsigned=True).level == "warning"
    assert findings.callback_key("", "its key is short", is_unsigned=False).level == "warning"


def test_a_line_says_what_to_do_next() -> None:
    assert Finding("clock", "ok", "agrees").line() == "ok       clock       agrees"
    assert Finding("clock", "problem", "late", "set it").line().splitlines()[1].strip() == "-> set it"


def test_a_permission_that_was_not_checked_is_no_ok() -> None:
    told = {"endpoint": "https://e", "region": "r"}
    assert levels(findings.service(None, "", sdk_app_id=1, **told)) == ["ok"] * 3
    assert levels(findings.service(None, "", sdk_app_id=None, **told)) == ["ok", "ok", "warning"]
    assert findings.service("keys", "wrong", sdk_app_id=1, **told) == [Finding("keys", "problem", "wrong")]


def test_what_broke_is_named_without_its_message() -> None:
    assert "s3cret" not in findings.broken("x", ValueError("s3cret")).line()
