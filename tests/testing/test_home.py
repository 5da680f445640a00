"""Which Airflow the tests get."""

from __future__ import annotations

from pathlib import Path

from airflow_trtc.testing.home import places, variables


def test_what_a_conftest_sets_is_told_from_what_the_shell_set() -> None:
    shell = {"AIRFLOW_HOME": "/home/me/airflow", "PATH": "/bin"}
    assert places({**shell, "LATER": "1"}) == places(shell)
    assert places({**shell, "AIRFLOW_HOME": "/tmp/tests"}) != places(shell)
    assert places({**shell, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////tmp/x"}) != places(shell)


def test_nothing_of_another_airflow_is_reached(tmp_path: Path) -> None:
    places_in_home = [name for name, value in variables(tmp_path).items() if str(tmp_path) in value]
    assert {
        "AIRFLOW_HOME",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    } == set(places_in_home)
