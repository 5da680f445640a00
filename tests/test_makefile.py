import re
import shutil
import subprocess
from pathlib import Path

import pytest

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
