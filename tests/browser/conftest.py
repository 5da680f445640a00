"""A Chromium, and the API servers that it looks at: one for all tests, one more below a path."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.site import Site
    from tests.browser.window import Window

pytest.register_assert_rewrite("tests.browser.window")

ROOT = Path(__file__).parents[2]
SECONDS = 60  # what a busy machine may need for anything at all

OpenWindow = Callable[..., "Window"]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    found = subprocess.run([ROOT / ".ci" / "find-chromium"], stdout=subprocess.PIPE, text=True)
    assert found.returncode == 0, "there is no Chromium; what to do is written above"
    expect.set_options(timeout=1000 * SECONDS)
    # Root has no sandbox; the pages are our own.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def starting() -> Iterator[tuple[Site, Future[Site]]]:
    """The site, and the one below a path, which starts meanwhile."""
    from tests.browser import story
    from tests.browser.site import Site, writing_to

    with Site() as site, writing_to(site.database_url), ThreadPoolExecutor(1) as threads:
        story.tell(site)
        below = Site("/below/here", site.database_url, api_workers=2)
        up = threads.submit(below.__enter__)
        yield site, up
        if not up.exception():
            below.__exit__(None, None, None)


@pytest.fixture(scope="package")
def site(starting: tuple[Site, Future[Site]]) -> Site:
    return starting[0]


@pytest.fixture(scope="package")
def site_below_a_path(starting: tuple[Site, Future[Site]]) -> Site:
    return starting[1].result()


@pytest.fixture
def open_window(chromium: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[OpenWindow]:
    """Open a window as a user: ``open_window("mine", viewport={...})``; the options are a context's."""
    from tests.browser.window import Window

    windows: list[Window] = []

    def open_one(user: str = "admin", at: Site = site, **options: object) -> Window:
        windows.append(Window(chromium, at, user, **options))
        return windows[-1]

    yield open_one
    if getattr(request.node, "has_failed", False):
        take_pictures(request.node.nodeid, windows)
    for window in windows:
        window.close()
    # Whatever breaks the policy of a page is blocked, and seen by nobody but here.
    assert [line for window in windows for line in window.refused] == []


def take_pictures(test_id: str, windows: list[Window]) -> None:
    from tests.conftest import LOGS
    from tests.stack.leftovers import folder_of

    folder = folder_of(test_id, LOGS)
    for number, window in enumerate(windows):
        folder.mkdir(parents=True, exist_ok=True)
        window.page.screenshot(path=folder / f"window-{number}.png", full_page=True)
        (folder / f"window-{number}.txt").write_text("\n".join([window.page.url, *window.said]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when == "call":
        item.has_failed = True  # type: ignore[attr-defined]
    return report
