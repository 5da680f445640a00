"""Refused callbacks: what is counted, why, how seldom it is written, and that nothing that was sent is."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.callback import sign
from airflow_trtc.journal.keys import LOG_KEY
from airflow_trtc.journal.reception import Refused, refused_from, refused_key
from airflow_trtc.web.processing import database, refusing
from airflow_trtc.web.receiving.connections import receiver_config
from airflow_trtc.web.receiving.refusals import MAX_CONNECTIONS, PAUSE_SECONDS, Refusals
from tests.web.conftest import APP, Store, event
from tests.web.test_receiver import BODY, Desk

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Ledger:
    """Refusals whose rows and clocks a test holds."""

    def __init__(self) -> None:
        self.written: list[Refused] = []
        self.seconds = 0.0
        self.answer: bool | Exception = True
        self.refusals = Refusals(self._add, lambda: self.seconds, self._now)

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def _add(self, refused: Collection[Refused]) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.written += refused if self.answer else ()
        return self.answer

    def write(self) -> list[tuple[str, int]]:
        self.written = []
        self.refusals.write_due()
        return [(each.conn_id, each.count) for each in self.written]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_the_first_is_written_at_once_and_the_next_ones_a_minute_later(ledger: Ledger) -> None:
    assert ledger.write() == []
    ledger.refusals.note("a", "unsigned")
    assert ledger.write() == [("a", 1)]
    for number in range(1000):
        ledger.refusals.note("a", "unsigned" if number else "no_event")
    ledger.refusals.note("b", "no_key")
    assert ledger.write() == [("b", 1)]
    ledger.seconds = PAUSE_SECONDS - 1
    assert ledger.write() == []
    ledger.seconds = PAUSE_SECONDS
    assert ledger.write() == [("a", 1000)]
    assert ledger.written[0].reason == "unsigned"
    assert ledger.write() == []


@pytest.mark.parametrize("answer", [False, RuntimeError("away")])
def test_what_cannot_be_written_is_kept(
    ledger: Ledger, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.answer = answer
    for _ in range(3):
        ledger.refusals.note("a", "unsigned")
        assert ledger.write() == []
        ledger.seconds += PAUSE_SECONDS
    assert len(caplog.records) == (answer is not False)
    ledger.answer = True
    assert ledger.write() == [("a", 3)]
    assert ledger.written[0].since == NOW


def test_memory_has_a_limit(ledger: Ledger) -> None:
    for number in range(MAX_CONNECTIONS + 5):
        ledger.refusals.note(f"c{number}", "unsigned")
    assert len(ledger.write()) == MAX_CONNECTIONS


# -- what the receiver notes --------------------------------------------------------------------------


@pytest.fixture
def noted() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def desk(noted: list[tuple[str, str]]) -> Desk:
    def connection(**extra: Any) -> Any:
        return receiver_config("trtc", None, json.dumps(extra))

    return Desk(
        lambda conn_id, reason: noted.append((conn_id, reason)),
        signed=connection(callback_secret="key", sdk_app_id=APP),
        anyones=connection(callback_secret="key"),
        keyless=connection(),
        broken=receiver_config("trtc", None, "{"),
        other=receiver_config("postgres", None, None),
    )


@pytest.mark.parametrize(
    "conn_id, key, body, headers, reason",
    [
        ("signed", "other", BODY, {}, "wrong_signature"),
        ("signed", None, BODY, {}, "unsigned"),
        ("signed", "key", b"{}", {}, "no_event"),
        ("signed", "key", BODY, {"SdkAppId": "1"}, "wrong_application"),
        ("anyones", "key", BODY, {}, "no_application"),
        ("anyones", "key", BODY, {"SdkAppId": "x"}, "no_application"),
        ("keyless", "key", BODY, {}, "no_key"),
        ("broken", "key", BODY, {}, "unusable"),
        ("signed", "key", BODY, {}, None),
        ("other", "key", BODY, {}, None),
        ("unknown", "key", BODY, {}, None),
        ("no id", "key", BODY, {}, None),
    ],
)
def test_the_reason_is_a_word_of_our_own(
    desk: Desk,
    noted: list[tuple[str, str]],
    conn_id: str,
    key: str | None,
    body: bytes,
    headers: dict[str, str],
    reason: str | None,
) -> None:
    desk.post(body, key, conn_id, **headers)
    assert noted == ([] if reason is None else [(conn_id, reason)])


# -- the rows -----------------------------------------------------------------------------------------


def test_rows_add_up(store: Store) -> None:
    one = Refused("trtc_default", 2, NOW, NOW, "unsigned")
    assert refusing.add([one, Refused("other", 1, NOW, NOW, "no_key")])
    assert refusing.add([Refused("trtc_default", 3, NOW, NOW + timedelta(minutes=1), "no_event")])
    found = [refused_from(row) for row in store.rows("refused/").values()]
    assert {(each.conn_id, each.count, each.reason) for each in found if each} == {
        ("other", 1, "no_key"),
        ("trtc_default", 5, "no_event"),
    }


def test_a_row_that_cannot_be_read_is_replaced(store: Store) -> None:
    one = Refused("trtc_default", 2, NOW, NOW, "unsigned")
    store.write({one.key: "{"})
    assert refusing.add([one])
    assert store.rows("refused/") == {one.key: one.value}


def test_without_a_journal_nothing_is_written(store: Store) -> None:
    store.deactivate()
    assert not refusing.add([Refused("trtc_default", 2, NOW, NOW, "unsigned")])
    assert not store.rows()


def test_what_was_sent_reaches_no_row(store: Store) -> None:
    body = json.dumps(event(302, "task-from-outside")).encode()
    refusals = Refusals(refusing.add)
    desk = Desk(refusals.note, signed=receiver_config("trtc", None, '{"callback_secret": "key"}'))
    desk.post(body, None, Sign=sign("guess", body), SdkAppId="987654321")
    refusals.write_due()
    rows = store.rows()
    assert set(rows) == {refused_key("signed"), LOG_KEY}
    assert not any(word in str(rows) for word in ("outside", "987654321", sign("guess", body)))
    assert database.why_no_store() is None
