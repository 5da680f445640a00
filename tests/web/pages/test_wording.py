"""Times, addresses and kept answers, by values alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.web.pages.access import is_own
from airflow_trtc.web.pages.addresses import Addresses, outside
from airflow_trtc.web.pages.memory import Memory, pause
from airflow_trtc.web.pages.wording import age, ago, cut, due, duration, middle, plural, since, spaced

NOW = datetime(2026, 1, 21, 10, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "seconds,text",
    [
        (-5, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172800, "2 d"),
    ],
)
def test_age(seconds: int, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    "seconds,text",
    [(0, "0 s"), (59, "59 s"), (65, "1 min 05 s"), (3900, "1 h 05 min"), (90000, "1 d 01 h"), (-1, "0 s")],
)
def test_duration(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_elements_with_the_exact_instant() -> None:
    at = NOW - timedelta(seconds=65)
    opening = 'datetime="2026-01-21T09:58:55.000Z" title="2026-01-21 09:58:55 UTC"'
    assert ago(at, NOW) == f"<time data-age {opening}>65 s ago</time>"
    assert since(at, NOW) == f"<time data-since {opening}>1 min 05 s</time>"
    assert ">in 5 min<" in ago(NOW + timedelta(minutes=5), NOW)
    assert due(NOW + timedelta(minutes=5), NOW).startswith("<time data-due ")
    assert ">next in 5 min<" in due(NOW + timedelta(minutes=5), NOW)
    assert ">65 s late<" in due(at, NOW)
    assert ">due now<" in due(NOW, NOW)
    assert ">due now<" in due(NOW - timedelta(seconds=30), NOW)
    assert ago(None, NOW) == since(None, NOW) == due(None, NOW) == ""


def test_texts_are_cut_and_ids_are_cut_in_their_middle() -> None:
    assert cut("a" * 300) == "a" * 199 + "…"
    assert middle("abcdefghij", 7) == "abc…hij"
    assert middle("abc", 7) == "abc"
    assert (plural(1, "file"), plural(1200, "file"), spaced(5.25)) == ("1 file", "1,200 files", "5.2")


PLACES = ("/trtc/ui", "/trtc/ui/", "/trtc/ui/job", "/team/airflow/trtc/ui", "/team/airflow/trtc/ui/run")


@pytest.mark.parametrize("place", PLACES)
def test_addresses_lead_to_the_same_pages_from_everywhere(place: str) -> None:
    base = f"http://airflow{place.partition('/trtc')[0]}/"
    to = Addresses(place, {"trtc.js": "abc"})

    def resolve(address: str) -> str:
        return urljoin(f"http://airflow{place}", address)

    assert resolve(to.page()) == f"{base}trtc/ui"
    assert resolve(to.page("job", id="a+b/c", app=None)) == f"{base}trtc/ui/job?id=a%2Bb%2Fc"
    assert resolve(to.static("trtc.js")) == f"{base}trtc/ui/static/trtc.js?v=abc"
    assert resolve(to.task("d", "manual__1+00:00", "t")) == f"{base}dags/d/runs/manual__1%2B00%3A00/tasks/t"
    assert resolve(to.task("d", "r", "t", 0)) == f"{base}dags/d/runs/r/tasks/t/mapped/0"
    assert resolve(to.dag("a/b?c#d")) == f"{base}dags/a%2Fb%3Fc%23d"


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_id_changes_where_an_address_leads(dag_id: str, run_id: str) -> None:
    try:
        (dag_id + run_id).encode()
    except UnicodeEncodeError:
        return
    to = Addresses("/trtc/ui")
    parts = urlsplit(to.run(dag_id, run_id)).path.split("/")
    if dag_id not in (".", "..") and run_id not in (".", ".."):
        assert [unquote(part) for part in parts[-3:]] == [dag_id, "runs", run_id]
    assert parse_qs(urlsplit(to.page("run", dag_id=dag_id)).query, keep_blank_values=True) == {
        "dag_id": [dag_id]
    }


@pytest.mark.parametrize(
    "url,is_link",
    [
        ("https://console.trtc.io/app?id=1", True),
        ("http://10.0.0.1:8080/", True),
        ("HTTPS://EXAMPLE.COM", True),
        ("javascript:alert(1)", False),
        ("java\tscript:alert(1)", False),
        ("https://[::1", False),
        ("https://" + "a" * 3000, False),
        ("ftp://example.com", False),
        (None, False),
    ],
)
def test_only_http_leads_outside(url: object, is_link: bool) -> None:
    assert (outside(url) is not None) is is_link


def test_an_answer_is_kept_the_longer_the_longer_it_took() -> None:
    now = [0.0]
    memory = Memory(2.0, 60.0, clock=lambda: now[0])
    asked = []

    def ask(cost: float) -> int:
        asked.append(now[0])
        now[0] += cost
        return len(asked)

    assert memory.get("a", lambda: ask(0.1)) == 1
    now[0] += 19.9
    assert memory.get("a", lambda: ask(0.1)) == 1
    now[0] += 0.2
    assert memory.get("a", lambda: ask(0.0)) == 2
    now[0] += 1.9
    assert memory.get("a", lambda: ask(0.0)) == 2
    assert memory.get("b", lambda: ask(0.0)) == 3


def test_a_failure_is_not_kept() -> None:
    memory = Memory(2.0)
    with pytest.raises(ZeroDivisionError):
        memory.get("a", lambda: 1 // 0)
    assert memory.get("a", lambda: 7) == 7


def test_a_page_that_costs_more_is_asked_for_less_often() -> None:
    assert [pause(cost, 5.0) for cost in (0.0, 0.02, 0.05, 0.3, 10.0)] == [5.0, 5.0, 10.0, 60.0, 60.0]


OWN = {"x-trtc": "1", "content-type": "application/json", "origin": "http://airflow:8080"}
HOSTS = {"airflow:8080", "airflow.example.com"}


@pytest.mark.parametrize(
    "changes,is_accepted",
    [
        ({}, True),
        ({"content-type": "application/json; charset=utf-8"}, True),
        ({"origin": "https://airflow.example.com"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://airflow:8081"}, False),
        ({"origin": "http://sub.airflow.example.com"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://["}, False),
        ({"x-trtc": ""}, False),
        ({"content-type": "text/plain"}, False),
        ({"content-type": "application/x-www-form-urlencoded"}, False),
        ({"x-trtc": "", "sec-fetch-site": "same-origin"}, False),
    ],
)
def test_only_a_page_of_ours_may_change_anything(changes: dict[str, str], is_accepted: bool) -> None:
    assert is_own({**OWN, **changes}, HOSTS) is is_accepted


def test_without_any_sign_of_its_origin_a_request_is_refused() -> None:
    assert not is_own({name: value for name, value in OWN.items() if name != "origin"}, {*HOSTS, ""})
