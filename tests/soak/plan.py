"""What is done to a cluster, and when. Pure: the same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

KILL, KILL_TASK, FAULT, CALLBACKS, SKEW, CLEAR = "kill", "kill-task", "fault", "callbacks", "skew", "clear"

FIRST_SECONDS = 45.0
QUIET_SECONDS = 480.0
QUIET_SHARE = 0.25
"""The last part of a run, in which everything may come to an end: so many seconds, at most this share."""

TWINS = ("scheduler", "triggerer", "worker", "api-server")
BOTH_SHARE = 0.15
# How often each is killed, of as many kills as there are cards.
DECK = {
    "triggerer": 12,
    "worker": 10,
    KILL_TASK: 9,
    "scheduler": 7,
    "api-server": 6,
    "postgresql": 3,
    "redis": 2,
    "balancer": 2,
    "dag-processor": 1,
}
KILL_EVERY = (16.0, 30.0)
DOWN = {"postgresql": (1.0, 8.0), "redis": (1.0, 8.0), "balancer": (1.0, 10.0)}
DOWN_TWO = (1.0, 12.0)
DOWN_ONE = (1.0, 20.0)

FAULT_EVERY = (25.0, 75.0)
FAULTS: Mapping[str, tuple[float, float]] = {
    "throttle": (3, 12),
    "error": (3, 10),
    "http": (3, 20),
    "html": (3, 15),
    "empty": (3, 10),
    "reset": (3, 15),
    "outage": (10, 40),
    "hang": (5, 20),
    "slow": (5, 20),
    "broken_json": (3, 15),
    "truncated": (3, 15),
    "charset": (5, 25),
    "lost_answer": (3, 15),
    "no_content_type": (3, 15),
}
ERRORS = ("InternalError", "InternalError.CRInternalError")
STATUSES = (500, 502, 503, 504)

CALLBACKS_EVERY = (60.0, 150.0)
CALLBACK_TROUBLES: Mapping[str, tuple[float, float]] = {
    "loss": (0.05, 0.4),
    "doubled": (0.1, 0.6),
    "shuffle_seconds": (2, 20),
    "delay_seconds": (1, 10),
}
SKEW_EVERY = (150.0, 400.0)
# More than 300 seconds are a wrong set-up, which fails a wait at once and rightly.
MOST_SKEW_SECONDS = 240.0
CLEAR_EVERY = (60.0, 150.0)

Range = tuple[float, float]


@dataclass(frozen=True)
class Deed:
    """One thing done to the cluster or to the service.

    :ivar at: seconds after the beginning.
    :ivar whom: components.
    :ivar options: ``down_seconds`` of a kill, ``chance`` where one of several is to be chosen, and what the
        emulator's methods take.
    """

    at: float
    what: str
    whom: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """The deed as JSON."""
        return asdict(self)


def trouble_ends_at(seconds: float) -> float:
    """When the quiet part of a run of this length begins."""
    return seconds - min(QUIET_SECONDS, seconds * QUIET_SHARE)


def deeds(seed: int, seconds: float) -> list[Deed]:
    """All deeds of a run, in order."""
    until = trouble_ends_at(seconds)
    kinds: Sequence[Callable[[random.Random, float], Iterator[Deed]]] = (
        _kills, _faults, _callback_troubles, _skews, _clears,
    )  # fmt: skip
    # Each kind has numbers of its own: a change of one leaves the others as they were.
    made = [each for kind in kinds for each in kind(random.Random(f"{seed}/{kind.__name__}"), until)]
    made += [Deed(until, CALLBACKS), Deed(until, SKEW, options={"seconds": 0.0})]
    return sorted(made, key=lambda deed: deed.at)


def _kills(chance: random.Random, until: float) -> Iterator[Deed]:
    cards = _cards(chance, DECK)
    for at in _instants(chance, KILL_EVERY, until):
        card = next(cards)
        if card == KILL_TASK:
            yield Deed(at, KILL_TASK, options={"chance": round(chance.random(), 6)})
            continue
        whom = _twins(chance, card)
        down = DOWN.get(card) or (DOWN_TWO if len(whom) > 1 else DOWN_ONE)
        yield Deed(at, KILL, whom, {"down_seconds": _between(chance, down)})


def _twins(chance: random.Random, kind: str) -> tuple[str, ...]:
    if kind not in TWINS:
        return (kind,)
    both = (kind, f"{kind}-2")
    return both if chance.random() < BOTH_SHARE else (chance.choice(both),)


def _faults(chance: random.Random, until: float) -> Iterator[Deed]:
    cards = _cards(chance, dict.fromkeys(FAULTS, 1))
    for at in _instants(chance, FAULT_EVERY, until):
        kind = next(cards)
        seconds = min(_between(chance, FAULTS[kind]), round(until - at, 1))
        options: dict[str, Any] = {"kind": kind, "seconds": seconds}
        if kind == "error":
            options["code"] = chance.choice(ERRORS)
        if kind == "http":
            options["status"] = chance.choice(STATUSES)
        if kind == "slow":
            options["delay_seconds"] = _between(chance, (2, 14))
        yield Deed(at, FAULT, options=options)


def _callback_troubles(chance: random.Random, until: float) -> Iterator[Deed]:
    for at in _instants(chance, CALLBACKS_EVERY, until):
        names = chance.sample(list(CALLBACK_TROUBLES), chance.choice((1, 1, 2, 3)))
        options = {name: _between(chance, CALLBACK_TROUBLES[name]) for name in sorted(names)}
        yield Deed(at, CALLBACKS, options=options)
        yield Deed(min(round(at + _between(chance, (30, 60)), 1), until), CALLBACKS)


def _skews(chance: random.Random, until: float) -> Iterator[Deed]:
    for at in _instants(chance, SKEW_EVERY, until):
        seconds = _between(chance, (-MOST_SKEW_SECONDS, MOST_SKEW_SECONDS))
        yield Deed(at, SKEW, options={"seconds": seconds})


def _clears(chance: random.Random, until: float) -> Iterator[Deed]:
    for at in _instants(chance, CLEAR_EVERY, until):
        state = chance.choice(("deferred", "success"))
        yield Deed(at, CLEAR, options={"state": state, "chance": round(chance.random(), 6)})


def _instants(chance: random.Random, every: Range, until: float) -> Iterator[float]:
    at = FIRST_SECONDS
    while (at := round(at + chance.uniform(*every), 1)) < until:
        yield at


def _cards(chance: random.Random, deck: Mapping[str, int]) -> Iterator[str]:
    """Names as often as the deck says, shuffled, and again."""
    cards = [name for name, count in deck.items() for _ in range(count)]
    while True:
        yield from chance.sample(cards, len(cards))


def _between(chance: random.Random, bounds: Range) -> float:
    return round(chance.uniform(*bounds), 2)
