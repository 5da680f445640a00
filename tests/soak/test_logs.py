from __future__ import annotations

import json

from tests.soak.logs import errors, errors_in

OURS, THEIRS = "/x/airflow_trtc/sensors.py", "/x/airflow/models/dag.py"

TEXT = """\
2026-01-01 something happened
Traceback (most recent call last):
  File "{path}", line 5, in run
    call()
ValueError: no recording 17
and so on
"""


def entry(path, value="recording 5 is odd\nmore"):
    detail = {
        "exc_type": "TrtcError",
        "exc_value": value,
        "frames": [{"filename": THEIRS}, {"filename": path}],
    }
    return json.dumps({"event": "Task failed", "error_detail": [detail]})


def test_errors_that_passed_through_this_package_are_found_in_both_kinds_of_logs():
    lines = TEXT.format(path=OURS).splitlines()
    assert list(errors_in(lines)) == ["ValueError: no recording …"]
    assert list(errors_in([entry(OURS)])) == ["TrtcError: recording … is odd"]


def test_errors_of_others_are_not():
    assert list(errors_in(TEXT.format(path=THEIRS).splitlines())) == []
    assert list(errors_in([entry(THEIRS), "{broken", "{}"])) == []


def test_the_same_error_of_different_recordings_is_one(tmp_path):
    (tmp_path / "a").mkdir()
    for name, number in (("one.log", 1), ("a/two.log", 2)):
        (tmp_path / name).write_text(entry(OURS, f"recording {number}") + "\n")
    assert errors(tmp_path) == {"TrtcError: recording …": 2}
