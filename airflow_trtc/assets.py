"""Assets that stand for what happens at the service, for DAGs that callbacks start.

    uploaded = finished_recordings(wait_for="upload")
    with DAG("process", schedule=PartitionedAssetTimetable(assets=uploaded)): ...

``trtc://recordings/finished?sdk_app_id=..&wait_for=..`` is a recording that reached a milestone, once for
each recording; the partition key is its id. ``trtc://events/<type>?sdk_app_id=..`` is a single callback of
any group; for the number of a documented type its name will do, such as ``room_dismissed``. Both parameters
may be left out. The receiver in Airflow's API server emits them. Importing this
module costs nothing; what is in the URIs is read by pure functions.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from airflow_trtc.jobs.events import NAMED
from airflow_trtc.jobs.verdict import MILESTONES, WaitFor

if TYPE_CHECKING:
    from airflow.sdk import Asset

SCHEME = "trtc"

_FORMS = (
    "use trtc://recordings/finished, trtc://events/<number or name of an event type>, each with"
    " ?sdk_app_id=<number> if it is about one application only, the first also with wait_for=<milestone>"
)


@dataclass(frozen=True, slots=True)
class FinishedRecordings:
    """Recordings that reached a milestone.

    :param sdk_app_id: only those of this application; None for all.
    """

    wait_for: WaitFor = "recording"
    sdk_app_id: int | None = None


@dataclass(frozen=True, slots=True)
class SingleEvents:
    """Every event of one type.

    :param sdk_app_id: only those of this application; None for all.
    """

    event_type: int
    sdk_app_id: int | None = None


def finished_recordings(wait_for: str = "recording", sdk_app_id: int | None = None) -> Asset:
    """Recordings that have ended, or whose files got as far as `wait_for` says.

    :param wait_for: ``recording``, its end; ``upload``, the index files are in the bucket; ``mp4``, the
        conversions too; ``vod``, all files are in VOD.
    :param sdk_app_id: only recordings of this application; None for all.
    :raises ValueError: there is no such milestone, or the application is no positive number.
    """
    from airflow.sdk import Asset

    name = "trtc_recordings_finished" + ("" if wait_for == "recording" else f"_{wait_for}")
    query = {} if wait_for == "recording" else {"wait_for": wait_for}
    wanted = parse_uri(_uri("recordings/finished", _query(query, sdk_app_id)))
    assert isinstance(wanted, FinishedRecordings)
    return Asset(name=_named(name, sdk_app_id), uri=uri_of(wanted))


def events(event_type: int | str, sdk_app_id: int | None = None) -> Asset:
    """Every event of one type, of any group, e.g. ``room_dismissed`` or 102.

    :param event_type: its number, documented or not, or its name in :data:`airflow_trtc.jobs.events.NAMED`.
    :param sdk_app_id: only events of this application; None for all.
    :raises ValueError: there is no such name, or one of the numbers is none.
    """
    from airflow.sdk import Asset

    wanted = parse_uri(_uri(f"events/{event_type}", _query({}, sdk_app_id)))
    assert isinstance(wanted, SingleEvents)
    return Asset(name=_named(f"trtc_events_{wanted.event_type}", sdk_app_id), uri=uri_of(wanted))


def create_asset(
    *,
    wait_for: str = "recording",
    event_type: int | str | None = None,
    sdk_app_id: int | None = None,
    extra: dict[str, Any] | None = None,
) -> Asset:
    """What Airflow calls to build an asset of this scheme from arguments."""
    asset = (
        finished_recordings(wait_for, sdk_app_id) if event_type is None else events(event_type, sdk_app_id)
    )
    if extra:
        asset.extra.update(extra)
    return asset


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check and normalise a URI of this scheme; Airflow calls it for each ``Asset("trtc://...")``.

    :raises ValueError: nothing would ever emit such an asset.
    """
    wanted = parse_uri(uri.geturl())
    return uri if wanted is None else urlsplit(uri_of(wanted))


def uri_of(wanted: FinishedRecordings | SingleEvents) -> str:
    """The one spelling of its URI."""
    if isinstance(wanted, SingleEvents):
        return _uri(f"events/{wanted.event_type}", _query({}, wanted.sdk_app_id))
    milestone = {} if wanted.wait_for == "recording" else {"wait_for": wanted.wait_for}
    return _uri("recordings/finished", _query(milestone, wanted.sdk_app_id))


def parse_uri(uri: str) -> FinishedRecordings | SingleEvents | None:
    """Say what a ``trtc://`` URI stands for; None is the journal, which no DAG is scheduled on.

    :raises ValueError: it stands for nothing; the message says what would.
    """
    parts = urlsplit(uri)
    path = parts.path.rstrip("/")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        raise ValueError(f"{uri}: a parameter is given twice")
    if parts.scheme != SCHEME or ((parts.netloc, path) == ("recordings", "") and query):
        raise ValueError(f"{uri} is no asset of Tencent RTC; {_FORMS}")
    if (parts.netloc, path) == ("recordings", ""):
        return None
    sdk_app_id = _app(uri, query.pop("sdk_app_id", None))
    if (parts.netloc, path) == ("recordings", "/finished"):
        given = query.pop("wait_for", "recording")
        wait_for = next((milestone for milestone in MILESTONES if milestone == given), None)
        if wait_for is None:
            raise ValueError(f"{uri}: wait_for is {given!r}, but must be one of {', '.join(MILESTONES)}")
        _check_nothing_left(uri, query)
        return FinishedRecordings(wait_for, sdk_app_id)
    if parts.netloc == "events" and (number := _event_type(path[1:])) is not None:
        _check_nothing_left(uri, query)
        return SingleEvents(number, sdk_app_id)
    raise ValueError(f"{uri} is no asset of Tencent RTC; {_hint(parts)}{_FORMS}")


def _app(uri: str, text: str | None) -> int | None:
    number = _number(text or "") if text is not None else None
    if text is not None and not number:
        raise ValueError(f"{uri}: sdk_app_id must be a number such as 1400000001, not {text!r}")
    return number


def _event_type(text: str) -> int | None:
    """The number of a type that is given by its number or its name."""
    return NAMED[text].type if text in NAMED else _number(text)


def _hint(parts: SplitResult) -> str:
    near = difflib.get_close_matches(parts.path.strip("/"), NAMED, n=1) if parts.netloc == "events" else []
    return f"did you mean {near[0]!r}? Else " if near else ""


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if is_number else None


def _check_nothing_left(uri: str, query: dict[str, str]) -> None:
    if query:
        raise ValueError(f"{uri}: unknown parameter {', '.join(sorted(query))}; {_FORMS}")


def _query(query: Mapping[str, str], sdk_app_id: int | None) -> dict[str, str]:
    return {**query, **({} if sdk_app_id is None else {"sdk_app_id": str(sdk_app_id)})}


def _uri(path: str, query: dict[str, str]) -> str:
    # Airflow sorts the query as well; two spellings would be two assets.
    return f"{SCHEME}://{path}" + (f"?{urlencode(sorted(query.items()))}" if query else "")


def _named(name: str, sdk_app_id: int | None) -> str:
    return name if sdk_app_id is None else f"{name}_{sdk_app_id}"
