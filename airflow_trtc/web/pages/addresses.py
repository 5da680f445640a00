"""Addresses of pages, as they are written into a page. Pure: no Airflow, no I/O.

All are relative to the page they stand in. So they hold below any path, and behind a proxy that takes a part
of the path away, of which the server knows nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

TOP = "ui"  # the last part of the address of the page "TRTC recordings"
MAX_URL = 2_000


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a page at a certain place writes into its links.

    :param here: the path of the request.
    :param versions: a digest of each static file, by its name.
    :param below: what stands behind the folder of our pages in an address that is none of theirs.
    """

    here: str
    versions: Mapping[str, str] = field(default_factory=dict)
    below: str = ""

    @property
    def _folder(self) -> str:
        """The folder of our pages, as seen from here; ends with a slash."""
        if not self.below and self.here.rpartition("/")[2] == TOP:
            return f"{TOP}/"
        return "./" + "../" * self.below.count("/")

    def page(self, name: str = "", **query: object) -> str:
        """One of our pages, such as ``job``; the list of all without a name. What is None or "" is left out.

        :param query: parameters of the address.
        """
        given = {key: value for key, value in query.items() if value not in (None, "")}
        path = f"{self._folder}{name}" if name else f"{self._folder}../{TOP}"
        return f"{path}?{urlencode(given)}" if given else path

    def is_at(self, name: str = "") -> bool:
        """Whether this is that page."""
        return self.here.rstrip("/").rpartition("/")[2] == (name or TOP)

    def static(self, name: str) -> str:
        """A style sheet, script or picture of ours; other contents have another address."""
        return f"{self._folder}static/{name}?v={self.versions.get(name, '')}"

    def airflow(self, *parts: str | int) -> str:
        """A page of Airflow's UI, by the parts of its path, each of which may hold any character."""
        return f"{self._folder}../../{'/'.join(quote(str(part), safe='') for part in parts)}"

    def dag(self, dag_id: str) -> str:
        """A DAG in Airflow's UI."""
        return self.airflow("dags", dag_id)

    def run(self, dag_id: str, run_id: str) -> str:
        """A run in Airflow's UI."""
        return self.airflow("dags", dag_id, "runs", run_id)

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """A task instance in Airflow's UI."""
        mapped = ("mapped", map_index) if map_index >= 0 else ()
        return self.airflow("dags", dag_id, "runs", run_id, "tasks", task_id, *mapped)


def digest(content: bytes) -> str:
    """A short name for a content: 16 hex digits."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def outside(url: object) -> str | None:
    """An address of another site that a page may link to: http or https with a host; None for anything else.

    Whoever may edit a connection decides about its ``console_url``.
    """
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None
