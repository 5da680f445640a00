"""What a run was and what it found, as Markdown for people and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.soak.ledger import Case, Finding
from tests.soak.plan import CALLBACKS, FAULT, KILL, KILL_TASK, SKEW


def summary(
    options: Mapping[str, Any],
    cases: Sequence[Case],
    findings: Sequence[Finding],
    deeds: Sequence[Mapping[str, Any]],
    state: Mapping[str, Any],
    errors: Mapping[str, int],
    bill: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """All figures of a run.

    :param options: minutes, seed and number of recordings.
    :param deeds: what was really done.
    :param state: the emulator's counters.
    :param errors: those in the logs that passed through this package, and how often.
    :param bill: the recordings that Airflow started.
    """
    wrong = [finding for finding in findings if finding.grade == "wrong"]
    describe = state["counters"].get("DescribeCloudRecording", {})
    return {
        "options": dict(options),
        "is_right": not wrong,
        "recordings": dict(Counter(case.kind for case in cases)),
        "started": dict(Counter(line["end_reason"] or "runs on" for line in bill)),
        "billed_seconds": round(sum(line["seconds"] for line in bill)),
        "meddled": dict(Counter(deed["what"] for deed in deeds if deed["did"] == "meddle")),
        "waits": dict(Counter(_outcome(case) for case in cases if case.run)),
        "started_runs": sum(len(case.started) for case in cases),
        "files": _files(cases),
        "tries": _tries(cases),
        "kills": _kills(deeds),
        "kill_count": sum(_kills(deeds).values()),
        "deaths": dict(Counter(name for deed in deeds if deed["did"] == "died" for name in deed["whom"])),
        "faults": dict(Counter(deed["kind"] for deed in deeds if deed["did"] == FAULT)),
        "callback_troubles": sum(1 for deed in deeds if deed["did"] == CALLBACKS and len(deed) > 3),
        "skews": sum(1 for deed in deeds if deed["did"] == SKEW),
        "clears": sum(1 for deed in deeds if deed["did"] == "clear"),
        "polls": sum(describe.values()),
        "answers": dict(sorted(describe.items())),
        "throttled": _throttled(cases),
        "callbacks": {name: value for name, value in state["callbacks"].items() if isinstance(value, int)},
        "errors": dict(errors),
        "findings": [finding.describe() for finding in findings],
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """The same for people."""
    options = figures["options"]
    wrong = [each for each in figures["findings"] if each["grade"] == "wrong"]
    doubtful = [each for each in figures["findings"] if each["grade"] == "doubtful"]
    verdict = (
        "Nothing was lost, and nothing invented." if figures["is_right"] else f"{len(wrong)} discrepancies."
    )
    lines = [
        f"# {verdict}",
        "",
        f"{options['minutes']:g} minutes, seed {options['seed']}, {figures['kill_count']} kills,"
        f" {sum(figures['recordings'].values())} recordings.",
        "",
        *_table("Killed with SIGKILL", "times", figures["kills"]),
        *_table("Ended by themselves, and were started again", "times", figures["deaths"]),
        *_table("Faults of the service", "times", figures["faults"]),
        *_table("Recordings", "number", figures["recordings"]),
        *_table("Ends of recordings that Airflow started", "number", figures["started"]),
        *_table("What people did to tasks that own a recording", "times", figures["meddled"]),
        *_table("Waits", "number", figures["waits"]),
        *_table("Tries of tasks", "tasks", figures["tries"]),
        *_table("Answers to polls", "number", figures["answers"]),
        *_table("Callbacks", "number", figures["callbacks"]),
        *_table("Errors in the logs that passed through this package", "times", figures["errors"]),
        f"Callbacks were troubled {figures['callback_troubles']} times, the service's clock was set"
        f" {figures['skews']} times, {figures['clears']} waits were cleared by hand, recordings started"
        f" {figures['started_runs']} runs. Throttled, other than by a fault:"
        f" {figures['throttled']} of {figures['polls']} polls. Files handed on: {figures['files']}.",
        "",
        "## Discrepancies",
        "",
        *([_line(each) for each in wrong] or ["None."]),
        "",
        "## Doubtful: what was seen only by who was killed at once",
        "",
        *([_line(each) for each in doubtful] or ["None."]),
    ]
    return "\n".join(lines) + "\n"


def _kills(deeds: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    kills: Counter[str] = Counter()
    for deed in deeds:
        if deed["did"] == KILL:
            kills.update(deed["whom"])
        elif deed["did"] == KILL_TASK:
            kills["a task's process"] += 1
    return dict(kills.most_common())


def _outcome(case: Case) -> str:
    assert case.run is not None
    wait = case.run.wait
    if wait is None:
        return "not there"
    outcome = (case.run.summary or {}).get("outcome") if wait.state == "success" else None
    return " ".join(filter(None, [case.run.dag_id, wait.state or "none", outcome]))


def _files(cases: Sequence[Case]) -> int:
    runs = [run for case in cases for run in ([case.run] if case.run else []) + list(case.started)]
    return sum(run.summary["file_count"] for run in runs if run.summary)


def _throttled(cases: Sequence[Case]) -> int:
    """How many polls exceeded the real limit."""
    polls = [poll for case in cases if case.truth for poll in case.truth["polls"]]
    return sum(1 for poll in polls if poll["code"] == "RequestLimitExceeded" and poll["fault"] is None)


def _tries(cases: Sequence[Case]) -> dict[str, int]:
    runs = [run for case in cases for run in ([case.run] if case.run else []) + list(case.started)]
    tries = Counter(task.try_number for run in runs for task in run.tasks)
    return {str(number): tries[number] for number in sorted(tries)}


def _table(title: str, unit: str, numbers: Mapping[str, int]) -> list[str]:
    if not numbers:
        return []
    rows = [f"| {name} | {number} |" for name, number in numbers.items()]
    return [f"| {title} | {unit} |", "| --- | ---: |", *rows, ""]


def _line(finding: Mapping[str, Any]) -> str:
    where = " ".join(filter(None, [finding["run_id"], finding["recording_id"]]))
    return f"* **{finding['kind']}** {finding['text']} ({where or 'all'})"
