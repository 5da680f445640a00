"""Gives the README full addresses in the package's metadata: PyPI shows it without the files it links to.

Which repository that is says the workflow that builds the package. Elsewhere the links stay as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def absolute(text: str, variables: Mapping[str, str]) -> str:
    """The README with full addresses; pictures need those of the bare files.

    :param variables: ``GITHUB_SERVER_URL``, ``GITHUB_REPOSITORY`` and ``GITHUB_SHA``; without them nothing
        changes.
    """
    try:
        repository = f"{variables['GITHUB_SERVER_URL']}/{variables['GITHUB_REPOSITORY']}"
        commit = variables["GITHUB_SHA"]
    except KeyError:
        return text

    def full(link: re.Match[str]) -> str:
        is_picture, label, target = link.groups()
        return f"{is_picture}[{label}]({repository}/{'raw' if is_picture else 'blob'}/{commit}/{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?![a-z]+://|#)([^)\s]+)\)", full, text)


class ReadmeForPyPI(MetadataHookInterface):
    """Sets ``project.readme``."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """See the module."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, os.environ)}
