"""A window of a browser: Airflow's UI as one user, with our page in its frame."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Frame, FrameLocator, Locator, Page, expect

from tests.browser.site import Site

AXE = Path(__file__).parent / "axe" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1400, "height": 900}


@cache
def axe_source() -> str:
    """The checker of accessibility."""
    return AXE.read_text()


class Window:
    """A window with a user who is logged in.

    :ivar refused: what the browser refused to do for the policy of a page.
    :ivar said: all messages of pages.
    :ivar asked: the addresses of all requests to our pages.
    :ivar left_to: the addresses of all requests to anywhere but Airflow.
    """

    def __init__(self, browser: Browser, site: Site, user: str, **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
        self.context.set_default_timeout(60_000)
        self.set_token(site.token(user))
        self.refused: list[str] = []
        self.said: list[str] = []
        self.asked: list[str] = []
        self.left_to: list[str] = []
        self.context.on("request", lambda request: self._leave(request.url))
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self._hear(message.text))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self._note(request.url))

    def set_token(self, token: str) -> None:
        """Be logged in with this token from now on."""
        self.context.add_cookies([{"name": "_token", "value": token, "url": f"{self.site.address}/"}])

    def close(self) -> None:
        """Close it."""
        self.context.close()

    def go(self, path: str) -> None:
        """Open a page of Airflow."""
        self.page.goto(f"{self.site.address}{path}")

    def open_list(self) -> FrameLocator:
        """Go to the page "TRTC recordings" as users do; returns its frame."""
        self.go("/")
        self.page.get_by_role("button", name="Browse").click()
        self.page.get_by_role("menuitem", name="TRTC recordings").click()
        expect(self.ours.get_by_role("heading", name="TRTC recordings")).to_be_visible()
        return self.ours

    def open_tab(self, path: str) -> FrameLocator:
        """Go to a page of Airflow, and there to the tab of ours; returns its frame."""
        self.go(path)
        self.page.get_by_role("link", name="TRTC", exact=True).click()
        return self.ours

    @property
    def ours(self) -> FrameLocator:
        """Our page in Airflow's frame."""
        return self.page.frame_locator("iframe")

    @property
    def frame(self) -> Page | Frame:
        """The same as a frame; the page itself where it was opened without Airflow."""
        box = self.page.locator("iframe")
        if not box.count():
            return self.page
        handle = box.element_handle()
        frame = handle.content_frame()
        assert frame is not None
        return frame

    def violations(self) -> list[str]:
        """What axe finds in our page, of any level."""
        self.frame.evaluate(axe_source())
        found = self.frame.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['impact']} {each['id']}: {json.dumps([node['html'][:200] for node in each['nodes'][:3]])}"
            for each in found["violations"]
        ]

    def too_wide(self) -> int:
        """By how many pixels our page is wider than its window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        pixels: int = self.frame.evaluate(width)
        return pixels

    def _hear(self, text: str) -> None:
        self.said.append(text)
        if "Content Security Policy" in text:
            self.refused.append(text)

    def _leave(self, url: str) -> None:
        if not url.startswith((self.site.url, "data:", "blob:")):
            self.left_to.append(url)

    def _note(self, url: str) -> None:
        if "/trtc/ui" in url and "/static/" not in url:
            self.asked.append(url)


def row(ours: FrameLocator | Page, text: str) -> Locator:
    """The row of the list that holds this text."""
    return ours.locator("tbody tr").filter(has_text=text)
