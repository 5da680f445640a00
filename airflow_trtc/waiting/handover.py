"""How a task hands a recording on to the tasks behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_trtc._compat import AirflowFailException, conf

RECORDING_XCOM = "recording"


def hand_on(
    task: Any, context: Mapping[str, Any], files: list[dict[str, Any]], summary: dict[str, Any]
) -> list[dict[str, Any]]:
    """Leave the summary as XCom ``recording`` and return the files, which become ``return_value``.

    :raises AirflowFailException: tasks are mapped over more files than Airflow may map over.
    """
    if task.do_xcom_push:
        context["ti"].xcom_push(key=RECORDING_XCOM, value=summary)
    limit = conf.getint("core", "max_map_length", fallback=1024)
    if len(files) > limit and next(iter(task.iter_mapped_dependants()), None) is not None:
        raise AirflowFailException(
            f"recording {summary['recording_id']} has {len(files)} files, but Airflow maps over at most "
            f"{limit}. Set [core] max_map_length (AIRFLOW__CORE__MAX_MAP_LENGTH) to {len(files)} or more for "
            "the API server, the scheduler and the workers, then clear this task: nothing is lost."
        )
    return files
