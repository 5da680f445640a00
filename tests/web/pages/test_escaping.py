"""Nothing of the outside world becomes markup: a page has the same elements as with plain words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc.journal.pulse import PollTimes
from airflow_trtc.web.pages import figures, listing
from airflow_trtc.web.pages.addresses import Addresses
from airflow_trtc.web.pages.listing import ListQuery, WaitRow
from airflow_trtc.web.pages.listing_page import Listing
from airflow_trtc.web.pages.shell import environment

NOW = datetime(2026, 1, 21, 10, tzinfo=timezone.utc)
FIELDS = (
    "dag",
    "run",
    "task",
    "label",
    "job",
    "region",
    "room",
    "state",
    "outcome",
    "problem",
    "query",
    "account",
)
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "</td></tr></table><iframe src=//evil>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt;&#x3c;b>",
    "<!--",
    "\u202e\u2066right to left",
    "`${alert(1)}`",
)
texts = st.sampled_from(ATTACKS) | st.text(min_size=1, max_size=30).filter(
    lambda text: bool(text.strip()) and text.isprintable()
)


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and what their addresses are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", ()))


def render(words: dict[str, str]) -> str:
    known = {
        "kind": "slicing",
        "sdk_app_id": 1400000001,
        "region": words["region"],
        "job_id": words["job"],
        "state": words["state"],
        "outcome": words["outcome"],
        "room_id": words["room"],
        "file_count": 2,
        "tracks": {"audio": 2},
        "user_count": 1,
        "callback_count": 3,
        "problem_count": 2,
        "problems": [words["problem"]],
        "console_url": "https://console.example.com/" + words["job"],
    }
    ids = words["dag"], words["run"], words["task"], 3
    rows = [
        WaitRow(*ids, "deferred", 1, NOW, None, words["label"], known),
        WaitRow(*ids, "failed", 1, NOW, NOW + timedelta(1), words["label"], known),
        WaitRow(*ids, "deferred", 1, NOW, None, words["label"], None),
    ]
    query = ListQuery(text=words["query"], dag_id=words["dag"], app=7)
    account = figures.Account(
        words["account"], words["account"], words["account"], 3, 1, 5.0, 20.0, 0.25, 2, 3.0, words["account"]
    )
    found = Listing(
        query,
        (words["dag"],),
        False,
        listing.lines(rows, lambda _: PollTimes(NOW, NOW)),
        listing.paging(query, 3, 120),
        figures.tiles(figures.Counts(1, 2, 3, 4), query),
        [account],
        [figures.Heard(7, NOW, 2.0, True)],
        "",
    )
    context: dict[str, Any] = {"list": found, "heads": listing.heads(query), "kinds": {"slicing": "slicing"}}
    words_too = {"show_labels": listing.SHOW_LABELS, "tracks_of": listing.describe_tracks}
    to = Addresses("/trtc/ui")
    return (
        environment().get_template("listing.html").render(to=to, now=NOW, title="x", **context, **words_too)
    )


PLAIN = Skeleton(render(dict.fromkeys(FIELDS, "word")))


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, texts)))
@settings(max_examples=100)
def test_whatever_a_field_holds_the_page_has_the_same_elements(words: dict[str, str]) -> None:
    found = Skeleton(render(words))
    consoles = [link for link in found.links if link.startswith("https://console.example.com/")]
    assert len(consoles) <= 2
    assert all(link.startswith(("ui/", "https://console.example.com/")) for link in found.links)
    without = [element for element in found.elements if "data-outside" not in element[1]]
    plain = [element for element in PLAIN.elements if "data-outside" not in element[1]]
    # The icon of a link that an odd address does not get.
    drop = ("svg", "path")
    assert [one for one in without if one[0] not in drop] == [one for one in plain if one[0] not in drop]


def test_the_plain_page_holds_every_field() -> None:
    page = render({name: f"the-{name}-here" for name in FIELDS})
    assert [name for name in FIELDS if f"the-{name}-here" not in page] == []


def test_texts_of_the_outside_world_have_a_bounded_length() -> None:
    stored = ("region", "room", "state", "outcome", "problem")
    page = render({**dict.fromkeys(FIELDS, "word"), **dict.fromkeys(stored, "x" * 5000)})
    assert "x" * 201 not in page
    assert "x" * 30 in page


def test_jobs_are_named_in_addresses_and_no_path() -> None:
    page = render({**dict.fromkeys(FIELDS, "word"), "job": "a/b?c&d#e"})
    assert "ui/job?kind=slicing&amp;app=1400000001&amp;region=word&amp;id=a%2Fb%3Fc%26d%23e" in page
