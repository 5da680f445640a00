from __future__ import annotations

import json
from typing import Any

from tests.soak import report
from tests.soak.ledger import Case, Finding, Run, Task

STATE = {
    "counters": {"DescribeCloudRecording": {"OK": 195, "RequestLimitExceeded": 5}},
    "callbacks": {"events": 9, "delivered": 7, "url": "http://127.0.0.1:1/", "trouble": {"loss": 0.1}},
}
DEEDS = [
    {"time": 1.0, "at": 1.0, "did": "kill", "whom": ["worker", "worker-2"], "pids": {}},
    {"time": 2.0, "at": 2.0, "did": "kill-task", "whom": ["worker"], "pids": {}},
    {"time": 3.0, "at": 3.0, "did": "died", "whom": ["scheduler"]},
    {"time": 4.0, "at": 4.0, "did": "fault", "kind": "html", "seconds": 3},
    {"time": 5.0, "at": 5.0, "did": "callbacks", "loss": 0.1},
    {"time": 6.0, "at": 6.0, "did": "callbacks"},
    {"time": 7.0, "at": 7.0, "did": "meddle", "what": "clear", "number": 3},
]
BILL: list[dict[str, Any]] = [
    {"end_reason": "deleted", "seconds": 60.25},
    {"end_reason": None, "seconds": 5.0},
]
OPTIONS = {"minutes": 60.0, "seed": 7, "recordings": 2}
RUN = Run(
    "deferrable_recording",
    "soak-0001",
    "success",
    tasks=[Task("wait", -1, "success", 2), Task("process", 0, "success", 1)],
    summary={"outcome": "gone", "file_count": 3},
)
POLLS = [
    {"code": "OK", "fault": None},
    {"code": "RequestLimitExceeded", "fault": "throttle"},
    {"code": "RequestLimitExceeded", "fault": None},
]
CASES = [
    Case(1, "plain", "rid", {"polls": POLLS}, RUN),
    Case(2, "event", "other", None, None, "recording", [RUN]),
]


def figures(*findings):
    return report.summary(OPTIONS, CASES, findings, DEEDS, STATE, {"ValueError": 2}, BILL)


def test_the_figures_of_a_run():
    told = figures()
    assert told["is_right"]
    assert told["kills"] == {"worker": 1, "worker-2": 1, "a task's process": 1}
    assert (told["kill_count"], told["deaths"], told["faults"]) == (3, {"scheduler": 1}, {"html": 1})
    assert told["callback_troubles"] == 1
    assert told["recordings"] == {"plain": 1, "event": 1}
    assert (told["started"], told["billed_seconds"]) == ({"deleted": 1, "runs on": 1}, 65)
    assert told["meddled"] == {"clear": 1}
    assert told["waits"] == {"deferrable_recording success gone": 1}
    assert (told["files"], told["started_runs"], told["tries"]) == (6, 1, {"1": 2, "2": 2})
    assert (told["polls"], told["throttled"]) == (200, 1)
    assert told["callbacks"] == {"events": 9, "delivered": 7}
    assert told["errors"] == {"ValueError": 2}
    assert json.loads(json.dumps(told)) == told


def test_only_what_is_wrong_makes_a_run_wrong():
    doubtful = Finding("lost in a crash", "a", "rid", "run", "doubtful")
    assert figures(doubtful)["is_right"]
    assert not figures(doubtful, Finding("lost", "b"))["is_right"]


def test_the_report_names_every_discrepancy_and_where_to_look():
    text = report.markdown(
        figures(Finding("lost", "2 files: a, b", "rid", "soak-0001"), Finding("stuck", "wait"))
    )
    assert text.startswith("# 2 discrepancies.")
    assert "60 minutes, seed 7, 3 kills, 2 recordings" in text
    assert "* **lost** 2 files: a, b (soak-0001 rid)" in text
    assert "* **stuck** wait (all)" in text
    assert "Throttled, other than by a fault: 1 of 200 polls" in text
    assert "| html | 1 |" in text
    assert "| runs on | 1 |" in text


def test_a_report_without_discrepancies_says_so():
    text = report.markdown(figures())
    assert text.startswith("# Nothing was lost, and nothing invented.")
    assert "## Discrepancies\n\nNone." in text
