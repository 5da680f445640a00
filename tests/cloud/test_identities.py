"""Keys of every kind of identity are fetched right, and sent to no other place."""

import json
import socket
import threading
from dataclasses import MISSING
from typing import Any

import pytest

from airflow_trtc.cloud.identities import (
    KINDS,
    AssumedRole,
    CvmRole,
    EnvironmentKeys,
    OidcRole,
    ProfileKeys,
    StaticKeys,
    account_of,
    extra_fields,
    kinds_with,
)
from airflow_trtc.cloud.key_source import Keys
from airflow_trtc.errors import TrtcSetupError, TrtcTransientError


def test_static_keys_carry_their_token():
    assert StaticKeys("a", "b", "t").fetch() == Keys("a", "b", "t")


def test_environment_includes_the_token(monkeypatch):
    for name, value in {"SECRET_ID": "a", "SECRET_KEY": " b ", "TOKEN": "t"}.items():
        monkeypatch.setenv(f"TENCENTCLOUD_{name}", value)
    assert EnvironmentKeys().fetch() == Keys("a", "b", "t")
    monkeypatch.delenv("TENCENTCLOUD_TOKEN")
    assert EnvironmentKeys().fetch().token is None
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "")
    with pytest.raises(TrtcSetupError, match="TENCENTCLOUD_SECRET_KEY"):
        EnvironmentKeys().fetch()


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
        assert ProfileKeys(profile_file=str(path)).fetch() == outcome
    else:
        with pytest.raises(TrtcSetupError, match=outcome):
            ProfileKeys(profile_file=str(path)).fetch()


def test_missing_profile_file(tmp_path):
    with pytest.raises(TrtcSetupError, match="no credentials file"):
        ProfileKeys(profile_file=str(tmp_path / "none")).fetch()


ROLE = {"Code": "Success", "TmpSecretId": "a", "TmpSecretKey": "b", "Token": "t", "ExpiredTime": 99}


def metadata(path, headers, body):
    return 200, "my-role" if path.endswith("/") else json.dumps(ROLE)


@pytest.mark.parametrize("role, paths", [(None, ["/", "/my-role"]), ("given", ["/given"])])
def test_role_of_the_virtual_machine(server, role, paths):
    with server(metadata) as (url, asked):
        assert CvmRole(role, url).fetch() == Keys("a", "b", "t", 99.0)
    assert [path for path, *_ in asked] == paths


@pytest.mark.parametrize(
    "status, text, kind, word",
    [
        (404, "", TrtcSetupError, "has no such role"),
        (500, "", TrtcTransientError, "does not answer"),
        (200, json.dumps({"Code": "Failed"}), TrtcSetupError, "no keys"),
        (200, "<html>", TrtcTransientError, "cannot be read"),
        (200, json.dumps({**ROLE, "Token": None}), TrtcTransientError, "cannot be read"),
        (200, "[]", TrtcTransientError, "cannot be read"),
    ],
)
def test_trouble_with_the_metadata_service_is_an_error(server, status, text, kind, word):
    with server(lambda *_: (status, text)) as (url, _), pytest.raises(kind, match=word):
        CvmRole("r", url).fetch()


def test_no_metadata_service_is_transient():
    with pytest.raises(TrtcTransientError, match="only on Tencent Cloud"):
        CvmRole(metadata_url="http://127.0.0.1:9/").fetch()


def sts(path, headers, body):
    granted = {"TmpSecretId": "tmp", "TmpSecretKey": "k", "Token": "t"}
    return 200, json.dumps({"Response": {"Credentials": granted, "ExpiredTime": 5000, "RequestId": "r"}})


def test_assumed_role_is_asked_for_over_plain_http_too(server):
    with server(sts) as (url, asked):
        keys = AssumedRole("AKID", "key", role_arn="arn", role_duration_seconds=900, sts_endpoint=url).fetch()
    assert keys == Keys("tmp", "k", "t", 5000.0)
    (_, headers, body), *_ = asked
    assert json.loads(body) == {"RoleArn": "arn", "RoleSessionName": "airflow", "DurationSeconds": 900}
    assert headers["X-TC-Action"] == "AssumeRole"
    assert "Credential=AKID/" in headers["Authorization"]


def test_oidc_role_sends_the_token_unsigned(server, monkeypatch, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("head.body.sign\n")
    monkeypatch.setenv("TKE_PROVIDER_ID", "provider")
    monkeypatch.setenv("TKE_ROLE_ARN", "tke-arn")
    monkeypatch.setenv("TKE_WEB_IDENTITY_TOKEN_FILE", str(token_file))
    with server(sts) as (url, asked):
        assert OidcRole(sts_endpoint=url).fetch().secret_id == "tmp"
    (_, headers, body), *_ = asked
    sent = json.loads(body)
    assert (sent["ProviderId"], sent["WebIdentityToken"], sent["RoleArn"]) == (
        "provider",
        "head.body.sign",
        "tke-arn",
    )
    assert headers["Authorization"] == "SKIP"


def test_oidc_without_its_environment_names_what_is_missing(monkeypatch):
    monkeypatch.delenv("TKE_PROVIDER_ID", raising=False)
    with pytest.raises(TrtcSetupError, match="oidc_provider_id nor the variable TKE_PROVIDER_ID"):
        OidcRole().fetch()


def test_refusal_by_sts_is_an_error_of_that_action(server):
    refusal = {
        "Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound", "Message": "m"}, "RequestId": "r"}
    }
    with server(lambda *_: (200, json.dumps(refusal))) as (url, _), pytest.raises(TrtcSetupError) as caught:
        AssumedRole("AKID", "key", role_arn="arn", role_duration_seconds=900, sts_endpoint=url).fetch()
    assert (caught.value.action, caught.value.code) == ("AssumeRole", "AuthFailure.SecretIdNotFound")


def test_trouble_on_the_way_to_sts_leaves_no_outcome_open(server):
    """The call that needed the keys was not sent, so it may be repeated whatever it does."""
    with server(lambda *_: (502, "")) as (url, _), pytest.raises(TrtcTransientError) as caught:
        AssumedRole("AKID", "key", role_arn="arn", role_duration_seconds=900, sts_endpoint=url).fetch()
    assert not caught.value.outcome_unknown


def test_keys_hide_their_secrets():
    shown = repr([Keys("a", "hidden", "hidden"), StaticKeys("a", "hidden", "hidden")])
    assert "hidden" not in shown


def test_only_a_token_is_sent_to_sts_and_only_over_https(tmp_path):
    """Or the connection test, which is open to others, would send any file to any address."""
    file = tmp_path / "shadow"
    file.write_text("root:x:0:0::/root:/bin/sh\n")
    role = OidcRole(oidc_provider_id="p", role_arn="r", oidc_token_file=str(file))
    with pytest.raises(TrtcSetupError, match="holds no token") as caught:
        role.fetch()
    assert "root:" not in str(caught.value)
    with pytest.raises(TrtcSetupError, match="https"):
        OidcRole(sts_endpoint="http://sts.example.com")


def test_an_answer_that_is_no_http_leaves_the_metadata_service_in_trouble():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_nonsense, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TrtcTransientError, match="does not answer"):
            CvmRole("r", url).fetch()


def answer_nonsense(listener):
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH\r\n")


def test_every_field_of_a_kind_is_optional_and_has_a_form():
    for kind, cls in KINDS.items():
        for name, form in extra_fields(kind).items():
            assert form["label"]
            assert form["description"].endswith(".")
            assert form["schema"]["type"] in ("string", "integer")
            assert kind in kinds_with(name)
            assert cls.__dataclass_fields__[name].default is not MISSING
    assert kinds_with("role_arn") == ["assume_role", "oidc"]
    assert kinds_with("token") == ["static", "assume_role"]
    assert extra_fields("environment") == {}


def test_what_tells_accounts_apart_holds_no_secret_and_is_the_same_in_every_process(monkeypatch):
    identities: list[Any] = [
        StaticKeys("AKIDa", "hidden", "hidden"),
        StaticKeys("AKIDb", "hidden"),
        AssumedRole("AKIDa", "hidden", role_arn="arn", token="hidden"),
        EnvironmentKeys(),
        ProfileKeys(),
        CvmRole(),
        OidcRole(),
    ]
    accounts = [account_of(identity) for identity in identities]
    assert len(set(accounts)) == len(accounts)
    assert not [account for account in accounts if "hidden" in account or " at 0x" in account]
    assert account_of(StaticKeys("AKIDa", "changed")) == accounts[0]
    for number, name in {3: "TENCENTCLOUD_SECRET_ID", 4: "HOME", 6: "TKE_ROLE_ARN"}.items():
        monkeypatch.setenv(name, "another")
        assert account_of(identities[number]) != accounts[number]
