"""Many rooms by mapped tasks on two workers: no task fails of throttling, and few requests are throttled."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.rooms import ROOMS, Deed, Rooms

pytestmark = pytest.mark.cluster

MOST_THROTTLED = 0.02


@pytest.fixture(scope="module")
def deed(rooms: Rooms) -> Deed:
    return rooms.act()


def test_no_task_fails(deed: Deed) -> None:
    assert deed.failures == {}
    assert Counter(task["state"] for task in deed.tasks) == {"success": 2 * ROOMS + 2}
    assert {task["try_number"] for task in deed.tasks} == {1}


def test_everybody_is_sent_out(deed: Deed) -> None:
    assert set(map(tuple, deed.people.values())) == {()}
    assert {action: codes["OK"] for action, codes in deed.counted.items()} == {
        "RemoveUser": ROOMS,
        "DismissRoom": ROOMS,
    }


def test_both_workers_had_their_part(deed: Deed) -> None:
    hosts = Counter(task["hostname"] for task in deed.tasks)
    assert {"worker", "worker-2"} <= set(hosts)


def test_few_requests_are_throttled(deed: Deed) -> None:
    for action, codes in deed.counted.items():
        share = codes["RequestLimitExceeded"] / codes.total()
        assert share <= MOST_THROTTLED, (action, codes)
