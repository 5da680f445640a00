"""The page of a job and the tabs of tasks and runs, as users get them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_trtc.web.pages.job_page import read_task
from airflow_trtc.web.pages.job_view import MAX_LINES
from airflow_trtc.web.pages.tabs import NO_JOBS, NOT_OURS, NOTHING_YET
from tests.versions import HAS_STATE_STORE
from tests.web.pages.conftest import PER_DAG, Site
from tests.web.pages.rows import APP, Wait, insert, shown

OpenSite = Callable[..., Site]

RUN = "manual__2026-01-21T10:00:00%2B00:00"
HOSTILE = "<script>alert(1)</script>\"'&"
needs_journal = pytest.mark.skipif(not HAS_STATE_STORE, reason="this Airflow keeps no journal")
WHO = ("mine", "others", "no_xcoms", "nobody", "op", "admin")


def job(job_id: str, **more: object) -> str:
    parameters = "".join(f"&{name}={value}" for name, value in more.items())
    return f"/trtc/ui/job?kind=recording&app={APP}&region=ap-guangzhou&id={job_id}{parameters}"


def task(dag_id: str = "mine", task_id: str = "wait", run_id: str = RUN, map_index: object = -1) -> str:
    return f"/trtc/ui/task?dag_id={dag_id}&run_id={run_id}&task_id={task_id}&map_index={map_index}"


@pytest.fixture
def site(open_site: OpenSite) -> Site:
    waits = [
        Wait(dag_id="mine", value=shown("rec-mine", files=2, room_id=HOSTILE)),
        Wait(dag_id="others", value=shown("rec-others")),
        Wait(dag_id="others", task_id="also", value=shown("rec-mine")),
        Wait(dag_id="mine", task_id="early"),
        Wait(dag_id="mine", task_id="other", operator="PythonOperator"),
        Wait(dag_id="mine", run_id="quiet", task_id="other", operator="PythonOperator"),
    ]
    insert(waits, [("mine", "wait"), ("others", "wait"), ("mine", "early")])
    return open_site(PER_DAG)


def put_events(*events: dict[str, Any]) -> None:
    """As the receiver stores them, and worked on as the callback processor does."""
    from datetime import datetime, timezone

    from airflow_trtc.web.processing import database, processor
    from tests.web.conftest import in_row

    now = datetime.now(timezone.utc)
    rows = dict(in_row(one, round(now.timestamp() * 1000) + number) for number, one in enumerate(events))
    with database.transaction() as session:
        asset_id = database.journal_asset_id(session)
        assert asset_id is not None
        database.write(session, asset_id, rows)
    processor.fold(asset_id, now + timedelta(seconds=1))


def recent(kind: int, task_id: str, **payload: Any) -> dict[str, Any]:
    from tests.web.conftest import event

    return event(kind, task_id, round(time.time() * 1000) - 60_000 + kind, **payload)


@pytest.mark.parametrize(
    "address, answers",
    [
        (job("rec-mine"), (200, 200, 404, 404, 200, 200)),
        (job("rec-others"), (404, 200, 404, 404, 200, 200)),
        (job("nothing"), (404,) * 6),
        # A task that does not wait for it, or one of a DAG that one may not read, opens nothing.
        (job("rec-others", dag_id="mine", run_id=RUN, task_id="wait"), (404, 200, 404, 404, 200, 200)),
        (job("rec-others", dag_id="others", run_id=RUN, task_id="wait"), (404, 200, 404, 404, 200, 200)),
        (task(), (200, 404, 404, 404, 200, 200)),
        (task(task_id="other"), (200, 404, 404, 404, 200, 200)),
        (task(task_id="unknown"), (200, 404, 404, 404, 200, 200)),
        (f"/trtc/ui/run?dag_id=mine&run_id={RUN}", (200, 404, 404, 404, 200, 200)),
        ("/trtc/ui/run?dag_id=mine", (404,) * 6),
        ("/trtc/ui/task?dag_id=mine&run_id=x", (404,) * 6),
        ("/trtc/ui/job?kind=nonsense&app=1&id=x", (404,) * 6),
        ("/trtc/ui/job", (404,) * 6),
    ],
)
def test_a_job_is_shown_to_those_who_may_read_a_dag_that_waits_for_it(
    site: Site, address: str, answers: tuple[int, ...]
) -> None:
    assert tuple(site.ask(address, who).status_code for who in WHO) == answers


@needs_journal
def test_what_no_dag_waits_for_is_for_those_who_may_read_everything(site: Site) -> None:
    put_events(recent(301, "only-callbacks", Status=0), recent(302, "only-callbacks", LeaveCode=0))

    found = {who: site.ask(job("only-callbacks"), who).status_code for who in WHO}

    assert found == dict.fromkeys(WHO, 404) | {"op": 200, "admin": 200}
    assert "Recorder exit: stopped by the API" in site.ask(job("only-callbacks")).text


def test_a_page_names_the_tasks_that_the_user_may_read_and_no_others(site: Site) -> None:
    mine, everything = site.ask(job("rec-mine"), "mine").text, site.ask(job("rec-mine"), "admin").text

    assert "others" not in mine
    assert (
        'data-airflow href="./../../dags/mine/runs/manual__2026-01-21T10%3A00%3A00%2B00%3A00/tasks/wait"'
        in mine
    )
    assert "dags/others/runs" in everything


@pytest.mark.parametrize("address", [job("rec-mine"), task(), f"/trtc/ui/run?dag_id=mine&run_id={RUN}"])
def test_nothing_of_the_outside_world_is_unescaped(site: Site, address: str) -> None:
    page = site.ask(address, "mine").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert " style=" not in page


@pytest.mark.parametrize(
    "address, text",
    [
        (task(task_id="early"), NOTHING_YET),
        (task(task_id="other"), NOT_OURS),
        (task(task_id="unknown"), NOT_OURS),
        ("/trtc/ui/run?dag_id=mine&run_id=quiet", NO_JOBS),
        ("/trtc/ui/run?dag_id=mine&run_id=unknown", NO_JOBS),
    ],
)
def test_a_tab_of_what_is_not_ours_is_one_quiet_line(site: Site, address: str, text: str) -> None:
    answer = site.ask(address, "mine")

    assert answer.status_code == 200
    assert text in answer.text
    assert "<svg" not in answer.text.split("</header>")[1]


@pytest.mark.parametrize("run_id", [RUN, RUN.replace("%2B", "+"), RUN.replace("%2B", "%20")])
@pytest.mark.parametrize("map_index", ["{MAP_INDEX}", "-1", "", "%7BMAP_INDEX%7D", "99999999999999999999"])
def test_placeholders_and_ids_arrive_as_airflow_writes_them(site: Site, run_id: str, map_index: str) -> None:
    page = site.ask(task(run_id=run_id, map_index=map_index), "mine").text

    assert "rec-mine" in page
    assert "data-timeline" in page
    assert "rec-mine" in site.ask(f"/trtc/ui/run?dag_id=mine&run_id={run_id}", "mine").text


def test_a_mapped_task_has_a_line_for_each_and_each_its_own_tab(open_site: OpenSite) -> None:
    waits = [Wait(dag_id="mine", map_index=number, value=shown(f"rec-{number}")) for number in range(3)]
    insert(waits, [("mine", "wait")])
    site = open_site()

    assert all(f"rec-{number}" in site.ask(task(map_index="{MAP_INDEX}")).text for number in range(3))
    assert "rec-1" in site.ask(task(map_index=1)).text
    assert "rec-2" not in site.ask(task(map_index=1)).text


def test_an_instance_that_has_shown_nothing_yet_does_not_show_its_siblings(open_site: OpenSite) -> None:
    values = [shown("rec-0"), None]
    insert(
        [Wait(dag_id="mine", map_index=number, value=value) for number, value in enumerate(values)],
        [("mine", "wait")],
    )
    page = open_site().ask(task(map_index=1)).text

    assert NOTHING_YET in page
    assert "rec-0" not in page


def test_a_run_shows_some_and_says_how_many_more(open_site: OpenSite) -> None:
    number = MAX_LINES + 5
    insert(
        [Wait(dag_id="mine", map_index=each, value=shown(f"rec-{each}")) for each in range(number)],
        [("mine", "wait")],
    )

    page = open_site().ask(f"/trtc/ui/run?dag_id=mine&run_id={RUN}").text

    assert page.count("data-key=") == MAX_LINES
    assert 'And 5 more: <a href="./../ui?dag_id=mine">' in page


@pytest.mark.parametrize("in_text", [False, True])
def test_what_others_call_progress_hides_nothing_of_ours(open_site: OpenSite, in_text: bool) -> None:
    value = json.dumps(shown("rec-1")) if in_text else shown("rec-1")
    others = [
        Wait(dag_id="mine", task_id="a", operator="PythonOperator", map_index=each, value={"per_cent": each})
        for each in range(MAX_LINES)
    ]
    insert([*others, Wait(dag_id="mine", value=value)], [("mine", "wait")])

    page = open_site().ask(f"/trtc/ui/run?dag_id=mine&run_id={RUN}").text

    assert "rec-1" in page
    assert "more: <a" not in page


def test_what_no_database_can_look_into_breaks_no_page(open_site: OpenSite) -> None:
    nan = Wait(dag_id="mine", task_id="a", operator="PythonOperator", value={"loss": float("nan")})
    infinite = replace(nan, task_id="b", value={**shown("rec-2"), "loss": float("inf")})
    insert([nan, infinite, Wait(dag_id="mine", value=shown("rec-1"))], [("mine", "wait")])
    site = open_site()

    job = f"/trtc/ui/job?kind=recording&app={APP}&region=ap-guangzhou&id=rec-1"
    for address in (task(), job, f"/trtc/ui/run?dag_id=mine&run_id={RUN}", "/trtc/ui"):
        assert "rec-1" in site.ask(address).text, address
    assert site.ask("/trtc/ui?state=problems").status_code == 200


def test_equal_ids_of_two_regions_are_never_one_job(open_site: OpenSite) -> None:
    regions = ("ap-guangzhou", "ap-singapore")
    values = [{**shown("rec-1", room_id=f"room-in-{region}"), "region": region} for region in regions]
    waits = [Wait(dag_id="mine", task_id=each["region"], value=each) for each in values]
    insert(waits, [("mine", region) for region in regions])

    page = open_site().ask(f"/trtc/ui/job?kind=recording&app={APP}&id=rec-1").text

    assert [f"tasks/{region}" in page for region in regions].count(True) == 1


def test_page_tab_and_list_lead_to_each_other(site: Site) -> None:
    page = site.ask("/trtc/ui/task?" + task().partition("?")[2], "mine").text

    assert f'href="./job?kind=recording&amp;app={APP}&amp;region=ap-guangzhou&amp;id=rec-mine"' in page
    assert 'href="./../ui"' in page
    assert "./job?kind=recording" in site.ask(f"/trtc/ui/run?dag_id=mine&run_id={RUN}", "mine").text
    assert "ui/job?kind=recording" in site.ask("/trtc/ui", "mine").text


def test_the_console_is_linked_only_if_it_is_on_the_web(open_site: OpenSite) -> None:
    urls = {"a": "https://console.example.com/a", "b": "javascript:alert(1)"}
    values = {name: shown(f"rec-{name}", console_url=url) for name, url in urls.items()}
    waits = [Wait(dag_id="mine", task_id=name, value=value) for name, value in values.items()]
    insert(waits, [("mine", name) for name in urls])
    site = open_site()

    assert 'href="https://console.example.com/a" data-outside' in site.ask(job("rec-a")).text
    assert "javascript:" not in site.ask(job("rec-b")).text


@needs_journal
def test_events_are_shown_one_by_one(site: Site) -> None:
    put_events(
        recent(301, "rec-mine", Status=0),
        recent(302, "rec-mine", LeaveCode=100),
        recent(308, "rec-mine", Code=HOSTILE, Message="no"),
    )

    page = site.ask(job("rec-mine"), "mine").text

    assert "Recorder start: started (301, Status 0)" in page
    assert "Upload error" in page
    assert "<script>alert" not in page


def test_what_has_not_changed_is_not_sent_again(open_site: OpenSite) -> None:
    value = shown("rec-1", absent_since="2026-01-21T10:05:00+00:00", absent_at="2026-01-21T10:05:00+00:00")
    insert(
        [Wait(dag_id="mine", state="success", ended=timedelta(minutes=-5), value=value)], [("mine", "wait")]
    )
    site = open_site()

    first = site.ask(job("rec-1", part="live"))
    again = site.ask(job("rec-1", part="live"), **{"if-none-match": first.headers["etag"]})

    assert (first.status_code, again.status_code) == (200, 304)
    assert "<html" not in first.text


@pytest.mark.parametrize(
    "address",
    ["/trtc/ui", "/trtc/ui/health", job("rec-mine"), task(), f"/trtc/ui/run?dag_id=mine&run_id={RUN}"],
)
def test_a_page_that_costs_more_is_asked_for_less_often(
    site: Site, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.ask(address)  # loads templates
    clock = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: next(clock) / 5)

    assert site.ask(address).headers["x-trtc-refresh"] == "40"


@pytest.mark.parametrize(
    "value", ["text", 7, None, [], {"v": 1, "kind": 5}, {"kind": "recording", "sdk_app_id": "x"}, "{", '"x"']
)
def test_xcoms_that_name_no_job_are_no_waits(open_site: OpenSite, value: Any) -> None:
    insert([Wait(dag_id="mine", value=value if value is not None else {})], [("mine", "wait")])
    site = open_site()

    assert NOTHING_YET in site.ask(task()).text
    assert site.ask(f"/trtc/ui/run?dag_id=mine&run_id={RUN}").status_code == 200


def test_an_xcom_that_somebody_set_as_text_is_read(open_site: OpenSite) -> None:
    insert([Wait(dag_id="mine", value=json.dumps(shown("rec-1")))], [("mine", "wait")])

    assert "rec-1" in open_site().ask(task()).text


@pytest.mark.parametrize("query", [{}, {"dag_id": "a"}, {"dag_id": "a" * 300, "run_id": "b", "task_id": "c"}])
def test_what_names_no_task_is_none(query: dict[str, str]) -> None:
    assert read_task(query) is None
