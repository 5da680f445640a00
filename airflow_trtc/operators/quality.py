"""The operator that puts call quality and history of an interval into a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from airflow_trtc.arguments import Check, is_template, one_of, seconds, texts
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.writing import FillsTable
from airflow_trtc.steps import drive
from airflow_trtc.tables import quality_plans as plans
from airflow_trtc.tables.quality import DATA_TYPES, Room
from airflow_trtc.tables.quality_plans import KEPT, TABLES, Begin, Reading, Step, Table, Write
from airflow_trtc.tables.schema import Interval, Part
from airflow_trtc.tables.writing import Target, write

if TYPE_CHECKING:
    from airflow.sdk import Context

MARGIN = timedelta(hours=1)
"""How long reading may take until what is kept just now is kept no more."""
REQUESTS_PER_LINE = 500
"""How often a task that takes long says how far it is: at least twice a minute, at the service's limit."""


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _data_types(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = texts(name, value)
    for each in found:
        if each not in DATA_TYPES:
            raise ValueError(f"{name}: {each!r:.100} is none of {', '.join(DATA_TYPES)}")
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{name} is empty, or names one twice: {found!r:.200}")
    return found


def _comm_ids(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = texts(name, [value] if isinstance(value, str) else value)
    return tuple(dict.fromkeys(each.strip() for each in found))


class TrtcQualityOperator(FillsTable):
    """Read history and quality of an application's calls in an interval, and put them into a table.

    The interval is split and paged by the limits of the API. Each part is asked for once, written whole or
    not at all, and replaced when it is written again. An answer that is cut short, or changes while it is
    read, fails the task; the part stays as it was. A row belongs to the interval in which its time lies, so
    that intervals that follow one another have each row once.

    The interval has to be over and no older than fourteen days. For `scale` it has to be made of whole days
    of `time_zone`. Calls that go on are in the table as they were when they were read;
    ``if_written="replace"`` reads them again.

    Returns ``what``, ``place`` (the folder or the table), ``rows`` and ``parts`` (written now),
    ``parts_written_before``, ``requests``, ``from_at``, ``to_at`` and ``sdk_app_id``.

    :param what: ``rooms``, ``users``, ``details`` (measurements), ``events``, ``unusual`` (bad experiences),
        or ``scale`` (sums of days). (templated)
    :param comm_ids: for ``users``, ``details`` and ``events``: only these calls, one or a list. Default: all
        of the interval, which are listed first. (templated)
    :param data_types: for ``details``: what is read. Default: all. (templated)
    :param longest_call_seconds: for ``users``, ``details`` and ``events``: how long before the interval a
        call may have begun that goes on in it. Default: a day. (templated)
    :raises AirflowFailException: the set-up is wrong, or the interval cannot be read; no retry would help.
    :raises TrtcTransientError: an answer was not what was asked for; a retry may help.
    :raises TrtcError: a retry may help.
    """

    template_fields: Sequence[str] = (
        *FillsTable.template_fields,
        "what",
        "comm_ids",
        "data_types",
        "longest_call_seconds",
    )
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **FillsTable.argument_checks,
        "what": one_of(tuple(TABLES)),
        "comm_ids": _comm_ids,
        "data_types": _data_types,
        "longest_call_seconds": seconds,
    }

    def __init__(
        self,
        *,
        what: str,
        comm_ids: str | Iterable[str] | None = None,
        data_types: Iterable[str] | None = None,
        longest_call_seconds: float | timedelta | str = 86_400,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.what = what
        self.comm_ids = comm_ids
        self.data_types = data_types
        self.longest_call_seconds = longest_call_seconds
        self.check_arguments()

    def check_together(self) -> None:
        """See the base class."""
        if not is_template(self.what) and (problem := self._misfit()):
            raise ValueError(problem)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read and write; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            table, hook, now = TABLES[self.what], self.hook(), _now()
            interval, zone = self.interval(context), ZoneInfo(self.time_zone)
            plans.check(table, interval, zone, now)
            reading = self._reading(hook.required_app_id, interval, zone, now)
            target = self.target()
            target.check(table.schema, Part(interval, {}))
            progress = _Progress(table, hook, target, self.log, skips=self.if_written == "skip")
            self.log.info("Reading %s of application %s, %s", self.what, reading.sdk_app_id, interval)
            drive(table.plan(reading), progress.carry_out)
        self.log.info("Wrote %s", progress)
        name = table.schema.name
        return {
            "what": self.what,
            "place": self.table or name if self.path is None else f"{self.path}".rstrip("/") + f"/{name}",
            **progress.summary(),
            "from_at": interval.start.isoformat(),
            "to_at": interval.end.isoformat(),
            "sdk_app_id": reading.sdk_app_id,
        }

    def _reading(self, sdk_app_id: int, interval: Interval, zone: ZoneInfo, now: datetime) -> Reading:
        calls: tuple[Room, ...] | None = None
        if self.comm_ids is not None:
            try:
                calls = tuple(plans.named_call(sdk_app_id, each) for each in self.comm_ids)
            except ValueError as error:
                raise TrtcSetupError(f"comm_ids: {error}") from None
        return Reading(
            sdk_app_id,
            interval,
            zone,
            since=min(interval.start, now - KEPT + MARGIN),
            calls=calls,
            longest_call=timedelta(seconds=seconds("longest_call_seconds", self.longest_call_seconds)),
            data_types=tuple(self.data_types or DATA_TYPES),
        )

    def _misfit(self) -> str | None:
        if self.comm_ids is not None and not TABLES[self.what].by_call:
            those = " and ".join(each.name for each in TABLES.values() if each.by_call)
            return f"comm_ids is for {those}, not for {self.what}; leave it out"
        if self.data_types is not None and self.what != "details":
            return f"data_types is for details, not for {self.what}; leave it out"
        return None


class _Progress:
    """Carries the steps of a plan out, and counts."""

    def __init__(self, table: Table, hook: TrtcHook, target: Target, log: Any, *, skips: bool) -> None:
        self._table = table
        self._hook = hook
        self._target = target
        self._log = log
        self._skips = skips
        self._rows = self._parts = self._before = self._requests = 0

    def carry_out(self, step: Step) -> Any:
        """Do what a step says."""
        if isinstance(step, Begin):
            is_written = self._skips and self._target.written(self._table.schema, step.part) is not None
            self._before += is_written
            return not is_written
        if isinstance(step, Write):
            write(self._target, self._table.schema, step.part, step.rows)
            self._parts += 1
            self._rows += len(step.rows)
            return None
        self._requests += 1
        if self._requests % REQUESTS_PER_LINE == 0:
            self._log.info("So far %s", self)
        return self._hook.run(step)

    def summary(self) -> dict[str, Any]:
        """What a run hands on."""
        return {
            "rows": self._rows,
            "parts": self._parts,
            "parts_written_before": self._before,
            "requests": self._requests,
        }

    def __str__(self) -> str:
        before = f", {self._before} parts were written before" if self._before else ""
        return f"{self._rows} rows in {self._parts} parts by {self._requests} requests{before}"
