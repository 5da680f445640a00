"""Delete old rows of the journal: ``python -m airflow_trtc.prune --days 60``.

Airflow never removes rows from an asset state store, so run this where ``airflow db clean`` runs, with the
same access to Airflow's database. It touches only the journal's rows that nobody has written for that long.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_trtc.journal import JOURNAL

# A recording can be asked about for 720 hours at most (ResourceExpiredHour); this is twice as long.
DEFAULT_DAYS = 60
LEAST_DAYS = 31
ROWS_PER_TRANSACTION = 1000


def prune(older_than: datetime, *, dry_run: bool = False) -> int:
    """Delete the journal's rows last written before `older_than`, in small transactions.

    :return: how many rows there were.
    :raises ImportError: this Airflow is older than 3.3 and has no journal.
    """
    from airflow.models.asset import AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from airflow.utils.session import create_session
    from sqlalchemy import delete, func, select, tuple_

    asset_ids = select(AssetModel.id).where(AssetModel.name == JOURNAL.name, AssetModel.uri == JOURNAL.uri)
    old: list[Any] = [Row.asset_id.in_(asset_ids), Row.updated_at < older_than]
    if dry_run:
        with create_session() as session:
            return session.scalar(select(func.count()).select_from(Row).where(*old)) or 0
    count = 0
    while True:
        with create_session() as session:
            keys = session.execute(
                select(Row.asset_id, Row.key).where(*old).limit(ROWS_PER_TRANSACTION)
            ).all()
            ids = [tuple(key) for key in keys]
            # The age is asked again: a row may have been written since.
            session.execute(
                delete(Row).where(tuple_(Row.asset_id, Row.key).in_(ids), Row.updated_at < older_than)
            )
        count += len(ids)
        if len(ids) < ROWS_PER_TRANSACTION:
            return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_trtc.prune", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--days", type=float, default=DEFAULT_DAYS, help="age of rows to delete (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only count them")
    options = parser.parse_args(arguments)
    if options.days < LEAST_DAYS:
        parser.error(f"--days must be {LEAST_DAYS} or more: a recording can be asked about for 30 days")
    try:
        count = prune(datetime.now(timezone.utc) - timedelta(days=options.days), dry_run=options.dry_run)
    except ImportError:
        print(
            "This Airflow is older than 3.3 and keeps no journal; there is nothing to prune.", file=sys.stderr
        )
        return 1
    print(f"{count} rows {'would be' if options.dry_run else 'were'} deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
