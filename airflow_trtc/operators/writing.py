"""What operators that fill tables share: which interval, which target, and what a run hands on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from airflow.sdk import BaseHook, BaseOperator

from airflow_trtc import bounds
from airflow_trtc._compat import CONNECTION_ERRORS, says_no_connection
from airflow_trtc.arguments import Check, ChecksArguments, name_of, one_of, required_name, switch
from airflow_trtc.errors import NO_CONNECTION, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.tables.database import Database, table_name
from airflow_trtc.tables.files import FORMATS, Files
from airflow_trtc.tables.schema import Interval, Part, Row, Schema
from airflow_trtc.tables.usage import TIME_ZONE
from airflow_trtc.tables.writing import Target, write

if TYPE_CHECKING:
    from airflow.sdk import Context

IF_WRITTEN = ("skip", "replace")
_ONE_TARGET = "give either path, for files, or sql_conn_id, for a database"


def _zone_name(name: str, value: Any) -> str:
    found = required_name(name, value)
    try:
        ZoneInfo(found)
    except (ValueError, OSError):  # a name that is a folder is an OSError, an unknown one a KeyError
        raise ValueError(f"{name} is the folder {found!r}, and no time zone") from None
    except KeyError:
        raise ValueError(f"{name} must be a time zone such as Asia/Shanghai or UTC, not {found!r}") from None
    return found


def _time(name: str, value: Any) -> Any:
    """A datetime, a date, or ISO 8601 text of one of them; None and "" are absent."""
    if value is None or isinstance(value, date):
        return value
    found = name_of(name, value)
    if found is None:
        return None
    try:
        return bounds.iso_time(found)
    except ValueError:
        raise ValueError(
            f"{name} must be a datetime, a date, or ISO 8601 text such as 2026-01-01, not {value!r:.100}"
        ) from None


def _path(name: str, value: Any) -> Any:
    """A path as text, or an ObjectStoragePath; None and "" are absent."""
    return value if hasattr(value, "protocol") else name_of(name, value)


class FillsTable(ChecksArguments, BaseOperator):
    """For operators that read an interval and write it to a table: the arguments that say which and where.

    :param start: where the interval begins: a datetime, a date, or ISO 8601 text; without a zone it is in
        `time_zone`. Default: the start of the run's data interval. (templated)
    :param end: where it ends, this instant not included. Default: the end of the data interval. (templated)
    :param time_zone: the zone of the service's days. (templated)
    :param path: a folder for files, as text or ``ObjectStoragePath``: ``file:///data/usage``,
        ``s3://aws_default@bucket/usage``. Give either this or `sql_conn_id`. (templated)
    :param file_format: ``jsonl``, ``csv`` or ``parquet``, which needs pyarrow. (templated)
    :param sql_conn_id: the connection of a database. (templated)
    :param table: its table, also as ``schema.table``. Default: the name of the schema. (templated)
    :param create_table: whether the table is made if there is none.
    :param if_written: what happens when the interval is written already: ``skip`` reads nothing, ``replace``
        reads and writes again. (templated)
    :param sdk_app_id: the TRTC application; default: the connection's. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    """

    template_fields: Sequence[str] = (
        "start",
        "end",
        "time_zone",
        "path",
        "file_format",
        "sql_conn_id",
        "table",
        "if_written",
        "sdk_app_id",
        "region",
        "trtc_conn_id",
    )
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "start": _time,
        "end": _time,
        "time_zone": _zone_name,
        "path": _path,
        "file_format": one_of(tuple(FORMATS)),
        "sql_conn_id": name_of,
        "table": table_name,
        "create_table": switch,
        "if_written": one_of(IF_WRITTEN),
        "region": name_of,
        "trtc_conn_id": required_name,
    }
    ui_color = "#d7e8ff"

    def __init__(  # noqa: PLR0913 -- what users write
        self,
        *,
        start: datetime | date | str | None = None,
        end: datetime | date | str | None = None,
        time_zone: str = TIME_ZONE,
        path: Any = None,
        file_format: str = "jsonl",
        sql_conn_id: str | None = None,
        table: str | None = None,
        create_table: bool = True,
        if_written: str = "skip",
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (path is None) == (sql_conn_id is None):
            raise ValueError(_ONE_TARGET)
        self.start = start
        self.end = end
        self.time_zone = time_zone
        self.path = path
        self.file_format = file_format
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table
        self.if_written = if_written
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id

    def hook(self) -> TrtcHook:
        """The hook for the application and region."""
        app_id: Any = self.sdk_app_id
        return TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=app_id or None)

    def interval(self, context: Context | Mapping[str, Any]) -> Interval:
        """What the run is about.

        :raises TrtcSetupError: there is none, or it does not last.
        """
        zone = ZoneInfo(self.time_zone)
        start = _instant(self.start, zone) or context.get("data_interval_start")
        end = _instant(self.end, zone) or context.get("data_interval_end")
        if start is None or end is None:
            raise TrtcSetupError(
                "The run has no data interval, as one that was started by hand or by an asset. Give the"
                " operator start and end."
            )
        try:
            return Interval(start, end)
        except ValueError:
            raise TrtcSetupError(
                f"The interval from {start} to {end} does not last. Schedules such as '@daily' give runs"
                " without one (in Airflow 3): use CronDataIntervalTimetable('0 0 * * *',"
                f" timezone={self.time_zone!r}), or give the operator start and end."
            ) from None

    def target(self) -> Target:
        """Where rows go.

        :raises TrtcSetupError: the connection is missing or of a wrong type, or a package is not installed.
        """
        if (self.path is None) == (self.sql_conn_id is None):  # a template may render to nothing
            raise TrtcSetupError(f"{_ONE_TARGET[0].upper()}{_ONE_TARGET[1:]}.")
        if self.path is None:
            return Database(_sql_hook(self.sql_conn_id or ""), self.table, create=self.create_table)
        from airflow.sdk import ObjectStoragePath

        return Files(ObjectStoragePath(self.path), self.file_format)

    def fill(self, schema: Schema, part: Part, read: Callable[[], Iterable[Row]]) -> dict[str, Any]:
        """Read and write one part, unless it is written already; return the summary that is the XCom.

        :param read: gets the rows; whatever it raises leaves the target as it was.
        """
        target = self.target()
        target.check(schema, part)
        found = target.written(schema, part) if self.if_written == "skip" else None
        if found is not None:
            self.log.info(
                "%s has %s already, so nothing was read; if_written='replace' reads it again",
                found.place,
                part,
            )
        written = found or write(target, schema, part, read())
        if found is None:
            self.log.info("Wrote %s rows to %s: %s", written.rows, written.place, part)
        return {
            "place": written.place,
            "rows": written.rows,
            "was_written": found is not None,
            "from_at": part.interval.start.isoformat(),
            "to_at": part.interval.end.isoformat(),
            **part.scope,
        }


def _instant(value: Any, zone: ZoneInfo) -> datetime | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    try:
        return None if value is None else value.astimezone(timezone.utc)
    except OverflowError:
        raise TrtcSetupError(f"{value} is at the end of all times, and no instant in UTC.") from None


def _sql_hook(conn_id: str) -> Any:
    """The database's hook.

    :raises TrtcSetupError: there is no such connection, it is no database, or a package is missing.
    :raises TrtcTransientError: Airflow cannot read the connection.
    """
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        raise TrtcSetupError(
            "Tables in databases need the common SQL hook, which is not installed: pip install"
            " 'airflow-trtc[sql]'."
        ) from None
    try:
        connection = BaseHook.get_connection(conn_id)
    except CONNECTION_ERRORS as error:
        if says_no_connection(error):
            message = f"There is no connection {conn_id!r}, which sql_conn_id names; create it."
            raise TrtcSetupError(message, code=NO_CONNECTION) from None
        message = f"Cannot ask Airflow for the connection {conn_id!r}."
        raise TrtcTransientError(message, code="Client.ConnectionUnavailable") from None
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except Exception as error:  # Airflow's own class differs between its releases
        raise TrtcSetupError(
            f"Connection {conn_id!r} of type {connection.conn_type!r} has no hook here"
            f" ({type(error).__name__}). Install the provider of the database, such as"
            " apache-airflow-providers-postgres."
        ) from None
    if not isinstance(hook, DbApiHook):
        raise TrtcSetupError(
            f"Connection {conn_id!r} is of type {connection.conn_type!r}, which is no database for SQL."
        )
    return hook
