"""The README and the pages of the documentation, taken apart for the tests beside this file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "airflow_trtc" / "docs"
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param where: the page and the line it begins in, as pytest ids.
    """

    where: str
    language: str
    text: str


class Page:
    """One page.

    :param path: of its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """All of it but fenced blocks."""
        return FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        """Its fenced blocks."""
        return [
            Block(f"{self.name}:{self.text.count(chr(10), 0, found.start()) + 1}", found[1], found[2])
            for found in FENCE.finditer(self.text)
        ]

    @cached_property
    def spans(self) -> list[str]:
        """What stands between backticks in running text and tables."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What a link can point at: its headings, spelt as GitHub does."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @cached_property
    def links(self) -> list[str]:
        """Where its links and pictures point."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    def section(self, title: str) -> str:
        """What stands under a heading, up to the next one of any level."""
        return re.split(rf"^#+ {re.escape(title)}\n", self.text, flags=re.MULTILINE)[1].split("\n#", 1)[0]

    def of(self, language: str) -> list[str]:
        """The blocks of a language."""
        return [block.text for block in self.blocks if block.language == language]


README = Page(ROOT / "README.md")
PAGES = {path.stem: Page(path) for path in sorted(FOLDER.glob("*.md"))}
ALL = [README, *PAGES.values()]
BLOCKS = [block for page in ALL for block in page.blocks]


def table(text: str, head: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this head: first cell to the other cells."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip() for cell in re.split(r" \|(?= )", line.strip("|")))
        rows[first.strip("` ")] = others
    return rows
