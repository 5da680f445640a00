"""The app that Airflow's API server mounts: a receiver of callbacks, all that works on them, and pages.

Nothing runs before Airflow starts the app or the first callback comes: the server may build it in one
process and serve from others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route

from airflow_trtc import metrics
from airflow_trtc.web.processing import database, refusing
from airflow_trtc.web.processing.housekeeping import Housekeeping
from airflow_trtc.web.processing.orphans import OrphanWatch
from airflow_trtc.web.processing.processor import CallbackProcessor
from airflow_trtc.web.receiving import answers, connections
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import ConnectionCache
from airflow_trtc.web.receiving.receiver import Receiver, Row
from airflow_trtc.web.receiving.refusals import Refusals
from airflow_trtc.web.receiving.writer import Writer

# The second is for a proxy that takes the path of [api] base_url away: then Starlette does not recognise the
# mount's prefix, and leaves it in the path. A slash at the end would be answered with a redirect, and whether
# the service follows one is not documented.
PREFIXES = ("", "/trtc")
PATHS = tuple(f"{prefix}/callbacks/{{conn_id}}{end}" for prefix in PREFIXES for end in ("", "/"))
WARNING_SECONDS = 60.0

log = logging.getLogger(__name__)


def create_app() -> FastAPI:
    """The app, ready to be mounted; it has no documentation pages."""
    from airflow_trtc._compat import find_metrics

    metrics.send_through(find_metrics)
    inbox = Inbox()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            inbox.start()
        except Exception:  # whatever it is, Airflow's own pages must come up; the next callback tries again
            log.exception("Cannot start the receiver of TRTC callbacks yet; callbacks are answered with 503")
        yield
        inbox.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    receiver = Receiver(inbox.connections, inbox.store, refused=inbox.refusals.note)
    app.router.routes.extend(Route(path, receiver) for path in PATHS)
    app.router.routes.extend(_pages())
    app.state.inbox = inbox
    return app


def _pages() -> list[BaseRoute]:
    """The pages for users: an app of its own behind all other routes, whose failures stay with it."""
    try:
        from airflow_trtc.web.pages.routes import create_pages

        return [Mount("", create_pages(PREFIXES))]
    except Exception:  # whatever it is, callbacks are received all the same
        log.exception(
            "Cannot show the pages of Tencent RTC in Airflow's UI; callbacks are received all the same"
        )
        return []


class Inbox:
    """Stores callbacks in Airflow's database and processes them; one in each process."""

    def __init__(self) -> None:
        self.connections = ConnectionCache(connections.look_up, known_names=connections.known_names)
        self.refusals = Refusals(refusing.add)
        self.processor = CallbackProcessor(self._keep_house)
        self._housekeeping = Housekeeping()
        self.orphans = OrphanWatch()
        self.writer = Writer(self._insert, self.processor.wake)
        self._is_started = False
        self._why_not: str | None = None
        self._warned_at = -WARNING_SECONDS

    def start(self) -> None:
        """Start the threads, where there is a store at all."""
        if self._is_started:
            return
        self._why_not = database.why_no_store()
        if self._why_not is None:
            database.load_models()
            self.writer.start()
            self.processor.start()
            self.orphans.start()
        else:
            log.warning("Cannot receive callbacks of Tencent RTC: %s", self._why_not)
        # Only now: what failed is tried again, or callbacks would be stored and never processed.
        self._is_started = True

    def stop(self) -> None:
        """Write what waits, and end the threads."""
        if self._is_started and self._why_not is None:
            self.writer.stop()
            self.processor.stop()
            self.orphans.stop()
        self.connections.close()

    async def store(self, row: Row) -> Answer | None:
        """Store one callback; None means: committed."""
        self.start()
        if self._why_not is not None:
            return answers.NO_STORE
        return await self.writer.store(row)

    def _keep_house(self) -> None:
        self.refusals.write_due()
        self._housekeeping()

    def _insert(self, rows: Sequence[Row]) -> Answer | None:
        with database.transaction() as session:
            asset_id = database.journal_asset_id(session)
            if asset_id is not None:
                database.insert_new(session, asset_id, {row.key: row.value for row in rows})
                return None
            self._warn(database.asset_conflicts(session))
        return answers.NO_JOURNAL

    def _warn(self, conflicts: Sequence[database.AssetConflict]) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARNING_SECONDS:
            self._warned_at = now
            log.warning(
                "Cannot store callbacks of Tencent RTC: no DAG has a task with the journal of recordings"
                " among its inlets. Add a DAG with a TrtcRecordingSensor or, scheduled on"
                " finished_recordings() or events(), with a TrtcTriggeringRecordingOperator, and have the"
                " DAG processor parse it (logged at most once a minute)"
            )
            for conflict in conflicts:
                log.warning("%s", conflict)
