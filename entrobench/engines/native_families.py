"""Which models the native engine runs, seen in their config.json, before anything of them is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrobench.errors import InputError

FAMILIES = ("llama", "qwen2", "qwen3")
STATIC_ROPES = ("default", "linear", "llama3", "yarn")  # frequencies that do not depend on the length


def refuse_other_family(decoder: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a model that the engine would compute wrongly.

    `decoder` is that part of its config.json, or as much as is known of it: what is not said is not judged.
    """
    place = f"{where}: engine: native"
    family = decoder.get("model_type")
    if family not in FAMILIES:
        raise InputError(f"{place} runs {', '.join(FAMILIES)}, not {family!r}; use another engine for it")
    if decoder.get("use_sliding_window"):
        raise InputError(f"{place} has no sliding window (config.json: use_sliding_window is true)")
    rope = decoder.get("rope_parameters") or decoder.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in STATIC_ROPES:
        raise InputError(f"{place} does not know rope type {kind!r}")
    if decoder.get("hidden_act", "silu") != "silu":
        raise InputError(f"{place} expects hidden_act silu, got {decoder['hidden_act']!r}")
