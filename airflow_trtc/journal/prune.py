"""Delete old rows of the journal: ``python -m airflow_trtc.journal.prune --days 60``.

Airflow never removes rows from an asset state store. The API server does it once an hour, after
``[trtc] journal_days``; this command is for where no API server has the receiver of callbacks, or for more at
once. Run it with access to Airflow's database. It touches only rows of the journal that were last
written that long ago, and none that the callback processor still needs; rows that only say how waits get on
at present go after an hour.
"""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_trtc._compat import state_store_model
from airflow_trtc.journal.keys import (
    FLEETING_PREFIXES,
    JOURNAL_NAME,
    JOURNAL_URI,
    LASTING_PREFIXES,
    LOG_PAGES,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# A recording can be described for 720 hours at most (ResourceExpiredHour); this is twice as long.
DEFAULT_DAYS = 60
MIN_DAYS = 31
FLEETING_HOURS = 1
MAX_DAYS = 36_500  # "for ever"; much longer ago there were no dates
ROWS_PER_TRANSACTION = 1000

log = logging.getLogger(__name__)


def journal_days() -> int:
    """After how many days rows go, by Airflow's configuration: no fewer than is safe, 100 years at most."""
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    try:
        days = conf.getint("trtc", "journal_days", fallback=DEFAULT_DAYS)
    except (AirflowConfigException, ValueError):
        _warn()
        return DEFAULT_DAYS
    return min(max(days, MIN_DAYS), MAX_DAYS)


@functools.cache
def _warn() -> None:
    log.warning("[trtc] journal_days is not a whole number; using %d", DEFAULT_DAYS)


def prune(older_than: datetime, *, dry_run: bool = False) -> int:
    """Delete the journal's rows last written before `older_than`, in small transactions.

    Needs Airflow 3.3 or later.

    :return: how many rows there were.
    """
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    old = _old(older_than, LASTING_PREFIXES), _old(_fleeting_until(), FLEETING_PREFIXES)
    if dry_run:
        with create_session() as session:
            counts = [session.scalar(select(func.count()).select_from(Row).where(*each)) for each in old]
            return sum(count or 0 for count in counts)
    count = 0
    while True:
        with create_session() as session:
            deleted = [delete_batch(session, older_than), delete_fleeting(session)]
        count += sum(deleted)
        if max(deleted) < ROWS_PER_TRANSACTION:
            return count


def delete_batch(session: Session, older_than: datetime) -> int:
    """Delete some rows last written before `older_than`; fewer than the limit means that none is left."""
    return _delete(session, older_than, LASTING_PREFIXES)


def delete_fleeting(session: Session) -> int:
    """Delete some rows that said how things were an hour ago."""
    return _delete(session, _fleeting_until(), FLEETING_PREFIXES)


def delete_log_pages(session: Session, older_than: datetime) -> int:
    """Delete some pages of the change log; readers are never that far behind."""
    return _delete(session, older_than, (LOG_PAGES.prefix,))


def _fleeting_until() -> datetime:
    return datetime.now(timezone.utc) - timedelta(hours=FLEETING_HOURS)


def _of_journal() -> Any:
    from airflow.models.asset import AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from sqlalchemy import select

    ids = select(AssetModel.id).where(AssetModel.name == JOURNAL_NAME, AssetModel.uri == JOURNAL_URI)
    return Row.asset_id.in_(ids)


def _old(older_than: datetime, prefixes: Sequence[str]) -> list[Any]:
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from sqlalchemy import or_

    of_these = or_(*(Row.key.like(f"{prefix}%") for prefix in prefixes))
    return [_of_journal(), Row.updated_at < older_than, of_these]


def _delete(session: Session, older_than: datetime, prefixes: Sequence[str]) -> int:
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from sqlalchemy import delete, select, tuple_

    old = select(Row.asset_id, Row.key).where(*_old(older_than, prefixes)).limit(ROWS_PER_TRANSACTION)
    ids = [tuple(row) for row in session.execute(old).all()]
    # The age is asked again: a row may have been written since.
    session.execute(
        delete(Row)
        .where(tuple_(Row.asset_id, Row.key).in_(ids), Row.updated_at < older_than)
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_trtc.journal.prune", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--days", type=float, help="age of rows to delete (default: [trtc] journal_days)")
    parser.add_argument("--dry-run", action="store_true", help="only count them")
    options = parser.parse_args(arguments)
    least = journal_days()
    days = least if options.days is None else options.days
    if not days >= least:
        parser.error(
            f"--days must be {least} or more: the journal remembers callbacks for that long, so that one"
            " that is sent again changes nothing. For less, lower [trtc] journal_days"
        )
    if state_store_model() is None:
        print("This Airflow is older than 3.3 and keeps no journal: nothing to prune.", file=sys.stderr)
        return 1
    count = prune(datetime.now(timezone.utc) - timedelta(days=min(days, MAX_DAYS)), dry_run=options.dry_run)
    print(f"{count} rows {'would be' if options.dry_run else 'were'} deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
