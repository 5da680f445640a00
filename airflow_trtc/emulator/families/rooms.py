"""Room management: dismiss a room, remove and block its users."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_trtc.emulator.action import Action

ACTIONS: Mapping[str, Action] = {}
