"""Marks beside a method's name in lists and tables: in which way it cannot be compared like the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrobench.run_config import RunConfig

from .registry import method_infos

INERT = "inert on policy"


def marks_of(use: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reader of a list must know about a method with these values; a value wins over what the class says."""
    info = method_infos().get(use)
    declared = {**(info.constants if info else {}), **values}
    marks = {
        "provisional": declared.get("provisional"),
        "not invariant": declared.get("scope") == "microbatch",
        INERT: declared.get("inert_on_policy"),
        f"loss: {declared.get('loss_agg')}": declared.get("loss_agg"),
    }
    return tuple(mark for mark, holds in marks.items() if holds)


def method_marks(config: RunConfig) -> list[str]:
    """The marks of a run; that a method is inert on policy counts only at one update per step."""
    marks = marks_of(config.method.use, config.method.values)
    one_update = config.trainer.updates * config.trainer.epochs == 1
    inert = ["inert at 1 update per rollout"] if INERT in marks and one_update else []
    return [mark for mark in marks if mark != INERT] + inert
