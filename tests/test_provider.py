"""What Airflow is told about this package is valid, true, and shown as a form."""

import json
import sys
from importlib import import_module, resources
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from airflow_trtc.cloud.identities import KINDS
from airflow_trtc.cloud.settings import EXTRA_FIELDS, from_connection
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.provider import get_provider_info

(CONNECTION,) = get_provider_info()["connection-types"]


def import_string(path):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def schema(name):
    return json.loads(resources.files("airflow").joinpath(name).read_text())


def test_it_is_valid_for_the_installed_airflow():
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


@pytest.mark.parametrize("part", ["conn-fields", "ui-field-behaviour"])
def test_the_form_is_valid_too(part):
    """The schema of installed providers says nothing about the form; the one of their sources does."""
    full = schema("provider.yaml.schema.json")
    rules = full["properties"]["connection-types"]["items"]["properties"]
    if part not in rules:
        pytest.skip("this Airflow knows no form in metadata")
    jsonschema.validate(CONNECTION[part], {**rules[part], "definitions": full.get("definitions", {})})


def test_it_is_plain_data():
    assert json.loads(json.dumps(get_provider_info())) == get_provider_info()


def dotted_paths():
    info = get_provider_info()
    for kind in ("hooks", "sensors", "triggers"):
        for entry in info[kind]:
            yield from entry["python-modules"]
    yield from info["extra-links"]
    for entry in info["asset-uris"]:
        yield from (entry["handler"], entry["factory"])
    yield CONNECTION["hook-class-name"]


@pytest.mark.parametrize("path", sorted(set(dotted_paths())))
def test_every_path_can_be_imported(path):
    try:
        import_module(path)
    except ModuleNotFoundError:
        assert import_string(path)


def test_the_configuration_is_complete():
    (options,) = [section["options"] for section in get_provider_info()["config"].values()]
    for option in options.values():
        assert {"description", "version_added", "type", "example", "default"} <= set(option)


def test_integrations_are_named_alike_everywhere():
    info = get_provider_info()
    named = {entry["integration-name"] for kind in ("hooks", "sensors", "triggers") for entry in info[kind]}
    assert named == {entry["integration-name"] for entry in info["integrations"]}


def test_hook_and_metadata_agree():
    assert TrtcHook.conn_type == CONNECTION["connection-type"]
    assert TrtcHook.hook_name == CONNECTION["hook-name"]
    assert import_string(CONNECTION["hook-class-name"]) is TrtcHook


def test_the_form_shows_every_field_that_is_read_and_no_other():
    assert set(CONNECTION["conn-fields"]) == set(EXTRA_FIELDS)
    assert CONNECTION["conn-fields"]["credential_kind"]["schema"]["enum"] == list(KINDS)


def test_what_is_typed_into_password_fields_is_masked_by_airflow():
    from airflow.sdk._shared.secrets_masker.secrets_masker import DEFAULT_SENSITIVE_FIELDS

    fields = CONNECTION["conn-fields"]
    typed = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert {"token", "proxy", "callback_secret", "sdk_secret_key"} <= typed
    masked = {name for name in fields if any(word in name for word in DEFAULT_SENSITIVE_FIELDS)}
    assert typed <= masked


@pytest.fixture(scope="module")
def form():
    """The connection type as the UI is told about it, by an Airflow that knows this provider alone."""
    from airflow import providers_manager
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    if not hasattr(providers_manager, "discover_all_providers_from_packages"):
        pytest.skip("this Airflow finds its providers in another way")

    def discover(providers, *_):
        providers["airflow-trtc"] = providers_manager.ProviderInfo("1.0", get_provider_info())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers_manager, "discover_all_providers_from_packages", discover)
        patch.setattr(providers_manager.ProvidersManager, "_instance", None)
        patch.setattr(providers_manager.ProvidersManager, "_initialized", False)
        shown = HookMetaService.hook_meta_data.__wrapped__()
        return next(one for one in shown if one.connection_type == "trtc")


def test_airflow_shows_the_form(form):
    assert form.hook_name == "Tencent RTC"
    assert set(form.extra_fields) == set(EXTRA_FIELDS)
    assert form.extra_fields["credential_kind"]["schema"]["enum"] == list(KINDS)
    assert form.extra_fields["credential_kind"]["value"] == "static"
    assert form.extra_fields["sdk_app_id"]["schema"]["title"] == "SdkAppId"
    assert form.extra_fields["token"]["schema"]["format"] == "password"
    fields = form.standard_fields
    assert (fields.login.title, fields.password.title, fields.host.title) == (
        "SecretId",
        "SecretKey",
        "API endpoint",
    )
    assert fields.host.placeholder.startswith("trtc.tencentcloudapi.com")
    assert fields.port.hidden
    assert fields.url_schema.hidden


def test_what_the_form_fills_in_by_itself_is_what_the_fields_mean_when_empty(form):
    filled_in = {name: field["value"] for name, field in form.extra_fields.items()}
    keys: dict[str, Any] = {"login": "AKIDx", "password": "secret"}
    assert from_connection(**keys, extra=filled_in) == from_connection(**keys)


def test_older_airflow_gets_the_same_form_from_the_hook(monkeypatch):
    """Airflow 3.1 asks the class, with WTForms or a stand-in for it."""

    class Field:
        def __init__(self, label, description="", default=None):
            self.label, self.default = label, default

    fake = ModuleType("wtforms")
    for name in ("StringField", "IntegerField", "PasswordField"):
        setattr(fake, name, type(name, (Field,), {}))
    monkeypatch.setitem(sys.modules, "wtforms", fake)
    widgets = TrtcHook.get_connection_form_widgets()
    assert {name: field.label for name, field in widgets.items()} == {
        name: field["label"] for name, field in CONNECTION["conn-fields"].items()
    }
    assert type(widgets["token"]).__name__ == "PasswordField"
    assert type(widgets["sdk_app_id"]).__name__ == "IntegerField"
    behaviour = TrtcHook.get_ui_field_behaviour()
    assert behaviour["relabeling"]["login"] == "SecretId"
    assert behaviour["hidden_fields"] == ["schema", "port"]
