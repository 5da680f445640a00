"""What happened in the last minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.cloud.recent import RECENT_SECONDS, Recent


def test_it_counts_a_minute_and_keeps_the_highest() -> None:
    recent = Recent()
    assert (recent.count(0.0), recent.highest(0.0)) == (0, 0.0)
    for now, value in [(0.0, 9.0), (0.9, 1.0), (30.0, 2.0), (59.9, 0.0)]:
        recent.add(now, value)
    assert (recent.count(59.9), recent.highest(59.9)) == (4, 9.0)
    assert (recent.count(61.0), recent.highest(61.0)) == (2, 2.0)
    assert (recent.count(90.5), recent.highest(90.5)) == (1, 0.0)
    assert recent.count(1000.0) == 0


@given(st.lists(st.integers(0, 300), max_size=200).map(sorted))
def test_it_is_exact_in_whole_seconds_and_stays_small(times: list[int]) -> None:
    recent = Recent()
    for done, now in enumerate(times, 1):
        recent.add(now)
        assert recent.count(now) == sum(now - at < RECENT_SECONDS for at in times[:done])
    assert len(recent._seconds) <= RECENT_SECONDS
