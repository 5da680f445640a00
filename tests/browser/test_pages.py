"""The pages in Airflow's own UI, as users and their browsers meet them."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser import story
from tests.browser.conftest import OpenWindow
from tests.browser.site import CONSOLE, Site
from tests.browser.story import HIDDEN, LIVE, MAPPED, RUN
from tests.browser.window import PHONE, Window, row
from tests.versions import AIRFLOW

pytestmark = pytest.mark.browser

# From 3.3 on the address of Airflow's page says what the frame shows.
HAS_DEEP_LINKS = AIRFLOW >= (3, 3)
IN_RUN = f"/dags/mine/runs/{quote(RUN)}"
OF_TASK = f"dag_id=mine&run_id={quote(RUN)}&task_id=wait&map_index=-1"
JOB = f"/trtc/ui/job?kind=recording&app={LIVE.sdk_app_id}&region={LIVE.region}&id={LIVE.job_id}"
ALONE = {
    "list": "/trtc/ui",
    "empty list": "/trtc/ui?q=nothing-is-like-that",
    "job": JOB,
    "task": f"/trtc/ui/task?{OF_TASK}",
    "run": f"/trtc/ui/run?dag_id=mine&run_id={quote(MAPPED)}",
    "health": "/trtc/ui/health",
    "error": "/trtc/ui/job?kind=recording&app=1&id=unknown",
}


def test_the_list_is_searched_sorted_and_turned_over_and_a_reload_changes_nothing(
    open_window: OpenWindow,
) -> None:
    window = open_window("admin")
    ours = window.open_list()
    expect(ours.locator("tbody tr")).to_have_count(story.PER_PAGE)
    expect(row(ours, "lesson-7")).to_contain_text("InProgress")

    ours.get_by_role("link", name="Next").click()
    expect(ours.get_by_role("link", name="Previous")).to_be_visible()
    expect(ours.locator("tbody tr")).to_have_count(story.WAITING + 2 + 1 - story.PER_PAGE)

    ours.get_by_role("searchbox").fill("rec-of")
    ours.get_by_role("searchbox").press("Enter")
    expect(ours.locator("tbody tr")).to_have_count(3)
    ours.get_by_role("link", name="Files", exact=True).click()
    expect(ours.locator("th[aria-sort$=ending]")).to_contain_text("Files")
    expect(ours.locator("tbody tr").first).to_contain_text("rec-of-2")
    expect(ours.get_by_role("searchbox")).to_have_value("rec-of")
    if HAS_DEEP_LINKS:
        expect(window.page).to_have_url(re.compile("q=rec-of"))
        window.page.reload()
        expect(ours.locator("tbody tr")).to_have_count(3)
        expect(ours.locator("tbody tr").first).to_contain_text("rec-of-2")
        expect(ours.get_by_role("searchbox")).to_have_value("rec-of")

    ours.get_by_role("combobox", name="State", exact=True).select_option("failed")
    expect(ours.get_by_role("heading", name="No recording matches")).to_be_visible()
    ours.get_by_role("link", name="Show all").click()
    expect(ours.locator("tbody tr")).to_have_count(story.PER_PAGE)
    ours.get_by_role("link", name=re.compile("Failed in 24 hours")).click()
    expect(ours.locator("tbody tr")).to_have_count(1)
    expect(row(ours, "rec-bad")).to_contain_text("the bucket refuses it")
    window.frame.evaluate("history.back()")
    expect(ours.locator("tbody tr")).to_have_count(story.PER_PAGE)


def test_a_cell_changes_while_the_page_is_open_and_focus_and_typing_stay(open_window: OpenWindow) -> None:
    window = open_window("admin")
    story.show(story.live_value(4))
    ours = window.open_list()
    files = row(ours, "lesson-7").locator("td.files")
    expect(files).to_contain_text("4")
    search = ours.get_by_role("searchbox")
    search.press_sequentially("half a wo")
    search.press("ArrowLeft")
    window.frame.evaluate("document.querySelector('tbody tr').mine = true")

    story.show({**story.live_value(7), "problem_count": 1, "problems": ["<b>upload</b>: late"]})

    expect(files).to_contain_text("7")
    expect(row(ours, "lesson-7")).to_contain_text("<b>upload</b>: late")
    expect(search).to_be_focused()
    expect(search).to_have_value("half a wo")
    assert window.frame.evaluate("document.activeElement.selectionStart") == len("half a w")
    assert window.frame.evaluate("document.querySelector('tbody tr').mine === true")
    assert window.page.frames[1].url.endswith("/trtc/ui"), "it was refreshed in place"
    story.show(story.live_value(4))


def test_task_and_run_have_a_tab_while_the_task_is_deferred(open_window: OpenWindow) -> None:
    window = open_window("admin")
    ours = window.open_tab(f"{IN_RUN}/tasks/wait")
    expect(ours.get_by_text("lesson-7").first).to_be_visible()
    expect(ours.get_by_text("InProgress").first).to_be_visible()
    walk_through(window, ours)

    ours.get_by_text("The same as a table").click()
    expect(
        ours.get_by_role("region", name="Events of the timeline").get_by_role("row").nth(1)
    ).to_be_visible()
    ours.get_by_role("link", name="All recordings").click()
    expect(ours.get_by_role("heading", name="TRTC recordings")).to_be_visible()

    ours = window.open_tab(f"/dags/mine/runs/{quote(MAPPED)}")
    expect(ours.locator("tbody tr")).to_have_count(3)
    expect(row(ours, "rec-of-2")).to_contain_text("deferred")
    row(ours, "rec-of-2").locator("th").get_by_role("link").click()
    expect(ours.get_by_text("rec-of-2").first).to_be_visible()

    ours = window.open_tab(f"{IN_RUN}/tasks/other")
    expect(ours.get_by_text("This task does not wait for a recording.")).to_be_visible()


def walk_through(window: Window, ours: FrameLocator) -> None:
    """The keyboard reaches every bar and mark of the timeline, and says what each is."""
    picture = ours.get_by_role("group", name=re.compile("^Timeline"))
    said = ours.locator("[data-tl-said]")
    picture.focus()
    heard = []
    for key in ("ArrowRight", "End", "ArrowDown", "ArrowDown", "Home", "ArrowDown", "ArrowUp"):
        window.page.keyboard.press(key)
        heard.append(said.inner_text())
    assert all(heard)
    assert len({text.partition(":")[0] for text in heard}) >= 3, heard
    assert any("学生" in text or "teacher" in text for text in heard), heard
    expect(ours.locator(".current")).to_have_count(1)
    window.page.keyboard.press("Escape")
    expect(said).to_be_empty()
    window.page.keyboard.press("Tab")
    expect(picture).not_to_be_focused()


def test_links_lead_out_of_the_frame_and_back(open_window: OpenWindow) -> None:
    window = open_window("admin")
    page = window.page
    ours = window.open_list()
    window.page.evaluate("window.stays = true")
    live = row(ours, "lesson-7")
    live.locator("td.task").get_by_role("link", name="wait").click()
    expect(page).to_have_url(re.compile("/dags/mine/runs/[^/]+/tasks/wait"))
    expect(page.get_by_role("link", name="TRTC", exact=True)).to_be_visible()
    assert page.evaluate("window.stays"), "Airflow's page was loaded again"
    page.go_back()
    expect(row(ours, "lesson-7")).to_be_visible()
    row(ours, "lesson-7").locator("td.task .run").get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/dags/mine/runs/[^/]+/?(\?.*)?$"))
    page.go_back()
    expect(row(ours, "lesson-7")).to_be_visible()

    with window.context.expect_page() as opened:
        row(ours, "lesson-7").get_by_role("link", name="Console").click()
    assert CONSOLE.format(recording_id=LIVE.job_id) in window.left_to
    assert opened.value.evaluate("window.opener") is None
    opened.value.close()

    row(ours, "lesson-7").locator("th").get_by_role("link").first.click()
    expect(ours.get_by_role("group", name=re.compile("^Timeline"))).to_be_visible()
    ours.get_by_role("link", name="wait", exact=True).click()
    expect(page).to_have_url(re.compile("/tasks/wait"))
    assert page.evaluate("window.stays")


def test_the_frame_follows_airflows_theme(open_window: OpenWindow) -> None:
    window = open_window("admin", color_scheme="light")
    ours = window.open_list()
    page = window.page
    root = ours.locator("html")
    for theme in ("dark", "light"):
        choose_theme(page, theme)
        expect(page.locator("html")).to_have_class(re.compile(rf"\b{theme}\b"))
        expect(root).to_have_class(re.compile(rf"\b{theme}\b"))
        # Not our own defaults: what Airflow has now, as a site may have colours of its own.
        theirs = page.evaluate(
            "getComputedStyle(document.documentElement).getPropertyValue('--chakra-colors-bg').trim()"
        )
        own = window.frame.evaluate("document.documentElement.style.getPropertyValue('--airflow-bg').trim()")
        assert own == theirs
    page.reload()
    expect(root).to_have_class(re.compile(r"\blight\b"))


def choose_theme(page: Page, theme: str) -> None:
    """In the user menu, which has a menu of its own for it."""
    page.get_by_role("button", name="User", exact=True).click()
    appearance = page.get_by_role("menuitem", name="Appearance")
    choice = page.locator("[role^=menuitem]").filter(has_text=re.compile(f"{theme} mode", re.IGNORECASE))
    expect(appearance.or_(choice).first).to_be_visible()
    if appearance.count():
        appearance.click()
    choice.click()
    expect(choice).not_to_be_visible()


def test_a_phone_shows_cards_and_nothing_is_cut_off(open_window: OpenWindow) -> None:
    window = open_window("admin", viewport=PHONE, has_touch=True)
    ours = window.open_list()
    expect(row(ours, "lesson-7")).to_be_visible()
    assert (
        window.frame.evaluate("getComputedStyle(document.querySelector('tbody tr')).display") != "table-row"
    )
    assert window.too_wide() <= 0
    for name, path in ALONE.items():
        window.go(path)
        expect(window.page.locator("main")).to_be_visible()
        assert window.too_wide() <= 0, name


def test_below_a_path_and_with_two_workers_all_is_as_usual(
    open_window: OpenWindow, site_below_a_path: Site
) -> None:
    window = open_window("admin", at=site_below_a_path)
    ours = window.open_list()
    expect(ours.locator("html")).to_have_class(re.compile("framed"))
    for number in range(4):  # whichever worker answers
        ours.get_by_role("link", name="State", exact=True).click()
        order = ("descending", "ascending")[number % 2]
        expect(ours.locator(f"th[aria-sort={order}]")).to_contain_text("State")
    ours.get_by_role("searchbox").fill("lesson-7")
    ours.get_by_role("searchbox").press("Enter")
    expect(ours.locator("tbody tr")).to_have_count(1)
    if HAS_DEEP_LINKS:
        window.page.reload()
        expect(ours.locator("tbody tr")).to_have_count(1)
    row(ours, "lesson-7").locator("td.task").get_by_role("link", name="wait").click()
    expect(window.page).to_have_url(re.compile(rf"^{site_below_a_path.address}/dags/mine/.*/tasks/wait"))
    window.page.get_by_role("link", name="TRTC", exact=True).click()
    expect(ours.get_by_role("group", name=re.compile("^Timeline"))).to_be_visible()
    assert all(url.startswith(site_below_a_path.address) for url in window.asked)


def test_a_session_that_ended_is_said_and_nothing_is_asked_any_more(
    open_window: OpenWindow, site: Site
) -> None:
    window = open_window("admin")
    page = window.page
    page.clock.install()
    window.go("/trtc/ui")  # alone: Airflow's own page would ask for a login at once
    expect(row(page, "lesson-7")).to_be_visible()
    window.set_token(site.expired(site.token("admin")))
    page.clock.fast_forward(70_000)
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    expect(row(page, "lesson-7")).to_be_visible()
    asked = len(window.asked)
    for _ in range(5):
        page.clock.fast_forward(70_000)
    page.wait_for_timeout(500)
    assert len(window.asked) == asked
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/login"))


def test_who_may_read_nothing_sees_nothing(open_window: OpenWindow) -> None:
    window = open_window("nobody")
    ours = window.open_list()
    expect(ours.get_by_role("heading", name=re.compile("^You may not read any DAG"))).to_be_visible()
    for number in ours.locator(".tile .number").all_inner_texts():
        assert number == "0"
    expect(ours.get_by_role("combobox", name="DAG", exact=True).locator("option")).to_have_count(1)
    page = window.page
    for path in (JOB, ALONE["task"], ALONE["run"]):
        answer = page.goto(f"{window.site.address}{path}")
        assert answer is not None
        assert answer.status == 404
        assert "lesson-7" not in page.content()

    window = open_window("mine")
    ours = window.open_list()
    expect(row(ours, "lesson-7")).to_be_visible()
    expect(ours.get_by_role("combobox", name="DAG", exact=True).locator("option")).to_have_text(
        ["All DAGs", "mine"]
    )
    expect(ours.locator(".tile").filter(has_text="Waiting").locator(".number")).to_have_text(
        str(story.WAITING)
    )
    ours.get_by_role("searchbox").fill(HIDDEN)
    ours.get_by_role("searchbox").press("Enter")
    expect(ours.get_by_role("heading", name="No recording matches")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_our_pages(open_window: OpenWindow, theme: str) -> None:
    window = open_window("admin", color_scheme=theme)
    found = {}
    ours = window.open_list()
    expect(ours.locator("html")).to_have_class(re.compile(rf"\b{theme}\b"))
    found["list in its frame"] = window.violations()
    ours = window.open_tab(f"{IN_RUN}/tasks/wait")
    expect(ours.get_by_role("group", name=re.compile("^Timeline"))).to_be_visible()
    ours.get_by_text("The same as a table").click()
    found["task in its frame"] = window.violations()
    for width in (1400, PHONE["width"]):
        window.page.set_viewport_size({"width": width, "height": 900})
        for name, path in ALONE.items():
            window.go(path)
            expect(window.page.locator("html")).to_have_class(re.compile(rf"\b{theme}\b"))
            for summary in window.page.locator("summary").all():
                summary.click()
            found[f"{name} at {width}"] = window.violations()
    assert {name: each for name, each in found.items() if each} == {}
