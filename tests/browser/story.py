"""What the pages show in the browser tests: a recording in a lesson, many others, and some of another DAG."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_trtc.jobs.observation import RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.waiting.progress import ShownWait, progress
from tests.browser.site import CONSOLE, Site
from tests.versions import HAS_STATE_STORE
from tests.web.pages.rows import APP, NOW, Wait, insert, shown

LIVE = JobRef("recording", APP, "ap-guangzhou", "rec-live")
RUN, MAPPED = "manual__2026-01-21T10:00:00+00:00", "manual__2026-01-21T11:00:00+00:00"
WAITING, PER_PAGE = 60, 50
HIDDEN = "room-of-others"


def minutes(number: float) -> timedelta:
    """So many of them."""
    return timedelta(minutes=number)


def live_value(files: int) -> dict[str, Any]:
    """The progress of the recording in the lesson, with so many files of two users."""
    state = learn(JobState(LIVE.job_id), Snapshot(LIVE.job_id, "Idle"), NOW - minutes(40))
    names = [
        RecordedFile(
            f"lesson-{number}.m3u8",
            ("teacher", "学生")[number % 2],
            ("audio", "video")[number // 2 % 2],
            round((NOW - minutes(38 - number)).timestamp() * 1000),
            round((NOW - minutes(38 - number - 3)).timestamp() * 1000),
        )
        for number in range(files)
    ]
    state = learn(state, Snapshot(LIVE.job_id, "InProgress", tuple(names)), NOW - minutes(38))
    wait = ShownWait(console_url=CONSOLE.format(recording_id=LIVE.job_id), try_number=1)
    return {**progress(state, LIVE, wait), "room_id": "lesson-7"}


def events() -> list[dict[str, Any]]:
    """Callbacks about it: its start, and a file of each user."""
    ms = round((NOW - minutes(39)).timestamp() * 1000)
    info = {"RoomId": "lesson-7", "TaskId": LIVE.job_id}
    story = (
        (301, {"Status": 0}),
        (307, {"FileName": "lesson-0.m3u8", "UserId": "teacher", "TrackType": "audio"}),
        (307, {"FileName": "lesson-1.m3u8", "UserId": "学生", "TrackType": "audio"}),
    )
    return [
        {
            "EventGroupId": 3,
            "EventType": kind,
            "CallbackTs": ms + 1000 * number,
            "EventInfo": {**info, "EventTs": (ms // 1000) + number, "EventMsTs": ms, "Payload": payload},
        }
        for number, (kind, payload) in enumerate(story)
    ]


def waits() -> list[Wait]:
    """All task instances."""
    mine = Wait(dag_id="mine", run_id=RUN, began=minutes(-40))
    mapped = replace(mine, run_id=MAPPED, task_id="each", began=minutes(-30))
    ended = replace(mine, began=minutes(-90), ended=minutes(-30))
    return [
        replace(mine, value=live_value(4)),
        replace(mine, task_id="other", operator="EmptyOperator", state="success", ended=minutes(-40)),
        *(
            replace(mapped, map_index=number, value=shown(f"rec-of-{number}", files=number))
            for number in range(3)
        ),
        *(
            replace(
                mine, run_id=f"run-{number:02}", began=minutes(-50 - number), value=shown(f"rec-{number}")
            )
            for number in range(WAITING - 4)
        ),
        replace(
            ended,
            run_id="failed",
            state="failed",
            value=shown("rec-bad", problem_count=1, problems=["upload: the bucket refuses it"]),
        ),
        replace(ended, run_id="done", state="success", value=shown("rec-done", files=2)),
        replace(mine, dag_id="others", value=shown("rec-hidden", room_id=HIDDEN)),
    ]


def tell(site: Site) -> None:
    """Put everything into the database of a site; Airflow's models have to use it."""
    site.run("dags", "reserialize")
    insert(waits(), has_dags=True)
    if not HAS_STATE_STORE:
        return
    for event in events():
        site.call_back(event)
    give_up_at = time.monotonic() + 120
    while "cb/" not in "".join(journal()):
        assert time.monotonic() < give_up_at, "the callbacks were not processed"
        time.sleep(0.2)


def journal() -> list[str]:
    """The keys of all rows of the journal."""
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(Row.key)))


def show(value: dict[str, Any], run_id: str = RUN) -> None:
    """Change what the wait of a run shows, as a triggerer does."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    table = XComModel.__table__
    which = table.c.dag_id == "mine", table.c.run_id == run_id, table.c.task_id == "wait"
    with create_session() as session:
        session.execute(update(table).where(*which).values(value=value, timestamp=datetime.now(timezone.utc)))
