"""What the pages in Airflow's UI cost, with thousands of waits among half a million other task instances.

    python -m tests.benchmarks.pages --output build/benchmark

An API server alone, one process, on SQLite and on PostgreSQL, with rows inserted in bulk. Three tables: how
long each page takes, from request to answer, the first time (nothing is kept in memory yet) and then, what it
takes of processors, database included, and the slowest statement in it, of SQLite the processor's time; what
a key stroke takes in the browser, until its effect is painted; and what an open page that nobody touches
costs the API server, in the frame (Airflow's own page asks, too) and alone. Needs a Chromium, see
`.ci/find-chromium`. Nothing here passes or fails.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import httpx
import psutil

from tests.benchmarks.report import arguments, machine, spread, table, tell, write
from tests.browser.site import Site, writing_to
from tests.browser.story import LIVE, RUN, live_value
from tests.web.pages.rows import Wait, insert, shown

ROOT = Path(__file__).parents[2]
JOB = f"kind=recording&app={LIVE.sdk_app_id}&region={LIVE.region}&id="
OLD, OTHER = "old", "other"
TASKS_PER_RUN = 20
# What users ask for; {n} is another number each time, so that no answer is kept.
PAGES = {
    "the list": "ui",
    "the list, again and unchanged": "ui?part=live",
    "waiting": "ui?state=waiting",
    "failed": "ui?state=failed",
    "with problems": "ui?state=problems",
    "of one application": "ui?app=1400000001",
    "search for an id": "ui?q=rec-{n}",
    "search for nothing there": "ui?q=nothing-{n}",
    "sorted by files": "ui?sort=files",
    "sorted by state": "ui?sort=state",
    "sorted by task": "ui?sort=task",
    "the last page": "ui?page={last}",
    "a job": f"ui/job?{JOB}rec-live",
    "a job, of many": f"ui/job?{JOB}rec-{{n}}",
    "a job of long ago": f"ui/job?{JOB}{OLD}-{{n}}",
    "tab of a task": f"ui/task?dag_id=mine&run_id={quote(RUN)}&task_id=wait&map_index=-1",
    "tab of a run of 500 tasks": "ui/run?dag_id=mine&run_id=mapped-0",
    "health": "ui/health",
}


@dataclass(frozen=True)
class Size:
    """How much there is of each."""

    waiting: int = 5_000
    ended: int = 5_000
    old: int = 100_000
    others: int = 400_000
    repeats: int = 7
    seconds: int = 40


@dataclass
class Figures:
    """What was measured on one database; all in milliseconds but the shares."""

    first: dict[str, float] = field(default_factory=dict)
    again: dict[str, list[float]] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    statement: dict[str, float] = field(default_factory=dict)
    keys: dict[str, list[float]] = field(default_factory=dict)
    share: dict[str, float] = field(default_factory=dict)


def waits(size: Size) -> list[Wait]:
    """What waits and has ended; then one old wait and one other task instance, to be copied."""
    began = timedelta(hours=-20)
    mine = Wait(dag_id="mine", run_id=RUN)
    return [
        replace(mine, value=live_value(200)),
        *(
            replace(
                mine,
                run_id=f"mapped-{number // 500}",
                task_id="each",
                map_index=number % 500,
                began=began + timedelta(seconds=number),
                value=shown(f"rec-{number}", files=number % 12, room_id=f"room-{number}"),
            )
            for number in range(1, size.waiting)
        ),
        *(
            replace(
                mine,
                run_id=f"ended-{number}",
                state="failed" if number % 50 == 0 else "success",
                began=began,
                ended=timedelta(seconds=-number * 16),
                value=shown(f"rec-e{number}", files=4, problem_count=int(number % 50 == 0)),
            )
            for number in range(size.ended)
        ),
        replace(
            mine,
            run_id=OLD,
            state="success",
            began=timedelta(days=-8),
            ended=timedelta(days=-8, minutes=50),
            value=shown(OLD, files=4),
        ),
        Wait(
            dag_id="etl",
            run_id=OTHER,
            task_id="task",
            state="success",
            operator="PythonOperator",
            began=timedelta(minutes=-10),
            ended=timedelta(minutes=-9),
        ),
    ]


def fill(site: Site, size: Size) -> None:
    """Insert everything."""
    site.run("dags", "reserialize")
    began_at = time.monotonic()
    insert(waits(size), has_dags=True)
    tell(f"waits inserted in {time.monotonic() - began_at:.0f} s")
    copy_rows(OLD, size.old, 1)
    copy_rows(OTHER, size.others, TASKS_PER_RUN)
    tell(f"and copied, after {time.monotonic() - began_at:.0f} s")


# In the database, since half a million rows take minutes in Python. By dialect: the id of a copy, a time that
# is so many minutes earlier, a value of JSON with another id.
WAYS = {
    "sqlite": (
        "printf('%032x', {id})",
        "strftime('%Y-%m-%d %H:%M:%f000', t.{name}, '-' || ({minutes}) || ' minutes')",
        "replace(t.value, '{old}', '{old}-' || n.i)",
    ),
    "postgresql": (
        "lpad(to_hex({id}), 32, '0')::uuid",
        "t.{name} - ({minutes}) * interval '1 minute'",
        "replace(t.value::text, '{old}', '{old}-' || n.i)::jsonb",
    ),
}


def copy_rows(run_id: str, count: int, per_run: int) -> None:
    """Copy the task instance of a run so often, each a minute earlier, with so many in a run."""
    from airflow.models.base import Base
    from airflow.utils.session import create_session
    from sqlalchemy import text

    first = 10_000_000 * per_run  # numbers that are still free
    with create_session() as session:
        new_id, earlier, value = WAYS[session.get_bind().dialect.name]
        for name, each in (("dag_run", per_run), ("task_instance", 1), ("xcom", 1)):
            run = "n.i" if each > 1 else f"(n.i / {per_run})"
            changed = {
                "run_id": f"'{run_id}-' || {run}",
                "dag_id": "t.dag_id" if per_run == 1 else f"'etl-' || ({run} % 50)",
                "task_id": "t.task_id" if per_run == 1 else f"'task-' || (n.i % {per_run})",
                "dag_run_id": f"{first} + {run}",
                "id": f"{first} + n.i" if name == "dag_run" else new_id.format(id=f"{first} + n.i"),
                "value": value.format(old=run_id),
                **{
                    time: earlier.format(name=time, minutes=run)
                    for time in ("run_after", "start_date", "end_date")
                },
            }
            names = [column.name for column in Base.metadata.tables[name].c]
            values = ", ".join(changed.get(column, f't."{column}"') for column in names)
            columns = ", ".join(f'"{column}"' for column in names)
            session.execute(
                text(
                    f"INSERT INTO {name} ({columns})"
                    " WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
                    f" SELECT {values} FROM {name} t, n WHERE t.run_id = :run_id"
                ),
                {"count": -(-count // each), "run_id": run_id},
            )


def addresses(size: Size, repeat: int) -> dict[str, str]:
    """All pages, with numbers of this repeat."""
    last = (size.waiting + size.ended - 1) // 50 + 1
    return {name: page.format(n=repeat * 7 + 3, last=last) for name, page in PAGES.items()}


def ask_all(site: Site, token: str, size: Size, figures: Figures) -> None:
    """Ask for every page, over HTTP."""
    headers = {"Cookie": f"_token={token}", "Accept-Encoding": "gzip"}
    etag = ""
    with httpx.Client(
        base_url=f"{site.address}/trtc/", headers=headers, timeout=120, trust_env=False
    ) as client:
        client.get("ui/static/trtc.css")
        for repeat in range(size.repeats + 1):
            for name, path in addresses(size, repeat).items():
                more = {"If-None-Match": etag} if "again" in name else {}
                before, began_at = processor_seconds(site), time.perf_counter()
                answer = client.get(path, headers=more)
                taken = 1000 * (time.perf_counter() - began_at)
                cost = 1000 * (processor_seconds(site) - before)
                assert answer.status_code in (200, 304), (path, answer.status_code)
                etag = answer.headers["etag"] if name == "the list" else etag
                if repeat:
                    figures.again.setdefault(name, []).append(taken)
                    figures.cost[name] = figures.cost.get(name, 0.0) + cost / size.repeats
                else:
                    figures.first[name] = taken


@contextmanager
def statements() -> Iterator[list[tuple[float, str]]]:
    """Milliseconds and text of each statement meanwhile, of this process."""
    from airflow import settings
    from sqlalchemy import event

    taken: list[tuple[float, str]] = []

    def before(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        context.began_at = clock()

    def after(_: Any, __: Any, statement: str, ____: Any, context: Any, _____: bool) -> None:
        taken.append((1000 * (clock() - context.began_at), statement))

    engine = settings.engine
    assert engine is not None
    # SQLite works in this very thread; then what else the machine does is left out.
    clock = time.thread_time if engine.dialect.name == "sqlite" else time.perf_counter
    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield taken
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)


def watch_statements(site: Site, size: Size, figures: Figures, output: Path) -> None:
    """Ask for every page in this process, which knows of its statements; nothing is kept between pages."""
    from tests.web.pages.conftest import Site as Server

    settings = {name: value for name, value in site.environment.items() if name.startswith("AIRFLOW__")}
    lines = []
    with patch.dict(os.environ, settings):
        server = Server()
        server.ask("/trtc/ui")  # loads everything
        for name, path in addresses(size, 1).items():
            best: list[tuple[float, str]] = []
            for _ in range(3):  # the fastest of three: what else this machine does is of no interest
                forget()
                with statements() as taken:
                    assert server.ask(f"/trtc/{path}").status_code == 200, path
                slowest = max(taken)
                best = [slowest] if not best or slowest < best[0] else best
            figures.statement[name] = best[0][0]
            lines.append(f"-- {name}: {best[0][0]:.1f} ms\n{best[0][1]}\n")
    output.mkdir(parents=True, exist_ok=True)
    dialect = site.database_url.partition(":")[0].partition("+")[0]
    (output / f"pages_{dialect}.sql").write_text("\n".join(lines))


def forget() -> None:
    """Nothing is known from an earlier question."""
    from airflow_trtc.web.pages import access, facts, health_page, job_page, listing_page

    for module in (access, facts, health_page, job_page, listing_page):
        for value in vars(module).values():
            if hasattr(value, "_kept"):
                value._kept.clear()


# Milliseconds from each key stroke until what it changed is on the screen.
WATCH_KEYS = """() => {
  window.taken = [];
  addEventListener("keydown", (event) => {
    requestAnimationFrame(() => setTimeout(() => window.taken.push(performance.now() - event.timeStamp)));
  }, true);
}"""


def browse(site: Site, token: str, size: Size, figures: Figures) -> None:
    """Press keys in a browser, and leave pages alone in it."""
    from playwright.sync_api import sync_playwright

    found = subprocess.run(
        [ROOT / ".ci" / "find-chromium"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(120_000)
        context.add_cookies([{"name": "_token", "value": token, "url": f"{site.address}/"}])
        page = context.new_page()
        for name, path, box, keys in (
            ("search field of the list", "ui", "input[type=search]", list("a-room-number-4711") * 3),
            (
                "arrow keys in a timeline of 200 files",
                f"ui/job?{JOB}rec-live",
                "[data-tl-box]",
                ["ArrowRight"] * 40,
            ),
        ):
            page.goto(f"{site.address}/trtc/{path}")
            page.locator(box).focus()
            page.evaluate(WATCH_KEYS)
            for key in keys:
                page.keyboard.press(key)
                page.wait_for_timeout(120)  # as people type; the page refreshes meanwhile
            figures.keys[name] = page.evaluate("window.taken")
        figures.share["no page"] = share_of(site, size.seconds, lambda: time.sleep(1))
        for name, path in (
            ("list, alone", "/trtc/ui"),
            ("list in Airflow's frame", "/plugin/trtc_recordings"),
        ):
            page.goto(f"{site.address}{path}")
            page.wait_for_timeout(10_000)
            figures.share[name] = share_of(site, size.seconds, lambda: page.wait_for_timeout(1_000))
        browser.close()


def share_of(site: Site, seconds: int, rest: Any) -> float:
    """Which part of a processor the API server takes."""
    before, began_at = processor_seconds(site, "api-server"), time.monotonic()
    while time.monotonic() - began_at < seconds:
        rest()
    return (processor_seconds(site, "api-server") - before) / (time.monotonic() - began_at)


def processor_seconds(site: Site, *names: str) -> float:
    """What these components have taken of processors so far; without names all, the database included."""
    total = 0.0
    for name in names or site.components:
        for pid in site.pids(name):
            with suppress(psutil.NoSuchProcess):
                total += sum(psutil.Process(pid).cpu_times()[:2])
    return total


def measure(database: str, size: Size, output: Path) -> Figures:
    """Everything, on one database."""
    figures = Figures()
    tell(f"{database}: an API server, and rows")
    with Site(database=database) as site, writing_to(site.database_url):
        fill(site, size)
        token = site.token("admin")
        tell("pages")
        ask_all(site, token, size, figures)
        watch_statements(site, size, figures, output)
        tell("the browser")
        browse(site, token, size, figures)
    return figures


def report(measured: Mapping[str, Figures], size: Size) -> str:
    """All tables."""
    names = list(measured)
    head = [
        "Page, ms",
        *(f"{name}, {what}" for name in names for what in ("first", "then", "processor", "statement")),
    ]
    pages = [
        [
            page,
            *(
                cell
                for one in measured.values()
                for cell in (
                    f"{one.first[page]:.0f}",
                    spread(one.again[page], 0),
                    f"{one.cost[page]:.0f}",
                    f"{one.statement[page]:.0f}",
                )
            ),
        ]
        for page in PAGES
    ]
    any_one = next(iter(measured.values()))
    keys = [
        [
            what,
            *(
                f"{statistics.median(one.keys[what]):.0f} (up to {max(one.keys[what]):.0f})"
                for one in measured.values()
            ),
        ]
        for what in any_one.keys
    ]
    shares = [[what, *(f"{one.share[what]:.2%}" for one in measured.values())] for what in any_one.share]
    others = size.old + size.others
    return "\n\n".join(
        [
            f"{size.waiting:,} waiting, {size.ended:,} ended in 24 hours, {others:,} other task instances,"
            f" of which {size.old:,} old waits of the same DAG.",
            table(head, pages),
            table(["Key strokes, ms", *names], keys),
            table(["Processor of the API server", *names], shares),
            machine(),
        ]
    )


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    size = Size(200, 200, 500, 500, 2, 5) if options.quick else Size()
    measured = {name: measure(name, size, options.output) for name in options.databases}
    write(options.output, "pages", report(measured, size))


if __name__ == "__main__":
    main()
