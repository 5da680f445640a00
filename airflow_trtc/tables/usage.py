"""The usage statistics: a row for each of the service's calls, what is asked for, and what its answers say.

Sources: tencentcloud.com/document/api/647/54137 to 54140 and 54327, and the models of
tencentcloud-sdk-python 3.1.195. Nothing here asks, writes or reads a clock.

No page says to which time zone the days belong. The vendor's console and bills count days of Beijing, so that
is the default [unsure]; an answer that has ``TimeStampKey`` proves or refutes it, and each is compared.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from functools import partial
from typing import Any, Literal, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.cloud.calls import Call
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.answers import UnreadableAnswer
from airflow_trtc.tables.schema import Column, Interval, Row, Schema
from airflow_trtc.tables.windows import MINUTE, check_age, check_grid, check_whole_days, split_days

Granularity: TypeAlias = Literal["day", "5min"]
GRANULARITIES: tuple[Granularity, ...] = ("day", "5min")
TIME_ZONE = "Asia/Shanghai"

MOST_DAYS = 31  # in one request
FEWEST_DAYS = 2  # of which the service answers days; of a single one it answers five minutes
STEP = timedelta(minutes=5)
MOST_KEYS = 100
MOST_ROOMS = 1_000_000
LONGEST_KEY = 64
ROOMS_SINCE = datetime(2023, 3, 31, 16, tzinfo=timezone.utc)  # 2023-04-01 in Beijing
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Usage:
    """One kind of usage: the call, its parameters and the table.

    :param name: what an operator's ``usage`` is called.
    :param action: the call.
    :param schema: the table; its last column holds the amounts.
    :param variants: what is asked for one after the other: parameters of the call, and the columns that keep
        the answers apart.
    :param keys: which ``UsageKey`` are always there, in lower case; further ones become rows too.
    :param combine: makes the amount of a day of those of its five minutes.
    :param time_format: how the call takes its times.
    :param includes_end: whether the call's end names the last day, and not the instant after it.
    :param app_param: how the call spells ``SdkAppId``.
    :param app_type: what it takes there.
    :param by_room: whether an answer is a sum for each room, as CSV.
    :param kept: how long the service keeps it; None where no page says so.
    :param since: the first instant of which the service knows anything.
    """

    name: str
    action: str
    schema: Schema
    variants: tuple[tuple[Mapping[str, Any], Mapping[str, str]], ...] = (({}, {}),)
    keys: frozenset[str] = frozenset()
    combine: Callable[[list[float]], float] = math.fsum
    time_format: str = "%Y-%m-%d"
    includes_end: bool = True
    app_param: str = "SdkAppId"
    app_type: type[int] | type[str] = int
    by_room: bool = False
    kept: timedelta | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class _Request:
    """One request: what it asks for, and what each row of its answer has."""

    usage: Usage
    window: Interval
    zone: tzinfo
    granularity: Granularity
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def points(self) -> list[datetime]:
        """The instants at which the answer's points begin."""
        days = [each.start for each in split_days(self.window, self.zone)]
        if len(days) >= FEWEST_DAYS:
            return days
        count = self.window.length // STEP
        return [self.window.start + index * STEP for index in range(count)]

    def __str__(self) -> str:
        return f"{self.usage.action} of application {self.columns['sdk_app_id']}, {self.window}"


def scope(usage: Usage, sdk_app_id: int, granularity: Granularity) -> dict[str, str | int]:
    """What is the same in all rows of one write."""
    given: dict[str, str | int] = {"sdk_app_id": sdk_app_id, "granularity": granularity}
    return {name: given[name] for name in usage.schema.scope}


def check(usage: Usage, interval: Interval, zone: tzinfo, now: datetime) -> None:
    """Refuse an interval that cannot be read whole.

    :raises TrtcSetupError: it is not made of whole days (of minutes, for rooms), it is not over, or the
        service does not keep it any more.
    """
    if usage.by_room:
        check_grid(interval, MINUTE)
    else:
        check_whole_days(interval, zone)
    check_age(interval, now, usage.kept, f"the usage {usage.name!r}")
    if usage.since is not None and interval.start < usage.since:
        raise TrtcSetupError(
            f"The interval {interval} begins before {usage.since.isoformat()}, and the service has the usage"
            f" {usage.name!r} from then on only. Begin later."
        )


def requests(
    usage: Usage, interval: Interval, sdk_app_id: int, *, zone: tzinfo, granularity: Granularity = "day"
) -> Iterator[Call[list[Row]]]:
    """Yield the calls that read an interval, each part of it once; a call's value is a list of rows.

    :param interval: one that `check` lets pass.
    :param zone: the time zone of the service's days.
    :param granularity: ``day``, or ``5min``: a request for each day, of 288 points.
    """
    most = MOST_DAYS if granularity == "day" and not usage.by_room else 1
    for window in split_days(interval, zone, most):
        for given, columns in usage.variants:
            request = _Request(usage, window, zone, granularity, {"sdk_app_id": sdk_app_id, **columns})
            params = {**_times(request), usage.app_param: usage.app_type(sdk_app_id), **given}
            read = partial(_read_rooms if usage.by_room else _read_points, request)
            yield Call(usage.action, params, read, "read")


def _times(request: _Request) -> dict[str, str]:
    usage, window = request.usage, request.window
    end = window.end - timedelta(seconds=1) if usage.includes_end else window.end
    start, end = window.start.astimezone(request.zone), end.astimezone(request.zone)
    return {"StartTime": start.strftime(usage.time_format), "EndTime": end.strftime(usage.time_format)}


def _read_points(request: _Request, answer: Mapping[str, Any]) -> list[Row]:
    """Read an answer of keys, and of points with a value for each.

    :raises UnreadableAnswer: it is not exactly what was asked for.
    """
    keys = _keys(request, answer.get("UsageKey"))
    points = request.points
    values = _values(request, answer.get("UsageList"), keys, points)
    _check_total(request, answer.get("TotalUsage"), values)
    if len(points) > len(list(split_days(request.window, request.zone))) and request.granularity == "day":
        combined = [request.usage.combine(list(column)) for column in zip(*values, strict=True)]
        points, values = [request.window.start], [combined]
    ends = [*points[1:], request.window.end]
    return [
        _row(request, start, end, key, amount)
        for start, end, amounts in zip(points, ends, values, strict=True)
        for key, amount in zip(keys, amounts, strict=True)
    ]


def _keys(request: _Request, given: Any) -> list[str]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not 0 < len(given) <= MOST_KEYS:
        raise _unreadable(request, f"its keys are {given!r:.100}")
    keys = [bounds.text(each, LONGEST_KEY + 1) for each in given]
    found = [key.strip().lower() for key in keys if key is not None and len(key) <= LONGEST_KEY]
    if len(found) != len(given) or len(set(found)) != len(found):
        raise _unreadable(request, f"its keys are {given!r:.200}, of which one is none or is there twice")
    if missing := sorted(request.usage.keys - set(found)):
        raise _unreadable(request, f"it lacks the keys {', '.join(missing)}")
    return found


def _values(request: _Request, given: Any, keys: list[str], points: list[datetime]) -> list[list[float]]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise _unreadable(request, "it has no list of points")
    if len(given) > len(points):
        raise _unreadable(request, f"it has {len(given)} points instead of {len(points)}")
    found: dict[datetime, list[float]] = {}
    for each in given:
        entry = bounds.mapping(each)
        at = _instant(request, entry)
        if at in found:
            raise _unreadable(request, f"the point {entry.get('TimeKey')} is there twice")
        found[at] = _amounts(request, entry, len(keys))
    if other := sorted(found.keys() - set(points)):
        raise _unreadable(request, f"it has a point that was not asked for, {other[0].isoformat()}")
    if missing := [at for at in points if at not in found]:
        raise _unreadable(
            request, f"it lacks {len(missing)} of {len(points)} points, the first {missing[0].isoformat()}"
        )
    return [found[at] for at in points]


def _instant(request: _Request, entry: Mapping[str, Any]) -> datetime:
    text = entry.get("TimeKey")
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise _unreadable(request, f"a point's TimeKey is {text!r:.100}")
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=request.zone)
        at = local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise _unreadable(request, f"a point's TimeKey is {text!r}, which is no time") from None
    stamp = bounds.instant_ms(entry.get("TimeStampKey"), 1000)
    if stamp is not None and bounds.moment(stamp) != at:
        raise _unreadable(
            request,
            f"its point {text} is at {bounds.moment(stamp).isoformat()}, so its days are not those of the"
            f" time zone {request.zone}: give the operator time_zone, and the DAG a schedule of such days",
        )
    return at


def _amounts(request: _Request, entry: Mapping[str, Any], count: int) -> list[float]:
    given = entry.get("UsageValue")
    values = list(given) if isinstance(given, list | tuple) else []
    if len(values) != count:
        raise _unreadable(request, f"the point {entry['TimeKey']} has {len(values)} values for {count} keys")
    return [_amount(request, each, entry["TimeKey"]) for each in values]


def _amount(request: _Request, value: Any, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= bounds.HIGHEST:
        return float(value)
    raise _unreadable(request, f"a value of {where:.100} is {value!r:.100}")


def _check_total(request: _Request, given: Any, values: list[list[float]]) -> None:
    """Compare with the sums of the whole answer, which some calls give."""
    if given is None:
        return
    sums = [math.fsum(column) for column in zip(*values, strict=True)]
    totals = [_amount(request, each, "TotalUsage") for each in bounds.items(given, MOST_KEYS)]
    if len(totals) != len(sums) or not all(map(_is_close, totals, sums)):
        raise _unreadable(request, f"its points sum up to {sums}, its TotalUsage is {totals}")


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=0.01)


def _read_rooms(request: _Request, answer: Mapping[str, Any]) -> list[Row]:
    """Read an answer of CSV: a header, and a line of seconds for each room.

    :raises UnreadableAnswer: it is not that, or was cut off.
    """
    text = answer.get("Data")
    if not isinstance(text, str) or not text.endswith("\n"):  # each line has its end; a cut one has lost it
        raise _unreadable(request, f"its Data is cut off, or no CSV: it ends with {str(text)[-50:]!r}")
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError) as error:
        raise _unreadable(request, f"its Data is no CSV ({error})") from None
    if len(header) < 2 or header[0].strip().lower() != "roomid":
        raise _unreadable(request, f"the header of its Data is {header!r:.200}")
    keys = _keys(request, header[1:])
    if len(lines) > MOST_ROOMS:
        raise _unreadable(request, f"it has {len(lines)} rooms, more than {MOST_ROOMS}")
    rows: list[Row] = []
    rooms = set()
    for line in lines:
        room_id = bounds.text(line[0], bounds.LONGEST_ID) if line else None
        if room_id is None or len(line) != len(header) or room_id in rooms:
            raise _unreadable(
                request, f"the line {line!r:.200} has other columns, or its room is there twice"
            )
        rooms.add(room_id)
        amounts = [_amount(request, _number(each), f"room {room_id}") for each in line[1:]]
        start, end = request.window.start, request.window.end
        rows += [
            _row(request, start, end, key, amount, room_id=room_id)
            for key, amount in zip(keys, amounts, strict=True)
        ]
    return rows


def _number(text: str) -> float | str:
    """The number that a text is; else the text, for the message."""
    return float(text) if re.fullmatch(r"\d{1,15}(\.\d{1,15})?", text.strip()) else text


def _row(request: _Request, start: datetime, end: datetime, key: str, amount: float, **more: str) -> Row:
    given: Row = {
        **request.columns,
        **more,
        "usage_key": key,
        "granularity": request.granularity,
        "from_at": start,
        "to_at": end,
        request.usage.schema.names[-1]: amount,
    }
    return {name: given[name] for name in request.usage.schema.names}


def _unreadable(request: _Request, what: str) -> UnreadableAnswer:
    return UnreadableAnswer(
        f"The answer of {request} is not what was asked for: {what}. Nothing was written; run the task again"
        " later. If it stays so, the service has changed its answers: report it."
    )


_APP = Column("sdk_app_id", "integer", None, "The application.")
_KEY = Column("usage_key", "text", None, "What was used, as the service calls it, in lower case.")
_GRAIN = Column("granularity", "text", None, "`day` or `5min`: what a row covers.")
_FROM = Column("from_at", "instant", None, "When the row's time begins.")
_TO = Column("to_at", "instant", None, "When it ends.")


def _schema(name: str, amount: Column, *more: Column) -> Schema:
    columns = (_APP, *more, _KEY, _GRAIN, _FROM, _TO, amount)
    key = ("sdk_app_id", *(each.name for each in more), "usage_key", "granularity", "from_at")
    scope = ("sdk_app_id", "granularity")
    return Schema(name, columns, key, instant="from_at", scope=scope, ends="to_at")


_MINUTES = Column("minutes", "number", "minutes", "How long, summed over all that used it.")
_AMOUNT = Column("amount", "number", "as billed", "How much, in the unit in which the key is billed.")
_QUALITIES = ("sd", "hd", "fullhd", "2k", "4k")
_MEDIA = frozenset(("audio", *_QUALITIES))
_SECONDS_FORMAT = "%Y-%m-%d %H:%M:%S"

_ROWS = (
    Usage("trtc", "DescribeTrtcUsage", _schema("trtc_usage", _MINUTES), keys=_MEDIA),
    Usage(
        "recording",
        "DescribeRecordingUsage",
        _schema(
            "trtc_recording_usage",
            _MINUTES,
            Column("mix_type", "text", None, "`single`: a file a user; `multi`: all in one."),
        ),
        variants=tuple(({"MixType": each}, {"mix_type": each}) for each in ("single", "multi")),
        keys=_MEDIA,
    ),
    Usage(
        "mix_transcoding",
        "DescribeMixTranscodingUsage",
        _schema("trtc_mix_transcoding_usage", _MINUTES),
        keys=frozenset(("audio", *(f"{each}{codec}" for codec in ("h264", "h265") for each in _QUALITIES))),
    ),
    Usage(
        "relay",
        "DescribeRelayUsage",
        _schema(
            "trtc_relay_usage",
            Column("mbps", "number", "Mbit/s", "The bandwidth; of a day, its peak."),
        ),
        combine=max,
    ),
    Usage(
        "room",
        "DescribeTrtcRoomUsage",
        Schema(
            "trtc_room_usage",
            (
                _APP,
                Column("room_id", "text", None, "The room; numeric and string rooms alike."),
                _KEY,
                _FROM,
                _TO,
                Column("seconds", "number", "seconds", "How long, summed over all in the room."),
            ),
            key=("sdk_app_id", "room_id", "usage_key", "from_at"),
            instant="from_at",
            scope=("sdk_app_id",),
            ends="to_at",
        ),
        keys=_MEDIA,
        time_format="%Y-%m-%d %H:%M",
        includes_end=False,
        app_param="SdkAppid",
        by_room=True,
        kept=timedelta(days=90),
        since=ROOMS_SINCE,
    ),
    Usage(
        "ai",
        "DescribeTRTCAIRecognitionUsage",
        _schema("trtc_ai_usage", _AMOUNT),
        variants=(({"AuType": ["conversation", "asr", "translation", "tts"]}, {}),),
        time_format=_SECONDS_FORMAT,
        includes_end=False,
        app_type=str,
    ),
    Usage(
        "slicing",
        "DescribeTRTCSegmentModerationUsage",
        _schema(
            "trtc_slicing_usage",
            _AMOUNT,
            Column("business", "text", None, "`moderation` or `slicing`."),
            Column("media", "text", None, "`audio` or `picture`."),
        ),
        variants=tuple(
            ({"Type": media, "Business": number}, {"business": business, "media": media})
            for number, business in enumerate(("moderation", "slicing"))
            for media in ("audio", "picture")
        ),
        time_format=_SECONDS_FORMAT,
        includes_end=False,
    ),
    Usage(
        "acceleration",
        "DescribeTRTCDedicatedCloudAccUsage",
        _schema("trtc_acceleration_usage", _AMOUNT),
        time_format=_SECONDS_FORMAT,
        includes_end=False,
    ),
)

USAGES: Mapping[str, Usage] = {each.name: each for each in _ROWS}
"""All kinds of usage, by name."""
