"""What facts about an installation mean: each function makes findings of them. Pure; nothing secret goes in.

The command ``python -m airflow_trtc.check`` and the page "TRTC health" say what is in here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "unknown", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "unknown", "warning", "problem")  # the worst last

OLDEST_AIRFLOW = (3, 1)
AIRFLOW_WITH_CALLBACKS = (3, 3)
OLDEST_SDK = (3, 1)
CROWDED = 0.9  # of what triggerers can carry
CLOCK_WARNING_SECONDS = 60
CLOCK_PROBLEM_SECONDS = 270  # the service refuses from 300 on

PROCESSES = "DAG processor, workers, triggerer, API server and scheduler"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    :param subject: what it is about, e.g. ``clock``.
    :param text: what was found.
    :param todo: what to do next; empty when that is nothing.
    """

    subject: str
    level: Level
    text: str
    todo: str = ""

    def line(self) -> str:
        """For people."""
        return f"{self.level:<8} {self.subject:<11} {self.text}" + (
            f"\n{'':21}-> {self.todo}" * bool(self.todo)
        )

    def as_dict(self) -> dict[str, str]:
        """For machines."""
        return asdict(self)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; of none ``ok``."""
    return max((one.level for one in findings), key=LEVELS.index, default="ok")


def exit_code(findings: Sequence[Finding]) -> int:
    """0, or 1 when there is a problem."""
    return int(worst(findings) == "problem")


def number(version: str | None) -> tuple[int, ...]:
    """The first two numbers of a version; of what is none, nothing."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return tuple(map(int, found.groups())) if found else ()


def versions(found: Mapping[str, str | None]) -> list[Finding]:
    """What is installed.

    :param found: version of each distribution, and of Python; None for what is not installed.
    """
    shown = ", ".join(f"{name} {version or '(not installed)'}" for name, version in found.items())
    findings = [Finding("versions", "ok", shown)]
    for name, oldest in (("apache-airflow", OLDEST_AIRFLOW), ("tencentcloud-sdk-python", OLDEST_SDK)):
        wanted = ".".join(map(str, oldest))
        if (given := number(found.get(name))) < oldest:
            text = f"{name} is older than {wanted}" if given else f"{name} is not installed"
            findings.append(Finding("versions", "problem", text, f'pip install "{name}>={wanted}"'))
    return findings


def abilities(airflow: str | None) -> Finding:
    """What this version of Airflow lets the package do."""
    if number(airflow) >= AIRFLOW_WITH_CALLBACKS:
        return Finding("abilities", "ok", "all: every mode, journal, callbacks, event-driven DAGs")
    text = "poke and deferrable mode; no reschedule mode (it defers), journal, callbacks, event-driven DAGs"
    return Finding("abilities", "warning", text, "for the rest use Airflow 3.3 or later")


def package(ours: str, host: str) -> Finding:
    """Which processes need the package, and how to see that each has it."""
    text = f"this is {host}; needed in the environments of {PROCESSES}, everywhere version {ours}"
    return Finding("package", "ok", text, "run this check in each environment")


def provider(is_registered: bool, has_plugin: bool) -> list[Finding]:
    """Whether this environment has the package.

    :param is_registered: Airflow lists the provider.
    :param has_plugin: its plugin is found.
    """
    todo = "install it with pip (a folder on PYTHONPATH is not enough), and restart this component"
    if not is_registered:
        return [Finding("provider", "problem", "Airflow does not list the provider airflow-trtc", todo)]
    if not has_plugin:
        text = "the entry point of the receiver of callbacks is missing: the installation is broken"
        return [Finding("provider", "problem", text, todo)]
    return [
        Finding("provider", "ok", "Airflow lists the provider, here; connection type and plugin are found")
    ]


def no_connection(conn_id: str, message: str, *, is_missing: bool) -> Finding:
    """Airflow did not hand out the connection, or a field of it is wrong."""
    create = (
        f"airflow connections add {conn_id} --conn-type trtc --conn-login SECRET_ID"
        " --conn-password SECRET_KEY --conn-extra '{\"sdk_app_id\": 1400000001}'; on a machine without access"
        " to Airflow's database (a worker) only connections from environment variables and secrets backends"
        " are seen by this check"
    )
    return Finding("connection", "problem", message, create if is_missing else "correct the connection")


def connection(conn_id: str, sdk_app_id: int | None, warnings: Sequence[str]) -> list[Finding]:
    """The connection was read."""
    findings = [Finding("connection", "ok", f"{conn_id!r} is found, and its fields can be read")]
    findings += [Finding("connection", "warning", one) for one in warnings]
    if sdk_app_id is None:
        todo = "add sdk_app_id to the connection's extra, or give it to each sensor"
        findings.append(Finding("connection", "warning", "its extra names no application (sdk_app_id)", todo))
    return findings


def service(
    subject: str | None, message: str, *, endpoint: str, region: str, sdk_app_id: int | None
) -> list[Finding]:
    """What a test call said, see :mod:`airflow_trtc.cloud.checkup`.

    :param subject: what is wrong; None when nothing is.
    """
    if subject is not None:
        return [Finding(subject, "problem", message)]
    allowed = f"the keys may read recordings of application {sdk_app_id}"
    return [
        Finding("keys", "ok", f"accepted by {endpoint}"),
        Finding("region", "ok", f"{region} serves recording"),
        Finding("permission", "ok", allowed)
        if sdk_app_id is not None
        else Finding("permission", "warning", "not checked, since no application is named"),
    ]


def clock(ahead_seconds: float | None) -> Finding:
    """How far this machine's clock is off.

    :param ahead_seconds: of the service's; None when that was not told.
    """
    if ahead_seconds is None:
        return Finding("clock", "warning", "the service did not say what time it is")
    off = abs(ahead_seconds)
    text = f"{off:.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} the service's"
    if off < CLOCK_WARNING_SECONDS:
        return Finding("clock", "ok", "agrees with the service's, within a few seconds" if off < 3 else text)
    level: Level = "warning" if off < CLOCK_PROBLEM_SECONDS else "problem"
    return Finding(
        "clock", level, text, "set this machine's clock, e.g. with chrony; 5 minutes off is refused"
    )


def journal(why_no_store: str | None, is_active: bool | None, error: str = "") -> Finding:
    """Whether what is seen of recordings is kept.

    :param is_active: a DAG refers to the journal; None when Airflow's database did not tell.
    :param error: why it did not.
    """
    if why_no_store is not None:
        return Finding("journal", "warning", f"none: {why_no_store}")
    if is_active is None:
        todo = "run this check where the API server or the scheduler runs"
        return Finding("journal", "warning", f"not checked: no access to Airflow's database ({error})", todo)
    if not is_active:
        todo = "add a DAG with a TRTC sensor or operator, and have the DAG processor parse it"
        return Finding("journal", "warning", "not there yet: Airflow knows no DAG that uses it", todo)
    return Finding("journal", "ok", "is there")


def asset_conflict(sentence: str) -> Finding:
    """An asset of this package that Airflow keeps inactive for the sake of another one.

    :param sentence: which one, and what to do; "" for those who may not know.
    """
    hidden = (
        "an asset of a DAG is inactive, because another has its name or URI; the API server's log says which"
    )
    return Finding("journal", "problem", sentence or hidden)


def triggerer(health: Any, url: str) -> Finding:
    """Whether deferred tasks go on.

    :param health: the answer of Airflow's health page; None when there is none.
    """
    if not isinstance(health, Mapping):
        todo = "start the API server, or name its address with --airflow-url"
        return Finding("triggerer", "warning", f"not checked: no answer from Airflow at {url}", todo)
    told = health.get("triggerer")
    status = told.get("status") if isinstance(told, Mapping) else None
    if status == "healthy":
        return Finding("triggerer", "ok", "at least one is alive")
    return no_triggerer("problem")


def no_triggerer(level: Level) -> Finding:
    """None is alive."""
    text = "none is alive: deferred tasks stand still, and deferrable=True waits for ever"
    return Finding("triggerer", level, text, "start one: airflow triggerer")


def triggerers(alive: int, taken: int, idle: int, capacity: int) -> Finding:
    """Whether deferred tasks go on, by the tables of Airflow's database.

    :param alive: triggerers with a heartbeat of late.
    :param taken: triggers that these carry.
    :param idle: triggers that none of these carries.
    :param capacity: triggers that one triggerer carries at most.
    """
    if not alive:
        return no_triggerer("problem" if idle else "warning")
    room = alive * capacity
    text = f"{alive} alive, with {taken:,} of at most {room:,} triggers"
    todo = "start one more: airflow triggerer; or raise [triggerer] capacity"
    if taken < CROWDED * room:
        return Finding("triggerer", "ok", text)
    if taken < room or not idle:
        return Finding("triggerer", "warning", f"{text}: nearly full", todo)
    return Finding("triggerer", "problem", f"{text}: full, and {idle:,} deferred tasks stand still", todo)


def receiver(status: int | None, url: str, *, is_wanted: bool) -> Finding:
    """Whether the API server receives callbacks.

    :param status: of a GET to the receiver's address, which takes only POSTs; None for no answer.
    :param is_wanted: the connection has a key for callbacks.
    """
    if status == 405:
        return Finding(
            "receiver", "ok", f"answers at {url}; give the console of TRTC this address as seen from outside"
        )
    level: Level = "problem" if is_wanted else "warning"
    if status is None:
        todo = "start the API server, or name its address with --airflow-url"
        return Finding("receiver", level, f"no answer at {url}", todo)
    todo = f"install the same version where the API server runs, and restart it; {PROCESSES} need it"
    return Finding("receiver", level, f"is not at {url} (HTTP status {status})", todo)


def callback_key(problem: str, advice: str, *, is_unsigned: bool) -> Finding:
    """What the receiver makes of the connection."""
    if problem:
        todo = "only for callbacks: add callback_secret to the connection's extra, the key of the console"
        return Finding("callbacks", "warning", f"cannot be received: {problem}", todo)
    if is_unsigned:
        text = "are accepted without a signature: whoever knows the address can send them"
        return Finding("callbacks", "warning", text, "set a key in the console and as callback_secret")
    if advice:
        return Finding("callbacks", "warning", f"are accepted, but {advice}")
    return Finding("callbacks", "ok", "the connection has a key for them")


NO_CALLBACKS = Finding(
    "callbacks",
    "warning",
    "cannot be received by this Airflow",
    "only for callbacks: use Airflow 3.3 or later",
)

_SIGNED: dict[int, tuple[Level, str, str]] = {
    400: ("ok", "the API server accepts callbacks that are signed with the connection's key", ""),
    401: (
        "problem",
        "the API server refuses what is signed with the connection's key",
        "it sees another connection than this process: compare their callback_secret (environment, database)",
    ),
    503: ("problem", "the API server cannot store callbacks now", "see its log"),
}


def signed(status: int | None) -> Finding | None:
    """Whether the API server knows the connection's key.

    :param status: the answer to something signed that is no event; None for no answer.
    """
    if status is None:
        return None
    other: tuple[Level, str, str] = ("warning", f"answered a signed trial with HTTP status {status}", "")
    return Finding("callbacks", *_SIGNED.get(status, other))


def broken(subject: str, error: BaseException) -> Finding:
    """Something that should not raise did; its message may hold anything."""
    text = f"the check itself failed: {type(error).__name__}"
    return Finding(subject, "problem", text, "please report it, with the output of `airflow info`")
