"""Jobs of all kinds but recordings: their calls, and the lives of what they start."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_trtc.emulator.action import Action

ACTIONS: Mapping[str, Action] = {}
