"""The index of jobs: an order that holds in every database, and rows that anybody may have written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal import index
from airflow_trtc.journal.index import IndexEntry, Phase
from airflow_trtc.journal.keys import KeyRange
from airflow_trtc.journal.plans import drive

NOW = datetime(2026, 1, 21, 2, 2, 25, 123000, tzinfo=timezone.utc)
APPS = (1, 9, 1400000001, 1400000002, 20000000000, 10**18 - 2)


def punctuation_ignored(key: str) -> Any:
    """As glibc and ICU sort at first: letters and digits, and only then the rest."""
    return "".join(sign for sign in key if sign.isalnum()).lower(), key


def danish(key: str) -> Any:
    """Two letters a are one behind z, and capitals are no others."""
    return key.lower().replace("aa", "~")


def descending_punctuation(key: str) -> Any:
    return key.translate({ord("/"): "\x7f"})


COLLATIONS: dict[str, Callable[[str], Any]] = {
    "binary": str,
    "ignoring punctuation": punctuation_ignored,
    "ignoring case": str.lower,
    "punctuation behind letters": descending_punctuation,
    "danish": danish,
}


def entries(count: int) -> list[IndexEntry]:
    chance = random.Random(3)
    return [
        IndexEntry(
            JobRef("recording", chance.choice(APPS), "ap-guangzhou", f"job{number}"),
            chance.choice(list(Phase)),
            NOW - timedelta(milliseconds=chance.randrange(10**9)),
            chance.choice([None, "exited"]),
        )
        for number in range(count)
    ]


def within(keys: list[str], wanted: KeyRange, order: Callable[[str], Any]) -> list[str]:
    """What a database answers."""
    found = [
        key
        for key in keys
        if order(wanted.first) <= order(key) <= order(wanted.last) and key.startswith(wanted.prefix)
    ]
    return sorted(found, key=order)


@pytest.mark.parametrize("collation", COLLATIONS)
def test_ranges_hold_and_the_newest_is_first_in_every_collation(collation: str) -> None:
    order = COLLATIONS[collation]
    every = entries(120)
    others = [
        "job",
        "job/",
        "joc",
        "jo/b0",
        "JOB/1/x",
        "in/0000000000001/1/a",
        "due/1",
        "poll/a/1/b",
        "at/a/1/b",
    ]
    keys = [*(one.key for one in every), *others]
    for phase in Phase:
        of_phase = [one for one in every if one.phase is phase]
        assert set(within(keys, index.later_applications(phase, 0), order)) == {one.key for one in of_phase}
        assert {
            index.application_of(key)
            for key in within(keys, index.later_applications(phase, 1400000001), order)
        } == {one.job.sdk_app_id for one in of_phase} & {1400000002, 20000000000, 10**18 - 2}
        for app in APPS:
            newest_first = sorted(
                (one for one in of_phase if one.job.sdk_app_id == app), key=lambda one: one.at, reverse=True
            )
            found = within(keys, index.application_range(phase, app), order)
            assert found == [one.key for one in newest_first]
            for number, key in enumerate(found, 1):
                rest = within(keys, index.application_range(phase, app, index.cursor_after(key)), order)
                assert rest == found[number:]


def test_rows_of_all_phases_and_applications_merge_by_time() -> None:
    every = entries(300)
    merged = sorted((one.key for one in every), key=index.position)
    assert merged == [one.key for one in sorted(every, key=lambda one: one.at, reverse=True)]


def test_a_cursor_of_a_time_begins_there() -> None:
    every = sorted(entries(300), key=lambda one: one.at, reverse=True)
    at = every[100].at
    for app in APPS:
        for phase in Phase:
            keys = index.application_range(phase, app, index.cursor_at(at))
            wanted = [one.key for one in every[100:] if one.job.sdk_app_id == app and one.phase is phase]
            assert within([one.key for one in every], keys, str) == wanted


@pytest.mark.parametrize("phase, digit", [(Phase.RUNNING, 0), (Phase.ENDED, 1), (Phase.FAILED, 2)])
def test_rows_are_spelt_as_older_versions_spelt_them(phase: Phase, digit: int) -> None:
    one = IndexEntry(JobRef("recording", 1400000001, "r", "a"), phase, NOW, "gone")
    inverted = 9_999_999_999_999 - 1768960945123
    assert one.key == f"job/{digit}/000000001400000001/{inverted}/081761708761506594856504382526609128446"
    fields = {"v": 1, "kind": "recording", "sdk_app_id": 1400000001, "region": "r", "job_id": "a"}
    assert one.value == {**fields, "outcome": "gone"}
    assert index.note_value(one) == {**fields, "key": one.key}
    assert index.noted_key(index.note_value(one)) == one.key
    assert index.phase_of(one.key) is phase


def test_a_cursor_that_is_none_begins_at_the_newest() -> None:
    for cursor in ("", "junk", "0" * 53, f"{0:013d}/{0:039d}x"):
        assert index.application_range(Phase.ENDED, 1, cursor) == index.application_range(Phase.ENDED, 1)


@pytest.mark.parametrize("key", ["", "junk", "job/0/1", "at/recording/1/a"])
def test_a_key_of_another_row_has_no_application(key: str) -> None:
    assert index.application_of(key) is None
    assert index.noted_key({"key": key}) is None


def test_entries_are_read_back() -> None:
    for one in entries(50):
        assert index.entry_from(one.key, json.loads(json.dumps(one.value))) == one


@pytest.mark.parametrize(
    "key",
    [
        "",
        "job",
        "job/0/1/2/3",
        "job/3/000000000000000001/9999999999998/" + "0" * 39,
        "x" * 5000,
        "job/0/" + "9" * 18,
    ],
)
def test_what_is_no_entry_is_none(key: str) -> None:
    one = entries(1)[0]
    assert index.entry_from(key, one.value) is None
    odd: list[Any] = [None, [], {}, {**one.value, "sdk_app_id": 5}, {**one.value, "job_id": None}]
    for value in odd:
        assert index.entry_from(one.key, value) is None
    notes: list[Any] = [None, [], {"key": key}, {"key": 5}, {"key": [one.key]}]
    for note in notes:
        assert index.noted_key(note) is None


def test_times_beyond_the_calendar_of_keys_have_a_key_all_the_same() -> None:
    for year in (1, 1969, 2287, 9999):
        one = IndexEntry(
            JobRef("recording", 1, None, "a"), Phase.RUNNING, datetime(year, 1, 2, tzinfo=timezone.utc)
        )
        assert len(one.key) == len(entries(1)[0].key)
        index.entry_from(one.key, one.value)


class Rows:
    """A store with nothing else in it."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.rows.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.rows[key] = value


def test_a_wait_adds_a_job_unless_the_api_server_knows_it() -> None:
    store = Rows()
    running = IndexEntry(JobRef("recording", 1, "r", "a"), Phase.RUNNING, NOW)
    assert drive(index.index_plan(running), store)
    assert store.rows == {running.key: running.value}
    ended = IndexEntry(running.job, Phase.ENDED, NOW, "exited")
    store.rows = {ended.key: ended.value, index.note_key(ended.job): index.note_value(ended)}
    assert not drive(index.index_plan(running), store)
    assert running.key not in store.rows


def test_the_region_makes_no_other_job_of_it() -> None:
    """Callbacks name none; polls are made in one."""
    keys = {
        IndexEntry(JobRef("recording", 1, region, "a"), Phase.RUNNING, NOW).key for region in (None, "r", "s")
    }
    assert len(keys) == 1
