"""Keys of every kind of identity are fetched right, kept fresh, and never replaced by somebody else's."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_trtc.cloud import credentials
from airflow_trtc.cloud.credentials import (
    AssumedRole,
    CvmRole,
    EnvironmentKeys,
    Keys,
    KeySource,
    OidcRole,
    ProfileKeys,
    StaticKeys,
    fetch,
)
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

    def test_the_first_failure_is_raised(self):
        with pytest.raises(TrtcSetupError, match="no role"):
            self.source(TrtcSetupError("no role")).current()


def test_static_keys_carry_their_token():
    assert fetch(StaticKeys("a", "b", "t")) == Keys("a", "b", "t")


def test_environment_includes_the_token(monkeypatch):
    for name, value in {"SECRET_ID": "a", "SECRET_KEY": " b ", "TOKEN": "t"}.items():
        monkeypatch.setenv(f"TENCENTCLOUD_{name}", value)
    assert fetch(EnvironmentKeys()) == Keys("a", "b", "t")
    monkeypatch.delenv("TENCENTCLOUD_TOKEN")
    assert fetch(EnvironmentKeys()).token is None
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "")
    with pytest.raises(TrtcSetupError, match="TENCENTCLOUD_SECRET_KEY"):
        fetch(EnvironmentKeys())


@pytest.mark.parametrize(
    "text, outcome",
    [
        ("[default]\nsecret_id = 'a%'\nsecret_key = \"b\"\n", Keys("a%", "b")),
        ("[default]\nsecret_id=a\nsecret_key=b\ntoken=t\n", Keys("a", "b", "t")),
        ("[other]\nsecret_id=a\n", "no section \\[default\\]"),
        ("[default]\nsecret_id=a\n", "lacks"),
        ("secret_id=a\n", "cannot be read"),
        ("", "no section"),
    ],
)
def test_profile_file(tmp_path, text, outcome):
    path = tmp_path / "credentials"
    path.write_text(text)
    if isinstance(outcome, Keys):
        assert fetch(ProfileKeys(file=str(path))) == outcome
    else:
        with pytest.raises(TrtcSetupError, match=outcome):
            fetch(ProfileKeys(file=str(path)))


def test_missing_profile_file(tmp_path):
    with pytest.raises(TrtcSetupError, match="no credentials file"):
        fetch(ProfileKeys(file=str(tmp_path / "none")))


ROLE = {"Code": "Success", "TmpSecretId": "a", "TmpSecretKey": "b", "Token": "t", "ExpiredTime": 99}


def metadata(path, headers, body):
    return 200, "my-role" if path.endswith("/") else json.dumps(ROLE)


@pytest.mark.parametrize("role, paths", [(None, ["/", "/my-role"]), ("given", ["/given"])])
def test_role_of_the_virtual_machine(server, monkeypatch, role, paths):
    with server(metadata) as (url, asked):
        monkeypatch.setattr(credentials, "METADATA_URL", url)
        assert fetch(CvmRole(role)) == Keys("a", "b", "t", 99.0)
    assert [path for path, *_ in asked] == paths


@pytest.mark.parametrize(
    "status, text, kind, word",
    [
        (404, "", TrtcSetupError, "knows no such role"),
        (500, "", TrtcTransientError, "does not answer"),
        (200, json.dumps({"Code": "Failed"}), TrtcSetupError, "no keys"),
        (200, "<html>", TrtcTransientError, "cannot be read"),
        (200, json.dumps({**ROLE, "Token": None}), TrtcTransientError, "cannot be read"),
        (200, "[]", TrtcTransientError, "cannot be read"),
    ],
)
def test_trouble_with_the_metadata_service_is_an_error(server, monkeypatch, status, text, kind, word):
    with server(lambda *_: (status, text)) as (url, _):
        monkeypatch.setattr(credentials, "METADATA_URL", url)
        with pytest.raises(kind, match=word):
            fetch(CvmRole("r"))


def test_no_metadata_service_is_transient(monkeypatch):
    monkeypatch.setattr(credentials, "METADATA_URL", "http://127.0.0.1:9/")
    with pytest.raises(TrtcTransientError, match="only on Tencent Cloud"):
        fetch(CvmRole())


def sts(path, headers, body):
    granted = {"TmpSecretId": "tmp", "TmpSecretKey": "k", "Token": "t"}
    return 200, json.dumps({"Response": {"Credentials": granted, "ExpiredTime": 5000, "RequestId": "r"}})


def test_assumed_role_is_asked_for_over_plain_http_too(server):
    with server(sts) as (url, asked):
        keys = fetch(AssumedRole(StaticKeys("AKID", "key"), "arn", "airflow", 900, url))
    assert keys == Keys("tmp", "k", "t", 5000.0)
    (_, headers, body), *_ = asked
    assert json.loads(body) == {"RoleArn": "arn", "RoleSessionName": "airflow", "DurationSeconds": 900}
    assert headers["X-TC-Action"] == "AssumeRole"
    assert "Credential=AKID/" in headers["Authorization"]


def test_oidc_role_sends_the_token_unsigned(server, monkeypatch, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("jwt\n")
    monkeypatch.setenv("TKE_PROVIDER_ID", "provider")
    monkeypatch.setenv("TKE_ROLE_ARN", "tke-arn")
    monkeypatch.setenv("TKE_WEB_IDENTITY_TOKEN_FILE", str(token_file))
    with server(sts) as (url, asked):
        assert fetch(OidcRole("airflow", 900, sts_endpoint=url)).secret_id == "tmp"
    (_, headers, body), *_ = asked
    sent = json.loads(body)
    assert (sent["ProviderId"], sent["WebIdentityToken"], sent["RoleArn"]) == ("provider", "jwt", "tke-arn")
    assert headers["Authorization"] == "SKIP"


def test_oidc_without_its_environment_names_what_is_missing(monkeypatch):
    monkeypatch.delenv("TKE_PROVIDER_ID", raising=False)
    with pytest.raises(TrtcSetupError, match="oidc_provider_id nor the variable TKE_PROVIDER_ID"):
        fetch(OidcRole("airflow", 900))


def test_refusal_by_sts_is_an_error_of_that_action(server):
    refusal = {
        "Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound", "Message": "m"}, "RequestId": "r"}
    }
    with server(lambda *_: (200, json.dumps(refusal))) as (url, _), pytest.raises(TrtcSetupError) as caught:
        fetch(AssumedRole(StaticKeys("AKID", "key"), "arn", "airflow", 900, url))
    assert (caught.value.action, caught.value.code) == ("AssumeRole", "AuthFailure.SecretIdNotFound")


def test_trouble_on_the_way_to_sts_leaves_no_outcome_open(server):
    """The call that needed the keys was not sent, so it may be repeated whatever it does."""
    with server(lambda *_: (502, "")) as (url, _), pytest.raises(TrtcTransientError) as caught:
        fetch(AssumedRole(StaticKeys("AKID", "key"), "arn", "airflow", 900, url))
    assert not caught.value.outcome_unknown


def test_keys_hide_their_secrets():
    shown = repr([Keys("a", "hidden", "hidden"), StaticKeys("a", "hidden", "hidden")])
    assert "hidden" not in shown
