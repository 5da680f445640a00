"""How often a process asks for an action at most: less than usual where the service takes it less often."""

from __future__ import annotations

from airflow_trtc.cloud.actions import ACTIONS

USUAL = 20.0  # a second, of most actions; what the settings allow is meant for these
SHARE = 0.95  # of a lower limit: a little is left to others, as of the usual one


def ceiling(action: str, requests_per_second: float) -> float:
    """Requests a second for an action, at most those that the settings allow."""
    row = ACTIONS.get(action)
    limit = None if row is None else row.requests_per_second
    if limit is None or limit >= USUAL:
        return requests_per_second
    return min(requests_per_second, SHARE * limit)
