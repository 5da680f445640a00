"""The files to copy, run as a newcomer runs them: in an empty folder, with nothing set up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.versions import HAS_STATE_STORE

pytestmark = pytest.mark.dags

HERE = Path(__file__).parent / "newcomer"
ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In an environment without any Airflow of its own; what Airflow writes goes to a home in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def test_the_files_to_copy_run_as_they_stand(tmp_path: Path) -> None:
    names = ["lessons", "callbacks"] if HAS_STATE_STORE else ["lessons"]
    for name in names:
        shutil.copy(HERE / f"{name}.py", tmp_path / f"test_{name}.py")
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{5 if HAS_STATE_STORE else 3} passed" in done.stdout
    # Importing Airflow writes its configuration; the database of a home that is there is not touched.
    assert not (tmp_path / "home" / "airflow" / "airflow.db").exists()


OWN_CONFTEST = """
import os, tempfile
os.environ["AIRFLOW_HOME"] = {home!r}
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
"""

OWN_TESTS = '''
import os
from pathlib import Path

import pytest

from tests.versions import HAS_STATE_STORE
from tests.versions import HAS_STATE_STORE

DAG_FILE = """
from airflow.sdk import DAG, task
import helper

for name in ("one", "two"):
    with DAG(name, schedule=None) as dag:
        @task(retries=1)
        def say(params=None, dag_run=None):
            print(helper.WORD, dag_run.conf)
            raise RuntimeError("no good")
        say()
    globals()[name] = dag
"""


def test_files(trtc_airflow, trtc_airflow_home, tmp_path):
    assert str(trtc_airflow_home) == os.environ["AIRFLOW_HOME"] == {home!r}
    assert (Path({home!r}) / "airflow.db").exists()
    (tmp_path / "helper.py").write_text("WORD = 'helped'")
    file = tmp_path / "dags.py"
    file.write_text(DAG_FILE)
    run = trtc_airflow.run(file, {{"a": 1}}, dag_id="two")
    assert (run.dag_id, run.state, run["say"].state) == ("two", "failed", "failed")
    assert run["say"].log.count("helped") == 2, "a retry follows at once"
    assert "no good" in run["say"].log
    assert "no good" in str(run)
    with pytest.raises(ValueError, match="holds one, two; dag_id must name one"):
        trtc_airflow.run(file)
    with pytest.raises(ValueError, match="There is no DAG file"):
        trtc_airflow.run(tmp_path / "nowhere.py")
    file.write_text("import nothing_of_that_name")
    with pytest.raises(ValueError, match="(?s)cannot import .*nothing_of_that_name"):
        trtc_airflow.run(file)


def test_events_that_do_not_come(trtc_airflow, tmp_path):
    file = tmp_path / "dags.py"
    file.write_text("from airflow.sdk import DAG, Asset; dag = DAG('d', schedule=[Asset('a')])")
    with pytest.raises(TimeoutError, match="trtc_callbacks"):
        trtc_airflow.run_for_event(file, timeout_seconds=0.3)
'''


def test_a_home_that_a_conftest_sets_up_is_used(tmp_path: Path) -> None:
    home = str(tmp_path / "own")
    (tmp_path / "conftest.py").write_text(OWN_CONFTEST.format(home=home))
    (tmp_path / "test_own.py").write_text(OWN_TESTS.format(home=home))
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_plugin_changes_nothing_until_a_fixture_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import os, sys\n"
        "def test_other():\n"
        "    assert 'airflow_trtc.testing.plugin' in sys.modules\n"
        "    heavy = {'airflow', 'tencentcloud', 'uvicorn', 'sqlalchemy'}\n"
        "    assert not heavy & set(sys.modules)\n"
        "    assert not [name for name in os.environ if name.startswith('AIRFLOW')]\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert list((tmp_path / "home").glob("*")) == []
