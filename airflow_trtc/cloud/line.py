"""The line in which requests wait for their turn, as a value that processes can share. No I/O, no clock.

Whoever wants to send takes a number and goes when the numbers before it had time to; who saw nobody wait may
rest first, and takes one when it is time to go. The rate is that of the moment at which it goes, so a refusal
holds up all that wait already. A number whose holder died, or is late, costs one turn and holds up nobody
longer.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import NamedTuple

from airflow_trtc.cloud.pace import Pace

SLACK_SECONDS = 0.05  # how late a request may go without the next ones going later too
FRESH_SECONDS = 600.0  # after so long unused, what others on the account do is unknown
MAX_UNNUMBERED_SECONDS = 0.5  # others cannot see who rests so; at a pace of less it saves nothing worth it
MAX_NAP_SECONDS = 1.0  # for what is further away, half of the time: the rate may change meanwhile
LONGEST_LINE = 100_000
HIGHEST_NUMBER = 2**63  # half of what a record has room for: nobody counts so far
LOWEST_RATE, HIGHEST_RATE = 1e-9, 1e9
LONGEST_UPTIME_SECONDS = 1e10
LONGEST_INTERVAL_SECONDS = 1_000.0
TOLERANCE_SECONDS = 1.0  # between the clocks of two processes
_RECORD = struct.Struct("<8sQ4d2Q")
_CHECKSUM = struct.Struct("<L")
_MAGIC = b"trtcpac1"
RECORD_BYTES = _RECORD.size + _CHECKSUM.size


class Ticket(NamedTuple):
    """A place in a line; void in any other line.

    :param line: name of the line.
    """

    line: int
    number: int


class Rest(NamedTuple):
    """It is not the caller's turn yet: ask again in some seconds."""

    ticket: Ticket
    seconds: float


class Line(NamedTuple):
    """Those who wait, and how fast they move up. Times are seconds of a clock that all of them share.

    :param name: tells it from lines of before.
    :param free_at: when the next request may go.
    :param served: the number whose turn is next; the ones below went, or were passed over.
    :param issued: the number that is taken next.
    """

    name: int
    pace: Pace
    free_at: float = 0.0
    served: int = 0
    issued: int = 0

    def is_of(self, now: float) -> bool:
        """Whether this can be a line at this time, if any process may have written it."""
        return (
            now - LONGEST_UPTIME_SECONDS <= self.pace.since <= now + TOLERANCE_SECONDS
            and self.free_at <= now + LONGEST_INTERVAL_SECONDS
            and 0 <= self.issued - self.served <= LONGEST_LINE
            and self.issued <= HIGHEST_NUMBER
        )

    def resumed(self, now: float) -> Line:
        """The line as it is to be used now: unused for long, it begins anew."""
        if now - max(self.free_at, self.pace.since) <= FRESH_SECONDS:
            return self
        return self._replace(pace=Pace(now), served=self.issued)

    def seconds_until_free(self, now: float) -> float:
        """How long one may rest before taking a number, since nobody waits for the turn that comes next.

        Whoever takes one meanwhile goes first. For what is further away a number is better.
        """
        seconds = self.free_at - now
        is_empty = self.served >= self.issued
        return seconds if is_empty and 0.0 < seconds <= MAX_UNNUMBERED_SECONDS else 0.0

    def ask(
        self, ticket: Ticket | None, now: float, ceiling: float, *, has_rested: bool = False
    ) -> tuple[Line, Rest | None]:
        """Go, or be told to rest; return the line afterwards, and None for "go".

        :param ticket: from the answer before; with None, or one of another line, one joins at the end.
        :param ceiling: requests a second at most.
        :param has_rested: for the turn that comes next, also without a number.
        """
        line, mine = self, ticket
        if mine is None or mine.line != self.name or mine.number >= self.issued:
            line, mine = self._replace(issued=self.issued + 1), Ticket(self.name, self.issued)
        interval = 1.0 / line.pace.rate(now, ceiling)
        seconds = line.free_at + max(mine.number - line.served, 0) * interval - now
        if seconds > 0.0:
            nap = seconds if seconds <= MAX_NAP_SECONDS else max(seconds / 2, MAX_NAP_SECONDS)
            return line, Rest(mine, nap)
        has_rested = has_rested or mine is ticket
        begun_at = max(line.free_at, now - SLACK_SECONDS if has_rested else now)
        served = max(line.served, mine.number + 1)
        return line._replace(free_at=begun_at + interval, served=served), None

    def left(self, ticket: Ticket) -> Line:
        """The line without one that did not wait for its turn; in the middle of it, that turn is lost."""
        if ticket.line != self.name or not self.served <= ticket.number < self.issued:
            return self
        if ticket.number == self.issued - 1:
            return self._replace(issued=ticket.number)
        return self._replace(served=self.served + (ticket.number == self.served))

    def refused(self, now: float, ceiling: float) -> Line:
        """The line after the service refused a request."""
        return self._replace(pace=self.pace.refused(now, ceiling))

    def restarted(self, now: float) -> Line:
        """The line that begins slowly again."""
        return self._replace(pace=self.pace.restarted(now))


def encode(line: Line) -> bytes:
    """A record of `RECORD_BYTES`."""
    low, plateau = (math.nan if each is None else each for each in (line.pace.low, line.pace.plateau))
    numbers = line.pace.since, low, plateau, line.free_at, line.served, line.issued
    record = _RECORD.pack(_MAGIC, line.name, *numbers)
    return record + _CHECKSUM.pack(zlib.crc32(record))


def decode(record: bytes) -> Line | None:
    """The line in a record; None for whatever else it is."""
    if len(record) != RECORD_BYTES:
        return None
    content, checksum = record[: _RECORD.size], record[_RECORD.size :]
    magic, name, since, low, plateau, free_at, served, issued = _RECORD.unpack(content)
    if magic != _MAGIC or _CHECKSUM.unpack(checksum)[0] != zlib.crc32(content):
        return None
    if not (math.isfinite(since) and math.isfinite(free_at)):
        return None
    if math.isnan(low) or math.isnan(plateau):
        return Line(name, Pace(since), free_at, served, issued)
    if not LOWEST_RATE <= low <= plateau <= HIGHEST_RATE:
        return None
    return Line(name, Pace(since, low, plateau), free_at, served, issued)
