"""Checks of what DAG authors write, shared by sensors and operators."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.problem import PROBLEM_KINDS

LONGEST_SECONDS = 100 * 365 * 86_400.0  # a hundred years still fit every clock

Check: TypeAlias = Callable[[str, Any], Any]


class ChecksArguments:
    """For operators: what `argument_checks` names is checked when the DAG is parsed, mapped or not.

    To stand before Airflow's base class. Templates, and what other tasks return, are checked once rendered.

    :cvar argument_checks: name of an argument to what reads it, which returns the value or raises ValueError.
    :cvar partial_checks: the same for arguments that are objects: what in them is no template is checked when
        the DAG is parsed. What these return is not used.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {}
    partial_checks: ClassVar[Mapping[str, Check]] = {}
    template_fields: Collection[str] = ()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map over arguments; those that stay the same are checked now."""
        with naming_task(kwargs.get("task_id")):
            for name in cls.argument_checks.keys() & kwargs.keys():
                kwargs[name] = cls._checked(name, kwargs[name])
        return super().partial(**kwargs)  # type: ignore[misc]

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if not cls._is_rendered_later(name, value):
            return cls.argument_checks[name](name, value)
        if name in cls.partial_checks and isinstance(value, Mapping):
            cls.partial_checks[name](name, value)
        return value

    @classmethod
    def _is_rendered_later(cls, name: str, value: Any) -> bool:
        return name in cls.template_fields and is_template(value)

    def check_arguments(self) -> None:
        """Check all that can be checked when the DAG is parsed.

        :raises ValueError: one is wrong, or they do not fit together; the text names the task.
        """
        with naming_task(getattr(self, "task_id", None)):
            self.check_all()

    def check_all(self) -> None:
        """Carry the checks out. Subclasses with more of them extend this.

        :raises ValueError: one is wrong, or they do not fit together.
        """
        for name in self.argument_checks:
            setattr(self, name, self._checked(name, getattr(self, name)))
        self.check_together()

    def check_rendered(self) -> None:
        """Check all again, now that templates are rendered.

        :raises TrtcSetupError: one is wrong, or they do not fit together.
        """
        try:
            for name, check in self.argument_checks.items():
                setattr(self, name, check(name, getattr(self, name)))
            self.check_together()
        except ValueError as error:
            raise TrtcSetupError(f"{error}. Check the template or the task that delivers it.") from None

    def check_together(self) -> None:
        """Check what depends on several arguments; what is a template yet is left out of it.

        :raises ValueError: they do not fit together.
        """


@contextlib.contextmanager
def naming_task(task_id: object) -> Iterator[None]:
    """Name the task in errors about its arguments: a DAG file may make many alike in a loop.

    :raises ValueError: for the one that was raised inside.
    """
    try:
        yield
    except ValueError as error:
        if task_id is None:
            raise
        raise ValueError(f"Task {task_id}: {error}") from None


def is_template(value: Any) -> bool:
    """Whether Airflow renders the value later: a template, or what another task returns."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, list | tuple):
        return any(map(is_template, value))
    if isinstance(value, Mapping):
        return any(map(is_template, value.values()))
    return hasattr(value, "iter_references")


class HiddenText:
    """A secret that stands in a DAG. Airflow stores and shows the arguments of operators as text: ``***``."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret."""
        return self._text

    def __repr__(self) -> str:
        return "***"


def revealed(value: Any) -> Any:
    """The text of a `HiddenText`; anything else as it is."""
    return value.reveal() if isinstance(value, HiddenText) else value


def hidden_text(value: Any) -> Any:
    """A secret that stands in the DAG, hidden; anything else as it is."""
    is_literal = isinstance(value, str) and value and not is_template(value)
    return HiddenText(value) if is_literal else value


def secret_text(name: str, value: Any) -> Any:
    """As `name_of`, also of a `HiddenText`; the error does not show the value.

    :raises ValueError: it is no text.
    """
    if isinstance(value, HiddenText):
        return value
    if value is None or isinstance(value, str):
        return name_of(name, value)
    raise ValueError(f"{name} must be a text, not {type(value).__name__}")


def switch(name: str, value: Any) -> bool | None:
    """True, False, or None for the default.

    :raises ValueError: it is something else; "False" as text would count as true.
    """
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"{name} must be True or False, not {value!r:.100}")


def list_only(name: str, value: Any) -> bool:
    """Refuse ``multiple_outputs``: with it Airflow fails, after the wait, a task that returns a list.

    :raises ValueError: it is set.
    """
    if value:
        raise ValueError(f"{name} is for tasks that return a dict, and this one returns a list; leave it out")
    return False


def one_of(choices: Collection[str]) -> Check:
    """A check that refuses what is none of the choices."""

    def check(name: str, value: Any) -> Any:
        check_choice(name, value, choices)
        return value

    return check


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Refuse what is none of the choices.

    :raises ValueError: it is not.
    """
    if value not in tuple(choices):
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def texts(name: str, values: Any) -> tuple[str, ...]:
    """A list of texts as a tuple; a generator is read once, here.

    :raises ValueError: it is one text, or holds something else.
    """
    is_list = isinstance(values, Iterable) and not (isinstance(values, str | bytes) or is_template(values))
    found = tuple(values) if is_list else None
    if found is None or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{name} must be a list of texts, not {values!r}")
    return found


def problem_kinds(name: str, values: Any) -> tuple[str, ...]:
    """A list of kinds of problems, sorted.

    :raises ValueError: one of them does not exist.
    """
    found = texts(name, values)
    for kind in found:
        check_choice(name, kind, PROBLEM_KINDS)
    return tuple(sorted(set(found)))


def seconds(name: str, value: Any) -> float:
    """A duration in seconds, given as such, as text (templates render to it) or as a timedelta.

    :raises ValueError: it is none of them, negative, or longer than a hundred years.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if not 0 <= number <= LONGEST_SECONDS:
        raise ValueError(f"{name} must be a number of seconds from 0 on or a timedelta, not {value!r:.100}")
    return number


def duration_or_instant(name: str, value: Any) -> float | datetime | None:
    """A duration in seconds, as `seconds` reads it, or an instant: a datetime, or ISO 8601 text; both aware.

    :return: seconds, or the instant in UTC; None for None and "".
    :raises ValueError: it is neither, is no longer than nothing, or has no time zone.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, timedelta) or not math.isnan(_number(value)):
        if (found := seconds(name, value)) > 0:
            return found
        raise ValueError(f"{name} must be longer than nothing, not {value!r:.100}")
    instant = _instant(value)
    if instant is None:
        raise ValueError(
            f"{name} must be a duration (seconds or a timedelta) or an instant (a datetime or ISO 8601 text,"
            f" such as 2026-01-01T09:45:00+00:00), not {value!r:.100}"
        )
    if instant.tzinfo is None:
        raise ValueError(f"{name} has no time zone: {value!r:.100}. Add one, such as +08:00")
    return instant.astimezone(timezone.utc)


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    with contextlib.suppress(ValueError):
        return bounds.iso_time(value.strip())
    return None


def _number(value: Any) -> float:
    """The number; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def name_of(name: str, value: Any) -> str | None:
    """A name without surrounding blanks; a number becomes its digits, None and "" are absent.

    :raises ValueError: it is something else, or the "None" that a template makes of nothing.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be a text, not {value!r:.100}")
    found = (value or "").strip()
    if found == "None":
        raise ValueError(f"{name} is None, written as text: a template rendered to nothing")
    return found or None


def required_name(name: str, value: Any) -> str:
    """As `name_of`, of what may not be absent.

    :raises ValueError: it is absent as well.
    """
    if (found := name_of(name, value)) is None:
        raise ValueError(f"{name} is empty")
    return found


def key_prefix(name: str, value: Any) -> tuple[str, ...] | None:
    """The parts of a ``FileNamePrefix``, given as text with ``/`` or as list; None for none.

    Native rendering makes numbers of texts: whole ones become text again.

    :raises ValueError: a part is something else; a fraction too, since it may have lost digits.
    """
    if value is None:
        return None
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    parts = [each for part in (value if is_list else [value]) for each in _split(part)]
    return tuple(found for part in parts if (found := _part(name, part))) or None


def _split(part: Any) -> list[Any]:
    return part.split("/") if isinstance(part, str) else [part]


def _part(name: str, value: Any) -> str | None:
    if value is None:
        raise ValueError(f"{name} has a part that is None: a template rendered to nothing")
    if isinstance(value, float):
        raise ValueError(
            f"{name} is the number {value}, whose digits need not be those that were meant; write a / in"
            " front of the text, then native rendering leaves it alone"
        )
    return name_of(name, value)


def checked_id(name: str, value: Any, mapped: str, source: str) -> str:
    """Return an id without surrounding blanks.

    :param mapped: how to map over several, for the message.
    :param source: where such an id comes from, for the message.
    :raises TrtcSetupError: it is empty or not a text.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        raise TrtcSetupError(
            f"{name} is empty. Check the template or the task that should deliver it ({source})."
        )
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Collection):
        advice = f"To wait for several, map the sensor: {mapped}"
    else:
        advice = (
            f"Check the template or the task that should deliver it ({source}). With"
            " render_template_as_native_obj, a text that looks like a number becomes one, and an id may lose"
            " digits that way: render this argument without it."
        )
    raise TrtcSetupError(f"{name} must be a text, not {type(value).__name__}. {advice}")
