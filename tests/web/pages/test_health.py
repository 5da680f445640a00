"""What facts mean for a user who looks at the page of health, and for monitoring."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, get_args

import pytest

from airflow_trtc.findings import Finding, worst
from airflow_trtc.journal.reception import REASONS, Reason, Refused
from airflow_trtc.web.pages import health
from airflow_trtc.web.pages.figures import Account, Heard
from airflow_trtc.web.pages.health import (
    CHECK_COUNTS,
    READ,
    REMEDIES,
    Checked,
    ConnectionFacts,
    Setup,
    SiteFacts,
    Triggerer,
)
from airflow_trtc.web.processing.database import NO_STORE
from tests.docs.pages import PAGES

NOW = datetime(2026, 1, 21, 10, tzinfo=timezone.utc)
ALIVE = (Triggerer("one", NOW, 300), Triggerer("two", NOW, 200))
SITE = SiteFacts(triggerers=ALIVE, capacity=1000)
POLLING = Account("k", "trtc_default", "trtc.example.com, ap-guangzhou", 300, 0, 10.0, 19.0, 0.5, 0, 0.5, "")
HEARD = Heard(1400000001, NOW - timedelta(minutes=1), 2.5, False)
GOOD = Checked("trtc_default", NOW, (Finding("keys", "ok", "accepted"),))
CONNECTION = ConnectionFacts("trtc_default", (POLLING,), (HEARD,), None, Setup(), GOOD)


def minutes(number: float) -> datetime:
    return NOW - timedelta(minutes=number)


def refused(reason: Reason = "wrong_signature") -> Refused:
    return Refused("trtc_default", 12, minutes(30), minutes(3), reason)


def of_site(**changes: Any) -> list[Finding]:
    return health.site_findings(replace(SITE, **changes), NOW)


def of_connection(**changes: Any) -> list[Finding]:
    return health.connection_findings(replace(CONNECTION, **changes), NOW)


def said(found: list[Finding], subject: str) -> Finding:
    (one,) = [each for each in found if each.subject == subject]
    return one


@pytest.mark.parametrize(
    "changes, subject, level, words",
    [
        ({}, "triggerer", "ok", "2 alive, with 500 of at most 2,000 triggers"),
        ({"triggerers": (), "idle": 3}, "triggerer", "problem", "deferred tasks stand still"),
        ({"triggerers": ()}, "triggerer", "warning", "none is alive"),
        ({"capacity": 270}, "triggerer", "warning", "500 of at most 540 triggers: nearly full"),
        ({"capacity": 250}, "triggerer", "warning", "nearly full"),
        ({"capacity": 250, "idle": 1200}, "triggerer", "problem", "1,200 deferred tasks stand still"),
        ({"idle": 5}, "triggerer", "ok", "2 alive"),  # the next moment one of them takes these
        ({}, "journal", "ok", "is there"),
        ({}, "receiver", "ok", "stores callbacks"),
        ({"is_active": False}, "journal", "warning", "no DAG that uses it"),
        ({"is_active": False}, "receiver", "warning", "answers 503"),
        ({"why_no_store": NO_STORE, "is_active": False}, "journal", "warning", "older than 3.3"),
        ({"oldest_callback": minutes(2)}, "backlog", "warning", "waited for 2 min"),
        ({"oldest_callback": minutes(6)}, "backlog", "problem", "waited for 6 min"),
    ],
)
def test_this_airflow(changes: dict[str, Any], subject: str, level: str, words: str) -> None:
    one = said(of_site(**changes), subject)
    assert (one.level, words in one.text) == (level, True), one


def test_what_is_processed_in_time_is_not_spoken_of() -> None:
    assert "backlog" not in {one.subject for one in of_site(oldest_callback=minutes(0.5))}


def test_below_airflow_3_3_nothing_is_said_of_the_receiver_or_of_callbacks() -> None:
    old = of_site(why_no_store=NO_STORE, is_active=False)
    assert {one.subject for one in old} == {"triggerer", "journal"}
    found = of_connection(setup=None, heard=(), checked=None, accounts=())
    assert {one.subject for one in found} == {"polls", "check"}
    assert health.status_code([*old, *found]) == 200


def test_assets_in_conflict_are_problems_and_named_to_those_who_may_know() -> None:
    named, hidden = of_site(conflicts=("The asset 'a' is inactive.", ""))[:2]
    assert (named.level, named.text) == ("problem", "The asset 'a' is inactive.")
    assert hidden.level == "problem"
    assert "API server's log" in hidden.text


@pytest.mark.parametrize(
    "changes, level, words",
    [
        ({}, "ok", "300 jobs polled at trtc.example.com, ap-guangzhou, in time"),
        ({"outage": "no answer since 09:58"}, "problem", "answers no polls: no answer since 09:58"),
        ({"due": 40, "slowest_seconds": 200.0}, "warning", "40 of 300 jobs overdue, by up to 3 min"),
        ({"due": 40, "slowest_seconds": 5.0}, "ok", "in time"),
        ({"rate": 0.0}, "unknown", "none was polled in the last minute"),
    ],
)
def test_polls(changes: dict[str, Any], level: str, words: str) -> None:
    one = said(of_connection(accounts=(replace(POLLING, **changes),)), "polls")
    assert (one.level, words in one.text) == (level, True), one


def test_requests_of_the_limit() -> None:
    assert said(of_connection(), "budget").text == "10.0 of 19 requests a second are used"
    one = said(of_connection(accounts=(replace(POLLING, throttled=7),)), "budget")
    assert (one.level, "7 requests refused" in one.text) == ("warning", True)
    assert "requests_per_second" in one.todo


def test_without_waits_nothing_is_known_of_the_service() -> None:
    found = of_connection(accounts=(), heard=(), checked=None)
    assert said(found, "polls").level == "unknown"
    assert worst(found) == "unknown"
    assert health.summary(found) == "Nothing is wrong, as far as is known"


def test_a_check_counts_for_an_hour() -> None:
    bad = Checked("trtc_default", NOW, (Finding("clock", "problem", "an hour behind"),))
    assert said(of_connection(checked=bad), "clock").level == "problem"
    old = replace(bad, at=NOW - CHECK_COUNTS - timedelta(seconds=1))
    found = of_connection(checked=old)
    assert "clock" not in {one.subject for one in found}
    assert said(found, "check").level == "unknown"
    assert worst(of_connection(checked=None)) == "unknown"


@pytest.mark.parametrize(
    "heard, waiting, level, words",
    [
        ((HEARD,), 300, "ok", "application 1400000001 came 60 s ago; 2.5 a minute"),
        (
            (replace(HEARD, last_at=minutes(12), is_quiet=True),),
            300,
            "warning",
            "12 min ago, and 300 jobs are wait",
        ),
        ((replace(HEARD, last_at=minutes(12), is_quiet=True),), 0, "ok", "12 min ago"),
        ((), 300, "warning", "yet, though 300 jobs are waited for"),
        ((), 0, "unknown", "no callback has come through this connection yet"),
    ],
)
def test_callbacks(heard: tuple[Heard, ...], waiting: int, level: str, words: str) -> None:
    accounts = (replace(POLLING, waiting=waiting),) if waiting else ()
    one = said(of_connection(heard=heard, accounts=accounts), "heard")
    assert (one.level, words in one.text) == (level, True), one


def test_without_a_key_for_callbacks_their_absence_says_nothing() -> None:
    found = of_connection(setup=Setup(problem="its field callback_secret is empty"), heard=())
    assert "heard" not in {one.subject for one in found}
    assert said(found, "callbacks").level == "warning"


@pytest.mark.parametrize("reason", get_args(Reason))
def test_refused_callbacks_come_with_a_reason_and_a_remedy_and_are_no_problem(reason: Reason) -> None:
    one = said(of_connection(refused=refused(reason)), "refused")
    assert one.level == "warning"  # whoever knows the address could make monitoring ring else
    assert one.text == f"12 callbacks refused, the last 3 min ago: {REASONS[reason]}"
    assert one.todo == REMEDIES[reason]


def test_the_worst_comes_first() -> None:
    down = replace(POLLING, outage="it is away", throttled=1)
    found = of_connection(accounts=(down,), refused=refused(), checked=None)
    assert [one.level for one in found] == ["problem", "warning", "warning", "unknown", "ok", "ok"]
    assert health.summary(found) == "1 problem, 2 warnings"
    assert health.status_code(found) == 503


def test_when_all_is_well() -> None:
    found = [*of_site(), *of_connection()]
    assert {one.level for one in found} == {"ok"}
    assert (health.summary(found), health.status_code(found)) == ("All is well", 200)


def test_warnings_are_no_alarm() -> None:
    found = of_connection(refused=refused())
    assert (health.summary(found), health.status_code(found)) == ("1 warning", 200)


@pytest.mark.parametrize("subject", READ)
def test_the_documentation_has_what_findings_point_at(subject: str) -> None:
    title, section = READ[subject]
    (page,) = [page for page in PAGES.values() if page.text.startswith(f"# {title}\n")]
    assert page.section(section).strip()


def test_every_finding_that_is_not_well_points_at_the_documentation() -> None:
    down = replace(POLLING, outage="it is away", throttled=1)
    found = [
        *of_site(triggerers=(), idle=3, is_active=False, oldest_callback=minutes(9), conflicts=("",)),
        *of_connection(accounts=(down,), heard=(), refused=refused(), checked=None, setup=Setup("no key")),
    ]
    assert {one.subject for one in found} <= READ.keys()
    assert all(one.todo or one.subject in ("journal", "polls") for one in found if one.level == "problem")
