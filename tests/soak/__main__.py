"""``python -m tests.soak --minutes 60 --seed 7 --recordings 300``: a cluster under fire, and a ledger of it.

A whole Airflow on this machine waits for recordings of the emulator, some of which it starts itself, while
its processes are killed and the service misbehaves. The modules beside this one say what is done (``plan``),
who lives (``lives``) and what must hold: ``ledger`` for files and waits, ``ownership`` for recordings that
Airflow started. The output folder gets ``report.md``, ``report.json``, every deed as it happens
(``deeds.jsonl``), the evidence (``cases.json``, ``rooms.json``), logs of what went wrong, and Airflow's home.
Exit code 0: nothing was lost, invented, early or wrongly failed. 1: something was. 2: it could not be run.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.soak import evidence, ledger, lives, logs, ownership, plan, report
from tests.soak.ledger import Finding
from tests.soak.soak import Soak, stage


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; see the module for the exit codes."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    for name in ("httpx", "airflow_trtc.emulator", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)
    seconds = options.minutes * 60
    all_lives = lives.lives(options.seed, seconds, options.recordings)
    deeds = [] if options.calm else plan.deeds(options.seed, seconds)
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    _write(
        options.output / "plan.json",
        {"deeds": [each.describe() for each in deeds], "lives": [each.describe() for each in all_lives]},
    )
    logging.info("The cluster starts; %d recordings and %d deeds are planned", len(all_lives), len(deeds))
    with stage(options.output, options.seed, is_small=options.small) as soak:
        logging.info("Ready at %s; everything is written to %s", soak.airflow.url, options.output)
        soak.run(all_lives, deeds, seconds)
        logging.info("All has ended, or had its time; the ledger is drawn up")
        figures = _account(soak, options)
    print(report.markdown(figures))
    return 0 if figures["is_right"] else 1


def _account(soak: Soak, options: argparse.Namespace) -> dict[str, Any]:
    found, deeds = soak.evidence(), soak.diary.entries
    risks = evidence.risks(deeds, soak.airflow.components)
    state = soak.emulator.state()
    cases = [*found.cases, *found.recorded]
    _write(options.output / "cases.json", [asdict(case) for case in cases])
    _write(options.output / "rooms.json", [asdict(room) for room in found.rooms])
    _write(options.output / "leftovers.json", asdict(found.leftovers))
    findings = [
        *ledger.check(cases, risks, found.leftovers),
        *ownership.check(found.rooms, found.cases, found.bill, evidence.troubles(deeds)),
    ]
    told = {"minutes": options.minutes, "seed": options.seed, "recordings": options.recordings}
    errors = logs.errors(soak.airflow.home)
    figures = report.summary(told, cases, findings, deeds, state, errors, found.bill)
    _write(options.output / "report.json", figures)
    (options.output / "report.md").write_text(report.markdown(figures))
    _keep_logs(soak, findings, options.output / "logs")
    return figures


def _keep_logs(soak: Soak, findings: Sequence[Finding], folder: Path) -> None:
    """The logs of every run that something is wrong with."""
    folder.mkdir()
    for finding in findings:
        path = folder / f"{finding.run_id.replace('/', '_')}.log"
        if finding.run_id and not path.exists():
            path.write_text(soak.logs_of(finding.run_id))


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, default=str))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--minutes", type=float, default=60, help="how long, without start and end")
    add("--seed", type=int, default=7, help="the same seed gives the same plan")
    add("--recordings", type=int, default=300, help="how many")
    add("--output", type=Path, default=Path("build/soak"), help="folder to write to; what is in it goes")
    add("--small", action="store_true", help="an Airflow with LocalExecutor, one process of each kind")
    add("--calm", action="store_true", help="no deeds, to see that all is well without them")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        logging.exception("The run broke off")
        sys.exit(2)
