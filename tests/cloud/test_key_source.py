"""Keys are kept fresh, replaced when they are refused, and never fetched more often than needed."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_trtc.cloud.key_source import Keys, KeySource
from airflow_trtc.errors import TrtcSetupError, TrtcTransientError


class TestKeySource:
    def source(self, *answers):
        """A source that fetches these answers one by one, at a time that the test moves."""
        self.now, self.fetched = 1000.0, 0
        left = list(answers)

        def fetch_next():
            self.fetched += 1
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return KeySource(fetch_next, clock=lambda: self.now, ticks=lambda: self.now)

    def test_lasting_keys_are_fetched_once(self):
        source = self.source(Keys("a", "b"))
        assert source.fresh() is None
        assert source.current() is source.current() is source.fresh()
        assert self.fetched == 1

    @pytest.mark.parametrize("lifetime, fresh_for", [(7200, 6600), (1000, 800)])
    def test_keys_are_renewed_ahead_of_their_end(self, lifetime, fresh_for):
        first, second = (Keys(name, "k", "t", 1000.0 + lifetime, 1000.0) for name in "ab")
        source = self.source(first, second)
        source.current()
        self.now = 1000.0 + fresh_for - 1
        assert source.current() is first
        self.now += 2
        assert source.fresh() is None
        assert source.current() is second

    def test_old_keys_serve_while_new_ones_cannot_be_had(self):
        source = self.source(
            Keys("a", "k", "t", 8200.0, 1000.0), TrtcTransientError("down"), TrtcTransientError("down")
        )
        source.current()
        self.now = 7700.0
        assert source.current().secret_id == "a"
        assert source.fresh().secret_id == "a"  # it is not asked for again at once
        assert self.fetched == 2
        self.now = 8190.0
        with pytest.raises(TrtcTransientError, match="down"):
            source.current()

    def test_those_who_waited_for_a_failure_do_not_repeat_it(self):
        source = self.source(TrtcTransientError("down", code="Client.NoMetadata"), Keys("a", "k"))
        for _ in range(3):
            with pytest.raises(TrtcTransientError, match="down") as caught:
                source.current()
            assert caught.value.code == "Client.NoMetadata"
        assert self.fetched == 1
        self.now += 6
        assert source.current().secret_id == "a"

    def test_a_clock_that_is_set_back_does_not_prolong_a_failure(self):
        now, failing = [1000.0, 0.0], [TrtcTransientError("down")]
        source = KeySource(
            lambda: Keys("a", "k") if not failing else self.fail(failing.pop()),
            clock=lambda: now[0],
            ticks=lambda: now[1],
        )
        with pytest.raises(TrtcTransientError):
            source.current()
        now[:] = -3600.0, 6.0
        assert source.current().secret_id == "a"

    @staticmethod
    def fail(error):
        raise error

    def test_keys_that_were_refused_are_fetched_anew(self):
        first, same, second = Keys("a", "k"), Keys("a", "k"), Keys("b", "k")
        source = self.source(first, same, second)
        source.current()
        assert source.instead_of(first) is None
        assert source.instead_of(first) is None  # which was found out just now
        assert self.fetched == 2
        self.now += 6
        assert source.instead_of(first) is second
        assert source.instead_of(first) is second  # whose request was under way meanwhile
        assert source.current() is second
        assert self.fetched == 3

    def test_whether_there_are_other_keys_may_be_unknown(self):
        first, second = Keys("a", "k", "t", 9000.0, 1000.0), Keys("b", "k", "t", 9000.0, 1000.0)
        source = self.source(first, TrtcTransientError("down"), second)
        source.current()
        for _ in range(2):
            with pytest.raises(TrtcTransientError, match="down"):
                source.instead_of(first)
        assert source.current() is source.usable() is first  # one refusal does not make them worthless
        assert self.fetched == 2
        self.now += 6
        assert source.instead_of(first) is second

    def test_many_threads_fetch_once(self):
        fetches = []

        def slow():
            fetches.append(1)
            time.sleep(0.02)
            return Keys("a", "b")

        source = KeySource(slow)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: source.current(), range(16)))
        assert len(fetches) == 1
        assert set(found) == {Keys("a", "b")}

    def test_a_failure_of_any_kind_leaves_the_old_keys_in_use(self):
        source = self.source(Keys("a", "k", "t", 8200.0, 1000.0), ValueError("odd"), ValueError("a-secret"))
        source.current()
        self.now = 7700.0
        assert source.current().secret_id == "a"
        self.now = 8190.0
        with pytest.raises(TrtcTransientError, match="unexpected way") as caught:
            source.current()
        assert "a-secret" not in str(caught.value)

    def test_the_first_failure_is_raised(self):
        with pytest.raises(TrtcSetupError, match="no role"):
            self.source(TrtcSetupError("no role")).current()


@pytest.mark.parametrize("broken", ["AKID\u200bx", "\ufeffAKIDx", "AK IDx", "tok\nen", "s\u00e9cret"])
def test_what_no_header_can_carry_is_found_before_it_is_sent(broken):
    for keys in ({"secret_id": broken}, {"secret_key": broken}, {"token": broken}):
        with pytest.raises(TrtcSetupError, match="copy it again") as caught:
            Keys(**{"secret_id": "a", "secret_key": "b", **keys})
        assert broken not in str(caught.value)
