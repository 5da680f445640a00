"""The robot that records: the user id with which the service enters the room."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

PREFIX = "airflow-rec-"
MAX_USER_ID = 32  # bytes
_USER_ID = re.compile(r"[a-zA-Z0-9_-]+")


def robot_of(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """The robot of a task of one run, the same for each of its tries.

    The service ends the older recording when the same robot starts another one in the room. So a try that
    does not know whether an earlier one got through cannot leave two recordings behind.
    """
    identity = json.dumps([dag_id, run_id, task_id, map_index]).encode()
    digest = base64.b32encode(hashlib.sha256(identity).digest()).decode().lower()
    return PREFIX + digest[: MAX_USER_ID - len(PREFIX)]  # 100 bits


def read_robot(path: str, value: Any) -> str | None:
    """Read the robot's user id; None and "" stand for the one of the run.

    :raises ValueError: it cannot be one.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_USER_ID or not _USER_ID.fullmatch(value):
        raise ValueError(
            f"{path} must be 1 to {MAX_USER_ID} of the characters a-z, A-Z, 0-9, _ and -, not {value!r:.60}"
        )
    if value == "None":
        raise ValueError(f"{path} is None, written as text: a template rendered to nothing")
    return value
