"""Each day's usage of some applications as files, a picture of minutes and estimated cost, and an alert.

The DAG reads every day once, also days that it missed, and by a backfill those before it was there. The
picture shows the last thirty days. A day that is far off the usual one is told as a task of its own, where
your message belongs. Prices differ by contract: write yours into PRICES.

The service counts late, so the tasks begin three hours after the day's end. Its days are those of Beijing.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This lets thirty days have been used, and reads yesterday and the two weeks before:

    curl -s http://127.0.0.1:8765/_control/usage-history -d '{"days": 30}'
    airflow backfill create --dag-id trtc_daily_usage --from-date "$(date -d '15 days ago' +%F)" \
        --to-date "$(date -d '2 days ago' +%F)"

A run by hand has a day only if it gets a date:

    airflow dags trigger trtc_daily_usage --logical-date "$(date +%F)"
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_trtc.operators import TrtcUsageOperator

try:
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:  # Airflow 3.1
    from airflow.timetables.interval import CronDataIntervalTimetable  # type: ignore[assignment]

APPLICATIONS = {1400000001: "lessons"}
KINDS = {"trtc": "trtc_usage", "recording": "trtc_recording_usage"}
# Per thousand minutes, by table and key; what is not named is not counted.
PRICES = {
    ("trtc_usage", "audio"): 0.99,
    ("trtc_usage", "sd"): 3.99,
    ("trtc_usage", "hd"): 3.99,
    ("trtc_usage", "fullhd"): 8.99,
    ("trtc_usage", "2k"): 15.99,
    ("trtc_usage", "4k"): 35.99,
    ("trtc_recording_usage", "audio"): 1.49,
    ("trtc_recording_usage", "sd"): 5.99,
    ("trtc_recording_usage", "hd"): 5.99,
    ("trtc_recording_usage", "fullhd"): 13.49,
    ("trtc_recording_usage", "2k"): 23.99,
    ("trtc_recording_usage", "4k"): 53.99,
}
COLOURS = ("#0b6bcb", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e")
SHOWN_DAYS = 30
BEIJING = timezone(timedelta(hours=8))

Days = dict[str, dict[str, list[float]]]  # application -> day -> minutes and cost


def read_days(folder: str, until: datetime) -> Days:
    """Add up the files of the days before an instant."""
    found: Days = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    for table in KINDS.values():
        for path in (ObjectStoragePath(folder) / table).glob("*.jsonl"):
            for row in map(json.loads, path.read_text().splitlines()):
                begun = datetime.fromisoformat(row["from_at"])
                if not until - timedelta(days=SHOWN_DAYS) <= begun < until:
                    continue
                name = APPLICATIONS.get(row["sdk_app_id"], str(row["sdk_app_id"]))
                day = found[name][begun.astimezone(BEIJING).date().isoformat()]
                day[0] += row["minutes"]
                day[1] += row["minutes"] / 1000 * PRICES.get((table, row["usage_key"]), 0.0)
    return found


def draw(days: Days) -> str:
    """Draw the minutes of each day as stacked bars; the legend has sums and cost."""
    dates = sorted({date for each in days.values() for date in each})
    highest = max((sum(days[name][date][0] for name in days) for date in dates), default=0.0) or 1.0
    step = 640 / max(len(dates), 1)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 400" font-family="sans-serif">',
        "<style>text { font-size: 13px }</style>",
        '<rect width="760" height="400" fill="#ffffff"/>',
        '<text x="60" y="30">Minutes a day, by application</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = 300 - 240 * share
        parts += [
            f'<line x1="60" x2="700" y1="{y}" y2="{y}" stroke="#cccccc"/>',
            f'<text x="52" y="{y + 4}" text-anchor="end">{highest * share:,.0f}</text>',
        ]
    for column, date in enumerate(dates):
        y = 300.0
        for name, colour in zip(sorted(days), COLOURS * len(days), strict=False):
            minutes, cost = days[name][date]
            height = 240 * minutes / highest
            y -= height
            parts.append(
                f'<rect x="{60 + column * step + 1:.1f}" y="{y:.1f}" width="{max(step - 2, 1):.1f}"'
                f' height="{height:.1f}" fill="{colour}">'
                f"<title>{date} {name}: {minutes:,.0f} minutes, {cost:,.2f} USD</title></rect>"
            )
    for x, anchor, shown in ((60, "start", dates[:1]), (700, "end", dates[-1:])):
        parts += [f'<text x="{x}" y="318" text-anchor="{anchor}">{date}</text>' for date in shown]
    for line, (name, colour) in enumerate(zip(sorted(days), COLOURS * len(days), strict=False)):
        minutes, cost = (sum(day[index] for day in days[name].values()) for index in (0, 1))
        y = 345 + 20 * line
        parts += [
            f'<rect x="60" y="{y - 11}" width="12" height="12" fill="{colour}"/>',
            f'<text x="80" y="{y}">{name}: {minutes:,.0f} minutes, about {cost:,.2f} USD</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


with DAG(
    "trtc_daily_usage",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
    start_date=datetime(2026, 1, 1, tzinfo=BEIJING),
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "folder": Param(
            "file:///tmp/trtc_usage",
            type="string",
            title="Folder",
            description="Where files and picture go; in an object store as s3://connection@bucket/usage.",
        ),
    },
) as dag:
    counted = DateTimeSensorAsync(task_id="counted", target_time="{{ data_interval_end.add(hours=3) }}")

    usage = TrtcUsageOperator.partial(
        task_id="usage", path="{{ params.folder }}", retries=3, max_active_tis_per_dag=2
    ).expand(usage=list(KINDS), sdk_app_id=list(APPLICATIONS))

    @task
    def picture(params: dict[str, Any] | None = None, data_interval_end: datetime | None = None) -> str:
        """Draw the days up to this one, and return where the picture is."""
        assert params is not None
        assert data_interval_end is not None
        path = ObjectStoragePath(params["folder"]) / f"{data_interval_end.astimezone(BEIJING):%Y-%m-%d}.svg"
        path.write_text(draw(read_days(params["folder"], data_interval_end)))
        return str(path)

    @task
    def out_of_line(
        params: dict[str, Any] | None = None, data_interval_end: datetime | None = None
    ) -> list[str]:
        """Compare the day with those before it; an application needs a week of them."""
        assert params is not None
        assert data_interval_end is not None
        found = []
        for name, days in sorted(read_days(params["folder"], data_interval_end).items()):
            *earlier, (date, (minutes, cost)) = sorted(days.items())
            usual = [each for _, (each, _) in earlier]
            if len(usual) < 7:
                continue
            middle, spread = statistics.mean(usual), statistics.pstdev(usual)
            if abs(minutes - middle) > max(3 * spread, 0.2 * middle):
                found.append(
                    f"{name} used {minutes:,.0f} minutes ({cost:,.2f} USD) on {date}, usually {middle:,.0f}"
                )
        return found

    @task
    def alert(text: str) -> str:
        """Stand in for a mail or a message."""
        print(text)
        return text

    # The context is handed in by Airflow.
    counted >> usage >> [picture(), strange := out_of_line()]
    alert.expand(text=strange)
