"""What the page "TRTC health" says: findings from facts, of the journal and of one connection. Pure.

What `airflow_trtc.findings` has words for is said in these. A finding is a problem when something stands
still or is refused that this installation itself is to blame for: monitoring is told of problems only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_trtc import findings
from airflow_trtc.findings import Finding, Level, worst
from airflow_trtc.journal.reception import REASONS, Reason, Refused
from airflow_trtc.web.pages.figures import Account, Heard
from airflow_trtc.web.pages.wording import age, plural, spaced

CHECK_COUNTS = timedelta(hours=1)  # for so long a check says how things are
LATE_SECONDS = 60.0  # of a poll, or of a stored callback
STUCK_SECONDS = 300.0  # of a stored callback

LEVEL_WORDS: Mapping[Level, str] = {
    "ok": "OK",
    "unknown": "Not known",
    "warning": "Warning",
    "problem": "Problem",
}
# Where the documentation says more: subject -> title of the page, and section.
READ: Mapping[str, tuple[str, str]] = {
    "application": ("The connection", "Fields"),
    "backlog": ("In Airflow's UI", "Health"),
    "budget": ("Scaling", "How waits share an account"),
    "callbacks": ("Callbacks", "Changing the key"),
    "check": ("In Airflow's UI", "Health"),
    "clock": ("In Airflow's UI", "Health"),
    "connection": ("The connection", "Fields"),
    "heard": ("In Airflow's UI", "Health"),
    "journal": ("Reliability", "The journal"),
    "keys": ("The connection", "Kinds of credentials"),
    "permission": ("The connection", "Minimum policy"),
    "polls": ("In Airflow's UI", "Health"),
    "receiver": ("Callbacks", "Answers of the receiver"),
    "refused": ("Callbacks", "Answers of the receiver"),
    "region": ("The connection", "Fields"),
    "service": ("In Airflow's UI", "Health"),
    "triggerer": ("Installing", "Which processes need the package"),
}
# What to do about callbacks that were refused.
REMEDIES: Mapping[Reason, str] = {
    "unsigned": "set a key in the console of TRTC, and the same as callback_secret of the connection",
    "wrong_signature": "compare the key in the console of TRTC with callback_secret of the connection",
    "no_key": "copy the key from the console of TRTC into callback_secret of the connection",
    "unusable": "correct the connection",
    "no_event": "point only the callbacks of TRTC at this address",
    "no_application": "add sdk_app_id to the connection's extra",
    "wrong_application": "give each application a connection of its own, or leave sdk_app_id out of this one",
}


@dataclass(frozen=True, slots=True)
class Triggerer:
    """A triggerer that is alive.

    :param heartbeat_at: when it last said so.
    :param taken: triggers that it carries, those of other packages too.
    """

    host: str
    heartbeat_at: datetime
    taken: int


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is known of this Airflow.

    :param why_no_store: why no journal can be kept at all.
    :param is_active: a DAG refers to the journal.
    :param conflicts: assets that others displace; a sentence each, "" for one that the user may not read.
    :param oldest_callback: when the callback was received that has waited longest to be processed.
    :param idle: triggers that no living triggerer carries.
    :param capacity: triggers that one triggerer carries at most.
    """

    why_no_store: str | None = None
    is_active: bool = True
    conflicts: tuple[str, ...] = ()
    oldest_callback: datetime | None = None
    triggerers: tuple[Triggerer, ...] = ()
    idle: int = 0
    capacity: int = 1000


@dataclass(frozen=True, slots=True)
class Setup:
    """What the receiver of callbacks makes of a connection, without its keys.

    :param problem: why nothing can be received; empty when something can.
    :param advice: what should be changed all the same; empty for nothing.
    """

    problem: str = ""
    advice: str = ""
    is_unsigned: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What a real call found out, some time ago."""

    conn_id: str
    at: datetime
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What is known of one connection.

    :param accounts: as which processes poll through it.
    :param heard: callbacks of the applications that came through it.
    :param setup: None where no callbacks can be received at all.
    """

    conn_id: str
    accounts: tuple[Account, ...] = ()
    heard: tuple[Heard, ...] = ()
    refused: Refused | None = None
    setup: Setup | None = None
    checked: Checked | None = None


def site_findings(facts: SiteFacts, now: datetime) -> list[Finding]:
    """What is said of this Airflow, the worst first."""
    taken = sum(one.taken for one in facts.triggerers)
    found = [findings.triggerers(len(facts.triggerers), taken, facts.idle, facts.capacity)]
    found.append(findings.journal(facts.why_no_store, facts.is_active))
    if facts.why_no_store is None:
        found += [_receiver(facts.is_active), *_backlog(facts.oldest_callback, now)]
    found += [findings.asset_conflict(sentence) for sentence in facts.conflicts]
    return in_order(found)


def connection_findings(facts: ConnectionFacts, now: datetime) -> list[Finding]:
    """What is said of one connection, the worst first."""
    waiting = sum(one.waiting for one in facts.accounts)
    found = [*_polls(facts.accounts), *_checked(facts.checked, now)]
    if facts.setup is not None:
        setup = facts.setup
        found.append(findings.callback_key(setup.problem, setup.advice, is_unsigned=setup.is_unsigned))
        if not setup.problem:
            found += _heard(facts.heard, waiting, now)
    return in_order([*found, *_refused(facts.refused, now)])


def in_order(found: Sequence[Finding]) -> list[Finding]:
    """The worst first; what is as bad stays as it is."""
    return sorted(found, key=lambda one: findings.LEVELS.index(one.level), reverse=True)


def summary(found: Sequence[Finding]) -> str:
    """All findings in a few words."""
    numbers = {level: sum(one.level == level for one in found) for level in findings.LEVELS}
    if worst(found) in ("ok", "unknown"):
        return "All is well" if not numbers["unknown"] else "Nothing is wrong, as far as is known"
    shown = ((numbers[level], level) for level in ("problem", "warning"))
    return ", ".join(plural(number, level) for number, level in shown if number)


def status_code(found: Sequence[Finding]) -> int:
    """For monitoring: 503 when there is a problem, else 200."""
    return 503 if worst(found) == "problem" else 200


def _receiver(is_active: bool) -> Finding:
    if is_active:
        return Finding("receiver", "ok", "is mounted in this API server, and stores callbacks")
    todo = "add a DAG that waits for recordings, and have the DAG processor parse it"
    return Finding("receiver", "warning", "is mounted, but answers 503: there is no journal yet", todo)


def _backlog(oldest: datetime | None, now: datetime) -> list[Finding]:
    seconds = 0.0 if oldest is None else (now - oldest).total_seconds()
    if seconds < LATE_SECONDS:
        return []
    level: Level = "problem" if seconds >= STUCK_SECONDS else "warning"
    text = f"callbacks are stored but not processed: the oldest has waited for {age(seconds)}"
    return [Finding("backlog", level, text, "the log of the API server says why")]


def _polls(accounts: Sequence[Account]) -> list[Finding]:
    if not accounts:
        text = "no task waits through this connection now, so the service is not asked"
        return [Finding("polls", "unknown", text)]
    return [finding for one in accounts for finding in (_poll(one), _budget(one))]


def _poll(one: Account) -> Finding:
    jobs = plural(one.waiting, "job")
    if one.outage:
        todo = "tasks wait on, and continue by themselves when it answers"
        return Finding("polls", "problem", f"{one.endpoint} answers no polls: {one.outage}", todo)
    if one.due and one.slowest_seconds >= LATE_SECONDS:
        late = f"{spaced(one.due)} of {jobs} overdue, by up to {age(one.slowest_seconds)}"
        todo = "raise the interval of the sensors, or use callbacks"
        return Finding("polls", "warning", f"{late}, at {one.endpoint}", todo)
    if not one.rate:
        text = f"{_waited_for(one.waiting)} at {one.endpoint}; none was polled in the last minute"
        return Finding("polls", "unknown", text)
    return Finding("polls", "ok", f"{jobs} polled at {one.endpoint}, in time")


def _budget(one: Account) -> Finding:
    text = f"{one.rate:.1f} of {spaced(one.ceiling)} requests a second are used"
    if not one.throttled:
        return Finding("budget", "ok", text)
    refused = plural(one.throttled, "request")
    todo = "something else uses the account too: lower requests_per_second of the connection"
    return Finding("budget", "warning", f"{text}; too many: {refused} refused in the last minute", todo)


def _checked(checked: Checked | None, now: datetime) -> Sequence[Finding]:
    if checked is not None and now - checked.at <= CHECK_COUNTS:
        return checked.findings
    text = "keys, permission, region and clock were not checked in the last hour"
    return [Finding("check", "unknown", text, 'press "Check now": one call that reads, and costs nothing')]


def _heard(heard: Sequence[Heard], waiting: int, now: datetime) -> list[Finding]:
    if not heard:
        text = "no callback has come through this connection yet"
        if not waiting:
            return [Finding("heard", "unknown", text)]
        todo = "name the address of the receiver in the console of TRTC"
        return [Finding("heard", "warning", f"{text}, though {_waited_for(waiting)}", todo)]
    return [_application(one, waiting, now) for one in heard]


def _application(one: Heard, waiting: int, now: datetime) -> Finding:
    last = f"the last callback of application {one.app} came {age((now - one.last_at).total_seconds())} ago"
    if not (one.is_quiet and waiting):
        return Finding("heard", "ok", f"{last}; {spaced(one.a_minute)} a minute")
    todo = "normal while nobody comes or goes in the rooms; else look for failures in the console of TRTC"
    return Finding("heard", "warning", f"{last}, and {_waited_for(waiting)}", todo)


def _waited_for(jobs: int) -> str:
    return f"{plural(jobs, 'job')} {'is' if jobs == 1 else 'are'} waited for"


def _refused(refused: Refused | None, now: datetime) -> list[Finding]:
    """Never a problem: whoever knows the address can have something refused."""
    if refused is None:
        return []
    last = age((now - refused.last_at).total_seconds())
    text = f"{plural(refused.count, 'callback')} refused, the last {last} ago: {REASONS[refused.reason]}"
    return [Finding("refused", "warning", text, REMEDIES[refused.reason])]
