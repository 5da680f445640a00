"""Every fenced block of README and pages is executed or checked. A block that nothing checks fails."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.docs import shell
from tests.docs.pages import BLOCKS, README, ROOT, Block
from tests.versions import HAS_STATE_STORE

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import TrtcAirflow


def is_test_file(block: Block) -> bool:
    return block.language == "python" and "\ndef test_" in block.text


def is_newcomers(block: Block) -> bool:
    return is_test_file(block) and "save it as" in block.text


TEST_FILES = [block for block in BLOCKS if is_test_file(block) and not is_newcomers(block)]


def check_python(block: Block) -> None:
    """It runs; a DAG in it has tasks."""
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    if "PartitionedAssetTimetable" in block.text and not HAS_STATE_STORE:
        pytest.skip("event-driven DAGs need Airflow 3.3")
    module = ModuleType("page")
    sys.modules["page"] = module
    DagContext.autoregistered_dags.clear()
    DagContext.current_autoregister_module_name = "page"
    try:
        exec(compile(block.text, block.where, "exec"), module.__dict__)
        dags = [dag for dag, _ in DagContext.autoregistered_dags]
    finally:
        DagContext.current_autoregister_module_name = None
        DagContext.autoregistered_dags.clear()
        del sys.modules["page"]
    assert bool(dags) == ("with DAG(" in block.text)
    assert all(dag.task_dict for dag in dags)


def check_ini(block: Block) -> None:
    """Options that Airflow or the package has."""
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    for section in parser.sections():
        for option in parser[section]:
            assert has_option(section, option), (section, option)


def has_option(section: str, option: str) -> bool:
    """Whether Airflow's configuration, or the package's part of it, has an option."""
    from airflow.configuration import conf

    from airflow_trtc.provider import CONFIG

    ours = CONFIG.get(section, {}).get("options", {})
    theirs = conf.configuration_description.get(section, {}).get("options", {})
    return option in ours or option in theirs


def check_toml(block: Block) -> None:
    """It can be read."""
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    tomllib.loads(block.text)


def check_text(block: Block) -> None:
    """A connection as URI, or a tree of files of which each exists; nothing else is plain text."""
    if block.text.startswith("trtc://"):
        return  # tests/docs/test_facts.py compares it with the one in JSON
    top = ROOT
    for line in block.text.splitlines():
        names = re.match(r"( *)((?:[\w.]+(?:\.\w+|/)(?: +|$))+)", line)
        assert names, line
        folder = top if names[1] else ROOT
        for name in names[2].split():
            assert (folder / name).exists(), name
            top = folder if names[1] else ROOT / name


def check_yaml(block: Block) -> None:
    """Rules of Prometheus, or of its exporter for statsd; tests/docs/test_metrics_page.py compares them."""
    (top,) = yaml.safe_load(block.text)
    assert top in ("groups", "mappings")


def check_dockerfile(block: Block) -> None:
    """Instructions that there are, of an image of an Airflow that is supported."""
    lines = block.text.splitlines()
    assert re.fullmatch(r"FROM apache/airflow:3\.[1-9][0-9.]*", lines[0])
    assert {line.split()[0] for line in lines} <= {"FROM", "COPY", "RUN", "USER", "ENV"}


def check_sh(block: Block, emulator: Emulator) -> None:
    """It is shell, and each command exists."""
    subprocess.run(["bash", "-n", "-c", block.text], check=True)
    found = shell.commands(block.text)
    assert found
    for words in found:
        shell.check(words, emulator.url)


CHECKS: dict[str, Callable[[Block], None]] = {
    "dockerfile": check_dockerfile,
    "ini": check_ini,
    "json": lambda block: json.loads(block.text),
    "python": check_python,
    "text": check_text,
    "toml": check_toml,
    "yaml": check_yaml,
}


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language != "sh"], ids=lambda one: one.where)
def test_block_is_right(block: Block) -> None:
    assert block.language in CHECKS, "nothing checks blocks of this language"
    CHECKS[block.language](block)


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "sh"], ids=lambda one: one.where)
def test_commands_exist(block: Block, trtc_emulator: Emulator) -> None:
    check_sh(block, trtc_emulator)


def test_the_files_to_copy_are_those_that_are_run() -> None:
    """``tests/testing/test_newcomer.py`` runs them in an empty folder."""
    files = sorted(path.read_text() for path in (ROOT / "tests" / "testing" / "newcomer").glob("*.py"))
    assert sorted(block.text for block in BLOCKS if is_newcomers(block)) == files


@pytest.mark.parametrize("block", TEST_FILES, ids=lambda one: one.where)
def test_a_test_file_passes_as_it_stands(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(block.text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "test_page.py"]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "skipped" not in run.stdout


@pytest.mark.dags
def test_the_dag_of_the_readme_runs(
    trtc_airflow: TrtcAirflow, trtc_emulator: Emulator, tmp_path: Path
) -> None:
    (source,) = (text for text in README.of("python") if "TrtcRecordingSensor" in text)
    assert len(source.splitlines()) <= 15
    (tmp_path / "lessons.py").write_text(source)
    recording_id = trtc_emulator.add_recording(files=2, file_every_reads=1, ends_after_reads=3)
    run = trtc_airflow.run(tmp_path / "lessons.py", {"recording_id": recording_id})
    assert run.state == "success", run
    assert [one.state for one in run["process"].mapped] == ["success", "success"]


@pytest.mark.parametrize(
    "language, text",
    [
        ("yaml", "a: 1"),
        ("", "anything"),
        ("json", "{"),
        ("python", "import airflow_trtc.nothing"),
        ("python", "from airflow.sdk import DAG\nwith DAG('empty', schedule=None):\n    pass"),
        ("ini", "[triggerer]\ncapacitee = 1"),
        ("text", "airflow_trtc/\n  nothing.py"),
        ("text", "some output"),
        ("dockerfile", "FROM elsewhere"),
    ],
)
def test_a_wrong_block_fails(language: str, text: str) -> None:
    with pytest.raises((AssertionError, ImportError, ValueError)):
        test_block_is_right(Block("page.md:1", language, text))


@pytest.mark.parametrize(
    "text",
    [
        "make nothing",
        "make demo NOTHING=1",
        "make bench/nothing",
        "python -m airflow_trtc.nothing",
        "python -m airflow_trtc.emulator --nothing",
        "pip uninstall airflow",
        "rm -rf build",
        "export NOTHING=1",
        'airflow dags trigger lessons --conf "$(rm -rf build)"',
        "curl http://127.0.0.1:8765/_control/nothing",
        """airflow connections add x --conn-json '{"conn_type": "trtc", "login": "a", "token": "b"}'""",
    ],
)
def test_a_wrong_command_fails(text: str, trtc_emulator: Emulator) -> None:
    with pytest.raises((AssertionError, OSError, TypeError)):
        check_sh(Block("page.md:1", "sh", text), trtc_emulator)


def test_what_airflow_does_not_know_fails(
    trtc_emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        check_sh(Block("page.md:1", "sh", "airflow dags nothing"), trtc_emulator)
