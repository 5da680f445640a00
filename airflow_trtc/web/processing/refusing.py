"""Adds refused callbacks to their rows in Airflow's database."""

from __future__ import annotations

import json
from collections.abc import Collection

from airflow_trtc.journal.reception import Refused, refused_from
from airflow_trtc.web.processing import database


def add(refused: Collection[Refused]) -> bool:
    """Add them up with what is stored; False when another API worker is at it, or there is no journal."""
    with database.transaction() as session:
        asset_id = database.journal_asset_id(session)
        if asset_id is None or database.claim(session, asset_id) is None:
            return False
        stored = database.select_keys(session, asset_id, [each.key for each in refused])
        rows = {each.key: each.after(_read(stored.get(each.key))) for each in refused}
        database.write(session, asset_id, {key: database.encode(row.value) for key, row in rows.items()})
        return True


def _read(text: str | None) -> Refused | None:
    try:
        return None if text is None else refused_from(json.loads(text))
    except (ValueError, RecursionError):
        return None
