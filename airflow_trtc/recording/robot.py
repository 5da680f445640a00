"""The robot of a task: the user id with which the service enters the room to record, relay or play."""

from __future__ import annotations

import base64
import hashlib
import json

from airflow_trtc.jobs.users import MAX_USER_ID

PREFIX = "airflow-rec-"


def robot_of(*, dag_id: str, run_id: str, task_id: str, map_index: int, prefix: str = PREFIX) -> str:
    """The robot of a task of one run, the same for each of its tries.

    The service ends the older recording when the same robot starts another one in the room. So a try that
    does not know whether an earlier one got through cannot leave two recordings behind.

    :param prefix: what the robot is for; a task of another kind has another one.
    """
    identity = json.dumps([dag_id, run_id, task_id, map_index]).encode()
    digest = base64.b32encode(hashlib.sha256(identity).digest()).decode().lower()
    return prefix + digest[: MAX_USER_ID - len(prefix)]  # 100 bits
