"""What importing this package costs whoever parses a DAG.

    python -m tests.benchmarks.parse_cost --output build/benchmark

New interpreters, taking turns: `airflow.sdk` alone; and what a sensor of Airflow's standard provider, or our
sensors and operators, cost after it. Airflow's DAG processor imports much of the first beforehand.
Compiled files exist: each kind is imported once before anything is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict

from tests.benchmarks.driving import ROOT
from tests.benchmarks.plot import Row, plot
from tests.benchmarks.report import arguments, machine, spread, table, tell, write
from tests.stack.local_airflow import inherited

SDK = "from airflow.sdk import DAG, task"
KINDS = {
    "airflow.sdk": SDK,
    "then FileSensor": "from airflow.providers.standard.sensors.filesystem import FileSensor",
    "then airflow_trtc": "import airflow_trtc.operators, airflow_trtc.sensors",
}
DIGITS = {"seconds": 3, "modules": 0, "mebibytes": 1}
MEASURE = """
import json, sys, time
import psutil
{before}
modules, memory, at = len(sys.modules), psutil.Process().memory_full_info().uss, time.perf_counter()
{imports}
print(json.dumps({{
    "seconds": time.perf_counter() - at,
    "modules": len(sys.modules) - modules,
    "mebibytes": (psutil.Process().memory_full_info().uss - memory) / 2**20,
}}))
"""


def measure(imports: str) -> dict[str, float]:
    """Import in a new interpreter, what comes after the SDK when that is there already."""
    before = "" if imports == SDK else SDK
    command = [sys.executable, "-c", MEASURE.format(before=before, imports=imports)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=inherited(os.environ) | {"AIRFLOW_HOME": os.environ["AIRFLOW_HOME"]},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(taken: dict[str, list[dict[str, float]]]) -> str:
    """Medians, and how far they vary."""
    head = ["Import", "Seconds", "Modules", "Memory, MiB"]
    rows = [
        [kind, *(spread([one[name] for one in each], digits) for name, digits in DIGITS.items())]
        for kind, each in taken.items()
    ]
    count = len(next(iter(taken.values())))
    note = f"Medians of {count} new interpreters of each kind, taking turns; from the least to the most."
    return "\n".join([table(head, rows), "", note, machine()])


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="interpreters of each kind")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    taken: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(rounds + 1):
        tell(f"round {number} of {rounds}")
        for kind, imports in KINDS.items():
            found = measure(imports)
            if number:  # in the first round files may be compiled, and read from the disk
                taken[kind].append(found)
    rows = [Row(kind, [one["seconds"] for one in each]) for kind, each in taken.items()]
    picture = plot("Importing in a new interpreter", rows, dot="a dot is an interpreter")
    write(options.output, "parse_cost", report(taken), plot=picture)


if __name__ == "__main__":
    main()
