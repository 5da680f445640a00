"""Pruning the journal in a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from airflow.utils.session import create_session

from airflow_trtc.journal import prune
from airflow_trtc.journal.store import JOURNAL

NOW = datetime.now(timezone.utc)
AGES_IN_DAYS = {"fresh": 1, "old": 61, "older": 400}


@pytest.fixture
def rows(airflow_db: Path) -> Iterator[None]:
    """Journal rows of several ages, and an old row of another asset."""
    pytest.importorskip("airflow.models.asset_state_store", reason="Airflow below 3.3 keeps no journal")
    from airflow.models.asset import AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Row))
        session.execute(delete(AssetModel))
        journal = AssetModel(name=JOURNAL.name, uri=JOURNAL.uri)
        other = AssetModel(name="other", uri="s3://other")
        session.add_all([journal, other])
        session.flush()
        for name, days in AGES_IN_DAYS.items():
            at = NOW - timedelta(days=days)
            session.add(Row(asset_id=journal.id, key=f"poll/1/r/{name}", value="{}", updated_at=at))
        session.add(Row(asset_id=other.id, key="another", value="{}", updated_at=NOW - timedelta(days=400)))
    yield
    with create_session() as session:
        session.execute(delete(Row))
        session.execute(delete(AssetModel))


def put(key: str, at: datetime) -> None:
    from airflow.models.asset import AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from sqlalchemy import select

    with create_session() as session:
        journal = session.scalar(select(AssetModel.id).where(AssetModel.name == JOURNAL.name))
        session.add(Row(asset_id=journal, key=key, value="{}", updated_at=at))


def keys() -> set[str]:
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from sqlalchemy import select

    with create_session() as session:
        return {key.rpartition("/")[2] for key in session.scalars(select(Row.key))}


@pytest.mark.usefixtures("rows")
def test_only_old_rows_of_the_journal_are_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    assert prune.main([]) == 0
    assert "2 rows were deleted" in capsys.readouterr().out
    assert keys() == {"fresh", "another"}


@pytest.mark.usefixtures("rows")
def test_what_says_how_things_are_goes_within_hours(capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("pulse/p/d", "refused/c", "heard/1", "unknown/x"):
        for minutes in (50, 70):
            put(f"{key}-{minutes}", NOW - timedelta(minutes=minutes))
    kept = {"d-50", "c-50", "1-50", "1-70", "x-50", "x-70"}
    assert prune.main(["--dry-run"]) == 0
    assert "4 rows would be deleted" in capsys.readouterr().out
    with create_session() as session:
        assert prune.delete_fleeting(session) == 2
    assert keys() == {*kept, *AGES_IN_DAYS, "another"}
    assert prune.main([]) == 0
    assert keys() == {*kept, "fresh", "another"}


@pytest.mark.usefixtures("rows")
def test_a_dry_run_only_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert prune.main(["--days", "100", "--dry-run"]) == 0
    assert "1 rows would be deleted" in capsys.readouterr().out
    assert keys() == {"fresh", "old", "older", "another"}


@pytest.mark.usefixtures("rows")
def test_many_rows_are_deleted_in_several_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "ROWS_PER_TRANSACTION", 1)
    assert prune.prune(NOW) == 3


@pytest.mark.parametrize("days", ["0", "-1", "30", "soon"])
def test_an_age_that_could_touch_living_recordings_is_refused(days: str) -> None:
    with pytest.raises(SystemExit) as stop:
        prune.main(["--days", days])
    assert stop.value.code == 2
