"""Asset events: which there are, and what they carry. The only caller of Airflow's asset manager.

An event with a partition key starts exactly one run of each DAG that is scheduled on the asset by
``PartitionedAssetTimetable`` and not paused at that moment. Airflow does not repeat events, so the
caller notes in the same transaction that it was done.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_trtc.assets import FinishedRecordings, SingleEvents, parse_uri
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import Finished, WaitFor
from airflow_trtc.kinds import RECORDING
from airflow_trtc.results import file_results, iso, recording_result
from airflow_trtc.web.processing.folding import Received

if TYPE_CHECKING:
    from airflow.models.asset import AssetModel
    from sqlalchemy.orm import Session

MAX_FILES_IN_EVENT = 100
MAX_PARTITION_KEY = 250

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduledAssets:
    """The assets that DAGs are scheduled on, and what they stand for."""

    finished: tuple[tuple[AssetModel, FinishedRecordings], ...] = ()
    single: tuple[tuple[AssetModel, SingleEvents], ...] = ()

    def milestones(self, job: JobRef) -> dict[WaitFor, list[AssetModel]]:
        """The assets of each milestone that this job may reach: only recordings have such assets.

        Recordings of web pages are some of them.
        """
        found: dict[WaitFor, list[AssetModel]] = {}
        for asset, wanted in self.finished if job.family == RECORDING.name else ():
            if wanted.sdk_app_id in (None, job.sdk_app_id):
                found.setdefault(wanted.wait_for, []).append(asset)
        return found

    def to_event(self, received: Received) -> list[AssetModel]:
        """The assets of this one event."""
        app, kind = received.sdk_app_id, received.callback.type
        return [
            asset
            for asset, wanted in self.single
            if wanted.event_type == kind and wanted.sdk_app_id in (None, app)
        ]


def scheduled_assets(assets: Iterable[AssetModel]) -> ScheduledAssets:
    """Sort active assets of our scheme by what they stand for."""
    finished, single = [], []
    for asset in assets:
        try:
            wanted = parse_uri(asset.uri)
        except ValueError:
            continue  # written by another version of this package
        if isinstance(wanted, FinishedRecordings):
            finished.append((asset, wanted))
        elif isinstance(wanted, SingleEvents):
            single.append((asset, wanted))
    return ScheduledAssets(tuple(finished), tuple(single))


def emit_finished(
    session: Session,
    assets: Iterable[AssetModel],
    partition_key: str,
    extra: dict[str, Any],
    teams: Collection[str] = (),
) -> None:
    """Emit one event an asset for a recording that reached its milestone.

    :param teams: whose DAGs may be started, see `teams_to_start`.
    """
    for asset in assets:
        _register(session, asset, partition_key, extra, teams)


def finished_extra(state: JobState, verdict: Finished, job: JobRef, wait_for: str) -> dict[str, Any]:
    """What such an event carries."""
    files = file_results(verdict.files, job.job_id)
    result = recording_result(state, verdict, job, wait_for=wait_for)
    return {
        "v": 1,
        "recording": result,
        "files": files if len(files) <= MAX_FILES_IN_EVENT else None,
        "file_count": len(files),
    }


def emit_single(
    session: Session, assets: Iterable[AssetModel], received: Received, teams: Collection[str] = ()
) -> None:
    """Emit one event an asset for one callback; for `teams` see `emit_finished`."""
    extra = {
        "v": 1,
        "event": dict(received.callback.event),
        "sdk_app_id": received.sdk_app_id,
        "received_at": iso(received.received_at),
    }
    for asset in assets:
        _register(session, asset, single_key(received), extra, teams)


def finished_key(recording_id: str) -> str:
    """Partition key of a finished recording: its id.

    A digest is the end of one that is too long, or that would write lines of its own into Airflow's logs.
    """
    shown = _printable(recording_id)
    if shown == recording_id and len(recording_id) <= MAX_PARTITION_KEY:
        return recording_id
    digest = hashlib.sha256(recording_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{shown[: MAX_PARTITION_KEY - len(digest) - 1]}-{digest}"


def single_key(received: Received) -> str:
    """Partition key of one callback; readable, and different for different events."""
    callback = received.callback
    about = _printable(callback.room_id or callback.task_id or "-")
    tail = f"-{callback.happened_at_ms or received.received_at_ms}-{callback.identity[:8]}"
    head = f"{callback.type}-"
    return head + about[: MAX_PARTITION_KEY - len(head) - len(tail)] + tail


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _register(
    session: Session, asset: AssetModel, partition_key: str, extra: dict[str, Any], teams: Collection[str]
) -> None:
    from airflow.assets.manager import asset_manager

    asset_manager.register_asset_change(
        asset=asset,
        partition_key=partition_key,
        extra=extra,
        source_is_api=True,
        api_user_teams=set(teams),
        session=session,
    )
    log.info("Emitted an event of %r for %r", asset.uri, partition_key)
