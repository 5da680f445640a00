"""A session that died while it worked on callbacks holds the journal's lock, for hours on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from airflow_trtc.journal.keys import JOURNAL_NAME, LOG_KEY
from airflow_trtc.web.processing import database
from tests.e2e.callbacks.listening import Listening

pytestmark = pytest.mark.postgres


def test_a_lock_that_is_never_released_is_given_up_and_tried_again(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.record(1, files=1)
    listening.emulator.wait_for_callbacks(120)
    ((asset_id,),) = listening.query("SELECT id FROM asset WHERE name = %s", JOURNAL_NAME)
    engine = create_engine(listening.airflow.database_url)

    @contextmanager
    def session_there(**options: Any) -> Iterator[Session]:
        with Session(engine) as session, session.begin():
            yield session

    monkeypatch.setattr("airflow.utils.session.create_session", session_there)
    monkeypatch.setattr(database, "LOCK_SECONDS", 1)
    with session_there() as dead:
        assert database.claim(dead, asset_id) is not None
        with database.transaction() as other:
            assert database.claim(other, asset_id) is None  # others leave the work to it
        began_at = time.monotonic()
        with pytest.raises(OperationalError) as raised, database.transaction() as other:
            database.write(other, asset_id, {LOG_KEY: '{"v": 1, "seq": 0}'})
        assert time.monotonic() - began_at >= 1
    assert database.is_passing(raised.value)
    with database.transaction() as other:
        assert database.claim(other, asset_id) is not None
    engine.dispose()
