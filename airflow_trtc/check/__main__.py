"""``python -m airflow_trtc.check``: one line for each thing that has to be right on this machine.

Run it in each environment that has a component of Airflow: what one process sees, another may not. It reads,
asks the service for a recording that cannot exist, and sends the receiver of callbacks something that is no
callback; it changes nothing. Exit code 1 when there is a problem.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from airflow_trtc import account, findings
from airflow_trtc.check import probes
from airflow_trtc.findings import Finding


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run(_parser().parse_args(arguments), sys.stdout)


def run(options: argparse.Namespace, report: TextIO) -> int:
    """Look at everything and write the report; return the command's exit code."""
    found = list(collect(options.conn_id, options.airflow_url))
    code = findings.exit_code(found)
    if options.json:
        told = {"ok": code == 0, "host": socket.gethostname(), "findings": [one.as_dict() for one in found]}
        print(json.dumps(told, indent=2), file=report, flush=True)
    else:
        print("\n".join(one.line() for one in found), file=report, flush=True)
    return code


def collect(conn_id: str, airflow_url: str | None = None) -> Iterator[Finding]:
    """Look at everything, one after the other; whatever fails is a finding itself."""
    yield from _safely("versions", probes.installation)
    try:
        import airflow  # noqa: F401 - whether it can be
    except Exception as error:
        yield findings.broken("airflow", error)
        return
    yield from _safely("provider", probes.registration)
    yield from _safely("connection", lambda: _account(conn_id))
    yield from _safely("journal", probes.journal)
    url = probes.base_url(airflow_url)
    yield from _safely("triggerer", lambda: probes.triggerers(url))
    yield from _safely("callbacks", lambda: probes.callbacks(conn_id, url))


def _account(conn_id: str) -> list[Finding]:
    from airflow_trtc.hooks import TrtcHook

    return account.check(conn_id, lambda: TrtcHook(conn_id).settings)


def _safely(subject: str, probe: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return probe()
    except Exception as error:
        return [findings.broken(subject, error)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_trtc.check", description=(__doc__ or "").partition("\n\n")[2]
    )
    parser.add_argument("--conn-id", default="trtc_default", help="the connection (default: %(default)s)")
    parser.add_argument(
        "--airflow-url",
        help="address of Airflow's API server (default: [api] base_url, else that of [core]"
        " execution_api_server_url, else http://localhost:8080)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: ok, host and findings")
    return parser


if __name__ == "__main__":
    # As the commands of Airflow itself: otherwise connections in Airflow's database are not looked at.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    # What Airflow logs would be told twice. It logs to standard output, which is for the report.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "CRITICAL"
    parsed = _parser().parse_args()
    with os.fdopen(os.dup(1), "w") as standard_output:
        os.dup2(2, 1)
        sys.exit(run(parsed, standard_output))
