"""What every table says beside a method's name: the ways in which it is not compared like the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def method_marks(config: Mapping[str, Any]) -> list[str]:
    """The marks of a run, from its config.json: "not invariant", a pinned aggregation of the loss, "inert", ...

    A value of the run wins over what the method's class declares; the class is read as text, so torch is not imported.
    """
    from entrobench.registry import method_infos

    info = method_infos().get(config["method"]["use"])
    declared = {**(info.constants if info else {}), **config["method"]["values"]}
    marks = []
    if declared.get("scope") == "microbatch":
        marks.append("not invariant")  # its results depend on a memory setting
    if declared.get("loss_agg"):
        marks.append(f"loss: {declared['loss_agg']}")
    if declared.get("inert_on_policy") and config["trainer"]["updates"] == 1:
        marks.append("inert at 1 update per rollout")
    if declared.get("provisional"):
        marks.append("provisional")
    return marks
