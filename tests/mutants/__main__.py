"""What the tests of deciding code see: ``python -m tests.mutants [--sample N] [MODULE...]``.

Every mutant is the package with one decision changed; a good test suite fails for it. Those that no test sees
are listed, unless ``survivors.txt`` has a reason why they may live. Exit code 0 means that at least nine in
ten of the others were killed, and that every entry of that file is still needed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import running
from tests.mutants.mutation import Mutant, mutants

REASONS = Path(__file__).with_name("survivors.txt")
MIN_KILLED = 0.9


@dataclass(frozen=True)
class Group:
    """Modules that the same tests look at."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    preload: tuple[str, ...] = ("hypothesis",)


# Modules that decide; a folder stands for all in it that no group names.
GROUPS = (
    Group(
        ("airflow_trtc/jobs", "airflow_trtc/recording", "airflow_trtc/kinds.py"),
        ("tests/jobs", "tests/recording"),
    ),
    Group(
        ("airflow_trtc/jobs/answers.py",),
        ("tests/cloud/test_calls.py",),
        ("hypothesis", "httpx", "requests", "tenacity"),
    ),
    Group(
        tuple(
            f"airflow_trtc/cloud/{name}.py"
            for name in ("budget", "codes", "failures", "health", "line", "pace", "retries")
        ),
        tuple(
            f"tests/cloud/test_{name}.py"
            for name in ("budget", "failures", "health", "line", "pace", "retries")
        ),
        ("hypothesis", "httpx", "requests", "tenacity"),
    ),
    Group(
        ("airflow_trtc/waiting/engine.py", "airflow_trtc/waiting/pacing.py"),
        ("tests/waiting/test_engine.py", "tests/waiting/test_pacing.py"),
    ),
    Group(
        tuple(f"airflow_trtc/journal/{name}.py" for name in ("index", "keys", "plans")),
        tuple(f"tests/journal/test_{name}.py" for name in ("index", "keys", "plans")),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of the mutants that were tried."""

    killed: dict[Mutant, bool]
    reasons: dict[str, str]

    @property
    def excused(self) -> set[str]:
        """The survivors with a reason."""
        return {mutant.key for mutant, killed in self.killed.items() if not killed} & self.reasons.keys()

    @property
    def survivors(self) -> list[Mutant]:
        """Those without one."""
        return [
            mutant for mutant, killed in self.killed.items() if not killed and mutant.key not in self.reasons
        ]

    def stale(self, *, is_whole: bool) -> list[str]:
        """Entries of the file of which no survivor is known; in a sample, only those that were killed."""
        tried = {mutant.key for mutant in self.killed}
        return sorted(key for key in self.reasons if key not in self.excused and (is_whole or key in tried))

    def share(self, path: str | None = None) -> float:
        """The part that was killed of those that may not live."""
        counted = [
            killed
            for mutant, killed in self.killed.items()
            if path in (None, mutant.path) and mutant.key not in self.excused
        ]
        return sum(counted) / len(counted) if counted else 1.0

    def table(self) -> list[str]:
        """A line for each module, and one for all."""
        lines = [f"{'Module':<40} {'Mutants':>8} {'Killed':>7} {'Survived':>9} {'With reason':>12} {'':>7}"]
        for path in [*sorted({mutant.path for mutant in self.killed}), None]:
            of_path = {
                mutant: killed for mutant, killed in self.killed.items() if path in (None, mutant.path)
            }
            excused = sum(mutant.key in self.excused for mutant in of_path)
            killed = sum(of_path.values())
            lines.append(
                f"{path or 'all':<40} {len(of_path):>8} {killed:>7} {len(of_path) - killed - excused:>9} "
                f"{excused:>12} {self.share(path):>7.1%}"
            )
        return lines


def read_reasons(text: str) -> dict[str, str]:
    """Mutants that may live, and why: a line that names one, and below it, indented, the reason."""
    reasons: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            reasons[key] = f"{reasons[key]} {line.strip()}".strip()
        else:
            key = line.strip()
            reasons[key] = ""
    if missing := [key for key, reason in reasons.items() if not reason]:
        raise ValueError(f"no reason is given for: {missing[0]}")
    return reasons


def files(group: Group, wanted: Sequence[str]) -> list[str]:
    """The modules of a group that there are, or those of them that are asked for."""
    named = {module for each in GROUPS for module in each.modules}
    found: list[str] = []
    for module in map(Path, group.modules):
        if module.is_dir():
            found += sorted({str(path) for path in module.glob("*.py")} - named)
        elif module.exists():
            found.append(str(module))
    return [path for path in found if not wanted or any(path.startswith(one) for one in wanted)]


def try_all(wanted: Sequence[str], sample: int | None, seed: int, jobs: int) -> dict[Mutant, bool]:
    """Run the tests of each group against its mutants, or against a sample of all."""
    of_group = {
        group: [mutant for path in files(group, wanted) for mutant in mutants(path, Path(path).read_text())]
        for group in GROUPS
    }
    everything = [mutant for some in of_group.values() for mutant in some]
    chosen = set(
        everything if sample is None else random.Random(seed).sample(everything, min(sample, len(everything)))
    )
    killed: dict[Mutant, bool] = {}
    with tempfile.TemporaryDirectory(prefix="airflow-trtc-mutants-") as folder:
        for group, some in of_group.items():
            tests = [test for test in group.tests if Path(test).exists()]
            if tried := [mutant for mutant in some if mutant in chosen]:
                began_at, spent_before = time.monotonic(), _processor_seconds()
                print(f"{len(tried)} mutants against {', '.join(tests)} ...", flush=True)
                killed |= running.run(tried, tests, group.preload, jobs, Path(folder))
                took, spent = time.monotonic() - began_at, _processor_seconds() - spent_before
                print(f"  took {took:.0f} s, {spent:.0f} s of a processor", flush=True)
    return killed


def _processor_seconds() -> float:
    """What all processes that have ended needed: it depends less on what else runs."""
    times = os.times()
    return times.children_user + times.children_system


def main() -> int:
    """Try mutants and judge the tests."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="files or folders; without any, all that decides")
    parser.add_argument("--sample", type=int, help="try only so many, chosen by --seed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    reasons = read_reasons(REASONS.read_text())
    killed = try_all(options.modules, options.sample, options.seed, options.jobs)
    outcome = Outcome(killed, reasons)
    stale = outcome.stale(is_whole=not options.modules and options.sample is None)
    for mutant in outcome.survivors:
        print(f"{mutant.key}\n    survived, line {mutant.lines[0]}")
    for key in stale:
        print(f"{key}\n    is listed in {REASONS.name}, but was killed or is no more")
    print(*outcome.table(), sep="\n")
    is_good = outcome.share() >= MIN_KILLED and not stale
    print("OK" if is_good else f"FAILED: less than {MIN_KILLED:.0%} were killed, or entries are stale")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
