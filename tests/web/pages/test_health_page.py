"""The page of health, monitoring and checks, by real rows, a real auth manager and calls to the emulator."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.emulator import DEFAULT_DENIED_SECRET_ID, DEFAULT_DENIED_SECRET_KEY, Emulator
from airflow_trtc.findings import Finding
from airflow_trtc.journal.keys import connections_key
from airflow_trtc.journal.reception import Heard, Refused
from airflow_trtc.web.pages import checks, health_page
from airflow_trtc.web.pages.checks import Checks, TooSoon
from airflow_trtc.web.pages.health import Checked
from tests.versions import HAS_STATE_STORE
from tests.web.pages.conftest import OWN, PER_DAG, Site, new_checks
from tests.web.pages.rows import APP, Wait, insert, shown
from tests.web.pages.test_queries import put_pulse

OpenSite = Callable[..., Site]
CALLBACK_KEY = "a-key-of-callbacks-0123456789abcdef"
PLANTED = {
    "callback_secret": CALLBACK_KEY,
    "sdk_secret_key": "an-sdk-secret-key-0123456789",
    "token": "a-session-token-0123456789",
    "proxy": "http://somebody:a-proxy-password@127.0.0.1:9",
    "passwort": "a-secret-in-a-field-that-is-none",
}
TEXTS = (*PLANTED.values(), "a-proxy-password")
CHECK = "/trtc/ui/health/check?conn_id="
needs_journal = pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow keeps no journal")


@pytest.fixture
def emulator(trtc_emulator: Emulator) -> Emulator:
    return trtc_emulator


@pytest.fixture
def connect(emulator: Emulator, empty: None) -> Callable[..., None]:
    """Put a connection into Airflow's database: that of the emulator, changed."""

    def put(conn_id: str = "in_database", extra: dict[str, Any] | None = None, **changes: Any) -> None:
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session

        value = {**emulator.connection, **changes}
        value["extra"] = json.dumps({**value["extra"], "callback_secret": CALLBACK_KEY, **(extra or {})})
        with create_session() as session:
            session.add(Connection(conn_id=conn_id, **value))

    return put


def write(*rows: Any) -> None:
    """Write rows of the journal: keys and values, or what has both."""
    from airflow_trtc.web.processing import database

    named: dict[str, Any] = dict(row if isinstance(row, tuple) else (row.key, row.value) for row in rows)
    with database.transaction() as session:
        database.write(session, 1, {key: database.encode(value) for key, value in named.items()})


def put_triggerer(*, age: timedelta = timedelta(0), triggers: int = 0, idle: int = 0) -> None:
    from airflow.jobs.job import Job, JobState
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import insert as insert_rows

    now = datetime.now(timezone.utc)
    with create_session() as session:
        job = {"job_type": "TriggererJob", "state": JobState.RUNNING, "hostname": "a-host"}
        session.execute(insert_rows(Job.__table__).values(id=7, **job, latest_heartbeat=now - age))
        plain = {"classpath": "a.b", "kwargs": "", "created_date": now}
        carried = [7] * triggers + [None] * idle
        if carried:
            rows = [{**plain, "triggerer_id": one} for one in carried]
            session.execute(insert_rows(Trigger.__table__), rows)


@pytest.fixture
def journal(empty: None) -> None:
    insert([Wait(dag_id="mine", value=shown("rec-1"))], [("mine", "wait")])


def report(site: Site, user: str = "admin") -> dict[str, Any]:
    answer = site.ask("/trtc/health", user)
    assert answer.headers["cache-control"] == "private, no-store"
    told: dict[str, Any] = answer.json()
    assert answer.status_code == (503 if told["status"] == "problem" else 200)
    return told


def levels(found: list[dict[str, str]]) -> dict[str, str]:
    return {one["subject"]: one["level"] for one in found}


def test_without_a_login_monitoring_learns_that_pages_are_served(connect: Any, open_site: OpenSite) -> None:
    connect()
    assert open_site().ask("/trtc/health", None).json() == {"status": "ok"}


def test_a_token_of_the_header_counts_too(open_site: OpenSite, empty: None) -> None:
    site = open_site()
    answer = site.ask("/trtc/health", None, authorization=f"Bearer {site.token('viewer')}")
    assert set(answer.json()) == {"status", "at", "findings", "connections"}
    assert site.ask("/trtc/health", None, authorization="Bearer broken").status_code == 403


@needs_journal
def test_the_connections_are_those_of_the_database_and_those_that_rows_name(
    connect: Any, journal: None, open_site: OpenSite
) -> None:
    connect()
    now = datetime.now(timezone.utc)
    put_pulse(conn_ids=("elsewhere", "in_database"), waiting=3)
    write(
        Heard(APP, now - timedelta(minutes=2), {}),
        (connections_key(APP), {"v": 1, "conn_ids": ["called", "in_database"]}),
        Refused("refused", 4, now, now, "wrong_signature"),
    )
    told = report(open_site())["connections"]
    assert set(told) == {"elsewhere", "called", "refused", "in_database"}
    mine = told["in_database"]
    assert levels(mine["findings"])["polls"] == "ok"
    assert levels(mine["findings"])["heard"] == "ok"
    assert [one["waiting"] for one in mine["accounts"]] == [3]
    assert [one["sdk_app_id"] for one in mine["callbacks"]] == [APP]
    assert told["refused"]["refused"]["count"] == 4
    assert levels(told["refused"]["findings"])["refused"] == "warning"
    assert "elsewhere" not in json.dumps(mine)  # another connection of the account


@needs_journal
def test_page_and_monitoring_say_the_same(connect: Any, journal: None, open_site: OpenSite) -> None:
    connect()
    put_pulse(conn_ids=("in_database",), outage="the service is away")
    site = open_site()
    told = report(site)
    page = site.ask("/trtc/ui/health").text
    assert told["status"] == "problem"
    for one in (*told["findings"], *told["connections"]["in_database"]["findings"]):
        assert one["text"].replace("'", "&#39;") in page
    assert "the service is away" in page
    assert site.ask("/trtc/ui/health").status_code == 200


@pytest.mark.parametrize("user, sees", [("viewer", False), ("op", True), ("admin", True)])
def test_connections_are_for_those_who_may_read_them(
    user: str, sees: bool, connect: Any, open_site: OpenSite
) -> None:
    connect()
    put_triggerer()
    site = open_site()
    assert ("in_database" in report(site, user)["connections"]) is sees
    page = site.ask("/trtc/ui/health", user).text
    assert ("in_database" in page) is sees
    assert ("a-host" in page) is sees
    assert "1 alive, with 0 of at most" in page


@needs_journal
def test_assets_in_conflict_are_named_to_readers_of_their_dags_only(
    journal: None, open_site: OpenSite
) -> None:
    from airflow.models.asset import AssetActive, AssetModel, DagScheduleAssetReference
    from airflow.utils.session import create_session

    with create_session() as session:
        loser = AssetModel(name="lost", uri="trtc://recordings/finished")
        winner = AssetModel(name="won", uri="trtc://recordings/finished")
        session.add_all([loser, winner])
        session.flush()
        session.add(AssetActive.for_asset(winner))
        session.add(DagScheduleAssetReference(asset_id=loser.id, dag_id="mine"))
    site = open_site(PER_DAG)
    for user, sees in (("mine", True), ("others", False)):
        page = site.ask("/trtc/ui/health", user).text
        assert ("of DAG mine is inactive" in page) is sees
        assert "inactive" in page
    assert report(site, "others")["status"] == "problem"


@pytest.mark.parametrize(
    "put, level",
    [
        ({"triggers": 2}, "ok"),
        ({"age": timedelta(minutes=5), "triggers": 2}, "problem"),
        ({"age": timedelta(minutes=5)}, "warning"),
        ({"triggers": 4, "idle": 1}, "problem"),
    ],
)
def test_triggerers_and_their_load_are_read_from_airflows_tables(
    put: dict[str, Any], level: str, empty: None, open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__CAPACITY", "4")
    put_triggerer(**put)
    assert levels(report(open_site())["findings"])["triggerer"] == level


def test_without_a_journal_the_page_says_what_is_missing(empty: None, open_site: OpenSite) -> None:
    assert levels(report(open_site())["findings"])["journal"] == "warning"
    assert "No connection of type Tencent RTC" in open_site().ask("/trtc/ui/health").text


# -- checks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, subject, level",
    [
        ({}, "keys", "ok"),
        ({"password": "wrong-secret-key"}, "keys", "problem"),
        ({"login": "AKIDnobody"}, "keys", "problem"),
        (
            {"login": DEFAULT_DENIED_SECRET_ID, "password": DEFAULT_DENIED_SECRET_KEY},
            "permission",
            "problem",
        ),
        ({"extra": {"region": "mars-1"}}, "region", "problem"),
        ({"extra": {"sdk_app_id": 1400000002}}, "application", "problem"),
        ({"host": "http://127.0.0.1:9"}, "service", "problem"),
        ({"host": "ftp://x"}, "connection", "problem"),
        ({"conn_type": "http"}, "connection", "problem"),
        ({"extra": {"sdk_app_id": None}}, "permission", "warning"),
    ],
)
def test_a_check_is_a_real_call(
    changes: dict[str, Any], subject: str, level: str, connect: Any, open_site: OpenSite
) -> None:
    connect(**changes)
    site = open_site()
    answer = site.post(f"{CHECK}in_database", "op", **OWN)
    assert answer.status_code == 200
    assert levels(answer.json()["findings"])[subject] == level
    secrets = [changes.get("password"), changes.get("login"), CALLBACK_KEY]
    assert not [one for one in secrets if one and one in answer.text]
    if changes.get("conn_type") != "http":
        page = site.ask("/trtc/ui/health").text
        assert answer.json()["findings"][-1]["text"].replace("'", "&#39;") in page
        assert "Checked <time" in page


@pytest.mark.parametrize("seconds, level", [(120, "warning"), (-3600, "problem")])
def test_a_check_compares_the_clocks(
    seconds: int, level: str, emulator: Emulator, connect: Any, open_site: OpenSite
) -> None:
    connect()
    emulator.skew_clock(seconds)
    found = open_site().post(f"{CHECK}in_database", **OWN).json()["findings"]
    assert levels(found)["clock"] == level


def test_a_connection_is_checked_once_a_minute(connect: Any, emulator: Emulator, open_site: OpenSite) -> None:
    connect()
    connect("another")
    site = open_site()
    assert site.post(f"{CHECK}in_database", **OWN).status_code == 200
    again = site.post(f"{CHECK}in_database", **OWN)
    assert again.status_code == 429
    assert 0 < int(again.headers["retry-after"]) <= 60
    assert "it can be checked again in" in again.json()["summary"]
    assert site.post(f"{CHECK}another", **OWN).status_code == 200


def test_the_minute_is_counted_from_the_begin() -> None:
    now = [1000.0]
    mine = Checks(lambda conn_id: [], clock=lambda: now[0])
    mine.check("a", datetime.now(timezone.utc))
    now[0] += 59.0
    with pytest.raises(TooSoon) as raised:
        mine.check("a", datetime.now(timezone.utc))
    assert raised.value.seconds == pytest.approx(1.0)
    now[0] += 1.0
    mine.check("a", datetime.now(timezone.utc))


@pytest.mark.parametrize("conn_id", ["", "%20", "x" * 2000])
def test_what_is_no_name_of_a_connection_is_not_looked_for(open_site: OpenSite, conn_id: str) -> None:
    assert open_site().post(f"{CHECK}{conn_id}", **OWN).status_code == 404


def test_a_name_with_a_zero_character_reaches_no_database(
    open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(conn_id: str) -> list[Finding]:
        asked.append(conn_id)
        return []

    monkeypatch.setattr(health_page, "_checks", Checks(note))
    open_site().post(f"{CHECK}a%00b", **OWN)
    assert asked == ["a\N{REPLACEMENT CHARACTER}b"]


def test_another_spelling_of_a_name_is_no_other_connection() -> None:
    mine = Checks(lambda conn_id: [])
    mine.check("trtc_default", datetime.now(timezone.utc))
    with pytest.raises(TooSoon):
        mine.check("Trtc_Default", datetime.now(timezone.utc))


def test_a_check_that_takes_too_long_is_a_problem() -> None:
    over = threading.Event()

    def hang(conn_id: str) -> list[Finding]:
        over.wait(60)
        return []

    try:
        (one,) = Checks(hang, limit=0.01).check("a", datetime.now(timezone.utc)).findings
    finally:
        over.set()
    assert (one.subject, one.level) == ("service", "problem")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_trtc": "1"},
        {**OWN, "origin": "http://evil.example"},
        {**OWN, "sec_fetch_site": "same-site"},
        {**OWN, "content_type": "text/plain"},
        {"content_type": "application/json", "origin": "http://airflow"},
    ],
)
def test_a_page_of_others_cannot_have_a_connection_checked(
    headers: dict[str, str], connect: Any, emulator: Emulator, open_site: OpenSite
) -> None:
    connect()
    site = open_site()
    assert site.post(f"{CHECK}in_database", "admin", **headers).status_code == 403
    assert health_page._checks.latest([]) == {}
    assert site.ask(f"{CHECK}in_database").status_code == 404  # nothing is done by looking


def test_nobody_checks_what_they_may_not_read(connect: Any, open_site: OpenSite) -> None:
    connect()
    site = open_site()
    for conn_id in ("in_database", "nowhere", ""):
        assert site.post(f"{CHECK}{conn_id}", "viewer", **OWN).status_code == 404
    assert health_page._checks.latest([]) == {}


@pytest.fixture
def fernet_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Encrypt what Airflow encrypts."""
    from airflow.models import crypto
    from cryptography.fernet import Fernet

    def forget() -> None:
        if hasattr(crypto.get_fernet, "cache_clear"):
            crypto.get_fernet.cache_clear()
        else:  # Airflow 3.1
            vars(crypto)["_fernet"] = None

    with monkeypatch.context() as patched:
        patched.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        forget()
        yield
    forget()


@needs_journal
@pytest.mark.usefixtures("fernet_key")
def test_another_api_worker_shows_the_check_too(
    connect: Any, journal: None, open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_trtc.web.pages import queries

    connect(password="wrong-secret-key")
    open_site().post(f"{CHECK}in_database", **OWN)
    monkeypatch.setattr(health_page, "_checks", new_checks())
    told = report(open_site())["connections"]["in_database"]
    assert levels(told["findings"])["keys"] == "problem"
    with queries.reading() as session:
        (row,) = queries.select_journal(session, checks.CHECKED).values()
    # Readers of assets may read the row, but not what is known of connections.
    assert set(row) == {"v", "conn_id", "at_ms", "found"}
    assert "SecretKey" not in json.dumps(row)


@needs_journal
def test_without_a_key_to_encrypt_it_a_check_is_not_stored(
    connect: Any, journal: None, open_site: OpenSite
) -> None:
    from airflow.models.crypto import get_fernet

    from airflow_trtc.web.pages import queries

    assert not get_fernet().is_encrypted
    connect()
    assert open_site().post(f"{CHECK}in_database", **OWN).status_code == 200
    with queries.reading() as session:
        assert queries.select_journal(session, checks.CHECKED) == {}


@pytest.mark.parametrize("value", [None, 7, {}, {"v": 1}, {"v": 1, "conn_id": "a", "at_ms": 1, "found": "x"}])
def test_what_is_no_check_is_not_read_as_one(value: object) -> None:
    assert checks.opened(value) is None


def test_a_check_is_read_as_it_was_stored(empty: None) -> None:
    at = datetime(2026, 1, 21, 10, tzinfo=timezone.utc)
    one = Checked("a", at, (Finding("keys", "problem", "The SecretKey is wrong.", "mend it"),))
    assert checks.opened(checks.sealed(one)) == one


# -- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fernet_key")
@pytest.mark.parametrize("password", ["wrong-secret-key-0123456789", None])
def test_no_answer_holds_a_secret(
    password: str | None, connect: Any, emulator: Emulator, journal: None, open_site: OpenSite
) -> None:
    from airflow_trtc.web.pages import queries

    changes = {} if password is None else {"password": password}
    connect("planted", PLANTED, **changes)
    connect("no_proxy", {**PLANTED, "proxy": None, "token": None}, **changes)
    connect("misread", {**PLANTED, "sdk_app_id": "no number"}, **changes)
    site = open_site()
    answers = [site.post(f"{CHECK}{name}", **OWN).text for name in ("planted", "no_proxy", "misread")]
    answers += [site.ask(path).text for path in ("/trtc/ui/health", "/trtc/ui", "/trtc/health")]
    with queries.reading() as session:
        answers.append(json.dumps(queries.select_journal(session, checks.CHECKED)))
    connection = emulator.connection
    secrets = [*TEXTS, password or connection["password"], connection["login"]]
    assert [(one, text[:80]) for one in secrets for text in answers if one in text] == []
    assert "planted" in answers[3]


def test_what_the_service_repeats_of_a_secret_is_hidden() -> None:
    from airflow.models.connection import Connection

    connection = Connection(
        conn_id="a", conn_type="trtc", login="AKIDlogin", password="pa", extra=json.dumps(PLANTED)
    )
    hidden = checks.secrets_of(connection)
    assert {"AKIDlogin", CALLBACK_KEY, "somebody", "a-proxy-password"} <= hidden
    assert "pa" not in hidden  # would tear other words apart
    said = Finding("keys", "problem", f"AKIDlogin signed with {CALLBACK_KEY}", "ask somebody")
    assert checks.without(hidden, said) == Finding("keys", "problem", "*** signed with ***", "ask ***")
