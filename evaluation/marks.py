"""What every table says beside a method's name: the ways in which it is not compared like the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrobench.catalogue import INERT, marks_of


def method_marks(config: Mapping[str, Any]) -> list[str]:
    """The marks of a run, from its config.json; that a method does nothing on policy counts at one update per step."""
    marks = marks_of(config["method"]["use"], config["method"]["values"])
    one_update = config["trainer"]["updates"] == 1
    inert = ["inert at 1 update per rollout"] if INERT in marks and one_update else []
    return [mark for mark in marks if mark != INERT] + inert
