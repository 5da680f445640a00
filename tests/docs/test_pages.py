"""What holds for README and pages as a whole: links, names of things, length, one place for each fact."""

from __future__ import annotations

import importlib
import importlib.util
import re
import runpy
from collections import defaultdict
from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import ALL, FOLDER, PAGES, README, ROOT, Page, table
from tests.docs.test_blocks import has_option
from tests.versions import HAS_STATE_STORE

NEWER_OPTIONS = {("core", "multi_team")}  # an Airflow without callbacks need not have them
SHARED_WORDS = 8  # so many in a row are a copied sentence, not a term
each_page = pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)


def problem_of_link(page: Page, link: str) -> str | None:
    """What is wrong with a link, if anything."""
    if link.startswith("https://"):
        return None
    path, _, anchor = link.partition("#")
    target = (page.path.parent / path).resolve() if path else page.path
    if not target.is_file():
        return "there is no such file"
    if page is not README and not target.is_relative_to(FOLDER):
        return "it leaves the folder, which the wheel has without the rest"
    if anchor and anchor not in Page(target).anchors:
        return "there is no such heading"
    return None


@each_page
def test_links_lead_somewhere(page: Page) -> None:
    problems = {link: problem for link in page.links if (problem := problem_of_link(page, link))}
    assert not problems


@pytest.mark.parametrize(
    "link", ["nothing.md", "sensor.md#nothing", "#nothing", "../sensors.py", "http://a.b"]
)
def test_a_wrong_link_is_noticed(link: str) -> None:
    assert problem_of_link(PAGES["scaling"], link)


def test_the_readme_names_every_page_once() -> None:
    rows = table(README.section("Where to read on"), "Page")
    listed = [
        match[1]
        for row in rows
        if (match := re.fullmatch(r"\[.+\]\(airflow_trtc/docs/(\w+(?:-\w+)*)\.md\)", row))
    ]
    assert len(listed) == len(rows)
    assert sorted(listed) == sorted(PAGES)


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(README.text.splitlines()) <= 300


def test_pictures_are_small_and_all_are_shown() -> None:
    shown = {(page.path.parent / link).resolve() for page in ALL for link in page.links}
    folders = (ROOT / ".github" / "images", FOLDER / "images")
    pictures = {picture for folder in folders for picture in folder.iterdir()}
    assert pictures <= shown
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def test_links_of_the_readme_work_on_pypi() -> None:
    absolute = runpy.run_path(str(ROOT / ".ci" / "readme_for_pypi.py"))["absolute"]
    variables = {"GITHUB_SERVER_URL": "https://h", "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "abc"}
    text = absolute(README.text, variables)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert "](https://h/o/r/blob/abc/airflow_trtc/docs/scaling.md)" in text
    assert "![The sensor" in text
    assert "](https://h/o/r/raw/abc/.github/images/waiting.png)" in text
    assert absolute(README.text, {}) == README.text


# -- names of things ------------------------------------------------------------------------------------


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@each_page
def test_modules_and_classes_exist(page: Page) -> None:
    names = {name for span in page.spans for name in re.findall(r"^(airflow_trtc(?:\.\w+)+)", span)}
    assert {name for name in names if not exists(name)} == set()
    public = ("sensors", "operators", "hooks", "errors", "links", "triggers", "plugin", "emulator", "testing")
    classes = {name for span in page.spans for name in re.findall(r"\bTrtc\w+", span)}
    assert {
        name for name in classes if not any(exists(f"airflow_trtc.{one}.{name}") for one in public)
    } == set()


@each_page
def test_files_named_exist(page: Page) -> None:
    paths = {span for span in page.spans if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span) and "/" in span}
    roots = (ROOT, ROOT / "airflow_trtc")
    made = ("dist/", "build/", ".cache/")
    assert {
        path
        for path in paths
        if not path.startswith(made) and not any((root / path).exists() for root in roots)
    } == set()


@each_page
def test_options_of_the_configuration_exist(page: Page) -> None:
    options = {match.groups() for span in page.spans if (match := re.match(r"\[(\w+)\] (\w+)", span))}
    if not HAS_STATE_STORE:
        options -= NEWER_OPTIONS
    assert {option for option in options if not has_option(*option)} == set()


@each_page
def test_commands_named_in_running_text_exist(page: Page) -> None:
    for span in page.spans:
        if re.match(r"(make [a-z]|python -m )", span):
            (words,) = shell.commands(span)
            shell.check(words, "")
        elif re.match(r"airflow [a-z]", span):
            assert shell.airflow_has(span.split()[1:]), span


# -- one place for each fact ----------------------------------------------------------------------------


def runs_of_words(page: Page) -> set[str]:
    """Every run of `SHARED_WORDS` words within a sentence, a cell or an item."""
    text = re.sub(r"\]\([^)]*\)", "]", page.prose)
    pieces = re.split(r"[.;:!?]\s|\||\n\n|\n[*#0-9]", text)
    found = set()
    for piece in pieces:
        words = re.findall(r"[\w']+", piece.lower())
        found |= {
            " ".join(words[start : start + SHARED_WORDS]) for start in range(len(words) - SHARED_WORDS + 1)
        }
    return found


def test_no_page_says_what_another_says() -> None:
    pages_of = defaultdict(list)
    for page in ALL:
        for words in runs_of_words(page):
            pages_of[words].append(page.name)
    assert {words: pages for words, pages in pages_of.items() if len(pages) > 1} == {}


def test_a_copied_sentence_is_noticed(tmp_path: Path) -> None:
    sentence = "A sensor keeps every file that any poll has listed before the recording ends."
    pages = []
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_text(f"# {name}\n\nSomething else. {sentence}\n")
        pages.append(Page(tmp_path / name))
    assert runs_of_words(pages[0]) & runs_of_words(pages[1])


def test_figures_of_measurements_are_in_one_place() -> None:
    benchmarks = [page.name for page in ALL if "BENCH_OPTIONS" in page.text]
    assert benchmarks == ["scaling.md"]
