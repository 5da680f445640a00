"""The receiver of callbacks, in this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

START_SECONDS = 60.0
STOP_SECONDS = 20.0


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an app on a free port; yields its address."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    give_up_at = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < give_up_at:
        time.sleep(0.02)
    if not server.started:
        raise RuntimeError("the receiver of callbacks did not start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


@contextmanager
def receiver() -> Iterator[str]:
    """Receive callbacks as Airflow's API server does; yields the address for `trtc_default`.

    :raises RuntimeError: this Airflow cannot receive callbacks.
    """
    from airflow_trtc.web.app import create_app
    from airflow_trtc.web.processing.database import why_no_store

    if (reason := why_no_store()) is not None:
        raise RuntimeError(f"Callbacks cannot be tested here: {reason}.")
    _activate_journal()
    with served(create_app()) as url:
        yield f"{url}/callbacks/trtc_default"


def _activate_journal() -> None:
    """What the DAG processor does when it parses the first DAG with a sensor."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_trtc.journal.store import JOURNAL

    with create_session() as session:
        model = session.scalar(select(AssetModel).where(AssetModel.name == JOURNAL.name))
        if model is None:
            model = AssetModel(name=JOURNAL.name, uri=JOURNAL.uri)
            session.add(model)
            session.flush()
        if model.active is None:
            session.add(AssetActive.for_asset(model))
