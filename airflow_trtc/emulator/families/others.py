"""All calls that no other family has, answered as their models say."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_trtc.emulator.action import Action

ACTIONS: Mapping[str, Action] = {}
