"""The app that Airflow's API server mounts: one route, a writer and a clerk.

Nothing runs before Airflow starts the app or the first callback comes: the server may build it in one
process and serve from others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from airflow_trtc.web.processing import database
from airflow_trtc.web.processing.housekeeping import Housekeeping
from airflow_trtc.web.processing.processor import Clerk
from airflow_trtc.web.receiving import answers, connections
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import Keyring
from airflow_trtc.web.receiving.receiver import Receiver, Row
from airflow_trtc.web.receiving.writer import Writer

# The second is for a proxy that takes the path of [api] base_url away: then Starlette does not recognise the
# mount's prefix, and leaves it in the path.
PATHS = ("/callbacks/{conn_id}", "/trtc/callbacks/{conn_id}")
COMPLAINT_SECONDS = 60.0

log = logging.getLogger(__name__)


def create_app() -> FastAPI:
    """The app, ready to be mounted; it has no documentation pages."""
    inbox = Inbox()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            inbox.start()
        except Exception:  # whatever it is, Airflow's own pages must come up; the next callback tries again
            log.exception("The receiver of TRTC callbacks cannot be started yet; callbacks get 503")
        yield
        inbox.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    receiver = Receiver(inbox.keyring, inbox.store)
    app.router.routes.extend(Route(path, receiver) for path in PATHS)
    app.state.inbox = inbox
    return app


class Inbox:
    """What stores callbacks in Airflow's database and works them through; of one process."""

    def __init__(self) -> None:
        self.keyring = Keyring(connections.look_up)
        self.clerk = Clerk(Housekeeping())
        self.writer = Writer(self._insert, self.clerk.wake)
        self._is_started = False
        self._why_not: str | None = None
        self._complained_at = -COMPLAINT_SECONDS

    def start(self) -> None:
        """Start the threads, where there is a store at all."""
        if self._is_started:
            return
        self._why_not = database.why_no_store()
        if self._why_not is None:
            database.load_models()
            self.writer.start()
            self.clerk.start()
        else:
            log.warning("Callbacks of Tencent RTC are not received: %s", self._why_not)
        # Only now: what failed is tried again, or callbacks would be stored that nobody works through.
        self._is_started = True

    def stop(self) -> None:
        """Write what waits, and end the threads."""
        if self._is_started and self._why_not is None:
            self.writer.stop()
            self.clerk.stop()
        self.keyring.close()

    async def store(self, row: Row) -> Answer | None:
        """Store one callback; None is: committed."""
        self.start()
        if self._why_not is not None:
            return answers.NO_STORE
        return await self.writer.store(row)

    def _insert(self, rows: Sequence[Row]) -> Answer | None:
        with database.transaction() as session:
            asset_id = database.journal_asset_id(session)
            if asset_id is not None:
                database.insert_new(session, asset_id, {row.key: row.value for row in rows})
                return None
        self._complain()
        return answers.NOBODY_LISTENS

    def _complain(self) -> None:
        now = time.monotonic()
        if now - self._complained_at >= COMPLAINT_SECONDS:
            self._complained_at = now
            log.warning(
                "Callbacks of Tencent RTC come in but cannot be kept: no DAG has a task with the journal of"
                " recordings among its inlets. Have the DAG processor parse a DAG with a TrtcRecordingSensor"
                " or, in a DAG scheduled on finished_recordings() or events(), a"
                " TrtcTriggeringRecordingOperator (said once a minute)"
            )
