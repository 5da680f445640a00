"""Who gets which answer: a table of all routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urljoin

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from airflow_trtc.web.pages import checks, health_page
from airflow_trtc.web.pages.shell import ERRORS
from tests.versions import HAS_STATE_STORE
from tests.web.pages.conftest import OWN, PER_DAG, Site, new_checks
from tests.web.pages.managers import HIDDEN_CONNECTION
from tests.web.pages.rows import Wait, insert, shown

OpenSite = Callable[..., Site]

RUN = "manual__2026-01-21T10:00:00%2B00:00"
# Nobody, a token that is none, who may read this DAG, who may read another one only, who may read the DAG but
# no XComs, and by role: op, admin.
WHO = ("none", "broken", "mine", "others", "no_xcoms", "op", "admin")
PUBLIC = (200,) * 7
PRIVATE = (401, 403, 200, 404, 404, 200, 200)
# Route -> what is asked, and what each is answered with.
TABLE: dict[str, tuple[str, tuple[int, ...]]] = {
    "/ui": ("/ui", (401, 403, 200, 200, 200, 200, 200)),
    "/ui/": ("/ui/", (401, 403, 200, 200, 200, 200, 200)),
    "/ui/job": ("/ui/job?kind=recording&app=1400000001&id=unknown", (401, 403, 404, 404, 404, 404, 404)),
    "/ui/task": (f"/ui/task?dag_id=mine&run_id={RUN}&task_id=wait&map_index=-1", PRIVATE),
    "/ui/run": (f"/ui/run?dag_id=mine&run_id={RUN}", PRIVATE),
    "/ui/static/{name}": ("/ui/static/trtc.css", PUBLIC),
    "/ui/health": ("/ui/health", (401, 403, 200, 200, 200, 200, 200)),
    "/health": ("/health", (200, 403, 200, 200, 200, 200, 200)),
    "/ui/{rest:path}": ("/ui/what/is/this", (401, 403, 404, 404, 404, 404, 404)),
}
# Route -> what is posted to a connection that is not there, from a page of ours, and the answers.
ACTIONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "/ui/health/check": ("/ui/health/check?conn_id=nowhere", (401, 403, 404, 404, 404, 200, 200)),
}
PREFIXES = ("", "/trtc")
PROTECTION = {
    "content-security-policy": "frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


@pytest.fixture
def site(open_site: OpenSite) -> Site:
    """Two DAGs that wait, each with a recording of its own."""
    waits = [
        Wait(dag_id="mine", value=shown("rec-of-mine", room_id="room-of-mine")),
        Wait(dag_id="others", value=shown("rec-of-others", room_id="room-of-others", problem_count=1)),
        Wait(
            dag_id="others", run_id="old", state="failed", ended=timedelta(minutes=-1), value=shown("rec-old")
        ),
    ]
    insert(waits, [(wait.dag_id, wait.task_id) for wait in waits[:2]])
    return open_site(PER_DAG)


def ask(site: Site, path: str, who: str) -> httpx.Response:
    if who in ("none", "broken"):
        return site.ask(path, None, token="broken" if who == "broken" else None)
    return site.ask(path, who)


def test_every_route_is_in_the_table() -> None:
    from airflow_trtc.web.pages.routes import create_pages

    app = create_pages(PREFIXES)
    routes = {(route.path, *sorted(route.methods or ())) for route in app.routes}  # type: ignore[attr-defined]
    asked = {(prefix + path, "GET") for prefix in PREFIXES for path in TABLE}
    assert routes == asked | {(prefix + path, "POST") for prefix in PREFIXES for path in ACTIONS}


@pytest.mark.parametrize("route", TABLE)
def test_each_gets_the_answer_of_the_table_and_no_other(site: Site, route: str) -> None:
    path, answers = TABLE[route]
    for who, status in zip(WHO, answers, strict=True):
        for prefix in PREFIXES:  # the second: what is left of the path behind a proxy that takes a part away
            answer = ask(site, f"/trtc{prefix}{path}", who)
            assert (who, answer.status_code) == (who, status)
            for name, value in PROTECTION.items():
                assert value in answer.headers[name], (who, name)
            if route.startswith("/ui") and "static" not in route:
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
                assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("route", ACTIONS)
def test_each_may_do_what_the_table_says_and_no_more(
    site: Site, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answers = ACTIONS[route]
    for who, status in zip(WHO, answers, strict=True):
        for prefix in PREFIXES:
            monkeypatch.setattr(health_page, "_checks", new_checks())  # forgets when it checked last
            token = "broken" if who == "broken" else None
            user = None if who in ("none", "broken") else who
            answer = site.post(f"/trtc{prefix}{path}", user, token=token, **OWN)
            assert (who, answer.status_code) == (who, status)
            assert answer.headers["content-type"] == "application/json"
            for name, value in PROTECTION.items():
                assert value in answer.headers[name], (who, name)


@pytest.mark.parametrize("route", TABLE)
def test_nothing_but_get_is_answered(site: Site, route: str) -> None:
    path, _ = TABLE[route]
    assert site.post(f"/trtc{path}", **OWN).status_code == 405


def test_a_user_sees_nothing_of_other_dags_not_even_in_numbers(site: Site) -> None:
    page = site.ask("/trtc/ui", "mine").text
    assert "room-of-mine" in page
    assert "others" not in page
    assert "rec-old" not in page
    assert figures(page) == ["1", "0", "0", "0"]
    assert figures(site.ask("/trtc/ui", "others").text) == ["1", "1", "1", "1"]
    assert figures(site.ask("/trtc/ui", "admin").text) == ["2", "1", "1", "1"]


@pytest.mark.parametrize(
    "query", ["?dag_id=others", "?q=rec-of-others", "?q=room-of-others", "?state=problems"]
)
def test_no_filter_shows_another_dag(site: Site, query: str) -> None:
    page = site.ask(f"/trtc/ui{query}", "mine").text
    assert "No recording matches" in page
    assert "rec-old" not in page


def test_without_any_dag_the_page_says_what_to_ask_for(site: Site) -> None:
    for user in ("nobody", "no_xcoms"):
        page = site.ask("/trtc/ui", user).text
        assert "You may not read any DAG that waits for recordings" in page
        assert "mine" not in page


def test_by_role_viewers_see_all_dags(open_site: OpenSite) -> None:
    insert([Wait(dag_id="mine", value=shown("rec-1"))], [("mine", "wait")])
    site = open_site()
    assert figures(site.ask("/trtc/ui", "viewer").text) == ["1", "0", "0", "0"]


@pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow keeps no journal")
@pytest.mark.parametrize("user, sees", [("viewer", False), ("op", True), ("admin", True)])
def test_accounts_are_for_those_who_may_read_connections(open_site: OpenSite, user: str, sees: bool) -> None:
    from tests.web.pages.test_queries import put_pulse

    insert([Wait(dag_id="mine", value=shown("rec-1"))], [("mine", "wait")])
    put_pulse()
    page = open_site().ask("/trtc/ui", user).text
    assert ("requests a second" in page) is sees
    assert ("trtc_default" in page) is sees


@pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow keeps no journal")
@pytest.mark.parametrize("page", ["/trtc/ui", "/trtc/ui/health", "/trtc/health"])
def test_a_connection_that_a_user_may_not_read_is_not_named(open_site: OpenSite, page: str) -> None:
    from tests.web.pages.test_queries import put_pulse

    insert([Wait(dag_id="mine", value=shown("rec-1"))], [("mine", "wait")])
    put_pulse(conn_ids=("trtc_default", HIDDEN_CONNECTION))
    put_pulse(conn_ids=(HIDDEN_CONNECTION,), account="ffff", endpoint="https://of-another-team.example.com")
    site = open_site(PER_DAG)
    found = {user: site.ask(page, user).text for user in ("op", "admin")}
    assert "trtc_default" in found["op"]
    assert HIDDEN_CONNECTION not in found["op"]
    assert "of-another-team.example.com" not in found["op"]
    assert HIDDEN_CONNECTION in found["admin"]


def test_errors_are_pages_that_say_what_to_do(site: Site) -> None:
    page = site.ask("/trtc/ui", None).text
    assert "You are not logged in" in page
    assert 'href="ui/../../api/v2/auth/login"' in page
    assert "theme.js" in page


@pytest.mark.parametrize("path", ["nothing", "job/", "ui", "what/is/this", "health/check", "deep/down/ui"])
def test_the_page_about_a_wrong_address_leads_back_from_wherever_that_is(site: Site, path: str) -> None:
    place = f"http://airflow/trtc/ui/{path}"
    for user in ("admin", None):
        links = {
            urljoin(place, link) for link in re.findall('(?:href|src)="([^"]*)"', site.ask(place, user).text)
        }
        pages = {link for link in links if "/static/" not in link}
        login = set() if user else {"http://airflow/api/v2/auth/login"}
        assert pages == {"http://airflow/trtc/ui", "http://airflow/trtc/ui/health"} | login
        assert {link.partition("trtc.js")[0] for link in links if "trtc.js" in link} == {
            "http://airflow/trtc/ui/static/"
        }


def test_a_failure_shows_a_number_and_nothing_of_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the database")

    monkeypatch.setattr("airflow_trtc.web.pages.listing_page.read", fail)
    answer = site.ask("/trtc/ui")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    (number,) = [word for word in caplog.text.split() if word.strip("()") in answer.text and len(word) == 9]
    assert number.endswith(")")


@pytest.mark.parametrize(
    "status, error", [(500, RuntimeError("x")), (503, OperationalError("x", {}, OSError()))]
)
def test_what_is_no_page_fails_as_json_that_says_what_to_do(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: int, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(health_page, "read", fail)
    monkeypatch.setattr(checks, "store", fail)
    posted = site.post("/trtc/ui/health/check?conn_id=nowhere", **OWN)
    for answer in (site.ask("/trtc/health"), posted):
        assert answer.status_code == status
        assert ERRORS[status][1] in answer.json()["detail"]
        assert answer.headers["cache-control"] == "private, no-store"


def figures(page: str) -> list[str]:
    """The numbers on top."""
    return [part.partition("<")[0] for part in page.split('<span class="number">')[1:]]
