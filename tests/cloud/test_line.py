"""Numbers in a line: who goes when, and what is read from a record."""

import itertools
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_trtc.cloud.line import (
    FRESH_SECONDS,
    HIGHEST_RATE,
    LONGEST_LINE,
    LONGEST_UPTIME_SECONDS,
    LOWEST_RATE,
    MAX_NAP_SECONDS,
    MAX_UNNUMBERED_SECONDS,
    RECORD_BYTES,
    SLACK_SECONDS,
    Line,
    Ticket,
    decode,
    encode,
)
from airflow_trtc.cloud.pace import Pace

TWO = 2.0  # a ceiling; the pace begins with it
NAME = 7


def begun(now=0.0):
    return Line(NAME, Pace(now))


def go(line, now, ticket=None, ceiling=TWO):
    line, rest = line.ask(ticket, now, ceiling)
    assert rest is None, f"it is not the turn of {ticket}"
    return line


def join(line, now, ceiling=TWO):
    line, rest = line.ask(None, now, ceiling)
    assert rest is not None, "it went at once"
    return line, rest


def test_an_idle_line_lets_the_next_request_go_at_once_but_saves_nothing_up():
    line = go(begun(), 100.0)
    line, rest = join(line, 100.0)
    assert rest.seconds == 0.5
    line = go(line, 100.5, rest.ticket)
    line = go(line, 160.0)
    assert join(line, 160.0)[1].seconds == 0.5


def test_those_who_wait_go_in_the_order_in_which_they_came():
    line = go(begun(), 0.0)
    tickets = []
    for _ in range(3):
        line, rest = join(line, 0.0)
        tickets.append(rest.ticket)
    assert [line.ask(ticket, 0.5, TWO)[1] is None for ticket in tickets] == [True, False, False]
    line = go(line, 0.5, tickets[0])
    assert [line.ask(ticket, 1.0, TWO)[1] is None for ticket in tickets[1:]] == [True, False]


def test_who_died_in_line_costs_one_turn():
    line = go(begun(), 0.0)
    line, _ = join(line, 0.0)  # and is never seen again
    line, rest = join(line, 0.0)
    assert line.ask(rest.ticket, 0.99, TWO)[1] is not None
    line = go(line, 1.0, rest.ticket)
    assert join(line, 1.0)[1].seconds == pytest.approx(0.5 - SLACK_SECONDS)


def test_a_hundred_dead_cost_nothing_once_their_time_is_over():
    line = go(begun(), 0.0)
    for _ in range(100):
        line, _ = join(line, 0.0)
    line = go(line, 51.0)
    line, rest = join(line, 51.0)
    go(line, 51.5, rest.ticket)


def test_who_comes_late_goes_between_the_others_not_beside_them():
    line = go(begun(), 0.0)
    line, late = join(line, 0.0)
    line, next_one = join(line, 0.0)
    line = go(line, 1.0, next_one.ticket)
    line, rest = line.ask(late.ticket, 1.1, TWO)
    assert rest is not None
    assert rest.seconds == pytest.approx(0.4 - SLACK_SECONDS)
    line = go(line, 1.45, late.ticket)
    assert join(line, 1.45)[1].seconds == pytest.approx(0.5)


@pytest.mark.parametrize("late, next_at", [(0.01, 1.0), (SLACK_SECONDS, 1.0), (0.25, 1.2), (0.5, 1.45)])
def test_a_little_lateness_delays_nobody(late, next_at):
    line = go(begun(), 0.0)
    line, rest = join(line, 0.0)
    assert go(line, 0.5 + late, rest.ticket).free_at == pytest.approx(next_at)


def test_nobody_needs_a_number_for_a_turn_that_nobody_waits_for():
    line = go(begun(), 0.0)
    assert line.seconds_until_free(0.1) == pytest.approx(0.4)
    assert line.seconds_until_free(0.5) == line.seconds_until_free(7.0) == 0.0
    line, rest = join(line, 0.1)
    assert line.seconds_until_free(0.1) == 0.0, "somebody waits for it"
    assert go(line, 0.5, rest.ticket).seconds_until_free(0.5) == 0.5


def test_for_a_turn_that_is_far_away_a_number_is_better():
    rate = 1.0 / MAX_UNNUMBERED_SECONDS
    assert go(begun(), 0.0, ceiling=rate).seconds_until_free(0.0) == MAX_UNNUMBERED_SECONDS
    assert go(begun(), 0.0, ceiling=0.99 * rate).seconds_until_free(0.0) == 0.0
    assert go(begun(), 0.0, ceiling=1.0).seconds_until_free(0.0) == 0.0


@pytest.mark.parametrize("late, next_at", [(0.01, 1.0), (SLACK_SECONDS, 1.0), (0.25, 1.2), (0.5, 1.45)])
def test_who_rested_without_a_number_may_be_as_late_as_who_has_one(late, next_at):
    line, rest = go(begun(), 0.0).ask(None, 0.5 + late, TWO, has_rested=True)
    assert rest is None
    assert line.free_at == pytest.approx(next_at)


def test_whoever_took_a_number_meanwhile_goes_first():
    line = go(begun(), 0.0)
    line, other = join(line, 0.2)
    line, rest = line.ask(None, 0.5, TWO, has_rested=True)
    assert rest is not None
    assert rest.seconds == 0.5
    go(go(line, 0.5, other.ticket), 1.0, rest.ticket)


def test_a_refusal_holds_up_those_who_wait_already():
    line = go(begun(), 0.0)
    line, first = join(line, 0.0)
    line, second = join(line, 0.0)
    line = line.refused(0.1, TWO)  # half of the pace is left
    line = go(line, 0.5, first.ticket)
    assert line.ask(second.ticket, 1.0, TWO)[1] is not None
    go(line, 1.5, second.ticket)


def test_who_leaves_takes_no_turn_with_them():
    line = go(begun(), 0.0)
    line, first = join(line, 0.0)
    line, second = join(line, 0.0)
    line, third = join(line, 0.0)
    line = line.left(third.ticket).left(first.ticket)
    line = go(line, 0.5, second.ticket)
    assert line == line.left(third.ticket) == line.left(second.ticket) == line.left(Ticket(8, 0))
    assert join(line, 0.5)[1].seconds == 0.5


def test_who_leaves_the_middle_of_the_line_costs_one_turn():
    line = go(begun(), 0.0)
    line, first = join(line, 0.0)
    line, second = join(line, 0.0)
    line, third = join(line, 0.0)
    line = go(line.left(second.ticket), 0.5, first.ticket)
    assert line.ask(third.ticket, 1.0, TWO)[1] is not None
    go(line, 1.5, third.ticket)


@pytest.mark.parametrize("ticket", [Ticket(8, 1), Ticket(NAME, 2), Ticket(NAME, 900)])
def test_a_ticket_of_another_line_joins_at_the_end(ticket):
    line, first = join(go(begun(), 0.0), 0.0)
    line, rest = line.ask(ticket, 0.0, TWO)
    assert rest is not None
    assert (rest.ticket, rest.seconds) == (Ticket(NAME, first.ticket.number + 1), 1.0)
    assert line.issued == first.ticket.number + 2


def test_far_from_ones_turn_one_looks_up_now_and_then():
    line = go(begun(), 0.0)
    naps = []
    for _ in range(40):
        line, rest = join(line, 0.0)
        naps.append(rest.seconds)
    assert naps[:3] == [0.5, MAX_NAP_SECONDS, MAX_NAP_SECONDS]
    assert naps[-1] == 10.0


def test_what_was_not_used_for_long_begins_anew():
    line = begun().refused(10.0, 19.0)
    line, _ = join(go(line, 10.0, ceiling=19.0), 10.0, 19.0)
    assert line.resumed(FRESH_SECONDS) is line
    fresh = line.resumed(FRESH_SECONDS + 11.0)
    assert (fresh.pace, fresh.issued - fresh.served) == (Pace(FRESH_SECONDS + 11.0), 0)


def test_what_is_in_use_goes_on_at_its_pace_however_old_that_is():
    line = go(begun(), 2 * FRESH_SECONDS)
    assert line.resumed(2.5 * FRESH_SECONDS) is line


def test_a_restart_is_that_of_the_pace():
    assert begun().restarted(60.0).pace == Pace(0.0).restarted(60.0)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 0.3), st.booleans()), min_size=1, max_size=60),
    st.floats(0.5, 100),
)
def test_whoever_is_late_no_more_go_than_the_ceiling_allows(pauses, ceiling):
    """In every span of time, but for what the slack lets be made up: less than the service leaves."""
    line, now, gone = begun(), 0.0, []
    for pause, late, rests_first in pauses:
        now += pause
        ticket, seconds = None, line.seconds_until_free(now) if rests_first else 0.0
        if seconds > 0.0:
            now += seconds + late
        while True:
            line, rest = line.ask(ticket, now, ceiling, has_rested=seconds > 0.0)
            if rest is None:
                break
            ticket, now = rest.ticket, now + rest.seconds + late
        gone.append(now)
    for (first, begin), (last, end) in itertools.combinations(enumerate(gone), 2):
        assert last - first <= (end - begin + SLACK_SECONDS) * ceiling * (1 + 1e-6)


LINES = st.builds(
    Line,
    st.integers(0, 2**63 - 1),
    st.builds(lambda since: Pace(since), st.floats(0, 1e9))
    | st.builds(
        lambda since, low, more: Pace(since, low, low + more),
        st.floats(0, 1e9),
        st.floats(0.01, 1e3),
        st.floats(0, 1e3),
    ),
    st.floats(0, 1e9),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
)


@given(LINES)
@example(Line(NAME, Pace(0.0, LOWEST_RATE, HIGHEST_RATE)))
def test_a_record_brings_back_the_line(line):
    record = encode(line)
    assert len(record) == RECORD_BYTES
    assert decode(record) == line


@given(st.binary(max_size=200) | st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES))
def test_garbage_is_no_line(record):
    assert decode(record) is None


@pytest.mark.parametrize("at", range(RECORD_BYTES))
def test_a_record_of_which_one_byte_is_wrong_is_no_line(at):
    record = bytearray(encode(begun(5.0).refused(6.0, 19.0)))
    record[at] ^= 1
    assert decode(bytes(record)) is None
    assert decode(encode(begun())[:at]) is None


@pytest.mark.parametrize(
    "since, low, plateau, free_at",
    [
        (float("inf"), 1.0, 2.0, 0.0),
        (0.0, 1.0, 2.0, float("nan")),
        (0.0, 2.0, 1.0, 0.0),
        (0.0, 0.0, 1.0, 0.0),
        (0.0, -1.0, 1.0, 0.0),
        (0.0, 1.0, float("inf"), 0.0),
        (0.0, 1e299, 1e300, 0.0),  # a rate of zero, for what floats can tell apart
    ],
)
def test_numbers_that_make_no_pace_are_no_line(since, low, plateau, free_at):
    record = encode(begun())
    content = record[:16] + struct.pack("<4d2Q", since, low, plateau, free_at, 0, 0)
    assert decode(content + struct.pack("<L", zlib.crc32(content))) is None


@pytest.mark.parametrize(
    "line, may_be",
    [
        (begun(100.0), True),
        (begun(100.5), True),  # by a process whose clock was read a little later
        (begun(101.0), True),
        (begun(102.0), False),  # of before a reboot
        (begun(100.0 - LONGEST_UPTIME_SECONDS), True),
        (begun()._replace(free_at=1099.0), True),
        (begun()._replace(free_at=1100.0), True),
        (begun()._replace(free_at=1200.0), False),
        (begun()._replace(issued=LONGEST_LINE), True),
        (begun()._replace(issued=LONGEST_LINE + 1), False),
        (begun()._replace(served=1), False),
        (begun()._replace(served=2**63, issued=2**63), True),
        (begun()._replace(served=2**64 - 1, issued=2**64 - 1), False),  # there is no next one
        (begun(-1e300), False),
    ],
)
def test_a_line_that_cannot_be_is_none(line, may_be):
    assert line.is_of(100.0) is may_be
