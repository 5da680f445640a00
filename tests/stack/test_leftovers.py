from pathlib import Path

import pytest

from tests.stack.leftovers import keep_logs

TEST = "tests/e2e/test_waits.py::test_a_wrong_id[poke/é]"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "airflow-home"
    for path in ("components/scheduler.log", "logs/dag_id=a/run_id=b/attempt=1.log", "airflow.db"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(f"the text of {path}")
    return home


def test_the_logs_of_components_and_tasks_are_kept(tmp_path: Path, home: Path) -> None:
    (kept,) = keep_logs(TEST, [home], tmp_path / "kept")
    assert kept == tmp_path / "kept" / "e2e_test_waits.py_test_a_wrong_id[poke_é]" / "airflow-home"
    files = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    assert files == {"components/scheduler.log", "logs/dag_id=a/run_id=b/attempt=1.log"}
    assert (kept / "components/scheduler.log").read_text() == "the text of components/scheduler.log"


def test_what_an_earlier_failure_of_the_test_left_goes_away(tmp_path: Path, home: Path) -> None:
    (kept,) = keep_logs(TEST, [home], tmp_path / "kept")
    (home / "components" / "scheduler.log").unlink()
    assert keep_logs(TEST, [home], tmp_path / "kept") == [kept]
    assert [path.name for path in kept.rglob("*.log")] == ["attempt=1.log"]


def test_a_home_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    assert keep_logs(TEST, [tmp_path / "gone"], tmp_path / "kept") == []
