"""Keys, and how they are kept fresh.

Stands in for the SDK's own credential classes, which swallow errors, wait without a timeout, refresh
at the wrong time or ignore session tokens (tencentcloud-sdk-python 3.1.195, ``common/credential.py``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcTransientError

log = logging.getLogger(__name__)

BROKEN_CREDENTIALS = "Client.BrokenCredentials"
REFRESH_AHEAD_SECONDS = 600.0
UNUSABLE_AHEAD_SECONDS = 30.0
FAILURE_HOLDS_SECONDS = 5.0
REFUSED_AGAIN_SECONDS = 5.0  # between two fetches because keys were refused
TRY_AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Keys:
    """One generation of keys.

    :param expires_at: Unix seconds; None when they never end.
    :raises TrtcSetupError: one holds what no HTTP header can carry, such as a byte order mark pasted along.
    """

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    obtained_at: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        named = {"SecretId": self.secret_id, "SecretKey": self.secret_key, "session token": self.token}
        for name, value in named.items():
            if value and not (value.isascii() and value.isprintable() and " " not in value):
                raise TrtcSetupError(f"The {name} holds a character that no key has; copy it again.")


class KeySource:
    """Keeps the keys of one identity fresh; one thread fetches, the others wait for it.

    :param fetch: gets a new generation of keys; may block, so never call it on an event loop.
    :param clock: Unix seconds, by which keys end.
    :param ticks: seconds of a clock that is never set back.
    """

    def __init__(
        self,
        fetch: Callable[[], Keys],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ticks = ticks
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._fresh_until = 0.0
        self._failure: TrtcError | None = None
        self._failed_until = 0.0
        self._compared_until = 0.0
        self._not_compared: TrtcError | None = None

    def fresh(self) -> Keys | None:
        """The keys at hand, or None when it is time to fetch. Never blocks."""
        keys = self._keys
        return keys if keys is not None and self._clock() < self._fresh_until else None

    def usable(self) -> Keys | None:
        """The keys at hand, if they serve for a while yet, fresh or not. Never blocks."""
        keys = self._keys
        return keys if keys is not None and self._clock() < _usable_until(keys) else None

    def current(self) -> Keys:
        """Keys that are good for the next request, fetched if need be. May block for seconds.

        :raises TrtcError: fetching them failed, and the last ones are about to end or have ended.
        """
        with self._lock:
            if keys := self.fresh():
                return keys
            if self._failure is not None and self._ticks() < self._failed_until:
                # Those that waited in line meanwhile need not wait for the same failure again.
                raise copy(self._failure)
            try:
                keys = self._fetched()
            except TrtcError as error:
                return self._last_resort(error)
            return self._keep(keys)

    def instead_of(self, refused: Keys) -> Keys | None:
        """Other keys than those that the service refused; None when there are none. May block for seconds.

        A file may have been written anew, or a session ended before its time.

        :raises TrtcError: fetching failed, so it is unknown whether there are.
        """
        with self._lock:
            if self._keys == refused:
                self._compare()
        keys = self.current()
        return None if keys == refused else keys

    def _compare(self) -> None:
        """Fetch beside the keys at hand: the refusal may be wrong."""
        if self._ticks() < self._compared_until:
            if self._not_compared is not None:
                raise copy(self._not_compared)
            return
        self._not_compared = None
        try:
            self._keep(self._fetched())
        except TrtcError as error:
            self._not_compared = error
            raise
        finally:
            self._compared_until = self._ticks() + REFUSED_AGAIN_SECONDS

    def _fetched(self) -> Keys:
        try:
            return self._fetch()
        except TrtcError:
            raise
        except Exception as error:  # whatever it is: old keys may still serve
            message = f"Fetching the keys failed in an unexpected way ({type(error).__name__})."
            raise TrtcTransientError(message, code=BROKEN_CREDENTIALS) from None

    def _keep(self, keys: Keys) -> Keys:
        self._keys, self._fresh_until = keys, _refresh_at(keys)
        return keys

    def _last_resort(self, error: TrtcError) -> Keys:
        keys = self.usable()
        if keys is None:
            self._failure, self._failed_until = error, self._ticks() + FAILURE_HOLDS_SECONDS
            raise error
        self._fresh_until = min(self._clock() + TRY_AGAIN_SECONDS, _usable_until(keys))
        log.warning("Fetching new keys failed; using the old ones until they expire: %s", error)
        return keys


def temporary_keys(values: Mapping[str, Any], expires_at: Any) -> Keys:
    """Read keys as STS and the metadata service of virtual machines return them.

    :raises LookupError, TypeError, ValueError: they are not all there.
    """
    secret_id, secret_key, token = values["TmpSecretId"], values["TmpSecretKey"], values["Token"]
    if not all(isinstance(value, str) and value for value in (secret_id, secret_key, token)):
        raise ValueError("a key is empty")
    return Keys(secret_id, secret_key, token, float(expires_at), time.time())


def _usable_until(keys: Keys) -> float:
    return float("inf") if keys.expires_at is None else keys.expires_at - UNUSABLE_AHEAD_SECONDS


def _refresh_at(keys: Keys) -> float:
    """Ten minutes before the end, or for short-lived keys after four fifths of their life."""
    if keys.expires_at is None:
        return float("inf")
    lifetime = max(0.0, keys.expires_at - keys.obtained_at)
    return keys.expires_at - min(REFRESH_AHEAD_SECONDS, lifetime / 5)
