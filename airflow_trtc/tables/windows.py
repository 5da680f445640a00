"""How an interval is split into what one request may ask for. Reads no clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.tables.schema import Interval

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def split(interval: Interval, longest: timedelta) -> Iterator[Interval]:
    """Yield windows that follow one another without gap or overlap, none longer than `longest`."""
    start = interval.start
    while start < interval.end:
        end = min(start + longest, interval.end)
        yield Interval(start, end)
        start = end


def split_days(interval: Interval, zone: tzinfo, most: int = 1) -> Iterator[Interval]:
    """Yield windows that hold at most `most` calendar days of a zone, cut at its midnights."""
    start = interval.start
    while start < interval.end:
        day = midnight(start, zone)
        for _ in range(most):
            day = midnight(day + DAY + DAY / 2, zone)  # half a day more: days of 23 and 25 hours end too
        end = min(day, interval.end)
        yield Interval(start, end)
        start = end


def midnight(at: datetime, zone: tzinfo) -> datetime:
    """The instant at which the zone's calendar day of `at` began, in UTC."""
    local = at.astimezone(zone)
    begun = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)  # the first, of two
    return begun.astimezone(timezone.utc)


def check_whole_days(interval: Interval, zone: tzinfo) -> None:
    """Refuse what does not begin and end at midnight in the zone.

    :raises TrtcSetupError: it does not.
    """
    for at in (interval.start, interval.end):
        if midnight(at, zone) != at:
            raise TrtcSetupError(
                f"The interval {interval} is not made of whole days of the time zone {zone}:"
                f" {at.astimezone(zone).isoformat()} is no midnight. Give the DAG the schedule"
                f" CronDataIntervalTimetable('0 0 * * *', timezone='{zone}'), or give the operator start and"
                " end."
            )


def check_grid(interval: Interval, step: timedelta) -> None:
    """Refuse what does not begin and end at a whole multiple of `step`, counted from 1970.

    :raises TrtcSetupError: it does not.
    """
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    for at in (interval.start, interval.end):
        if (at - epoch) % step:
            raise TrtcSetupError(
                f"The interval {interval} does not begin and end at a multiple of {step}: {at.isoformat()}."
                " Change the DAG's schedule, or give the operator start and end."
            )


def check_age(interval: Interval, now: datetime, kept: timedelta | None, what: str) -> None:
    """Refuse an interval that is not over yet, or that the service no longer keeps.

    :param kept: how long the service keeps it; None for as long as anybody knows.
    :param what: what is asked for, for the message.
    :raises TrtcSetupError: it is one of them.
    """
    if interval.end > now:
        raise TrtcSetupError(
            f"The interval {interval} is not over: it is {now.isoformat()}. The service would count {what} in"
            " part, and a part in a table looks like the whole. Run the DAG after the interval's end."
        )
    if kept is not None and interval.start < now - kept:
        raise TrtcSetupError(
            f"The interval {interval} begins before {(now - kept).isoformat()}, and the service keeps {what}"
            f" for {kept.days} days. Begin later: the rest cannot be read any more."
        )
