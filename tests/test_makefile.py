import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_help_names_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = " ".join(phony).split()
    assert targets
    assert set(re.findall(r"^  ([a-z0-9-]+)", listed, re.MULTILINE)) == set(targets)


def test_locks_hold_names_and_versions_only() -> None:
    line = re.compile(r"[a-z0-9-]+==[0-9A-Za-z.+]+( ; [a-zA-Z0-9_.<>=!*()' -]+)?")
    locks = list((ROOT / ".ci").glob("airflow-*.txt"))
    assert len(locks) == 3
    for lock in locks:
        assert [text for text in lock.read_text().splitlines() if not line.fullmatch(text)] == []


def test_the_workflow_runs_what_there_is() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    jobs = workflow["jobs"]
    assert workflow["permissions"] == {"contents": "read"}
    locks = {path.stem.removeprefix("airflow-") for path in (ROOT / ".ci").glob("airflow-*.txt")}
    assert set(jobs["matrix"]["strategy"]["matrix"]["airflow"]) == locks
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands == [".ci/run", "make test-matrix MATRIX=${{ matrix.airflow }}"]
    makefile = (ROOT / "Makefile").read_text()
    (steps,) = re.findall(r"^steps=\((.*)\)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert set(steps.split()) <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


def test_the_checks_say_which_step_failed(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text("%:\n\t@echo making $@; test $@ != types\n")
    ran = subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "== passed: make lint" in ran.stdout
    assert "== FAILED: make types" in ran.stderr
    assert "making wheel" not in ran.stdout
