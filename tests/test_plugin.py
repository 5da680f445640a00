"""The plugin is found by Airflow, costs nothing, and brings the receiver where it belongs."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import entry_points

import httpx
import pytest
from fastapi import FastAPI

from airflow_trtc import plugin
from airflow_trtc.plugin import TrtcPlugin


def test_airflow_finds_it_by_its_entry_point() -> None:
    (found,) = [point for point in entry_points(group="airflow.plugins") if point.name == "trtc"]
    assert found.load() is TrtcPlugin


def test_the_app_is_built_once_when_asked_for() -> None:
    one = TrtcPlugin()
    ((app,), again) = one.fastapi_apps, one.fastapi_apps
    assert again[0] is app
    assert isinstance(app["app"], FastAPI)
    assert app["url_prefix"] == "/trtc"


def test_an_app_that_cannot_be_built_leaves_airflow_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("airflow_trtc.web.app.create_app", fail)
    with caplog.at_level(logging.ERROR, plugin.__name__):
        assert TrtcPlugin().fastapi_apps == []
    assert "Cannot start the receiver" in caplog.text


@pytest.mark.parametrize("root_path", ["", "/team/airflow"])
def test_it_is_reached_below_airflows_address(root_path: str) -> None:
    """As Airflow mounts it, with and without a path in [api] base_url."""
    ((app,),) = (TrtcPlugin().fastapi_apps,)
    server = FastAPI(root_path=root_path)
    server.mount(app["url_prefix"], app["app"])

    async def get(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.get(path)

    for prefix in {"", root_path}:  # a proxy may take the path away, or leave it
        answer = asyncio.run(get(f"{prefix}/trtc/callbacks/trtc_default"))
        assert (answer.status_code, answer.headers.get("allow")) == (405, "POST")
        for page in ("docs", "redoc", "openapi.json"):
            assert asyncio.run(get(f"{prefix}/trtc/{page}")).status_code == 404
