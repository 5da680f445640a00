"""The operator that puts the usage of an interval into a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from airflow_trtc.arguments import Check, is_template, one_of
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.writing import FillsTable
from airflow_trtc.tables import usage as usages
from airflow_trtc.tables.schema import Part, Row
from airflow_trtc.tables.usage import GRANULARITIES, USAGES, Usage

if TYPE_CHECKING:
    from airflow.sdk import Context


def _now() -> datetime:
    return datetime.now(timezone.utc)


class TrtcUsageOperator(FillsTable):
    """Read what an application used in an interval, and put it into a table: a row for each day and key.

    The interval is split by the limits of the API, and each part of it is asked for once. It is written
    whole or not at all, and writing it again replaces it. An answer that lacks a point, or differs in
    another way from what was asked for, fails the task; the table stays as it was.

    The interval has to be made of whole days of `time_zone` (for ``room`` of whole minutes) and to be over.
    The service counts late: let a run begin some hours after its interval ends.

    Returns ``place`` (the file or the table), ``rows``, ``was_written`` (True when nothing was read),
    ``from_at``, ``to_at``, ``sdk_app_id``, ``granularity`` and ``usage``.

    :param usage: what to read: ``trtc``, ``recording``, ``mix_transcoding``, ``relay``, ``room``, ``ai``,
        ``slicing`` or ``acceleration``. (templated)
    :param granularity: ``day``, or ``5min`` for a row for each five minutes. Not for ``room``, whose rows
        are for a day, or the part of it that is in the interval. (templated)
    :raises AirflowFailException: the set-up is wrong, or the interval cannot be read; no retry would help.
    :raises TrtcTransientError: an answer was not what was asked for; a retry may help.
    :raises TrtcError: a retry may help.
    """

    template_fields = (*FillsTable.template_fields, "usage", "granularity")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **FillsTable.argument_checks,
        "usage": one_of(tuple(USAGES)),
        "granularity": one_of(GRANULARITIES),
    }

    def __init__(self, *, usage: str, granularity: Any = "day", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.usage = usage
        self.granularity = granularity
        self.check_arguments()

    def check_together(self) -> None:
        """See the base class."""
        if not is_template(self.usage) and (problem := self._misfit()):
            raise ValueError(problem)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read and write; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            usage, hook, zone = USAGES[self.usage], self.hook(), ZoneInfo(self.time_zone)
            scope = usages.scope(usage, hook.required_app_id, self.granularity)
            part = Part(self.interval(context), scope)
            usages.check(usage, part.interval, zone, _now())
            summary = self.fill(usage.schema, part, lambda: self._read(hook, usage, part, zone))
        return {**summary, "usage": usage.name}

    def _read(self, hook: TrtcHook, usage: Usage, part: Part, zone: ZoneInfo) -> Iterator[Row]:
        calls = list(
            usages.requests(
                usage, part.interval, hook.required_app_id, zone=zone, granularity=self.granularity
            )
        )
        for number, call in enumerate(calls, 1):
            rows = hook.run(call)
            span = " to ".join(call.params[name] for name in ("StartTime", "EndTime"))
            self.log.info("Read %s of %s: %s, %s rows", number, len(calls), span, len(rows))
            yield from rows

    def _misfit(self) -> str | None:
        if self.usage == "room" and self.granularity == "5min":
            return "granularity='5min' does not exist for usage='room'; leave it out"
        return None
