"""Yesterday's calls as tables, and a report of the users who fared worst in them.

Three tables are read: the calls, their users, and of what users measured the lost packets and how long audio
and video stood still. The report names the users who lost most or saw most freezes, worst first.

Reading measurements takes a request for each hour of a call and six users, so big applications choose few
data types, or read the details of some calls only (comm_ids). The days are those of Beijing. The service
needs some minutes to collect what was measured, so the tasks begin a while after the day's end.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This puts calls of the last three days in, and reads those of yesterday:

    curl -s http://127.0.0.1:8765/_control/history -d '{"calls": 20, "days": 3}'
    airflow dags trigger trtc_call_quality_report --logical-date "$(date +%F)"
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_trtc.operators import TrtcQualityOperator

try:
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:  # Airflow 3.1
    from airflow.timetables.interval import CronDataIntervalTimetable  # type: ignore[assignment]

BEIJING = timezone(timedelta(hours=8))
LOSS, FREEZES = ("aLoss", "bigvLoss"), ("aBlock", "bigvBlock")
WORST = 10
BAD_LOSS, BAD_FREEZES = 5.0, 60.0  # per cent; seconds in all


def rows_of(folder: str, table: str, start: datetime, end: datetime, at: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of an interval; the folder may hold others."""
    for path in (ObjectStoragePath(folder) / table).glob("*.jsonl"):
        for row in map(json.loads, path.read_text().splitlines()):
            if start <= datetime.fromisoformat(row[at]) < end:
                yield row


def worst_users(details: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return loss and freezes of each user in each call, the worst first."""
    losses: dict[tuple[str, str], list[float]] = defaultdict(list)
    freezes: dict[tuple[str, str], float] = defaultdict(float)
    for row in details:
        of = row["comm_id"], row["user_id"]
        if row["data_type"] in LOSS:
            losses[of].append(row["value"])
        else:
            freezes[of] += row["value"] / 1000
    found = [
        {
            "comm_id": comm_id,
            "user_id": user_id,
            "mean_loss_percent": round(sum(each) / len(each), 1)
            if (each := losses[comm_id, user_id])
            else 0.0,
            "freezes_seconds": round(freezes[comm_id, user_id], 1),
        }
        for comm_id, user_id in {**losses, **freezes}
    ]
    return sorted(found, key=lambda each: (-each["mean_loss_percent"], -each["freezes_seconds"]))


with DAG(
    "trtc_call_quality_report",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
    start_date=datetime(2026, 1, 1, tzinfo=BEIJING),
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "folder": Param(
            "file:///tmp/trtc_quality",
            type="string",
            title="Folder",
            description="Where tables and report go; in an object store as s3://connection@bucket/quality.",
        ),
    },
) as dag:
    collected = DateTimeSensorAsync(
        task_id="collected", target_time="{{ data_interval_end.add(minutes=15) }}"
    )

    options: dict[str, Any] = {"path": "{{ params.folder }}", "retries": 3}
    rooms = TrtcQualityOperator(task_id="rooms", what="rooms", **options)
    users = TrtcQualityOperator(task_id="users", what="users", **options)
    details = TrtcQualityOperator(
        task_id="details",
        what="details",
        data_types=[*LOSS, *FREEZES],
        execution_timeout=timedelta(hours=6),
        **options,
    )

    @task
    def report(folder: str, start: str, end: str) -> list[dict[str, Any]]:
        """Write the report, and return the users who fared badly."""
        span = datetime.fromisoformat(start), datetime.fromisoformat(end)
        calls = {row["comm_id"]: row for row in rows_of(folder, "trtc_rooms", *span, "created_at")}
        stays = sum(1 for _ in rows_of(folder, "trtc_call_users", *span, "joined_at"))
        found = worst_users(rows_of(folder, "trtc_call_details", *span, "at"))
        bad = [
            each
            for each in found
            if each["mean_loss_percent"] >= BAD_LOSS or each["freezes_seconds"] >= BAD_FREEZES
        ]
        day = f"{span[0].astimezone(BEIJING):%Y-%m-%d}"
        lines = [
            f"# Call quality of {day}",
            "",
            f"{len(calls)} calls began, with {stays} stays of users. {len(bad)} of {len(found)} users lost"
            f" {BAD_LOSS:g} % of the packets or more, or had freezes of {BAD_FREEZES:g} s or more.",
            "",
            "| Room | User | Loss, % | Freezes, s |",
            "| --- | --- | --- | --- |",
        ]
        for each in found[:WORST]:
            room = calls.get(each["comm_id"], {}).get("room_id", each["comm_id"])
            lines.append(
                f"| {room} | {each['user_id']} | {each['mean_loss_percent']} | {each['freezes_seconds']} |"
            )
        (ObjectStoragePath(folder) / f"{day}.md").write_text("\n".join([*lines, ""]))
        return bad[:WORST]

    (
        collected
        >> [rooms, users, details]
        >> report(
            folder="{{ params.folder }}",
            start="{{ data_interval_start.isoformat() }}",
            end="{{ data_interval_end.isoformat() }}",
        )
    )
